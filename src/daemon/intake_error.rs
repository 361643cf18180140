//! Why the claim ends, and the daemon with it.

use exit::{Exit, Report};
use mail::sentence;
use nix::errno::Errno;

use crate::state_writer::Stopped;

/// Why new mail is not claimed any more.
#[derive(Debug)]
pub(crate) enum IntakeError {
    /// A directory of the spool was removed or replaced; what to do, in one line.
    Directory(String),
    /// This cannot be watched.
    Watch(&'static str, Errno),
    /// The wait for news failed.
    Wait(Errno),
    /// `new/` cannot be read.
    Scan(std::io::Error),
    /// The state writer has stopped.
    Stopped,
    /// A fault of this program.
    Panic,
}

impl From<Stopped> for IntakeError {
    fn from(_: Stopped) -> IntakeError {
        IntakeError::Stopped
    }
}

impl std::fmt::Display for IntakeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = sentence::instead(f) {
            return nonsense;
        }
        const CANNOT: &str = "cannot watch the drop directory";
        match self {
            IntakeError::Directory(text) => f.write_str(text),
            IntakeError::Watch(what, e) => write!(f, "{CANNOT}: inotify on {what}: {}", e.desc()),
            IntakeError::Wait(e) => write!(f, "{CANNOT}: poll: {}", e.desc()),
            IntakeError::Scan(e) => write!(f, "{CANNOT}: new/: {e}"),
            IntakeError::Stopped => write!(f, "{CANNOT}: the state writer has stopped"),
            IntakeError::Panic => f.write_str("internal error; please report it"),
        }
    }
}

impl std::error::Error for IntakeError {}

impl Report for IntakeError {
    fn code(&self) -> &'static str {
        match self {
            IntakeError::Directory(_) => "directory",
            IntakeError::Watch(..) => "watch",
            IntakeError::Wait(_) => "wait",
            IntakeError::Scan(_) => "scan",
            IntakeError::Stopped => "stopped",
            IntakeError::Panic => "panic",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            IntakeError::Directory(_) => Exit::Config,
            IntakeError::Watch(..) | IntakeError::Wait(_) | IntakeError::Scan(_) | IntakeError::Stopped => Exit::IoErr,
            IntakeError::Panic => Exit::Software,
        }
    }
}
