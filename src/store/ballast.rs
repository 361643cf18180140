//! The ballast: a file in the spool that holds nothing but space. On a full disk the daemon gives it back, so that outcomes can
//! always be recorded; when there is room, it is made again.
//!
//! In: the free space, and what new mail leaves free. Out: a file of its size, or none. Nothing here can lose a message: the worst
//! is a daemon without ballast, which stops at a full disk and loses nothing either.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The name of the file in the spool.
pub const NAME: &str = "ballast";
/// Bytes of the ballast: thousands of outcomes.
const LARGEST: u64 = 32 << 20;
/// And the part of a small file system that it takes at most.
const SHARE: u64 = 8;

/// Bytes of the ballast on a file system of `total` bytes.
fn size(total: u64) -> u64 {
    LARGEST.min(total / SHARE)
}

/// What to do with the ballast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Give it back before the disk is full: opening the database needs a little, too.
    GiveBack,
    /// Make it: there is room for it and for new mail, and some more, so that it does not come and go.
    Make,
    /// Leave it as it is.
    Leave,
}

fn need(free: u64, size: u64, reserve: u64) -> Need {
    match free {
        free if free < size / 8 => Need::GiveBack,
        free if free >= reserve.saturating_add(size.saturating_mul(2)) => Need::Make,
        _ => Need::Leave,
    }
}

/// What [`settle`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjusted {
    /// It was made, with so many bytes.
    Made(u64),
    /// It was given back, with so many bytes.
    GivenBack(u64),
    /// Nothing.
    Unchanged,
}

/// Looks at the free space of the spool at `spool`, of which new mail leaves `reserve` bytes, and makes the ballast or gives it back.
///
/// Errors: the kernel's, also where the file system cannot set space aside.
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

/// The bytes on the disk; a file that is not there has none.
fn bytes(path: &Path) -> u64 {
    path.symlink_metadata().map_or(0, |meta| meta.blocks().saturating_mul(512))
}

fn make(path: &Path, size: u64) -> std::io::Result<()> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let made = sys::fs::allocate(&file, size);
    // Half a ballast would be counted as space that is used by nobody.
    made.inspect_err(|_| drop(std::fs::remove_file(path))).map_err(Into::into)
}

/// Removes the ballast at `path`; returns the bytes that are free by that, 0 where there was none.
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
