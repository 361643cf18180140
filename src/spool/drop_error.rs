//! Why the injection failed: the step, the cause, and what follows from them.

use std::path::{Path, PathBuf};

use exit::{Exit, Report};
use mail::wire::WireError;
use nix::errno::Errno;

use super::file::FileError;

/// The step of the injection that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropStep {
    /// D1: the drop directory cannot be opened.
    Open,
    /// D1: no file can be created in it.
    Create,
    /// D1: the directory for files without O_TMPFILE cannot be opened.
    Temporary,
    /// The kernel gives no randomness for a queue id.
    Random,
    /// D2 and D3: the envelope cannot be encoded.
    Envelope,
    /// D2 and D3: writing.
    Write,
    /// D4: the mode of the file.
    Mode,
    /// D4: the file was not born as a file of the drop directory.
    Birth,
    /// D5: the lock.
    Lock,
    /// D6: the name.
    Name,
    /// D7: fsync.
    Sync,
    /// The content is not in wire form.
    Content,
}

/// Why it failed.
#[derive(Debug)]
pub enum DropCause {
    /// The kernel's reason.
    Kernel(Errno),
    /// That of a read or write.
    Io(std::io::Error),
    /// A new file got this group and mode, so the daemon could not read it.
    Birth {
        /// Its group.
        group: u32,
        /// Its mode.
        mode: u32,
    },
    /// Every queue id tried is taken.
    Taken,
    /// The envelope exceeds what a file can have.
    Envelope(FileError),
    /// The content is not in wire form.
    Content(WireError),
}

/// Why a message was not spooled.
#[derive(Debug)]
pub struct DropError {
    /// The step.
    pub step: DropStep,
    /// The cause.
    pub cause: DropCause,
    /// The directory, or the file beside it.
    pub(crate) path: PathBuf,
    pub(crate) rootless: bool,
}

impl DropError {
    /// The content of `path` is not in wire form.
    pub fn of_content(path: &Path, why: WireError) -> DropError {
        DropError { step: DropStep::Content, cause: DropCause::Content(why), path: path.to_owned(), rootless: false }
    }

    fn errno(&self) -> Option<Errno> {
        match &self.cause {
            DropCause::Kernel(e) => Some(*e),
            DropCause::Io(e) => e.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }

    /// True if this caller cannot use the drop directory (hidden, read-only or missing), so that the submission socket may work
    /// instead. False if the directory is usable but full.
    pub fn is_shut(&self) -> bool {
        use Errno::{EACCES, ELOOP, ENOENT, ENOTDIR, EPERM, EROFS};
        matches!(self.step, DropStep::Open | DropStep::Create)
            && self.errno().is_some_and(|e| matches!(e, ENOENT | ENOTDIR | ELOOP | EACCES | EPERM | EROFS))
    }

    /// True if the disk, or the quota of its file system, is full.
    pub fn is_full(&self) -> bool {
        matches!(self.errno(), Some(Errno::ENOSPC | Errno::EDQUOT))
    }

    /// The next step for a person, if there is one.
    fn next(&self) -> &'static str {
        if !matches!(self.step, DropStep::Open | DropStep::Create) {
            return "";
        }
        match (self.errno(), self.rootless) {
            (Some(Errno::ENOENT), true) => "; start `mailchuted` once, or run `mailchute setup`",
            (Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP), false) => {
                "; mailchute is not installed here, or the spool is not mounted"
            }
            (Some(Errno::EACCES | Errno::EPERM), _) => "; run `mailchute check` as root to see which mode is wrong",
            (Some(Errno::EROFS), _) => "; the file system is read-only for this process",
            (Some(Errno::ENOSPC | Errno::EDQUOT), _) => "; free some space and send again",
            _ => "",
        }
    }
}

