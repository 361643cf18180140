//! The spool without its daemon: root reads the files and the database itself.
//!
//! Root first becomes the owner of the spool for good, so that nothing in a directory of another user is ever opened with root's
//! rights (THREATS PF26-7), then takes the daemon's lock, so that no daemon starts meanwhile.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use fs2::FileExt as Lock;

use crate::config::Config;
use crate::control::entries;
use crate::control::listing::{Entry, Recipient};
use crate::control::protocol::{Detail, Part};
use crate::exit::{Exit, Failure};
use crate::mail::date;
use crate::mail::queue_id::QueueId;
use crate::spool::layout::{self, Owner};
use crate::spool::state::{Message, State};
use crate::spool::{file, store::Store};
use crate::sys;

/// Rows that are in memory at a time.
const PAGE: usize = 500;

/// The spool while its daemon is stopped.
pub(super) struct Offline {
    state: Option<State>,
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
        Ok(Offline { state: State::open_to_read(&spool.join("state.sqlite")).ok(), store, _lock: lock })
    }

    /// Every message: what the database knows, then what it does not know yet, from the files.
    pub(super) fn entries(&self, mut each: impl FnMut(Entry) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut known = std::collections::HashSet::new();
        if let Some(state) = &self.state {
            let mut after = None;
            loop {
                let mut page = Vec::with_capacity(PAGE);
                state.queued(after, PAGE, |message| page.push(message)).map_err(|e| unreadable(&e))?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for message in page {
                    known.insert(message.id);
                    each(self.entry(state, &message)?)?;
                }
            }
        }
        for directory in [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED] {
            let mut ids: Vec<QueueId> =
                self.store.ids(directory).map_err(|e| unreadable(&e))?.into_iter().filter(|id| !known.contains(id)).collect();
            ids.sort_unstable();
            for id in ids {
                each(self.entry_from_file(directory, id))?;
            }
        }
        Ok(())
    }

    fn entry(&self, state: &State, message: &Message) -> Result<Entry, Failure> {
        Ok(entries::entry(message, &state.recipients(message.id).map_err(|e| unreadable(&e))?, false))
    }

    /// What the file itself says. A corrupt one is shown as failed and never ends the listing (SENDMAIL.md Q5).
    fn entry_from_file(&self, directory: &str, id: QueueId) -> Entry {
        let queue_name = if directory == layout::HOLD { "hold" } else { "incoming" };
        let mut entry = Entry {
            queue_name: queue_name.to_owned(),
            queue_id: id.to_string(),
            arrival_time: i64::from(id.seconds()),
            message_size: 0,
            forced_expire: false,
            sender: String::new(),
            recipients: Vec::new(),
            uid: 0,
            message_id: String::new(),
            attempts: 0,
            last_attempt: None,
            next_attempt: None,
            expires: None,
            reason: String::new(),
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
        let no_such = || Failure::new(Exit::NotFound, format!("{}: no such message", crate::mail::printable::text(id)));
        let parsed = QueueId::parse(id.as_bytes()).ok_or_else(no_such)?;
        let state = self.state.as_ref().ok_or_else(no_such)?;
        state.message(parsed).map_err(|e| unreadable(&e))?.ok_or_else(no_such)
    }

    /// One message with its history.
    pub(super) fn detail(&self, id: &str) -> Result<Detail, Failure> {
        let message = self.message(id)?;
        let Some(state) = &self.state else { return Err(unreadable(&"state.sqlite is missing")) };
        let recipients = state.recipients(message.id).map_err(|e| unreadable(&e))?;
        let events = state.events(message.id).map_err(|e| unreadable(&e))?;
        let file = message.place.directory().and_then(|place| self.store.open_message(place, message.id).ok());
        let envelope = file.and_then(|file| file::read_line(&file).ok()).map(|line| line.envelope);
        Ok(entries::detail(&message, &recipients, &events, envelope, false))
    }

    /// The octets of one message, in pieces.
    pub(super) fn cat(&self, id: &str, part: Part, mut each: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let message = self.message(id)?;
        let gone = || Failure::new(Exit::NotFound, format!("{id}: its file is gone: it was delivered or removed"));
        let file = message.place.directory().and_then(|place| self.store.open_message(place, message.id).ok()).ok_or_else(gone)?;
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

    /// How many messages are in each place.
    pub(super) fn counts(&self) -> Result<[u64; 3], Failure> {
        self.state.as_ref().map_or(Ok([0; 3]), |state| state.counts().map_err(|e| unreadable(&e)))
    }
}

fn unreadable(e: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("cannot read the spool: {e}"))
}
