//! Atomic replacement of files: a reader sees the old content or the new, never a part.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::fs;

/// Replaces the file at `path` with `bytes` and exactly these permission bits. A symbolic link is replaced, not followed. Not synced:
/// for content that can be written again after a power cut.
///
/// Errors: the kernel's; then the old file is unchanged, and no other file is left.
pub fn replace(path: &Path, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    let invalid = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "not the path of a file");
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(invalid)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Hidden, so that readers of all `*.prom` or `*.json` files of a directory skip it; random, so that two processes do not
    // use the same name.
    let temporary = format!(".{name}.{:016x}", super::clock::random()?);
    let directory = fs::open_directory(parent)?;
    let file = fs::create_new(&directory, &temporary)?;
    let replaced = write(file, mode, bytes).and_then(|()| std::fs::rename(parent.join(&temporary), path));
    if replaced.is_err() {
        // The first error is reported.
        let _ = fs::unlink(&directory, &temporary);
    }
    replaced
}

fn write(mut file: File, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    fs::set_mode(&file, mode)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("state.json");
        replace(&path, 0o644, b"old").unwrap();
        replace(&path, 0o600, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_points_to_is_not_touched() {
        let scratch = tempfile::tempdir().unwrap();
        let (target, link) = (scratch.path().join("target"), scratch.path().join("link"));
        std::fs::write(&target, "kept").unwrap();
        symlink(&target, &link).unwrap();
        replace(&link, 0o644, b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"kept");
        assert!(!link.is_symlink());
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inside"), "kept").unwrap();
        assert!(replace(&path, 0o644, b"new").is_err());
        assert!(replace(Path::new("/"), 0o644, b"new").is_err());
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
