//! Why a message is not accepted, at both doors: as `sendmail` reports it, and as the daemon answers on the submission socket.

use exit::{Exit, Failure, Report};
use mail::printable;
use serde::{Deserialize, Serialize};
use spool::drop::DropError;

/// The kind of a refusal: a word on the submission socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The call, the mode or the protocol is wrong.
    Usage,
    /// A recipient, the header section or the content is wrong.
    Data,
    /// The message exceeds a size limit.
    TooLarge,
    /// There is no such recipient.
    NoUser,
    /// Policy or permissions refuse it.
    Policy,
    /// Admission is closed, the user has reached a quota, or the reserve of the spool is reached.
    NotAdmitted,
    /// The disk, or the quota of its file system, is full.
    NoSpace,
    /// The spool cannot be used.
    Spool,
    /// All connections of the daemon are in use: the client tries again.
    Busy,
    /// Anything else on this host, and a word that this program does not know.
    #[default]
    #[serde(other)]
    Local,
}

impl RefusalCode {
    /// The kind of a refusal of which only the exit code is known.
    pub const fn of_exit(exit: Exit) -> RefusalCode {
        match exit {
            Exit::Usage => RefusalCode::Usage,
            Exit::DataErr => RefusalCode::Data,
            Exit::NoUser => RefusalCode::NoUser,
            Exit::NoPerm => RefusalCode::Policy,
            Exit::Unavailable => RefusalCode::NotAdmitted,
            Exit::CantCreate | Exit::IoErr => RefusalCode::Spool,
            _ => RefusalCode::Local,
        }
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            RefusalCode::Usage => "usage",
            RefusalCode::Data => "data",
            RefusalCode::TooLarge => "too_large",
            RefusalCode::NoUser => "no_user",
            RefusalCode::Policy => "policy",
            RefusalCode::NotAdmitted => "not_admitted",
            RefusalCode::NoSpace => "no_space",
            RefusalCode::Spool => "spool",
            RefusalCode::Busy => "busy",
            RefusalCode::Local => "local",
        }
    }

    /// The enhanced status (RFC 3463) of a reply in an SMTP session.
    pub const fn status(self) -> &'static str {
        match self {
            RefusalCode::Data => "5.6.0",
            RefusalCode::TooLarge => "5.3.4",
            RefusalCode::NoUser => "5.1.1",
            RefusalCode::Policy => "5.7.1",
            RefusalCode::NotAdmitted | RefusalCode::NoSpace => "4.3.1",
            RefusalCode::Usage | RefusalCode::Spool | RefusalCode::Busy | RefusalCode::Local => "4.3.0",
        }
    }
}

/// Why a message is not accepted.
#[derive(Debug)]
pub enum SubmitError {
    /// It is larger than this many bytes.
    TooLarge {
        /// Bytes.
        limit: u64,
        /// The parameter that sets the limit, if one does.
        parameter: Option<&'static str>,
    },
    /// No mail is accepted now, for this reason.
    NotAdmitted(String),
    /// The drop directory did not take it.
    Spool(DropError),
    /// Neither the drop directory nor the submission socket can be used.
    Shut {
        /// The drop directory.
        directory: DropError,
        /// The socket, printable.
        socket: Failure,
    },
    /// The daemon refused it.
    ByDaemon {
        /// The kind.
        code: RefusalCode,
        /// Its exit code.
        exit: Exit,
        /// Its reason, printable.
        text: String,
    },
    /// All connections of the daemon are in use.
    Busy,
    /// Anything else: what was asked, a recipient, the policy, an error of this host.
    Refused(Failure),
}

impl SubmitError {
    /// The kind.
    pub fn kind(&self) -> RefusalCode {
        match self {
            SubmitError::TooLarge { .. } => RefusalCode::TooLarge,
            SubmitError::NotAdmitted(_) => RefusalCode::NotAdmitted,
            SubmitError::Spool(e) if e.is_full() => RefusalCode::NoSpace,
            SubmitError::Spool(e) => RefusalCode::of_exit(e.exit()),
            SubmitError::Shut { .. } => RefusalCode::Spool,
            SubmitError::ByDaemon { code, .. } => *code,
            SubmitError::Busy => RefusalCode::Busy,
            SubmitError::Refused(failure) => RefusalCode::of_exit(failure.exit),
        }
    }

