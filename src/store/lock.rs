//! One process at a time works on the spool: the daemon for life, or `mailchute` while there is no daemon.
//!
//! Two locks are taken. `lock` is what a person sees and may delete, and then the name would stand for another file, which anybody
//! could lock again. So `cur/` is locked, too: it cannot be replaced without its messages. Not the spool's own directory: every user
//! can open that one, and whoever can open it can lock it and keep the daemon out.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fs2::FileExt as Lock;

use spool::layout;

/// The file that is locked.
pub const NAME: &str = "lock";

/// Both locks, until it is dropped.
#[derive(Debug)]
pub struct SpoolLock {
    _file: File,
    _directory: File,
}

impl SpoolLock {
    /// Takes the locks of the spool at `spool` without waiting. `None` where another process has one of them.
    ///
    /// Errors: the kernel's, with the path.
    pub fn take(spool: &Path) -> std::io::Result<Option<SpoolLock>> {
        let (file_path, directory_path) = (spool.join(NAME), spool.join(layout::CUR));
        let directory = sys::fs::open_readable_directory(&directory_path).map_err(|e| named(&directory_path, &e.into()))?;
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&file_path);
        let file = file.map_err(|e| named(&file_path, &e))?;
        let taken = is_taken(&file, &file_path)? && is_taken(&directory, &directory_path)?;
        Ok(taken.then_some(SpoolLock { _file: file, _directory: directory }))
    }
}

fn is_taken(file: &File, path: &Path) -> std::io::Result<bool> {
    match Lock::try_lock_exclusive(file) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(named(path, &e)),
    }
}

fn named(path: &Path, e: &Error) -> Error {
    Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_with_and_without_the_file() {
        let spool = tempfile::TempDir::new().unwrap();
        layout::make_rootless(spool.path()).unwrap();
        let first = SpoolLock::take(spool.path()).unwrap().unwrap();
        assert!(SpoolLock::take(spool.path()).unwrap().is_none());
        std::fs::remove_file(spool.path().join(NAME)).unwrap();
        assert!(SpoolLock::take(spool.path()).unwrap().is_none());
        drop(first);
        assert!(SpoolLock::take(spool.path()).unwrap().is_some());
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_it() {
        let spool = tempfile::TempDir::new().unwrap();
        let refused = SpoolLock::take(spool.path()).unwrap_err().to_string();
        assert!(refused.contains("/cur: "), "{refused}");
    }
}
