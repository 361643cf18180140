//! The injection sequence, which makes a message durable. It runs as the caller, without privileges.
//!
//! In: an envelope and a stream of bytes in wire form. Out: a queue id, after which the message survives power loss.
//!
//! ```text
//!   D1  open new/ with O_TMPFILE                (if unsupported: create tmp/t.ID, O_EXCL|O_NOFOLLOW)
//!   D2  write the padded envelope line, the message
//!   D3  pwrite the final envelope (size, checksum)
//!   D4  fchmod 0640, fstat: group and mode must prove that it was born in the drop directory
//!   D5  flock exclusive, kept until exit        the daemon may see the file, but not send it yet
//!   D6  link to new/ID, never replacing         EEXIST = another id
//!   D7  fsync(fd): content and name together    only once; on failure unlink, never retry
//! ```
//! A crash before D6 leaves nothing (an unnamed file disappears; the daemon deletes a `t.ID`). A crash between D6 and D7 may leave a
//! file that was never acknowledged: a whole one is delivered, a torn one goes to `corrupt/`. After D7 the message is durable.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fs2::FileExt as Lock;
use nix::errno::Errno;

use super::{file, layout};
use exit::Exit;
use mail::envelope::{Body, Envelope};
use mail::queue_id::QueueId;

/// Bytes collected before a write call.
const BUFFER: usize = 64 << 10;
/// Ids tried before giving up; each collision has a chance of one in four billion.
const ID_TRIES: u32 = 8;

/// Why a message was not spooled.
#[derive(Debug)]
pub struct DropError {
    /// The failed step, with the path.
    pub what: String,
    /// The kernel's reason, or ours.
    pub why: String,
    /// EX_CANTCREAT or EX_IOERR.
    pub exit: Exit,
    /// True if this caller cannot use the drop directory (hidden, read-only or missing), so that the submission socket may work
    /// instead. False if the directory is usable but full.
    pub is_shut: bool,
}

impl std::fmt::Display for DropError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for DropError {}

/// A message being written. Dropped without [`SpoolWriter::commit`], it leaves nothing behind.
pub struct SpoolWriter {
    new: OwnedFd,
    path: PathBuf,
    file: File,
    /// The name in `tmp/`, if O_TMPFILE is unsupported.
    named: Option<(OwnedFd, String)>,
    envelope: Envelope,
    reserved: usize,
    buffer: Vec<u8>,
    written: u64,
    crc: crc32fast::Hasher,
    group: Option<u32>,
}

/// A committed message. The lock on its file ends with this value; only then does the daemon claim it.
pub struct CommittedMessage {
    /// The queue id, and the file's name.
    pub id: QueueId,
    _locked: SpoolWriter,
}

impl SpoolWriter {
    /// D1: opens the drop directory of `spool` and an unnamed file in it. A `rootless` spool has one owner, so its
    /// group proves nothing.
    pub fn create(spool: &Path, rootless: bool, mut envelope: Envelope) -> Result<SpoolWriter, DropError> {
        let path = spool.join(layout::NEW);
        let cannot_open = |e: Errno| shut_error(format!("cannot open the drop directory {}", path.display()), e, rootless);
        let new = sys::fs::open_directory(&path).map_err(cannot_open)?;
        let group = match rootless {
            true => None,
            false => Some(sys::fs::stat(&new).map_err(cannot_open)?.st_gid),
        };
        envelope.id = fresh_id()?;
        let (file, named) = match sys::fs::create_unnamed(&new) {
            Ok(file) => (file, None),
            Err(e) if sys::fs::has_no_tmpfile(e) => create_named(spool, envelope.id)?,
            Err(e) => return Err(shut_error(format!("cannot create a file in {}", path.display()), e, rootless)),
        };
        // Size and checksum are filled in at the end; the longest forms determine the reserved length.
        (envelope.size, envelope.body) = (u64::MAX, Body::EightBitMime);
        envelope.crc32 = "00000000".to_owned();
        let reserved = file::reserve(&envelope).map_err(|e| io_error("cannot write the envelope", &e.to_string()))?;
        let mut writer = SpoolWriter {
            new,
            path,
            file,
            named,
            envelope,
            reserved,
            buffer: Vec::with_capacity(BUFFER),
            written: 0,
            crc: crc32fast::Hasher::new(),
            group,
        };
        writer.buffer.resize(reserved, b' ');
        Ok(writer)
    }

    /// D2: takes the next bytes of the message, which must be in wire form.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DropError> {
        self.crc.update(bytes);
        self.written += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            return self.file.write_all(bytes).map_err(|e| self.write_error(&e));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes of the message so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The file, and the offset at which the message starts, for reading what was written so far. The envelope line is not there yet.
    pub fn so_far(&mut self) -> Result<(&File, u64), DropError> {
        self.flush()?;
        Ok((&self.file, self.reserved as u64))
    }

    fn flush(&mut self) -> Result<(), DropError> {
        let result = self.file.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(|e| self.write_error(&e))
    }

    fn write_error(&self, e: &std::io::Error) -> DropError {
        io_error(&format!("cannot write to the spool {}", self.path.display()), &e.to_string())
    }

    /// D3 to D7. `complete` fills in what is known only now (the body type, warnings).
    pub fn commit(mut self, complete: impl FnOnce(&mut Envelope)) -> Result<CommittedMessage, DropError> {
        self.flush()?;
        self.envelope.size = self.written;
        complete(&mut self.envelope);
        self.write_envelope()?;
        self.prove_birth()?;
        // D5. No other process can have this file open yet, so this cannot block.
        Lock::try_lock_exclusive(&self.file).map_err(|e| io_error("cannot lock the spool file", &e.to_string()))?;
        self.publish()?;
        self.make_durable()?;
        let id = self.envelope.id;
        Ok(CommittedMessage { id, _locked: self })
    }

