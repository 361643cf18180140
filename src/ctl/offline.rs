//! The spool without its daemon: root reads and steers the files and the database itself.
//!
//! Root first becomes the owner of the spool for good, so that nothing in a directory of another user is ever opened with root's
//! rights (THREATS PF26-7), then takes the daemon's lock, so that no daemon starts meanwhile.

mod act;

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use fs2::FileExt as Lock;

use super::select::Selection;
use crate::config::Config;
use crate::control::filter::{Filter, QueueState};
use crate::control::listing::{Entry, Recipient};
use crate::control::overview::Overview;
use crate::control::protocol::{Detail, Part};
use crate::control::stats::Stats;
use crate::control::{entries, history, pause};
use crate::exit::{Exit, Failure};
use crate::mail::queue_id::QueueId;
use crate::mail::{date, printable};
use crate::spool::layout::{self, Owner};
use crate::spool::state::{Message, Place, State, is_damage, is_newer};
use crate::spool::{file, store::Store};
use crate::sys;

/// Rows read at a time.
const PAGE: usize = 500;
/// Where files may lie that have no row.
const UNKNOWN: [&str; 4] = [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED];

/// The spool while its daemon is stopped.
pub(super) struct Offline {
    /// Where there is no database, or none that can be used, the files are all there is.
    state: Option<State>,
    /// Why the database, which is not damaged, cannot be changed: then nothing is.
    trouble: Option<String>,
    store: Store,
    _lock: File,
}

impl Offline {
    /// Becomes the owner and takes the lock.
    ///
    /// Errors: `down`, what the daemon's absence means, for those who are neither root nor the owner; EX_UNAVAILABLE where a daemon
    /// holds the lock after all.
    pub(super) fn open(config: &Config, down: Failure) -> Result<Offline, Failure> {
        let spool = &config.paths.spool;
        let unreadable = |e: &dyn std::fmt::Display| Failure::new(Exit::Unavailable, format!("{}: {e}", spool.display()));
        let meta = std::fs::metadata(spool).map_err(|e| unreadable(&e))?;
        if sys::process::euid() == 0 && meta.uid() != 0 {
            sys::process::become_user(meta.uid(), meta.gid()).map_err(|e| unreadable(&e.desc()))?;
        }
        if sys::process::euid() != meta.uid() {
            return Err(down);
        }
        let lock =
            std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(spool.join("lock")).map_err(|e| unreadable(&e))?;
        Lock::try_lock_exclusive(&lock)
            .map_err(|_| Failure::new(Exit::Unavailable, "a daemon runs but does not answer; try again, or look at its log"))?;
        let owner = Owner { uid: meta.uid(), gid: meta.gid() };
        let rootless = config.paths.mode == crate::config::paths::Mode::Rootless;
        let store = Store::open(spool, owner, rootless).map_err(|e| unreadable(&e))?;
        let path = spool.join("state.sqlite");
        // Never made here: a database without the messages of the files would hide that the true one was lost.
        let opened = if path.exists() { State::open(&path).map(Some) } else { Ok(None) };
        let (state, trouble) = match opened {
            Ok(state) => (state, None),
            // On a full or read-only disk it can still be looked at.
            Err(e) => (State::open_to_read(&path).ok().filter(|_| !is_newer(&e)), (!is_damage(&e)).then(|| e.to_string())),
        };
        Ok(Offline { state, trouble, store, _lock: lock })
    }

