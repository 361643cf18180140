//! The daemon's side of the spool: claim a file from `new/`, move it between the directories, remove it.
//!
//! In: names in a directory where any local user may create anything. Out: fully checked messages, with the digest that every later
//! read must match. Nothing else in `new/` can stop the daemon: it is removed, or moved to `corrupt/` with a reason beside it, or left
//! in place and reported once.
//!
//! ```text
//!   CL1  open new/ID, no link followed, shared lock without waiting   busy = the injector has not finished: retry later
//!   CL2  rename to cur/ID, never replacing                            from now on only the daemon can reach the name
//!   CL3  open cur/ID and check the open file, not the name
//!   CL4  row in state.sqlite with uid and digest                      (the caller)
//! ```
//! A crash between CL2 and CL4 leaves a file in `cur/` without a row; the next start continues with CL3.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use aws_lc_rs::digest;
use fs2::FileExt as Lock;
use nix::errno::Errno;
use nix::sys::stat::FileStat;

use mail::envelope::Envelope;
use mail::header;
use mail::header::Section;
use mail::limits;
use mail::printable;
use mail::queue_id::QueueId;
use mail::wire::WireSummary;
use spool::file::{self, FileError};
use spool::layout::{self, Owner};

pub mod ballast;
mod batch;
pub mod lock;
mod moves;

/// The uid that the kernel shows for a user it cannot name (user namespaces): never an identity.
pub const OVERFLOW_UID: u32 = 65_534;

/// The open spool.
pub struct Store {
    root: PathBuf,
    owner: Owner,
    rootless: bool,
    new: File,
    cur: File,
    hold: File,
    failed: File,
    corrupt: File,
    trash: File,
    /// The directories with moves that are not yet synced.
    moved: Mutex<Vec<&'static str>>,
}

/// A checked message in `cur/`.
#[derive(Debug)]
pub struct ClaimedMessage {
    /// Its envelope; `id` equals the file's name.
    pub envelope: Envelope,
    /// Who submitted it: st_uid, or SO_PEERCRED where the daemon itself wrote the file.
    pub uid: u32,
    /// SHA-256 of the whole file.
    pub digest: Vec<u8>,
    /// The properties of the message.
    pub summary: WireSummary,
    /// The value of Message-ID, printable, or empty.
    pub message_id: String,
}

/// The result of a claim.
#[derive(Debug)]
pub enum Claim {
    /// A message, now in `cur/`.
    Message(Box<ClaimedMessage>),
    /// Not yet: the injector still holds the lock, or a lease.
    Later,
    /// Not a message: moved to `corrupt/`, for this reason.
    Corrupt(String),
    /// Nothing to do: the name has disappeared, or was removed because it could never be a message.
    Vanished,
    /// The daemon can neither read nor move it (a directory of another user).
    Stuck(String),
    /// In `cur/`, but unreadable at the moment because of the disk or a lease. [`Store::check_claimed`] tries again.
    Unread(std::io::Error),
    /// Written by a newer version: left in place.
    Newer(u32),
}

impl Store {
    /// A file without a name that only this process can reach, for the bytes of a message while it is sent.
    ///
    /// Errors: the kernel's.
    pub fn private_file(&self) -> std::io::Result<File> {
        let directory = sys::fs::open_directory(&self.path(layout::CUR))?;
        match sys::fs::create_unnamed(&directory) {
            Err(e) if sys::fs::has_no_tmpfile(e) => {}
            created => return Ok(created?),
        }
        let name = format!("p.{:016X}", sys::clock::random()?);
        let file = sys::fs::create_new(&directory, &name)?;
        sys::fs::unlink(&directory, &name)?;
        Ok(file)
    }

