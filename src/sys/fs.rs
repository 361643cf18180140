//! File operations by descriptor: names are relative to an open directory, symbolic links are not followed, nothing is overwritten.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag, RenameFlags};
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::unistd::UnlinkatFlags;

/// Reads a regular file in as few calls as possible: a short read means the end of the file.
///
/// Errors: the kernel's.
pub fn read_whole(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut file = File::open(path)?;
    let mut bytes = vec![0; 8 << 10];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        let asked = room.len();
        let read = match file.read(room) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        filled += read;
        if read < asked {
            break;
        }
        bytes.resize(bytes.len() * 2, 0);
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Opens a directory for operations on the names in it. A symbolic link is refused.
pub fn open_directory(path: &Path) -> nix::Result<OwnedFd> {
    fcntl::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens a directory so that it can be listed and synced.
pub fn open_readable_directory(path: &Path) -> nix::Result<File> {
    fcntl::open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()).map(File::from)
}

/// An unnamed file on the file system of `directory` (O_TMPFILE), mode 0640 less the umask.
///
/// Errors: EOPNOTSUPP, EISDIR, EINVAL or ENOENT where the kernel or file system has none: see [`has_no_tmpfile`].
pub fn create_unnamed(directory: &impl AsFd) -> nix::Result<File> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    fcntl::openat(directory, ".", flags, Mode::from_bits_truncate(0o640)).map(File::from)
}

/// True for the errors that say "no O_TMPFILE here" rather than "you may not".
pub fn has_no_tmpfile(error: Errno) -> bool {
    matches!(error, Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL | Errno::ENOENT)
}

/// A new file `name`; EEXIST if anything has that name.
pub fn create_new(directory: &impl AsFd, name: &str) -> nix::Result<File> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    fcntl::openat(directory, name, flags, Mode::from_bits_truncate(0o640)).map(File::from)
}

/// Opens `name` for reading, whatever it is: links are not followed, and a FIFO or device cannot block us.
pub fn open_hostile(directory: &impl AsFd, name: impl AsRef<OsStr>) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    fcntl::openat(directory, name.as_ref(), flags, Mode::empty()).map(File::from)
}

/// The same for a path.
pub fn open_hostile_path(path: &Path) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    fcntl::open(path, flags, Mode::empty()).map(File::from)
}

/// Gives the unnamed `file` the name `name` in `directory`; EEXIST if it is taken. AT_EMPTY_PATH first (kernel 6.10 and later
/// allow it to the opener), else through /proc.
pub fn link_unnamed(file: &File, directory: &impl AsFd, name: &str) -> nix::Result<()> {
    match nix::unistd::linkat(file, "", directory, name, AtFlags::AT_EMPTY_PATH) {
        Err(Errno::ENOENT | Errno::EPERM | Errno::EINVAL) => {
            let proc_path = format!("/proc/self/fd/{}", file.as_raw_fd());
            nix::unistd::linkat(fcntl::AT_FDCWD, proc_path.as_str(), directory, name, AtFlags::AT_SYMLINK_FOLLOW)
        }
        result => result,
    }
}

/// Renames without ever replacing: EEXIST if the new name is taken.
pub fn rename_new(from: &impl AsFd, old: impl AsRef<OsStr>, to: &impl AsFd, new: impl AsRef<OsStr>) -> nix::Result<()> {
    fcntl::renameat2(from, old.as_ref(), to, new.as_ref(), RenameFlags::RENAME_NOREPLACE)
}

/// Removes a name that is not a directory.
pub fn unlink(directory: &impl AsFd, name: impl AsRef<OsStr>) -> nix::Result<()> {
    nix::unistd::unlinkat(directory, name.as_ref(), UnlinkatFlags::NoRemoveDir)
}

/// The status of an open file.
pub fn stat(file: &impl AsFd) -> nix::Result<FileStat> {
    nix::sys::stat::fstat(file)
}

/// The status of `name`; links are not followed.
pub fn stat_at(directory: &impl AsFd, name: impl AsRef<OsStr>) -> nix::Result<FileStat> {
    nix::sys::stat::fstatat(directory, name.as_ref(), AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// Sets the permission bits of an open file.
pub fn set_mode(file: &impl AsFd, mode: u32) -> nix::Result<()> {
    nix::sys::stat::fchmod(file, Mode::from_bits_truncate(mode))
}

/// The permission bits, set-id and sticky bits included.
pub fn mode(stat: &FileStat) -> u32 {
    stat.st_mode & 0o7777
}

/// True for a regular file.
pub fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

/// True for a directory.
pub fn is_directory(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

/// True where fsync(fd) after linkat commits content and directory entry together: ext4, xfs and btrfs, and tmpfs, which
/// has nothing to commit. On all other file systems the caller uses [`sync_file_system`].
pub fn fsync_commits_the_name(file: &impl AsFd) -> bool {
    const BTRFS: nix::sys::statfs::FsType = nix::sys::statfs::BTRFS_SUPER_MAGIC;
    let Ok(stat) = nix::sys::statfs::fstatfs(file) else { return false };
    let kind = stat.filesystem_type();
    kind == nix::sys::statfs::EXT4_SUPER_MAGIC
        || kind == nix::sys::statfs::XFS_SUPER_MAGIC
        || kind == BTRFS
        || kind == nix::sys::statfs::TMPFS_MAGIC
}

/// Free bytes and free inodes of the file system of `path`, for a process without privileges. `None` for inodes if the file
/// system does not count them, such as btrfs.
pub fn free_space(path: &Path) -> nix::Result<(u64, Option<u64>)> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    let files = (stat.files() > 0).then(|| stat.files_available());
    Ok((stat.blocks_available().saturating_mul(stat.fragment_size()), files))
}

/// True if the file system of `path` is mounted read-only.
pub fn is_read_only(path: &Path) -> bool {
    nix::sys::statvfs::statvfs(path).is_ok_and(|stat| stat.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY))
}

/// Reserves `bytes` of disk space for `file`.
pub fn allocate(file: &File, bytes: u64) -> nix::Result<()> {
    fcntl::posix_fallocate(file, 0, i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Commits everything on the file system of `file`.
pub fn sync_file_system(file: &impl AsFd) -> nix::Result<()> {
    nix::unistd::syncfs(file)
}
