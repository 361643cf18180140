//! Room on a file system.

use std::path::Path;

/// What can still be written: octets, and files where their number is bounded.
///
/// Errors: the kernel's.
pub fn left(path: &Path) -> nix::Result<(u64, Option<u64>)> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    // Some file systems, such as btrfs, count no files and say that there are none.
    let files = (stat.files() > 0).then(|| stat.files_available());
    Ok((stat.blocks_available().saturating_mul(stat.fragment_size()), files))
}
