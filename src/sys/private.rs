//! Files and directories with secrets: created for their owner alone, opened through open directories, links not followed.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid};

use crate::fs;

/// A new file `name`, mode 0600 from its first moment; EEXIST if anything has that name.
pub fn create(directory: &impl AsFd, name: &str) -> nix::Result<File> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    fcntl::openat(directory, name, flags, Mode::from_bits_truncate(0o600)).map(File::from)
}

/// A new directory `name`, mode 0700; EEXIST if anything has that name.
pub fn make_directory(directory: &impl AsFd, name: &str) -> nix::Result<()> {
    nix::sys::stat::mkdirat(directory, name, Mode::from_bits_truncate(0o700))
}

/// Opens a file whose text only its owner, or the group that systemd gives a credential to, can read.
///
/// Errors: the kernel's, or that others can read it, with the command that fixes it.
pub fn open_secret(path: &Path) -> Result<File, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let stat = fs::stat(&file).map_err(|e| e.desc().to_owned())?;
    // systemd gives credentials as 0440 to its own group; everybody else's must be private.
    if fs::mode(&stat) & 0o037 != 0 {
        return Err(format!("others can read it (mode {:04o}); run `chmod 600 {}`", fs::mode(&stat), path.display()));
    }
    Ok(file)
}

/// Opens the directory `name` for operations on the names in it; it need not be readable.
pub fn enter_directory(directory: &impl AsFd, name: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    fcntl::openat(directory, name, flags, Mode::empty())
}

/// Opens the directory `name` so that it can be synced and given away.
pub fn open_directory(directory: &impl AsFd, name: &str) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    fcntl::openat(directory, name, flags, Mode::empty()).map(File::from)
}

/// Makes `uid`:`gid` the owner of an open file or directory. Only root can do that.
pub fn give_to(file: &impl AsFd, uid: u32, gid: u32) -> nix::Result<()> {
    nix::unistd::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}