impl std::fmt::Display for DropError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        let path = self.path.display();
        match self.step {
            DropStep::Open => write!(f, "cannot open the drop directory {path}")?,
            DropStep::Create | DropStep::Temporary => write!(f, "cannot create a file in {path}")?,
            DropStep::Random => f.write_str("cannot read /dev/urandom")?,
            DropStep::Envelope => f.write_str("cannot write the envelope")?,
            DropStep::Write => write!(f, "cannot write to the spool {path}")?,
            DropStep::Mode => f.write_str("cannot set the mode of the spool file")?,
            DropStep::Birth => write!(f, "the drop directory {path} is wrong")?,
            DropStep::Lock => f.write_str("cannot lock the spool file")?,
            DropStep::Name => write!(f, "cannot name the message in {path}")?,
            DropStep::Sync => write!(f, "cannot make the message durable in {path}")?,
            DropStep::Content => f.write_str("the message is not in wire form")?,
        }
        f.write_str(": ")?;
        match &self.cause {
            DropCause::Kernel(e) => f.write_str(e.desc())?,
            DropCause::Io(e) => e.fmt(f)?,
            DropCause::Birth { group, mode } => {
                write!(f, "a new file got group {group} and mode {mode:04o}, so the daemon could not read it; run `mailchute check`")?;
            }
            DropCause::Taken => f.write_str("every queue id tried is taken")?,
            DropCause::Envelope(e) => e.fmt(f)?,
            DropCause::Content(why) => why.fmt(f)?,
        }
        f.write_str(self.next())
    }
}

impl std::error::Error for DropError {}

impl Report for DropError {
    fn code(&self) -> &'static str {
        match self.step {
            DropStep::Open => "open",
            DropStep::Create => "create",
            DropStep::Temporary => "temporary",
            DropStep::Random => "random",
            DropStep::Envelope => "envelope",
            DropStep::Write => "write",
            DropStep::Mode => "mode",
            DropStep::Birth => "birth",
            DropStep::Lock => "lock",
            DropStep::Name => "name",
            DropStep::Sync => "sync",
            DropStep::Content => "content",
        }
    }

    fn exit(&self) -> Exit {
        match self.step {
            DropStep::Open | DropStep::Create | DropStep::Temporary | DropStep::Mode | DropStep::Birth | DropStep::Name => Exit::CantCreate,
            DropStep::Envelope | DropStep::Write | DropStep::Lock | DropStep::Sync => Exit::IoErr,
            DropStep::Random => Exit::OsErr,
            DropStep::Content => Exit::Software,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(step: DropStep, cause: DropCause) -> DropError {
        DropError { step, cause, path: "/spool/new".into(), rootless: false }
    }

    #[test]
    fn the_socket_may_help_where_the_directory_is_shut_and_not_where_it_is_full() {
        for (step, errno, shut, full) in [
            (DropStep::Open, Errno::ENOENT, true, false),
            (DropStep::Create, Errno::EROFS, true, false),
            (DropStep::Create, Errno::ENOSPC, false, true),
            (DropStep::Temporary, Errno::ENOENT, false, false),
            (DropStep::Name, Errno::EACCES, false, false),
            (DropStep::Name, Errno::EDQUOT, false, true),
        ] {
            let error = failed(step, DropCause::Kernel(errno));
            assert_eq!((error.is_shut(), error.is_full()), (shut, full), "{error}");
        }
        let full = std::io::Error::from_raw_os_error(Errno::ENOSPC as i32);
        assert!(failed(DropStep::Sync, DropCause::Io(full)).is_full());
        assert!(!failed(DropStep::Write, DropCause::Io(std::io::Error::other("No space left on device"))).is_full());
    }

    #[test]
    fn the_exit_code_follows_from_the_step() {
        for (step, exit) in [
            (DropStep::Open, Exit::CantCreate),
            (DropStep::Write, Exit::IoErr),
            (DropStep::Sync, Exit::IoErr),
            (DropStep::Random, Exit::OsErr),
            (DropStep::Content, Exit::Software),
        ] {
            assert_eq!(failed(step, DropCause::Taken).exit(), exit);
        }
    }
}
