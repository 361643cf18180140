//! The spool while its daemon is stopped: root reads and modifies the files and the database directly.
//!
//! Root first takes the ids of the owner of the spool permanently, so it never opens a file in another user's directory with root's
//! rights (THREATS PF26-7). Then it takes the daemon's lock, so no daemon starts meanwhile.

mod act;
mod found;
mod unindexed;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use self::found::Found;
use super::select::Selection;
use admin::plan::Policy;
use admin::{entries, pause};
use config::{Config, OnUncertain};
use control::filter::{Filter, QueueState};
use control::listing::Entry;
use control::overview::Overview;
use control::protocol::{Detail, Part};
use control::stats::Stats;
use control::warnings;
use exit::{Exit, Failure};
use mail::printable;
use mail::queue_id::QueueId;
use spool::file;
use spool::layout;
use spool::layout::Owner;
use state::{Message, QueueDir, State};
use store::Store;
use store::lock::SpoolLock;

/// Rows per page.
const PAGE: usize = 500;

/// The spool while its daemon is stopped.
pub(super) struct Offline {
    /// `None` if the database is missing or damaged; then only the files are known.
    state: Option<State>,
    /// The error of a damaged database.
    damage: Option<String>,
    /// Why the database, which is not damaged, is read-only. Then no operation is possible.
    write_error: Option<String>,
    store: Store,
    /// How files without a row are taken.
    policy: Policy,
    on_uncertain: OnUncertain,
    _lock: SpoolLock,
}

impl Offline {
    /// Takes the ids of the owner, then the lock.
    ///
    /// Errors: `down`, the error of the stopped daemon, for a user that is neither root nor the owner; EX_UNAVAILABLE if a daemon holds
    /// the lock.
    pub(super) fn open(config: &Config, down: impl Into<Failure>) -> Result<Offline, Failure> {
        Offline::open_if_owner(config)?.ok_or_else(|| down.into())
    }

    /// The same; `None` for a user that is neither root nor the owner.
    pub(super) fn open_if_owner(config: &Config) -> Result<Option<Offline>, Failure> {
        let spool = &config.paths.spool;
        let unreadable = |e: &dyn std::fmt::Display| Failure::new(Exit::Unavailable, format!("{}: {e}", spool.display()));
        let meta = std::fs::metadata(spool).map_err(|e| unreadable(&e))?;
        if sys::process::euid() == 0 && meta.uid() != 0 {
            sys::process::become_user(meta.uid(), meta.gid()).map_err(|e| unreadable(&e.desc()))?;
        }
        if sys::process::euid() != meta.uid() {
            return Ok(None);
        }
        let unanswered = || Failure::new(Exit::Unavailable, "mailchuted is running but does not answer; try again or check its log");
        let lock = SpoolLock::take(spool).map_err(|e| unreadable(&e))?.ok_or_else(unanswered)?;
        let owner = Owner { uid: meta.uid(), gid: meta.gid() };
        let rootless = config.paths.mode == config::paths::Mode::Rootless;
        let store = Store::open(spool, owner, rootless).map_err(|e| unreadable(&e))?;
        let (state, damage, write_error) = open_state(&spool.join("state.sqlite"))?;
        let (policy, on_uncertain) = (Policy::of(&config.params), config.params.uncertain);
        Ok(Some(Offline { state, damage, write_error, store, policy, on_uncertain, _lock: lock }))
    }

    /// Every selected message: those in the database, then the files without a row. Without ids and states, only queued and held ones,
    /// as in the daemon's listing.
    ///
    /// Returns EX 1 with the ids that are unknown.
    pub(super) fn entries(
        &self,
        selection: &Selection,
        mut each: impl FnMut(Entry) -> Result<(), Failure>,
    ) -> Result<Option<Failure>, Failure> {
        let now = sys::clock::now();
        let Some(ids) = &selection.ids else {
            let filter = selection.filter.clone().default_states();
            self.every(&filter, now, |_, entry| if filter.matches(&entry, now) { each(entry) } else { Ok(()) })?;
            return Ok(None);
        };
        let mut unknown = Vec::new();
        for text in ids {
            match QueueId::parse(text.as_bytes()).map(|id| self.find(id, now)).transpose()?.flatten() {
                Some(entry) if selection.filter.matches(&entry, now) => each(entry)?,
                Some(_) => {}
                None => unknown.push(printable::text(text)),
            }
        }
        Ok((!unknown.is_empty()).then(|| Failure::new(Exit::NotFound, format!("{}: no such message", unknown.join(", ")))))
    }