    /// Opens the directories of the spool at `root`, after `layout::verify`.
    ///
    /// Errors: the kernel's, with the directory.
    pub fn open(root: &Path, owner: Owner, rootless: bool) -> std::io::Result<Store> {
        let open = |name: &str| {
            let path = root.join(name);
            sys::fs::open_readable_directory(&path).map_err(|e| std::io::Error::other(format!("{}: {}", path.display(), e.desc())))
        };
        let (cur, hold, failed) = (open(layout::CUR)?, open(layout::HOLD)?, open(layout::FAILED)?);
        let (corrupt, trash) = (open(layout::CORRUPT)?, open(layout::TRASH)?);
        let new = open(layout::NEW)?;
        Ok(Store { root: root.to_owned(), owner, rootless, new, cur, hold, failed, corrupt, trash, moved: Mutex::default() })
    }

    /// The path of a directory of the spool.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What tells this spool from a copy of it: the numbers of its directories, and when they were made where the file system says so.
    /// The device has none that lasts over a boot.
    pub fn identity(&self) -> String {
        use std::os::unix::fs::MetadataExt;
        let one = |name: &str| {
            let Ok(meta) = std::fs::metadata(self.path(name)) else { return "-".to_owned() };
            let made = meta.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
            format!("{}.{}.{}", meta.ino(), made.as_secs(), made.subsec_nanos())
        };
        [".", layout::CUR].map(one).join(" ")
    }

    fn directory(&self, name: &str) -> &File {
        match name {
            layout::NEW => &self.new,
            layout::HOLD => &self.hold,
            layout::FAILED => &self.failed,
            layout::CORRUPT => &self.corrupt,
            layout::TRASH => &self.trash,
            _ => &self.cur,
        }
    }

