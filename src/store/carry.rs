//! The move of one message, as its intention wants it: the only way in which a claimed file changes its directory.
//!
//! | source | target | then |
//! |---|---|---|
//! | there | free | moved |
//! | none | there | moved before: a crash, or a full disk, came between the move and its record |
//! | there | the same file again | the source is removed |
//! | there | another file | that one is put aside into `corrupt/`, and the message is moved |
//! | none | none | vanished; or in another directory, where somebody put it |
//!
//! The message's own file is neither deleted nor put away because another file has its name.

use aws_lc_rs::digest;
use nix::errno::Errno;

use mail::queue_id::QueueId;
use spool::{file, layout};

use super::{Store, corrupt_id, is_disk_error};

/// What became of a move.
#[derive(Debug)]
pub enum Carried {
    /// The file is where it has to be.
    Moved,
    /// It had come there before.
    WasThere,
    /// It is nowhere.
    Vanished,
    /// It is in this directory, where no record has it.
    Elsewhere(&'static str),
    /// The kernel refused, for a reason of this file.
    Refused(std::io::Error),
}

/// Why a file is put aside.
const TWIN: &str = "it had the name of another message";

impl Store {
    /// Moves a message from directory `from` to `to`; `None` deletes it. `pinned` is the digest of its row, `why` goes beside a file
    /// that is moved to `corrupt/`. [`Store::sync_moves`] makes it durable.
    ///
    /// Errors: those of the disk, after which nothing is known of any file.
    pub fn carry(&self, id: QueueId, from: &str, to: Option<&str>, pinned: &[u8], why: &str) -> std::io::Result<Carried> {
        let carried = match to {
            None => self.remove(id, from).map(|()| Carried::Moved),
            Some(layout::CORRUPT) => self.carry_to_corrupt(id, from, why),
            Some(to) => self.carry_to(id, from, to, pinned),
        };
        match carried {
            Err(e) if !is_disk_error(&e) => {
                // Where a directory has vanished, the file may come back with it.
                self.check_directories().map_err(|why| std::io::Error::new(e.kind(), why))?;
                Ok(Carried::Refused(e))
            }
            carried => carried,
        }
    }

    fn carry_to(&self, id: QueueId, from: &str, to: &str, pinned: &[u8]) -> std::io::Result<Carried> {
        let name = id.to_string();
        let rename = || sys::fs::rename_new(self.directory(from), &name, self.directory(to), &name);
        let carried = match rename() {
            Ok(()) => Carried::Moved,
            Err(Errno::ENOENT) if !self.has(from, id) => self.look_for(id, from, to)?,
            Err(Errno::EEXIST) => {
                let (ours, occupant) = (self.owner_and_digest(from, id)?, self.owner_and_digest(to, id)?);
                let is_pinned = occupant.as_ref().is_some_and(|(_, digest)| digest == pinned);
                match is_pinned {
                    true if ours == occupant => sys::fs::unlink(self.directory(from), &name)?,
                    true => self.quarantine(self.directory(from), name.as_ref(), TWIN)?,
                    false => {
                        self.quarantine(self.directory(to), name.as_ref(), TWIN)?;
                        rename()?;
                    }
                }
                if is_pinned { Carried::WasThere } else { Carried::Moved }
            }
            Err(e) => return Err(e.into()),
        };
        if matches!(carried, Carried::Moved | Carried::WasThere) {
            self.note_move(to);
            self.note_move(from);
        }
        Ok(carried)
    }

    /// The name is free again where the file is not in its directory: it may have been moved before, or by somebody.
    fn look_for(&self, id: QueueId, from: &str, to: &str) -> std::io::Result<Carried> {
        // Where a directory has vanished, the file may come back with it.
        self.check_directories().map_err(|why| std::io::Error::new(std::io::ErrorKind::NotFound, why))?;
        if self.has(to, id) {
            return Ok(Carried::WasThere);
        }
        let others = [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED, layout::TRASH];
        let elsewhere = others.into_iter().filter(|other| *other != from).find(|other| self.has(other, id));
        Ok(elsewhere.map_or(Carried::Vanished, Carried::Elsewhere))
    }

    fn carry_to_corrupt(&self, id: QueueId, from: &str, why: &str) -> std::io::Result<Carried> {
        match self.quarantine(self.directory(from), id.to_string().as_ref(), why) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !self.has(from, id) => {
                // It may have got another name there.
                for name in self.names(layout::CORRUPT)? {
                    if corrupt_id(&name?) == Some(id) {
                        return Ok(Carried::WasThere);
                    }
                }
                self.look_for(id, from, layout::CORRUPT)
            }
            quarantined => {
                quarantined?;
                self.note_move(from);
                Ok(Carried::Moved)
            }
        }
    }

    /// Owner and digest of a file; `None` for what is no regular file.
    fn owner_and_digest(&self, directory: &str, id: QueueId) -> std::io::Result<Option<(u32, Vec<u8>)>> {
        let file = match sys::fs::open_hostile(self.directory(directory), id.to_string()) {
            Ok(file) => file,
            Err(e) if is_disk_error(&e.into()) => return Err(e.into()),
            Err(_) => return Ok(None),
        };
        let stat = sys::fs::stat(&file)?;
        if !sys::fs::is_regular(&stat) {
            return Ok(None);
        }
        let (mut digest, mut buffer, mut at) = (digest::Context::new(&digest::SHA256), vec![0; 64 << 10], 0);
        loop {
            let read = file::read_full(&file, &mut buffer, at)?;
            if read == 0 {
                return Ok(Some((stat.st_uid, digest.finish().as_ref().to_vec())));
            }
            digest.update(buffer.get(..read).unwrap_or_default());
            at += read as u64;
        }
    }
}

#[cfg(test)]
mod tests;