    /// Calls `each` with every message and its row, if it has one. Removed messages are included if the filter selects them.
    fn every(
        &self,
        filter: &Filter,
        now: i64,
        mut each: impl FnMut(Option<&Message>, Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(state) = &self.state {
            if filter.state.contains(&QueueState::Removed) {
                for id in self.sorted(layout::TRASH)? {
                    let message = state.message(id).map_err(|e| unreadable(&e))?.filter(|message| message.dir == QueueDir::Trash);
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
        self.each_unindexed(|entry| each(None, entry))
    }

    /// The sorted ids of the files in a directory that have no row; in the trash, of all files.
    fn sorted(&self, directory: &str) -> Result<Vec<QueueId>, Failure> {
        let mut ids = Vec::new();
        for id in self.store.each_id(directory).map_err(|e| unreadable(&e))? {
            let id = id.map_err(|e| unreadable(&e))?;
            if directory == layout::TRASH || self.row(id)?.is_none() && !self.is_finished(directory, id)? {
                ids.push(id);
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// True for a file in `cur/` whose message is finished: the daemon stopped before it deleted the file; the next start deletes it.
    fn is_finished(&self, directory: &str, id: QueueId) -> Result<bool, Failure> {
        let Some(state) = self.state.as_ref().filter(|_| directory == layout::CUR) else { return Ok(false) };
        Ok(state.message(id).map_err(|e| unreadable(&e))?.is_some_and(|message| !message.dir.is_queued()))
    }

    /// The row of a queued message.
    fn row(&self, id: QueueId) -> Result<Option<Message>, Failure> {
        let Some(state) = &self.state else { return Ok(None) };
        Ok(state.message(id).map_err(|e| unreadable(&e))?.filter(|message| message.dir.is_queued()))
    }

    /// The entry of a queued message, from its row or its file.
    fn find(&self, id: QueueId, now: i64) -> Result<Option<Entry>, Failure> {
        match (self.locate(id)?, &self.state) {
            (Some(Found::Row(message)), Some(state)) if message.dir.is_queued() => self.entry(state, &message, now).map(Some),
            (Some(Found::File(directory)), _) => Ok(Some(self.entry_from_file(directory, id))),
            _ => Ok(None),
        }
    }

    fn entry(&self, state: &State, message: &Message, now: i64) -> Result<Entry, Failure> {
        Ok(entries::entry(message, &state.recipients(message.id).map_err(|e| unreadable(&e))?, false, now))
    }

    /// Finds the message with this id, even if its file no longer exists.
    fn resolve(&self, id: &str) -> Result<Option<(QueueId, Found)>, Failure> {
        let Some(parsed) = QueueId::parse(id.as_bytes()) else { return Ok(None) };
        Ok(self.locate(parsed)?.map(|found| (parsed, found)))
    }

    /// One message with its history.
    pub(super) fn detail(&self, id: &str) -> Result<Detail, Failure> {
        self.detail_of(id)?.ok_or_else(|| no_such(id))
    }

    fn detail_of(&self, id: &str) -> Result<Option<Detail>, Failure> {
        match (self.resolve(id)?, &self.state) {
            (None, _) => Ok(None),
            (Some((_, Found::Row(message))), Some(state)) => {
                admin::history::detail(state, &message, false, sys::clock::now()).map(Some).map_err(|e| unreadable(&e))
            }
            (Some((id, Found::File(directory))), _) => Ok(Some(self.detail_from_file(directory, id))),
            _ => Err(unreadable(&"state.sqlite is missing")),
        }
    }

    /// At most `limit` messages that match `subject`, latest first, with their history.
    ///
    /// Errors: 1 if there is none.
    pub(super) fn trace(&self, subject: &str, limit: usize) -> Result<Vec<Detail>, Failure> {
        let none = || Failure::new(Exit::NotFound, format!("{}: no message found", printable::text(subject)));
        if QueueId::parse(subject.as_bytes()).is_some() {
            return self.detail_of(subject)?.map(|detail| vec![detail]).ok_or_else(none);
        }
        let mut details = self.unindexed_of(subject)?;
        if let Some(state) = &self.state {
            let (found, now) = (admin::history::find(state, subject, limit, |_| true).map_err(|e| unreadable(&e))?, sys::clock::now());
            for message in &found.messages {
                details.push(admin::history::detail(state, message, false, now).map_err(|e| unreadable(&e))?);
            }
        }
        // Ids begin with the time.
        details.sort_by(|a, b| b.entry.queue_id.cmp(&a.entry.queue_id));
        details.truncate(limit);
        if details.is_empty() { Err(none()) } else { Ok(details) }
    }

    /// When and by whom delivery was paused; empty if it is not paused.
    pub(super) fn paused(&self) -> Result<String, Failure> {
        Ok(self.state.as_ref().map(pause::read).transpose().map_err(|e| unreadable(&e))?.flatten().unwrap_or_default())
    }

    /// Calls `each` with the bytes of one message, in pieces.
    pub(super) fn cat(&self, id: &str, part: Part, mut each: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let (parsed, found) = self.resolve(id)?.ok_or_else(|| no_such(id))?;
        let directory = match found {
            Found::Row(message) => message
                .dir
                .directory()
                .filter(|_| message.dir != QueueDir::Corrupt)
                .or_else(|| self.store.has(layout::TRASH, parsed).then_some(layout::TRASH)),
            Found::File(directory) => Some(directory),
        };
        let no_file = || Failure::new(Exit::NotFound, format!("{id}: the message has no file any more: it was delivered or removed"));
        let file = directory.and_then(|place| self.store.open_message(place, parsed).ok()).ok_or_else(no_file)?;
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

    /// The statistics of `mailchute stats`.
    pub(super) fn stats(&self, now: i64) -> Result<Stats, Failure> {
        let read = |state| admin::stats::read(state, None, now).map_err(|e| unreadable(&e));
        let mut stats = self.state.as_ref().map_or(Ok(Stats::default()), read)?;
        self.each_unindexed(|entry| {
            stats.add(&entry, now);
            Ok(())
        })?;
        Ok(stats)
    }

    /// The warning of a listing.
    pub(super) fn warning(&self) -> Result<String, Failure> {
        if let Some(why) = &self.damage {
            return Ok(format!(
                "state.sqlite is unusable ({why}), so the listing is from the spool files; mailchuted rebuilds the database when it starts"
            ));
        }
        Ok(Some(self.paused()?).filter(|since| !since.is_empty()).map_or_else(String::new, |since| warnings::paused(&since)))
    }

    /// The message statistics of the report page.
    pub(super) fn overview(&self, now: i64) -> Result<Overview, Failure> {
        let mut unindexed = Vec::new();
        self.each_unindexed(|entry| {
            unindexed.push(entry);
            Ok(())
        })?;
        admin::overview::read_with(self.state.as_ref(), &unindexed, None, now).map_err(|e| unreadable(&e))
    }

    /// The number of queued, held and failed messages.
    pub(super) fn counts(&self) -> Result<[u64; 3], Failure> {
        let [mut queued, mut held, mut failed] =
            self.state.as_ref().map_or(Ok([0; 3]), |state| state.counts().map_err(|e| unreadable(&e)))?;
        self.each_unindexed(|entry| {
            *match entry.queue_name {
                QueueState::Hold => &mut held,
                QueueState::Failed => &mut failed,
                _ => &mut queued,
            } += 1;
            Ok(())
        })?;
        Ok([queued, held, failed])
    }
}

/// The database, the error of a damaged one, and the reason why it is read-only.
type OpenedState = (Option<State>, Option<String>, Option<String>);

/// Opens the database; `None` for a missing or a damaged one.
///
/// Errors: those of a database that can be neither read nor rebuilt; a listing without it would be incomplete without saying so.
fn open_state(path: &Path) -> Result<OpenedState, Failure> {
    // Never created here: an empty database would hide the loss of the original.
    match path.try_exists().map_err(|e| unreadable(&e))?.then(|| State::open(path)).transpose() {
        Ok(state) => Ok((state, None, None)),
        Err(e) if e.is_newer() => Err(Failure::new(Exit::Config, format!("{}: {e}", path.display()))),
        Err(e) if e.is_damage() => Ok((None, Some(e.to_string()), None)),
        // On a full or read-only disk it can still be read.
        Err(e) => match State::open_to_read(path) {
            Ok(state) => Ok((Some(state), None, Some(e.to_string()))),
            Err(_) => Err(Failure::new(Exit::IoErr, format!("{}: {e}", path.display()))),
        },
    }
}

fn no_such(id: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("{}: no such message", printable::text(id)))
}

fn unreadable(e: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("cannot read the spool: {e}"))
}