    /// Whether each directory that was opened at the start is still the one that has its name. Where one was removed or moved away,
    /// a file that is not found says nothing about its message, and nothing may be concluded from it.
    ///
    /// Errors: one line that names the directory and says what to do.
    pub fn check_directories(&self) -> Result<(), String> {
        let opened = [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED, layout::CORRUPT, layout::TRASH]
            .map(|name| (name, self.directory(name)));
        for (name, open) in opened {
            let (path, same) = (self.path(name), |a: FileStat, b: FileStat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino));
            let is_there = nix::sys::stat::lstat(&path).and_then(|now| Ok(same(now, sys::fs::stat(open)?)));
            match is_there {
                Ok(true) => {}
                Ok(false) | Err(Errno::ENOENT | Errno::ENOTDIR) => {
                    return Err(format!(
                        "{} was removed or replaced; restore it with its files, or run `mailchute check`, which says how to create it",
                        path.display()
                    ));
                }
                // The disk does not say; others will tell of that.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// CL1 to CL3 for one name in `new/`.
    ///
    /// Errors: only those of the disk or of a lack of resources; the name stays for a later claim.
    pub fn claim(&self, name: impl AsRef<OsStr>) -> std::io::Result<Claim> {
        let name = name.as_ref();
        let Some(id) = QueueId::parse(name.as_bytes()) else { return self.reject(name, "the name is not a queue id") };
        match sys::fs::open_hostile(&self.new, name) {
            // Known before it is moved: a directory that everybody may write to would come along into cur/.
            Ok(file) if !sys::fs::is_regular(&sys::fs::stat(&file)?) => return self.reject(name, "not a regular file"),
            Ok(file) => match Lock::try_lock_shared(&file) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(Claim::Later),
                Err(e) => return Err(e),
            },
            Err(Errno::ENOENT) => return Ok(Claim::Vanished),
            Err(Errno::EAGAIN) => return Ok(Claim::Later),
            Err(e) if is_disk_error(&e.into()) => return Err(e.into()),
            Err(e) => return self.reject(name, &self.why_closed(name, e)),
        }
        match sys::fs::rename_new(&self.new, name, &self.cur, name) {
            Ok(()) => Ok(self.check_claimed(id)),
            // Where the file is still there, its new directory is not.
            Err(e @ Errno::ENOENT) if self.has(layout::NEW, id) => Err(e.into()),
            Err(Errno::ENOENT) => Ok(Claim::Vanished),
            Err(Errno::EEXIST) => self.claim_twin(id),
            Err(e) if is_disk_error(&e.into()) => Err(e.into()),
            Err(e) => self.reject(name, &format!("cannot be claimed: {}", e.desc())),
        }
    }

    /// CL3, for a file in `cur/`: after the claim, and at start for files that have no row.
    pub fn check_claimed(&self, id: QueueId) -> Claim {
        match self.check(&self.cur, id) {
            Ok(claimed) => Claim::Message(Box::new(claimed)),
            Err(FileError::Io(e)) if is_for_now(&e) => Claim::Unread(e),
            Err(FileError::Newer(v)) => Claim::Newer(v),
            Err(e) => {
                let why = e.to_string();
                match self.quarantine(&self.cur, id.to_string().as_ref(), &why) {
                    Ok(()) => Claim::Corrupt(why),
                    Err(e) => Claim::Unread(e),
                }
            }
        }
    }

    /// Handles a second file with an id that is in `cur/` already. The same file again (after a power cut lost its rename and the
    /// claim was repeated) is removed; any other file is forged.
    fn claim_twin(&self, id: QueueId) -> std::io::Result<Claim> {
        let (twin, claimed) = (self.check(&self.new, id), self.check(&self.cur, id));
        let (twin, claimed) = match (twin, claimed) {
            (Err(FileError::Io(e)), _) | (_, Err(FileError::Io(e))) if is_for_now(&e) => return Err(e),
            both => both,
        };
        if let (Ok(twin), Ok(claimed)) = (&twin, &claimed)
            && twin.uid == claimed.uid
            && twin.digest == claimed.digest
        {
            sys::fs::unlink(&self.new, id.to_string())?;
            return Ok(Claim::Vanished);
        }
        self.quarantine(&self.new, id.to_string().as_ref(), "its queue id belongs to another message")?;
        Ok(Claim::Corrupt("its queue id belongs to another message".to_owned()))
    }

    /// Checks one open file: type, owner, envelope, and that its bytes agree.
    fn check(&self, directory: &impl AsFd, id: QueueId) -> Result<ClaimedMessage, FileError> {
        let bad = |why: String| FileError::Envelope(why);
        let file = sys::fs::open_hostile(directory, id.to_string()).map_err(|e| FileError::Io(e.into()))?;
        let stat = sys::fs::stat(&file).map_err(|e| FileError::Io(e.into()))?;
        self.check_birth(&stat).map_err(bad)?;
        let line = file::read_line(&file)?;
        if line.envelope.id != id {
            return Err(bad(format!("the envelope is that of {}", line.envelope.id)));
        }
        check_size(&stat, line.length(), line.envelope.size)?;
        let is_ours = stat.st_uid == self.owner.uid;
        if line.envelope.peer.is_some() && (!is_ours || self.rootless) {
            return Err(bad("`peer` in a file that the daemon did not write".to_owned()));
        }
        let mut digest = digest::Context::new(&digest::SHA256);
        let summary = file::verify(&file, &line, |piece| digest.update(piece))?;
        let message_id = check_header(&file, line.length(), line.envelope.size)?;
        let uid = line.envelope.peer.map_or(stat.st_uid, |peer| peer.uid);
        Ok(ClaimedMessage { envelope: line.envelope, uid, digest: digest.finish().as_ref().to_vec(), summary, message_id })
    }

    /// Why a file cannot be opened. Usually it was not created in the drop directory.
    fn why_closed(&self, name: &OsStr, e: Errno) -> String {
        let birth = sys::fs::stat_at(&self.new, name).ok().and_then(|stat| self.check_birth(&stat).err());
        birth.unwrap_or_else(|| format!("cannot be opened: {}", e.desc()))
    }

    /// Proves that the file was created in the drop directory by its owner (SPOOL.md, "Directories").
    fn check_birth(&self, stat: &FileStat) -> Result<(), String> {
        if !sys::fs::is_regular(stat) {
            return Err("not a regular file".to_owned());
        }
        if stat.st_nlink != 1 {
            return Err(format!("has {} links", stat.st_nlink));
        }
        if sys::fs::mode(stat) != layout::FILE_MODE {
            return Err(format!("has mode {:04o}", sys::fs::mode(stat)));
        }
        if self.rootless && stat.st_uid != self.owner.uid {
            return Err(format!("belongs to uid {}", stat.st_uid));
        }
        if !self.rootless && stat.st_gid != self.owner.gid {
            return Err(format!("has group {}: it was not created here", stat.st_gid));
        }
        Ok(())
    }

    /// Opens a claimed message for reading. The reader must compare it with the recorded digest.
    pub fn open_message(&self, directory: &str, id: QueueId) -> nix::Result<File> {
        sys::fs::open_hostile(self.directory(directory), id.to_string())
    }

    /// The size of a message file, including the envelope line.
    pub fn length(&self, directory: &str, id: QueueId) -> nix::Result<u64> {
        sys::fs::stat_at(self.directory(directory), id.to_string()).map(|stat| stat.st_size.unsigned_abs())
    }

    /// Clears away an entry of `new/` that can never be a message: a file is moved to `corrupt/` with a reason, anything else is
    /// removed. If the kernel allows neither, it is left in place.
    fn reject(&self, name: &OsStr, why: &str) -> std::io::Result<Claim> {
        let stat = match sys::fs::stat_at(&self.new, name) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => return Ok(Claim::Vanished),
            Err(e) => return Err(e.into()),
        };
        let result = if sys::fs::is_regular(&stat) {
            self.quarantine(&self.new, name, why).map(|()| Claim::Corrupt(why.to_owned()))
        } else if sys::fs::is_directory(&stat) {
            nix::unistd::unlinkat(&self.new, name, nix::unistd::UnlinkatFlags::RemoveDir).map(|()| Claim::Vanished).map_err(Into::into)
        } else {
            sys::fs::unlink(&self.new, name).map(|()| Claim::Vanished).map_err(Into::into)
        };
        result.or_else(|e| match e {
            e if is_disk_error(&e) => Err(e),
            e if e.kind() == std::io::ErrorKind::NotFound => Ok(Claim::Vanished),
            e => Ok(Claim::Stuck(format!("inode {} ({why}): {e}", stat.st_ino))),
        })
    }

