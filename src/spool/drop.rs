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

pub use super::drop_error::{DropCause, DropError, DropStep};
use super::{file, layout};
use mail::envelope::{Body, Envelope};
use mail::queue_id::QueueId;

/// Bytes collected before a write call.
const BUFFER: usize = 64 << 10;
/// Ids tried before giving up; each collision has a chance of one in four billion.
const ID_TRIES: u32 = 8;

/// A message being written. Dropped without [`SpoolWriter::commit`], it leaves nothing behind.
pub struct SpoolWriter {
    new: OwnedFd,
    path: PathBuf,
    file: File,
    /// The name in `tmp/`, if O_TMPFILE is unsupported.
    named: Option<(OwnedFd, String)>,
    envelope: Envelope,
    /// The id is somebody's choice: another one is not tried.
    is_id_chosen: bool,
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
        let failed = |step, cause| DropError { step, cause, path: path.clone(), rootless };
        let cannot_open = |e: Errno| failed(DropStep::Open, DropCause::Kernel(e));
        let new = sys::fs::open_directory(&path).map_err(cannot_open)?;
        let group = match rootless {
            true => None,
            false => Some(sys::fs::stat(&new).map_err(cannot_open)?.st_gid),
        };
        envelope.id = fresh_id()?;
        let (file, named) = match sys::fs::create_unnamed(&new) {
            Ok(file) => (file, None),
            Err(e) if sys::fs::has_no_tmpfile(e) => create_named(spool, envelope.id, rootless)?,
            Err(e) => return Err(failed(DropStep::Create, DropCause::Kernel(e))),
        };
        // Size and checksum are filled in at the end; the longest forms determine the reserved length.
        (envelope.size, envelope.body) = (u64::MAX, Body::EightBitMime);
        envelope.crc32 = "00000000".to_owned();
        let reserved = file::reserve(&envelope).map_err(|e| failed(DropStep::Envelope, DropCause::Envelope(e)))?;
        let mut writer = SpoolWriter {
            new,
            path,
            file,
            named,
            envelope,
            is_id_chosen: false,
            reserved,
            buffer: Vec::with_capacity(BUFFER),
            written: 0,
            crc: crc32fast::Hasher::new(),
            group,
        };
        writer.buffer.resize(reserved, b' ');
        Ok(writer)
    }

    /// The message gets this id, of [`fresh_id`], or none.
    #[must_use]
    pub fn with_id(mut self, id: QueueId) -> SpoolWriter {
        (self.envelope.id, self.is_id_chosen) = (id, true);
        self
    }

    /// D2: takes the next bytes of the message, which must be in wire form.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DropError> {
        self.crc.update(bytes);
        self.written += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            return self.file.write_all(bytes).map_err(|e| self.write_error(e));
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
        result.map_err(|e| self.write_error(e))
    }

    fn failed(&self, step: DropStep, cause: DropCause) -> DropError {
        DropError { step, cause, path: self.path.clone(), rootless: self.group.is_none() }
    }

    fn write_error(&self, e: std::io::Error) -> DropError {
        self.failed(DropStep::Write, DropCause::Io(e))
    }

    /// D3 to D7. `complete` fills in what is known only now (the body type, warnings).
    pub fn commit(mut self, complete: impl FnOnce(&mut Envelope)) -> Result<CommittedMessage, DropError> {
        self.flush()?;
        self.envelope.size = self.written;
        complete(&mut self.envelope);
        self.write_envelope()?;
        self.prove_birth()?;
        // D5. No other process can have this file open yet, so this cannot block.
        Lock::try_lock_exclusive(&self.file).map_err(|e| self.failed(DropStep::Lock, DropCause::Io(e)))?;
        self.publish()?;
        self.make_durable()?;
        let id = self.envelope.id;
        Ok(CommittedMessage { id, _locked: self })
    }

    /// D3.
    fn write_envelope(&mut self) -> Result<(), DropError> {
        let line = file::encode_line(&mut self.envelope, self.reserved, &self.crc)
            .map_err(|e| self.failed(DropStep::Envelope, DropCause::Envelope(e)))?;
        self.file.write_all_at(&line, 0).map_err(|e| self.write_error(e))
    }

    /// D4.
    fn prove_birth(&self) -> Result<(), DropError> {
        let failed = |e: Errno| self.failed(DropStep::Mode, DropCause::Kernel(e));
        sys::fs::set_mode(&self.file, layout::FILE_MODE).map_err(failed)?;
        let stat = sys::fs::stat(&self.file).map_err(failed)?;
        let wrong_group = self.group.is_some_and(|group| group != stat.st_gid);
        if wrong_group || sys::fs::mode(&stat) != layout::FILE_MODE {
            return Err(self.failed(DropStep::Birth, DropCause::Birth { group: stat.st_gid, mode: sys::fs::mode(&stat) }));
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
                Err(Errno::EEXIST) if !self.is_id_chosen => {
                    self.envelope.id = fresh_id()?;
                    self.write_envelope()?;
                }
                Err(e) => return Err(self.failed(DropStep::Name, DropCause::Kernel(e))),
            }
        }
        Err(self.failed(DropStep::Name, DropCause::Taken))
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
            self.failed(DropStep::Sync, DropCause::Io(e))
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
fn create_named(spool: &Path, id: QueueId, rootless: bool) -> Result<(File, Option<(OwnedFd, String)>), DropError> {
    let path = spool.join(layout::TMP);
    // A missing `tmp/` is an error of the installation, which the submission socket would only hide.
    let failed = |step: DropStep, e: Errno| DropError { step, cause: DropCause::Kernel(e), path: path.clone(), rootless };
    let tmp = sys::fs::open_directory(&path).map_err(|e| failed(DropStep::Temporary, e))?;
    let name = format!("t.{id}");
    let file = sys::fs::create_new(&tmp, &name).map_err(|e| failed(DropStep::Create, e))?;
    Ok((file, Some((tmp, name))))
}

/// A queue id that nobody has: of this second, and random.
///
/// Errors: the kernel gives no randomness.
pub fn fresh_id() -> Result<QueueId, DropError> {
    let random = sys::clock::random().map_err(|e| DropError {
        step: DropStep::Random,
        cause: DropCause::Io(e),
        path: PathBuf::from("/dev/urandom"),
        rootless: false,
    })?;
    // The low halves: 32 bits of time until 2106, 32 random bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(QueueId::new(sys::clock::now() as u32, random as u32))
}
