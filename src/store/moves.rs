//! Moves of files between the directories of the spool.
//!
//! A move is one rename and never replaces a file ([`super::carry`]). [`Store::sync_moves`] makes all moves since the last call durable, with one sync
//! for each directory: a hundred thousand failures at once cost a few hundred syncs.
//!
//! A crash before the sync leaves each file whole, in the old or in the new directory. The intention, which is committed before the
//! move, tells where it belongs; otherwise the file is checked again where it is.

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
    /// True if there is a file of this id in the directory.
    pub fn has(&self, directory: &str, id: QueueId) -> bool {
        sys::fs::stat_at(self.directory(directory), id.to_string()).is_ok()
    }

    pub(super) fn note_move(&self, directory: &str) {
        let known = layout::DIRECTORIES.iter().map(|known| known.name).find(|known| *known == directory);
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| !moved.contains(known)) {
            moved.push(known);
        }
    }

    /// Makes all moves so far durable, including those of other threads. Destination directories are synced first, so that no file
    /// system can lose a name from both.
    ///
    /// Errors: the kernel's; then no move may be acknowledged.
    pub fn sync_moves(&self) -> std::io::Result<()> {
        // Locked while syncing: another thread must not find the list empty before the sync is done.
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.sort_by_key(|directory| *directory == layout::CUR);
        for directory in moved.iter() {
            self.directory(directory).sync_all()?;
        }
        moved.clear();
        Ok(())
    }

    /// Deletes a finished message. Its outcome is committed; if a power cut undoes the deletion, the history recognises the file.
    pub fn remove(&self, id: QueueId, directory: &str) -> std::io::Result<()> {
        match sys::fs::unlink(self.directory(directory), id.to_string()) {
            Err(Errno::ENOENT) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Moves a file of `cur/` to `corrupt/`, with the reason beside it. A missing file is not an error. [`Store::sync_moves`] makes
    /// the move durable; until then a crash may leave the file in `cur/`, where it is found again.
    pub fn discard(&self, id: QueueId, why: &str) -> std::io::Result<()> {
        match self.quarantine(&self.cur, id.to_string().as_ref(), why) {
            // If the file is still there, `corrupt/` is missing.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !self.has(layout::CUR, id) => Ok(()),
            result => result,
        }
    }

    /// Moves `name` to `corrupt/` under a free name, and writes the reason to `NAME.why`. Many moves share one sync.
    pub(super) fn quarantine(&self, from: &impl AsFd, name: &OsStr, why: &str) -> std::io::Result<()> {
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
        // The reason file is optional: the log has the reason too.
        if let Ok(mut reason) = sys::fs::create_new(&self.corrupt, &format!("{target}.why")) {
            let _ = reason.write_all(text.as_bytes());
        }
        self.note_move(layout::CORRUPT);
        Ok(())
    }
}
