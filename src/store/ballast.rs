//! The ballast: a file in the spool that only reserves space. When the disk is full, the daemon deletes it, so that outcomes can
//! still be recorded. When there is enough space, the daemon creates it again.
//!
//! In: the free space, and the space that new mail must leave free. Out: a file of the right size, or none. Nothing here can lose a
//! message: a daemon without ballast stops delivery at a full disk.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The name of the file in the spool.
pub const NAME: &str = "ballast";
/// The size of the ballast in bytes, enough for thousands of outcomes.
const LARGEST: u64 = 32 << 20;
/// On a small file system, the ballast takes at most one part in this many.
const SHARE: u64 = 8;

/// The size of the ballast on a file system of `total` bytes.
fn size(total: u64) -> u64 {
    LARGEST.min(total / SHARE)
}

/// What to do with the ballast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Delete it before the disk is full: opening the database needs some space too.
    GiveBack,
    /// Create it: there is space for it, for new mail, and some more, so that it is not deleted again soon.
    Make,
    /// Keep the current state.
    Leave,
}

fn need(free: u64, size: u64, reserve: u64) -> Need {
    match free {
        free if free < size / 8 => Need::GiveBack,
        free if free >= reserve.saturating_add(size.saturating_mul(2)) => Need::Make,
        _ => Need::Leave,
    }
}

/// The result of [`adjust`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjusted {
    /// It was created, with this many bytes.
    Made(u64),
    /// It was deleted, with this many bytes.
    GivenBack(u64),
    /// No change.
    Unchanged,
}

/// Creates or deletes the ballast of the spool at `spool`, depending on its free space. New mail leaves `reserve` bytes free.
///
/// Errors: the kernel's, also if the file system cannot reserve space.
pub fn adjust(spool: &Path, reserve: u64) -> std::io::Result<Adjusted> {
    let path = spool.join(NAME);
    let size = size(fs2::total_space(spool)?);
    let there = bytes(&path);
    match need(fs2::available_space(spool)?, size, reserve) {
        Need::GiveBack if there > 0 => give_back(&path).map(Adjusted::GivenBack),
        Need::Make if there < size => make(&path, size).map(|()| Adjusted::Made(size)),
        _ => Ok(Adjusted::Unchanged),
    }
}

/// The bytes on the disk; 0 for a missing file.
fn bytes(path: &Path) -> u64 {
    path.symlink_metadata().map_or(0, |meta| meta.blocks().saturating_mul(512))
}

fn make(path: &Path, size: u64) -> std::io::Result<()> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let made = sys::fs::allocate(&file, size);
    // A partial ballast would only waste space.
    made.inspect_err(|_| drop(std::fs::remove_file(path))).map_err(Into::into)
}

/// Deletes the ballast at `path`. Returns the freed bytes, 0 if there was none.
///
/// Errors: the kernel's.
pub fn give_back(path: &Path) -> std::io::Result<u64> {
    let bytes = bytes(path);
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        removed => removed.map(|()| bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_spool_5_the_ballast_is_given_back_when_space_ends_and_made_when_there_is_plenty() {
        let mib = |n: u64| n << 20;
        assert_eq!((size(mib(100_000)), size(mib(80))), (mib(32), mib(10)));
        assert_eq!(need(mib(3), mib(32), mib(75)), Need::GiveBack);
        assert_eq!(need(mib(4), mib(32), mib(75)), Need::Leave);
        assert_eq!(need(mib(138), mib(32), mib(75)), Need::Leave);
        assert_eq!(need(mib(139), mib(32), mib(75)), Need::Make);
        // Given back, it leaves no room for itself: it does not come and go.
        assert_eq!(need(mib(32), mib(32), 0), Need::Leave);
    }

    #[test]
    fn the_ballast_takes_real_space_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(NAME);
        assert_eq!(give_back(&path).unwrap(), 0);
        make(&path, 1 << 20).unwrap();
        make(&path, 1 << 20).unwrap();
        let meta = path.symlink_metadata().unwrap();
        assert_eq!((meta.len(), meta.permissions().mode() & 0o7777), (1 << 20, 0o600));
        assert!(bytes(&path) >= 1 << 20);
        assert!(give_back(&path).unwrap() >= 1 << 20);
        assert_eq!(bytes(&path), 0);
    }
}