    /// Iterates over every name in `new/`, whatever its bytes.
    pub fn waiting(&self) -> std::io::Result<impl Iterator<Item = std::io::Result<OsString>> + use<>> {
        self.names(layout::NEW)
    }

    fn names(&self, directory: &str) -> std::io::Result<impl Iterator<Item = std::io::Result<OsString>> + use<>> {
        Ok(std::fs::read_dir(self.root.join(directory))?.map(|entry| entry.map(|entry| entry.file_name())))
    }

    /// Iterates over the queue ids of the files in a directory; other names are skipped.
    pub fn each_id(&self, directory: &str) -> std::io::Result<impl Iterator<Item = std::io::Result<QueueId>> + use<>> {
        Ok(self.names(directory)?.filter_map(|name| name.map(|name| QueueId::parse(name.as_bytes())).transpose()))
    }

    /// The queue ids of the files in a directory; other names are skipped.
    pub fn ids(&self, directory: &str) -> std::io::Result<std::collections::HashSet<QueueId>> {
        self.each_id(directory)?.collect()
    }

    /// Checks a message in `directory`, like the claim, and leaves it there.
    pub fn inspect(&self, directory: &str, id: QueueId) -> Result<ClaimedMessage, FileError> {
        self.check(self.directory(directory), id)
    }

    /// Deletes files that were moved to `trash/` more than a day ago.
    pub fn empty_trash(&self, now: i64) -> std::io::Result<usize> {
        let mut emptied = 0;
        for id in self.each_id(layout::TRASH)? {
            let name = id?.to_string();
            // The move is the last change of the inode.
            let old = sys::fs::stat_at(&self.trash, &name).is_ok_and(|stat| stat.st_ctime < now - 86_400);
            if old && sys::fs::unlink(&self.trash, &name).is_ok() {
                emptied += 1;
            }
        }
        Ok(emptied)
    }