    /// True if this host could not take it: the administrator may have chosen another exit code for these (`spool_error_exit`).
    pub fn is_of_spool(&self) -> bool {
        match self {
            SubmitError::NotAdmitted(_) | SubmitError::Shut { .. } | SubmitError::Busy => true,
            SubmitError::Spool(_) | SubmitError::ByDaemon { .. } => {
                matches!(self.exit(), Exit::Unavailable | Exit::CantCreate | Exit::IoErr)
            }
            SubmitError::TooLarge { .. } | SubmitError::Refused(_) => false,
        }
    }
}

impl From<Failure> for SubmitError {
    fn from(failure: Failure) -> SubmitError {
        SubmitError::Refused(failure)
    }
}

impl From<DropError> for SubmitError {
    fn from(e: DropError) -> SubmitError {
        SubmitError::Spool(e)
    }
}

impl std::fmt::Display for SubmitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            SubmitError::TooLarge { limit, parameter: None } => write!(f, "message too large: more than {limit} bytes"),
            SubmitError::TooLarge { limit, parameter: Some(parameter) } => {
                write!(f, "message too large: more than {limit} bytes ({parameter})")
            }
            SubmitError::NotAdmitted(text) | SubmitError::ByDaemon { text, .. } => f.write_str(text),
            SubmitError::Spool(e) => e.fmt(f),
            SubmitError::Shut { directory, socket } => write!(f, "{directory}; and {socket}"),
            SubmitError::Busy => f.write_str("the daemon is busy with other submissions; send again in a moment"),
            SubmitError::Refused(failure) => f.write_str(&printable::text(&failure.text)),
        }
    }
}

impl std::error::Error for SubmitError {}

impl Report for SubmitError {
    fn code(&self) -> &'static str {
        self.kind().word()
    }

    fn exit(&self) -> Exit {
        match self {
            SubmitError::TooLarge { .. } => Exit::DataErr,
            SubmitError::NotAdmitted(_) | SubmitError::Busy => Exit::Unavailable,
            SubmitError::Spool(e) => e.exit(),
            SubmitError::Shut { .. } => Exit::CantCreate,
            SubmitError::ByDaemon { exit, .. } => *exit,
            SubmitError::Refused(failure) => failure.exit,
        }
    }

    fn status(&self) -> Option<&'static str> {
        Some(self.kind().status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_that_travels() {
        use RefusalCode::*;
        for code in [Usage, Data, TooLarge, NoUser, Policy, NotAdmitted, NoSpace, Spool, Busy, Local] {
            let word = serde_json::to_string(&code).unwrap();
            assert_eq!(word, format!("\"{}\"", code.word()));
            assert_eq!(serde_json::from_str::<RefusalCode>(&word).unwrap(), code);
        }
        assert_eq!(serde_json::from_str::<RefusalCode>("\"of_tomorrow\"").unwrap(), Local);
    }

    #[test]
    fn the_status_follows_from_the_kind_and_never_from_the_text() {
        let text = "message too large: No space left on device";
        for (error, code, status) in [
            (SubmitError::TooLarge { limit: 1, parameter: None }, Exit::DataErr, "5.3.4"),
            (Failure::new(Exit::DataErr, text).into(), Exit::DataErr, "5.6.0"),
            (Failure::new(Exit::OsErr, text).into(), Exit::OsErr, "4.3.0"),
            (SubmitError::NotAdmitted(String::new()), Exit::Unavailable, "4.3.1"),
            (SubmitError::ByDaemon { code: RefusalCode::NoSpace, exit: Exit::IoErr, text: String::new() }, Exit::IoErr, "4.3.1"),
        ] {
            assert_eq!((error.exit(), error.status()), (code, Some(status)), "{error}");
        }
    }
}
