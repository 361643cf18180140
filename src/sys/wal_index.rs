//! Room for the index of a database's log (`-shm`), which SQLite maps into memory.
//!
//! SQLite makes the file larger by one byte at the end of each 4096. Where a block of the file system is smaller than that, the rest
//! is a hole, and the first write to a hole of a mapped file on a full disk is no error but SIGBUS: the end of the process without a
//! word. So every block is written before SQLite maps the file.
//!
//! SQLite cuts the file when nobody else has it open, which it knows by a lock on one byte. [`reserve`] takes that lock in the same
//! way: alone, to empty the file, whose content may be older than the log; then shared, so that SQLite leaves its length as it is.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::os::fd::IntoRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// What SQLite takes for granted to be written as a whole.
const PAGE: i64 = 4096;
/// The bytes that are reserved: the index of a log of 128 MiB. Beyond the first checkpoint of 4 MiB a log grows only while somebody
/// reads for long.
const RESERVED: usize = 256 << 10;
/// The byte that each process locks that has the file open (`UNIX_SHM_DMS` in SQLite).
const DEAD_MAN_SWITCH: i64 = 128;

/// Writes every block that the index of the log of `database` may need, where the file system has small blocks, unless another
/// connection has it open. The descriptor stays open for the life of the process: to close it would end SQLite's own locks.
///
/// Errors: there is no room.
pub fn reserve(database: &Path) -> std::io::Result<()> {
    if !has_small_blocks(database) {
        return Ok(());
    }
    let file = match File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(index_of(database)) {
        Err(e) if is_full(&e) => return Err(e),
        // What cannot be opened cannot be mapped either; SQLite says why.
        Err(_) => return Ok(()),
        Ok(file) => file,
    };
    let reserved = if lock(&file, libc::F_WRLCK).is_ok() { fill(&file) } else { Ok(()) };
    if reserved.is_ok() {
        let _ = file.into_raw_fd();
    }
    reserved
}

/// False where SQLite could meet a hole in the index of the log of `database`: nobody has reserved it.
pub fn is_reserved(database: &Path) -> bool {
    !has_small_blocks(database) || std::fs::metadata(index_of(database)).is_ok_and(|meta| meta.len() >= RESERVED as u64)
}

/// The error of those that may not map it then.
pub fn full() -> Error {
    Error::from_raw_os_error(libc::ENOSPC)
}

fn fill(mut file: &File) -> std::io::Result<()> {
    let filled = file.set_len(0).and_then(|()| file.write_all(&[0; RESERVED])).and_then(|()| Ok(lock(file, libc::F_RDLCK)?));
    if filled.is_err() {
        // Nobody else has it open, so there is no lock of SQLite's to lose when it is closed.
        let _ = file.set_len(0);
    }
    filled
}

/// A lock of this open file, not of the process: SQLite, in the same process, sees it as somebody else's.
fn lock(file: &File, kind: libc::c_int) -> nix::Result<()> {
    let one = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: DEAD_MAN_SWITCH,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&one)).map(drop)
}

fn index_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-shm");
    PathBuf::from(name)
}

fn has_small_blocks(database: &Path) -> bool {
    let directory = database.parent().unwrap_or(database);
    nix::sys::statfs::statfs(directory).is_ok_and(|stat| stat.block_size() < PAGE)
}

fn is_full(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