    /// Deletes from `corrupt/` what was moved there before `before`, with the reasons, but not what `is_kept`. Returns the names.
    pub fn empty_corrupt(&self, before: i64, is_kept: impl Fn(QueueId) -> bool) -> std::io::Result<Vec<String>> {
        let mut emptied = Vec::new();
        for name in self.names(layout::CORRUPT)? {
            let name = name?;
            let is_kept = || corrupt_id(&name).is_some_and(&is_kept);
            // The move is the last change of the inode.
            let is_old = sys::fs::stat_at(&self.corrupt, &name).is_ok_and(|stat| stat.st_ctime < before);
            if is_old && !is_kept() && sys::fs::unlink(&self.corrupt, &name).is_ok() {
                emptied.extend(name.to_str().filter(|name| !name.ends_with(".why")).map(str::to_owned));
            }
        }
        Ok(emptied)
    }

    /// Deletes everything in `tmp/` that is older than a day, such as files of crashed injectors.
    pub fn sweep(&self, now: i64) -> std::io::Result<usize> {
        let tmp = sys::fs::open_directory(&self.root.join(layout::TMP))?;
        let mut swept = 0;
        for name in self.names(layout::TMP)? {
            let name = name?;
            let is_old = |stat: &FileStat| !sys::fs::is_directory(stat) && stat.st_mtime < now - 86_400;
            if sys::fs::stat_at(&tmp, &name).is_ok_and(|stat| is_old(&stat)) && sys::fs::unlink(&tmp, &name).is_ok() {
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// The queue id that a name in `corrupt/` begins with, if it was that of a message.
pub fn corrupt_id(name: &OsStr) -> Option<QueueId> {
    QueueId::parse(name.as_bytes().split(|byte| *byte == b'.').next()?)
}

/// Errors of the disk or the machine rather than of the file. The last three come from network disks.
const OF_THE_DISK: &[Errno] = &[
    Errno::EIO,
    Errno::ENOSPC,
    Errno::EDQUOT,
    Errno::EROFS,
    Errno::ENOMEM,
    Errno::EMFILE,
    Errno::ENFILE,
    Errno::EUCLEAN,
    Errno::EINTR,
    Errno::ESTALE,
    Errno::ETIMEDOUT,
    Errno::EREMOTEIO,
];

/// True for errors that say nothing about the file.
fn is_disk_error(e: &std::io::Error) -> bool {
    e.raw_os_error().is_some_and(|errno| OF_THE_DISK.contains(&Errno::from_raw(errno)))
}

/// True for read errors that say nothing about the file: those of the disk, and a lease held by its owner.
fn is_for_now(e: &std::io::Error) -> bool {
    is_disk_error(e) || e.kind() == std::io::ErrorKind::WouldBlock
}

/// Compares the size in the envelope with the file size, before anything is read: the file may be a sparse terabyte.
fn check_size(stat: &FileStat, line: u64, promised: u64) -> Result<(), FileError> {
    let found = u64::try_from(stat.st_size).unwrap_or(0).saturating_sub(line);
    if found != promised {
        return Err(FileError::Size { promised, found });
    }
    if promised > limits::MESSAGE {
        return Err(FileError::Envelope(format!("larger than {} bytes", limits::MESSAGE)));
    }
    Ok(())
}

/// Checks the header section (within its limit, exactly one From) and returns the Message-ID.
pub fn check_header(file: &File, offset: u64, size: u64) -> Result<String, FileError> {
    let mut head = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(limits::HEADER_SECTION + 2)];
    let read = file::read_full(file, &mut head, offset)?;
    head.truncate(read);
    let section = Section::scan(&head);
    if section.end > limits::HEADER_SECTION {
        return Err(FileError::Envelope("the header section is larger than 1 MiB".to_owned()));
    }
    if section.named(&head, "From").count() != 1 {
        return Err(FileError::Envelope("not exactly one From field".to_owned()));
    }
    let message_id = section.named(&head, "Message-ID").next().map(|field| header::unfold(field.value_in(&head)));
    let text = printable::bytes(&message_id.unwrap_or_default());
    Ok(text.chars().take(limits::LINE).collect())
}

#[cfg(test)]
mod tests;
// The helpers of `testing`, compiled here too: the tests of a crate cannot use what was built on another copy of that crate.
#[cfg(test)]
#[path = "../testing/scratch.rs"]
#[allow(dead_code, unreachable_pub)]
mod testing;
