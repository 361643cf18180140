//! A refused command line.

use exit::{Exit, Failure};

/// Why a command line was refused.
#[derive(Debug)]
pub struct Refusal {
    /// The line and the code.
    pub failure: Failure,
    /// The option that looks like an injection, for the auth log.
    pub injection: Option<String>,
    /// The line is about the form of the command line: shown as `sendmail: usage: …` (P4).
    pub usage: bool,
    /// `-oeq` was seen before.
    pub quiet: bool,
    /// The mode so far reads standard input, so a writer may be waiting at the other end (I1).
    pub reads_stdin: bool,
}

impl Refusal {
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Refusal {
        Refusal { failure: Failure::new(exit, text), injection: None, usage: false, quiet: false, reads_stdin: true }
    }

    /// A mistake in the form.
    pub(super) fn usage(text: impl Into<String>) -> Refusal {
        Refusal { usage: true, ..Refusal::new(Exit::Usage, text) }
    }

    /// A value that its option does not take.
    pub(super) fn value(text: impl Into<String>) -> Refusal {
        Refusal::new(Exit::Usage, text)
    }

    /// Class X.
    pub(super) fn injection(option: &str) -> Refusal {
        let text = format!("option {option} is refused: it could choose a file or an identity");
        Refusal { injection: Some(option.to_owned()), ..Refusal::new(Exit::Usage, text) }
    }
}
