//! A refused command line.

use exit::{Exit, Failure};

/// A refused command line.
#[derive(Debug)]
pub struct Refusal {
    /// The error line and the exit code.
    pub failure: Failure,
    /// The option that looks like an injection, for the auth log.
    pub injection: Option<String>,
    /// A syntax error, shown as `sendmail: usage: …` (P4).
    pub usage: bool,
    /// `-oeq` came before the error.
    pub quiet: bool,
    /// The mode so far reads standard input, so a process may be writing to it (I1).
    pub reads_stdin: bool,
}

impl Refusal {
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Refusal {
        Refusal { failure: Failure::new(exit, text), injection: None, usage: false, quiet: false, reads_stdin: true }
    }

    /// A syntax error.
    pub(super) fn usage(text: impl Into<String>) -> Refusal {
        Refusal { usage: true, ..Refusal::new(Exit::Usage, text) }
    }

    /// An invalid value.
    pub(super) fn value(text: impl Into<String>) -> Refusal {
        Refusal::new(Exit::Usage, text)
    }

    /// Class X.
    pub(super) fn injection(option: &str) -> Refusal {
        let text = format!("option {option} is refused: it could choose a file or an identity");
        Refusal { injection: Some(option.to_owned()), ..Refusal::new(Exit::Usage, text) }
    }
}
