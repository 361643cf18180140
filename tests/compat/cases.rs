//! What is given to every system.

use super::{commands, messages};

/// One call of `sendmail`.
pub(crate) struct Case {
    /// Unique; kebab-case. The document and the reasons use it.
    pub name: &'static str,
    /// The name that it is called by: `sendmail`, or one of the others (P1).
    pub called: &'static str,
    pub argv: Vec<&'static str>,
    pub input: Input,
    /// What is special about the message; empty where the command line says all.
    pub told: &'static str,
}

/// What a case writes to the standard input of `sendmail`.
pub(crate) enum Input {
    /// At once.
    Whole(Vec<u8>),
    /// Step by step, each after a reply.
    Dialogue(Vec<Vec<u8>>),
}

impl Input {
    /// All bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Input::Whole(bytes) => bytes.clone(),
            Input::Dialogue(steps) => steps.concat(),
        }
    }
}

/// All cases, always in the same order: the place in it is the user that a case runs as.
pub(crate) fn all() -> Vec<Case> {
    [commands::all(), messages::all()].into_iter().flatten().collect()
}

/// A message that lacks nothing, to one recipient.
pub(crate) const WHOLE: &str =
    "From: f@x.example\nDate: Sun, 22 Nov 2026 15:00:00 +0000\nMessage-ID: <m@x.example>\nTo: a@x.example\nSubject: s\n\nbody\n";

/// A header section that lacks nothing but recipients.
pub(crate) const NO_TO: &str = "From: f@x.example\nDate: Sun, 22 Nov 2026 15:00:00 +0000\nMessage-ID: <m@x.example>\nSubject: s\n";

#[test]
fn case_names_are_unique() {
    let names: std::collections::BTreeSet<_> = all().iter().map(|case| case.name).collect();
    assert_eq!(names.len(), all().len());
}