    /// D3.
    fn write_envelope(&mut self) -> Result<(), DropError> {
        let line = file::encode_line(&mut self.envelope, self.reserved, &self.crc)
            .map_err(|e| io_error("cannot write the envelope", &e.to_string()))?;
        self.file.write_all_at(&line, 0).map_err(|e| self.write_error(&e))
    }

    /// D4.
    fn prove_birth(&self) -> Result<(), DropError> {
        let failed = |e: Errno| create_error("cannot set the mode of the spool file".to_owned(), e.desc());
        sys::fs::set_mode(&self.file, layout::FILE_MODE).map_err(failed)?;
        let stat = sys::fs::stat(&self.file).map_err(failed)?;
        let wrong_group = self.group.is_some_and(|group| group != stat.st_gid);
        if wrong_group || sys::fs::mode(&stat) != layout::FILE_MODE {
            let why = format!(
                "a new file got group {} and mode {:04o}, so the daemon could not read it; run `mailchute check`",
                stat.st_gid,
                sys::fs::mode(&stat)
            );
            return Err(create_error(format!("the drop directory {} is wrong", self.path.display()), &why));
        }
        Ok(())
    }

    /// D6.
    fn publish(&mut self) -> Result<(), DropError> {
        for _ in 0..ID_TRIES {
            let name = self.envelope.id.to_string();
            let result = match &self.named {
                None => sys::fs::link_unnamed(&self.file, &self.new, &name),
                Some((tmp, old)) => sys::fs::rename_new(tmp, old, &self.new, &name),
            };
            match result {
                Ok(()) => {
                    self.named = None;
                    return Ok(());
                }
                Err(Errno::EEXIST) => {
                    self.envelope.id = fresh_id()?;
                    self.write_envelope()?;
                }
                Err(e) => return Err(create_error(format!("cannot name the message in {}", self.path.display()), e.desc())),
            }
        }
        Err(create_error(format!("cannot name the message in {}", self.path.display()), "every queue id that was tried exists already"))
    }

    /// D7.
    fn make_durable(&self) -> Result<(), DropError> {
        let result = if sys::fs::fsync_commits_the_name(&self.file) {
            self.file.sync_all()
        } else {
            self.file.sync_all().and_then(|()| sys::fs::sync_file_system(&self.file).map_err(std::io::Error::from))
        };
        result.map_err(|e| {
            // After a failed fsync the state of the disk is unknown, and a second fsync would report success wrongly. If the
            // unlink fails too, the message may be delivered although it was refused, which is the lesser harm.
            let _ = sys::fs::unlink(&self.new, self.envelope.id.to_string());
            io_error(&format!("cannot make the message durable in {}", self.path.display()), &e.to_string())
        })
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        if let Some((tmp, name)) = &self.named {
            // If this fails, the daemon deletes the file later.
            let _ = sys::fs::unlink(tmp, name);
        }
    }
}

/// D1 without O_TMPFILE.
fn create_named(spool: &Path, id: QueueId) -> Result<(File, Option<(OwnedFd, String)>), DropError> {
    let path = spool.join(layout::TMP);
    let failed = |e: Errno| create_error(format!("cannot create a file in {}", path.display()), e.desc());
    let shut = |e: Errno| DropError { is_shut: matches!(e, Errno::EACCES | Errno::EROFS), ..failed(e) };
    let tmp = sys::fs::open_directory(&path).map_err(failed)?;
    let name = format!("t.{id}");
    let file = sys::fs::create_new(&tmp, &name).map_err(shut)?;
    Ok((file, Some((tmp, name))))
}

/// An error that may mean that this caller cannot use the drop directory.
fn shut_error(what: String, e: Errno, rootless: bool) -> DropError {
    let is_shut = matches!(e, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES | Errno::EPERM | Errno::EROFS);
    DropError { is_shut, ..create_error(what, &hint(e, rootless)) }
}

fn fresh_id() -> Result<QueueId, DropError> {
    let random = sys::clock::random().map_err(|e| DropError {
        what: "cannot read /dev/urandom".to_owned(),
        why: e.to_string(),
        exit: Exit::OsErr,
        is_shut: false,
    })?;
    // The low halves: 32 bits of time until 2106, 32 random bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(QueueId::new(sys::clock::now() as u32, random as u32))
}

fn create_error(what: String, why: &str) -> DropError {
    DropError { what, why: why.to_owned(), exit: Exit::CantCreate, is_shut: false }
}

fn io_error(what: &str, why: &str) -> DropError {
    DropError { what: what.to_owned(), why: why.to_owned(), exit: Exit::IoErr, is_shut: false }
}

/// The reason, and the next step.
fn hint(e: Errno, rootless: bool) -> String {
    let next = match (e, rootless) {
        (Errno::ENOENT, true) => "; start `mailchuted` once, or run `mailchute setup`",
        (Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP, false) => "; mailchute is not installed here, or the spool is not mounted",
        (Errno::EACCES | Errno::EPERM, _) => "; run `mailchute check` as root to see which mode is wrong",
        (Errno::EROFS, _) => "; the file system is read-only for this process",
        (Errno::ENOSPC | Errno::EDQUOT, _) => "; free some space and send again",
        _ => "",
    };
    format!("{}{next}", e.desc())
}