    /// Every message of the selection: what the database knows, then what it does not know yet, from the files.
    ///
    /// Errors: 1 where an id is unknown, after all others.
    pub(super) fn entries(&self, selection: &Selection, mut each: impl FnMut(Entry) -> Result<(), Failure>) -> Result<(), Failure> {
        let now = sys::clock::now();
        let Some(ids) = &selection.ids else {
            return self.every(&selection.filter, now, |_, entry| if selection.filter.matches(&entry, now) { each(entry) } else { Ok(()) });
        };
        let mut unknown = Vec::new();
        for text in ids {
            match QueueId::parse(text.as_bytes()).map(|id| self.find(id, now)).transpose()?.flatten() {
                Some(entry) if selection.filter.matches(&entry, now) => each(entry)?,
                Some(_) => {}
                None => unknown.push(printable::text(text)),
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(Failure::new(Exit::NotFound, format!("{}: no such message", unknown.join(", ")))) }
    }

    /// Calls `each` with every message, and its row if it has one; with removed ones where the filter asks for them.
    fn every(
        &self,
        filter: &Filter,
        now: i64,
        mut each: impl FnMut(Option<&Message>, Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(state) = &self.state {
            if filter.state.contains(&QueueState::Removed) {
                for id in self.sorted(layout::TRASH)? {
                    let message = state.message(id).map_err(|e| unreadable(&e))?.filter(|message| message.place == Place::Gone);
                    message.map_or(Ok(()), |message| each(Some(&message), self.entry(state, &message, now)?))?;
                }
            }
            let mut after = None;
            loop {
                let mut page = Vec::new();
                state.queued(after, PAGE, |message| page.push(message)).map_err(|e| unreadable(&e))?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for message in page {
                    each(Some(&message), self.entry(state, &message, now)?)?;
                }
            }
        }
        for directory in UNKNOWN {
            for id in self.sorted(directory)? {
                each(None, self.entry_from_file(directory, id))?;
            }
        }
        Ok(())
    }

    /// The ids of the files in a directory that have no row, or, in the trash, all, in their order.
    fn sorted(&self, directory: &str) -> Result<Vec<QueueId>, Failure> {
        let mut ids = Vec::new();
        for id in self.store.each_id(directory).map_err(|e| unreadable(&e))? {
            let id = id.map_err(|e| unreadable(&e))?;
            if directory == layout::TRASH || self.row(id)?.is_none() {
                ids.push(id);
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The row of a message that is in the queue.
    fn row(&self, id: QueueId) -> Result<Option<Message>, Failure> {
        let Some(state) = &self.state else { return Ok(None) };
        Ok(state.message(id).map_err(|e| unreadable(&e))?.filter(|message| message.place != Place::Gone))
    }

    fn find(&self, id: QueueId, now: i64) -> Result<Option<Entry>, Failure> {
        match (self.row(id)?, &self.state) {
            (Some(message), Some(state)) => self.entry(state, &message, now).map(Some),
            _ => Ok(self.adrift(id).map(|directory| self.entry_from_file(directory, id))),
        }
    }

    /// Where the file of a message lies that has no row.
    fn adrift(&self, id: QueueId) -> Option<&'static str> {
        UNKNOWN.into_iter().find(|directory| self.store.has(directory, id))
    }

    fn entry(&self, state: &State, message: &Message, now: i64) -> Result<Entry, Failure> {
        Ok(entries::entry(message, &state.recipients(message.id).map_err(|e| unreadable(&e))?, false, now))
    }

    /// What the file itself says. A corrupt one is shown as failed and never ends the listing (SENDMAIL.md Q5).
    fn entry_from_file(&self, directory: &str, id: QueueId) -> Entry {
        let queue_name = if directory == layout::HOLD { "hold" } else { "incoming" };
        let mut entry = Entry {
            queue_name: queue_name.to_owned(),
            queue_id: id.to_string(),
            arrival_time: i64::from(id.seconds()),
            ..Entry::default()
        };
        match self.store.inspect(directory, id) {
            Ok(claimed) => {
                let envelope = claimed.envelope;
                entry.arrival_time = date::parse_rfc3339(&envelope.time).unwrap_or(entry.arrival_time);
                (entry.message_size, entry.uid, entry.message_id) = (envelope.size, claimed.uid, claimed.message_id);
                entry.sender = envelope.reverse_path.to_string();
                let recipient = |address: String| Recipient { address, status: "waiting".to_owned(), ..Recipient::default() };
                entry.recipients = envelope.recipients.into_iter().map(|r| recipient(r.address.to_string())).collect();
            }
            Err(why) => (entry.queue_name, entry.reason) = ("failed".to_owned(), format!("not readable as a message: {why}")),
        }
        entry
    }

    fn message(&self, id: &str) -> Result<Message, Failure> {
        let no_such = || Failure::new(Exit::NotFound, format!("{}: no such message", printable::text(id)));
        let parsed = QueueId::parse(id.as_bytes()).ok_or_else(no_such)?;
        let state = self.state.as_ref().ok_or_else(no_such)?;
        state.message(parsed).map_err(|e| unreadable(&e))?.ok_or_else(no_such)
    }

    /// One message with its history.
    pub(super) fn detail(&self, id: &str) -> Result<Detail, Failure> {
        let message = self.message(id)?;
        let Some(state) = &self.state else { return Err(unreadable(&"state.sqlite is missing")) };
        history::detail(state, &message, false, sys::clock::now()).map_err(|e| unreadable(&e))
    }

    /// The latest messages that `subject` means, at most `limit`, with their history.
    ///
    /// Errors: 1 where there is none.
    pub(super) fn trace(&self, subject: &str, limit: usize) -> Result<Vec<Detail>, Failure> {
        let none = || Failure::new(Exit::NotFound, format!("{}: no such message is known", printable::text(subject)));
        let state = self.state.as_ref().ok_or_else(none)?;
        let found = history::find(state, subject, limit, |_| true).map_err(|e| unreadable(&e))?;
        let now = sys::clock::now();
        let details = found.messages.iter().map(|message| history::detail(state, message, false, now));
        let details = details.collect::<rusqlite::Result<Vec<_>>>().map_err(|e| unreadable(&e))?;
        if details.is_empty() { Err(none()) } else { Ok(details) }
    }

    /// Since when delivery is paused, and by whom; empty where it is not.
    pub(super) fn paused(&self) -> Result<String, Failure> {
        Ok(self.state.as_ref().map(pause::read).transpose().map_err(|e| unreadable(&e))?.flatten().unwrap_or_default())
    }

    /// The octets of one message, in pieces.
    pub(super) fn cat(&self, id: &str, part: Part, mut each: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let message = self.message(id)?;
        let gone = || Failure::new(Exit::NotFound, format!("{id}: its file is gone: it was delivered, or removed and not kept any more"));
        let removed = || self.store.has(layout::TRASH, message.id).then_some(layout::TRASH);
        let file = message
            .place
            .directory()
            .or_else(removed)
            .and_then(|place| self.store.open_message(place, message.id).ok())
            .ok_or_else(gone)?;
        let line = file::read_line(&file).map_err(|e| unreadable(&e))?;
        let (mut at, end) = file::range_of(&file, &line, part).map_err(|e| unreadable(&e))?;
        let mut buffer = vec![0; 64 << 10];
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(buffer.len()).min(buffer.len());
            let read = file::read_full(&file, buffer.get_mut(..wanted).unwrap_or_default(), at).map_err(|e| unreadable(&e))?;
            if read == 0 {
                break;
            }
            each(buffer.get(..read).unwrap_or_default())?;
            at += read as u64;
        }
        Ok(())
    }

    /// The numbers of `mailchute stats`.
    pub(super) fn stats(&self, now: i64) -> Result<Stats, Failure> {
        self.state.as_ref().map_or(Ok(Stats::default()), |state| Stats::read(state, None, now).map_err(|e| unreadable(&e)))
    }

    /// What there is to say beside a listing.
    pub(super) fn besides(&self) -> Result<String, Failure> {
        Ok(Some(self.paused()?).filter(|since| !since.is_empty()).map_or_else(String::new, |since| pause::warning(&since)))
    }

    /// What the report page shows of the messages.
    pub(super) fn overview(&self, now: i64) -> Result<Overview, Failure> {
        self.state.as_ref().map_or(Ok(Overview::default()), |state| Overview::read(state, None, now).map_err(|e| unreadable(&e)))
    }

    /// How many messages are in each place.
    pub(super) fn counts(&self) -> Result<[u64; 3], Failure> {
        self.state.as_ref().map_or(Ok([0; 3]), |state| state.counts().map_err(|e| unreadable(&e)))
    }
}

fn unreadable(e: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("cannot read the spool: {e}"))
}
