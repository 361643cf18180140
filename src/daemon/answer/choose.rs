//! Which messages a request means: page after page of the queue, by queue id, so that neither a million messages nor a slow client
//! cost memory or hold anybody up.

use std::sync::Arc;

use super::asked::{Rights, Server, database, read};
use admin::entries;
use control::filter::{Filter, QueueState};
use control::listing::Entry;
use exit::Failure;
use mail::queue_id::QueueId;

use crate::database::STATE_FILE;
use spool::layout;
use state::{Message, QueueDir, State};

/// Rows read at a time: between two pages the database is free.
const PAGE: usize = 500;
/// And about the most recipients of a page: each message may have ten thousand.
const PAGE_RECIPIENTS: usize = 10_000;

/// What is looked for.
#[derive(Clone)]
pub(super) struct Wanted {
    /// Which ones the asker may have.
    pub(crate) may: fn(&Rights, &Message) -> bool,
    /// Whose rights.
    pub(crate) rights: Rights,
    /// The conditions.
    pub(crate) filter: Filter,
    /// False where the recipients of what was found are not needed.
    pub(crate) with_recipients: bool,
}

/// What matches, page by page.
pub(super) struct Pages<'a> {
    wanted: &'a Wanted,
    server: &'a Arc<Server>,
    next: Next,
    /// Open from the second page on, with its statements: between two pages it holds neither a lock nor a snapshot.
    state: Option<State>,
}

/// Where the next page begins.
#[derive(Clone, Copy)]
enum Next {
    Removed,
    Queue(Option<QueueId>),
    End,
}

/// Messages that were found, with their entries.
pub(super) type Found = Vec<(Message, Entry)>;

impl Pages<'_> {
    /// The next page, which may be empty; `None` behind the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, Failure> {
        let (found, next) = match self.next {
            Next::End => return Ok(None),
            Next::Removed if self.wanted.filter.state == [QueueState::Removed] => (self.wanted.removed(self.server).await?, Next::End),
            Next::Removed => (self.wanted.removed(self.server).await?, Next::Queue(None)),
            Next::Queue(after) => {
                let (found, last) = self.page(after).await?;
                (found, last.map_or(Next::End, |last| Next::Queue(Some(last))))
            }
        };
        self.next = next;
        Ok(Some(found))
    }

    /// What matches behind `after`. No thread is kept while the client takes its time: there are few, and deliveries need them.
    async fn page(&mut self, after: Option<QueueId>) -> Result<(Found, Option<QueueId>), Failure> {
        let (wanted, reading, state) = (self.wanted.clone(), Arc::clone(self.server), self.state.take());
        let work = move || {
            let state = state.map_or_else(|| State::open_to_read(&reading.store.path(STATE_FILE)), Ok)?;
            let page = state.snapshot(|state| wanted.read_page(&reading, state, after))?;
            Ok::<_, state::StateError>((page, state))
        };
        let (page, state) = tokio::task::spawn_blocking(work).await.map_err(database)?.map_err(database)?;
        self.state = Some(state);
        Ok(page)
    }
}

impl Wanted {
    /// Everything that matches, by queue id; removed messages first, where they are asked for.
    pub(super) fn pages<'a>(&'a self, server: &'a Arc<Server>) -> Pages<'a> {
        Pages { wanted: self, server, next: Next::Removed, state: None }
    }

    /// What matches behind `after`, and the last one that was looked at; none where the queue ends.
    fn read_page(&self, server: &Server, state: &State, after: Option<QueueId>) -> state::Result<(Found, Option<QueueId>)> {
        let mut rows = Vec::with_capacity(PAGE);
        state.queued(after, PAGE, |message| rows.push(message))?;
        let (mut found, mut last, mut recipients) = (Vec::new(), None, 0);
        for message in rows {
            last = Some(message.id);
            let Some(entry) = self.entry(server, state, &message)? else { continue };
            recipients += entry.recipients.len();
            found.push((message, entry));
            if recipients >= PAGE_RECIPIENTS {
                break;
            }
        }
        Ok((found, last))
    }

    /// The entry of a message that is meant. The recipients are read only for those that may be.
    fn entry(&self, server: &Server, state: &State, message: &Message) -> state::Result<Option<Entry>> {
        if !(self.may)(&self.rights, message) {
            return Ok(None);
        }
        let now = sys::clock::now();
        let is_active = server.dispatch.is_active(message.id);
        if self.filter.is_everything() {
            let recipients = if self.with_recipients { state.recipients(message.id)? } else { Vec::new() };
            return Ok(Some(entries::entry(message, &recipients, is_active, now)));
        }
        let bare = entries::entry(message, &[], is_active, now);
        if !self.filter.matches_message(&bare, now) || !self.filter.can_match(message.dir == QueueDir::Cur, &bare) {
            return Ok(None);
        }
        if !self.with_recipients && !self.filter.needs_recipients() {
            // `can_match` was the whole question.
            return Ok(Some(bare));
        }
        let entry = entries::entry(message, &state.recipients(message.id)?, is_active, now);
        Ok(Some(entry).filter(|entry| self.filter.matches(entry, now)))
    }

    /// The entry of the message of this id, and whether it matches; `None` where there is none, or the asker may not have it. The two
    /// are not told apart.
    pub(super) async fn named(&self, server: &Arc<Server>, id: &str) -> Result<Option<(Entry, bool)>, Failure> {
        let Some(id) = QueueId::parse(id.as_bytes()) else { return Ok(None) };
        let (wanted, reading) = (self.clone(), Arc::clone(server));
        let one = move |state: &State| {
            let Some(message) = state.message(id)?.filter(|message| (wanted.may)(&wanted.rights, message)) else { return Ok(None) };
            let now = sys::clock::now();
            let entry = entries::entry(&message, &state.recipients(id)?, reading.dispatch.is_active(id), now);
            let is_meant = wanted.filter.matches(&entry, now);
            Ok(Some((entry, is_meant)))
        };
        read(server, one).await
    }

    /// The removed messages that `trash/` still has, where they are asked for.
    async fn removed(&self, server: &Arc<Server>) -> Result<Found, Failure> {
        if !self.filter.state.contains(&QueueState::Removed) {
            return Ok(Vec::new());
        }
        let (wanted, reading) = (self.clone(), Arc::clone(server));
        let removed = move |state: &State| {
            let mut found = Vec::new();
            for message in state.in_trash()?.into_iter().filter(|message| reading.store.has(layout::TRASH, message.id)) {
                let entry = wanted.entry(&reading, state, &message)?;
                found.extend(entry.map(|entry| (message, entry)));
            }
            Ok(found)
        };
        read(server, removed).await
    }
}
