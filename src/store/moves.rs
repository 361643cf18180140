//! Files between the directories of the spool: parked, buried, removed.
//!
//! A move is one rename and never replaces a file. It is on the disk after [`Store::sync_moves`], which makes all moves since the
//! last one durable with one sync for each directory: a hundred thousand failures at once are a few hundred syncs.
//!
//! A crash before the sync leaves each file in the one directory or in the other, whole. Which one is told by the row, which is
//! committed before the move, or by the file itself, which is looked at again where it is.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::PoisonError;

use nix::errno::Errno;

use super::Store;
use crate::layout;
use mail::printable;
use mail::queue_id::QueueId;

impl Store {
    /// Moves a message to another directory. The move is not on the disk before [`Store::sync_moves`]: many share one sync. One that
    /// took place already is no error: who met a full disk between the move and its record begins again.
    ///
    /// Errors: the kernel's; EEXIST where `to` has a file of that name.
    pub fn shift(&self, id: QueueId, from: &str, to: &str) -> std::io::Result<()> {
        let name = id.to_string();
        match sys::fs::rename_new(self.directory(from), &name, self.directory(to), &name) {
            Err(Errno::ENOENT) if sys::fs::stat_at(self.directory(to), &name).is_ok() => {}
            moved => moved?,
        }
        self.note_move(to);
        self.note_move(from);
        Ok(())
    }

    fn note_move(&self, directory: &str) {
        let known = layout::DIRECTORIES.iter().map(|known| known.name).find(|known| *known == directory);
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| !moved.contains(known)) {
            moved.push(known);
        }
    }

    /// Makes all moves so far durable, those of other threads too. First the directories that files came to, so that on no file
    /// system a name can be lost from both.
    ///
    /// Errors: the kernel's; then nobody may be told of any of the moves.
    pub fn sync_moves(&self) -> std::io::Result<()> {
        // Held while syncing: who finds nothing left to sync must not go on before it is synced.
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.sort_by_key(|directory| *directory == layout::CUR);
        for directory in moved.iter() {
            self.directory(directory).sync_all()?;
        }
        moved.clear();
        Ok(())
    }

    /// Moves one message to another directory and makes the move durable before returning.
    pub fn park(&self, id: QueueId, from: &str, to: &str) -> std::io::Result<()> {
        self.shift(id, from, to)?;
        self.sync_moves()
    }

    /// Removes a finished message. Its outcome is committed; if the removal is lost in a power cut, history recognises the file.
    pub fn remove(&self, id: QueueId, place: &str) -> std::io::Result<()> {
        match sys::fs::unlink(self.directory(place), id.to_string()) {
            Err(Errno::ENOENT) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Moves a file of `cur/` to `corrupt/`, with the reason beside it. One that is not there needs no moving. Not on the disk before
    /// [`Store::sync_moves`]; until then the file may come back to where it was, and is found there again.
    pub fn discard(&self, id: QueueId, why: &str) -> std::io::Result<()> {
        match self.bury(&self.cur, id.to_string().as_ref(), why) {
            // Where it is still there, `corrupt/` is not.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !self.has(layout::CUR, id) => Ok(()),
            result => result,
        }
    }

    /// Moves `name` to `corrupt/` under a name that is free, and writes the reason to `NAME.why`. Ten thousand of them share a sync.
    pub(super) fn bury(&self, from: &impl AsFd, name: &OsStr, why: &str) -> std::io::Result<()> {
        use std::io::Write;
        let base = match QueueId::parse(name.as_bytes()) {
            Some(id) => id.to_string(),
            None => format!("x{:016X}", sys::clock::random()?),
        };
        let mut target = base.clone();
        loop {
            match sys::fs::rename_new(from, name, &self.corrupt, &target) {
                Err(Errno::EEXIST) => target = format!("{base}.{:08x}", sys::clock::random()? >> 32),
                result => break result?,
            }
        }
        let text = format!("{}\nname: {}\n", printable::text(why), printable::bytes(name.as_bytes()));
        // The reason is a help, not a record: without it the file is still there, and the log has the line.
        if let Ok(mut reason) = sys::fs::create_new(&self.corrupt, &format!("{target}.why")) {
            let _ = reason.write_all(text.as_bytes());
        }
        self.note_move(layout::CORRUPT);
        Ok(())
    }
}
