//! What operators do to messages: hold, release, remove, requeue, expire, bounce, flush.
//!
//! In: who does what to which messages, and the open spool. Out: the files where they belong, their rows, a line of history for
//! each, and what is to be said of each. The same for the daemon's state writer and for root while the daemon is stopped.
//!
//! The files move first and durably, the rows follow in the caller's transaction, and only then is anybody answered. A crash between
//! the two is settled at the next start: what went to `hold/` stays there, what left it goes back, and nothing is lost. A message
//! whose attempt is under way is left alone; it is marked, and follows when its round ends. That it is to be held or removed is kept
//! with the rows: should the daemon end first, its next start does it.

use std::borrow::Cow;
use std::collections::HashSet;

use control::protocol::{Act, Done};
use mail::queue_id::QueueId;
use spool::layout;
use state::given_up::BOUNCED;
use state::{Action, Event, Message, Order, Progress, QueueDir, RecipientUpdate, State, Wanted};
use store::Store;

/// Who does what, when.
#[derive(Clone, Debug)]
pub struct AdminOp {
    /// What.
    pub act: Act,
    /// Who, printable, for the history: `by root (uid 0)`.
    pub by: String,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Unix seconds.
    pub now: i64,
    /// Seconds until a requeued message is given up.
    pub queue_lifetime: i64,
}

/// A message that somebody named, and the id if it can be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As it was named, printable.
    pub text: String,
    /// The id; `None` where the text is none.
    pub id: Option<QueueId>,
}

impl Named {
    /// What somebody typed.
    pub fn parse(text: &str) -> Named {
        Named { text: mail::printable::text(text), id: QueueId::parse(text.as_bytes()) }
    }
}

impl From<QueueId> for Named {
    fn from(id: QueueId) -> Named {
        Named { text: id.to_string(), id: Some(id) }
    }
}

/// Whose messages may be changed, and which ones are in somebody's hands.
pub struct Reach<'a> {
    /// May the operator change this one?
    pub may: &'a dyn Fn(&Message) -> bool,
    /// Called with a message whose attempt is under way, to have it follow later. `None` where no daemon runs: then no attempt is
    /// under way, whatever the row says.
    pub mark: Option<&'a dyn Fn(QueueId)>,
}

impl AdminOp {
    /// Whether the act would change a message like this one: what `ALL` and conditions choose from.
    pub fn changes(&self, message: &Message) -> bool {
        match (self.act, message.place) {
            // Those that are found are in the trash.
            (act, QueueDir::Ended) => act == Act::Requeue,
            (Act::Remove | Act::Requeue, _) => true,
            (Act::Hold | Act::Flush, place) => place == QueueDir::Cur,
            (Act::Release, place) => place == QueueDir::Hold,
            (Act::Expire | Act::Bounce, place) => place != QueueDir::Failed,
        }
    }

    /// Does it to `named`, in the caller's transaction; says what became of each.
    ///
    /// Errors: the database's; then nothing is committed, and the files are where they are.
    pub fn perform(&self, state: &State, store: &Store, reach: &Reach<'_>, named: Vec<Named>) -> rusqlite::Result<Vec<Done>> {
        let mut done = Vec::with_capacity(named.len());
        let mut plans = Vec::new();
        let mut seen = HashSet::new();
        // One that is named twice is planned once: the second plan would not know of the first.
        for named in named.into_iter().filter(|named| named.id.is_none_or(|id| seen.insert(id))) {
            match self.plan(state, store, reach, &named)? {
                Plan::Answer(is_done, text) => done.push(Done { id: named.text, done: is_done, later: false, text: text.into_owned() }),
                Plan::Later(text) => done.push(Done { id: named.text, done: true, later: true, text: text.to_owned() }),
                Plan::Do(message, moves) => plans.push((named, message, moves)),
            }
        }
        let moves: Vec<_> = plans.iter().map(|(_, message, moves)| moves.map(|(from, to)| (message.id, from, to))).collect();
        let moved = store.move_all(&moves);
        for ((named, message, _), moved) in plans.into_iter().zip(moved) {
            let text = match moved {
                Ok(()) => self.record(state, *message).map(|()| self.outcome())?,
                Err(e) => {
                    done.push(Done { id: named.text, done: false, later: false, text: format!("not done: {e}") });
                    continue;
                }
            };
            done.push(Done { id: named.text, done: true, later: false, text });
        }
        Ok(done)
    }

    fn plan(&self, state: &State, store: &Store, reach: &Reach<'_>, named: &Named) -> rusqlite::Result<Plan> {
        let message = match named.id {
            Some(id) => state.message(id)?.filter(|message| (reach.may)(message)),
            None => None,
        };
        let Some(mut message) = message else { return Ok(Plan::Answer(false, "no such message".into())) };
        if message.place == QueueDir::Ended {
            return Ok(match (store.has(layout::TRASH, message.id), self.act) {
                (false, _) => Plan::Answer(false, "no such message".into()),
                (true, Act::Requeue) if self.dry_run => Plan::Answer(true, self.outcome().into()),
                // Not by this one: it was tried just now (`restore`).
                (true, Act::Requeue) => Plan::Answer(false, "was removed, and its file in trash/ cannot be moved".into()),
                (true, _) => Plan::Answer(false, was_removed(message.id).into()),
            });
        }
        if let (QueueDir::Cur, None, Some(mark)) = (message.place, message.next_attempt, reach.mark) {
            return self.follow(state, &mut message, mark);
        }
        if let Some(why) = self.refusal(&message) {
            return Ok(Plan::Answer(false, why.into()));
        }
        if self.dry_run {
            return Ok(Plan::Answer(true, self.outcome().into()));
        }
        let from = message.place.directory().unwrap_or(layout::CUR);
        let to = match self.act {
            Act::Hold => layout::HOLD,
            Act::Release | Act::Requeue | Act::Bounce => layout::CUR,
            Act::Remove => layout::TRASH,
            Act::Expire | Act::Flush => from,
        };
        Ok(Plan::Do(Box::new(message), (from != to).then_some((from, to))))
    }

    /// A message whose attempt is under way. Release, requeue and flush have nothing to wait for.
    fn follow(&self, state: &State, message: &mut Message, mark: &dyn Fn(QueueId)) -> rusqlite::Result<Plan> {
        let text = match self.act {
            Act::Hold | Act::Remove if self.dry_run => "is being sent; it would follow after the attempt",
            Act::Expire | Act::Bounce if self.dry_run => "is being sent; it would be given up after the attempt, unless that delivers it",
            Act::Hold | Act::Remove => "is being sent; it follows after the attempt",
            Act::Expire | Act::Bounce => "is being sent; it is given up after the attempt, unless that delivers it",
            Act::Release | Act::Requeue | Act::Flush => return Ok(Plan::Answer(true, "is being sent already".into())),
        };
        if !self.dry_run {
            if matches!(self.act, Act::Expire | Act::Bounce) {
                message.expires = message.expires.min(self.now);
                state.update(message)?;
            }
            mark(message.id);
            if let Some(wanted) = self.wanted() {
                state.set_order(message.id, &Order { wanted, by: self.by.clone() })?;
            }
            let kind = format!("to be {}", self.act.done());
            state.record(message.id, &Event { at: self.now, kind, text: self.by.clone() })?;
        }
        Ok(Plan::Later(text))
    }

    /// What of the act has to be kept until the attempt has ended. That a message has expired is in its row.
    fn wanted(&self) -> Option<Wanted> {
        match self.act {
            Act::Hold => Some(Wanted::Hold),
            Act::Remove => Some(Wanted::Remove),
            Act::Release | Act::Requeue | Act::Expire | Act::Bounce | Act::Flush => None,
        }
    }

    /// What is said of a message that it is done to, or would be.
    pub fn outcome(&self) -> String {
        if self.dry_run { format!("would be {}", self.act.done()) } else { self.act.done().to_owned() }
    }

    fn refusal(&self, message: &Message) -> Option<&'static str> {
        match (self.act, message.place) {
            (Act::Hold, QueueDir::Hold) => Some("is on hold already"),
            (Act::Hold | Act::Expire | Act::Bounce, QueueDir::Failed) => Some("has failed for good; requeue or remove it"),
            (Act::Release, QueueDir::Cur | QueueDir::Failed) => Some("is not on hold"),
            (Act::Flush, QueueDir::Hold) => Some("is on hold; release it"),
            (Act::Flush, QueueDir::Failed) => Some("has failed for good; requeue it"),
            _ => None,
        }
    }

    /// The rows of a message whose file is where it belongs.
    fn record(&self, state: &State, mut message: Message) -> rusqlite::Result<()> {
        if std::mem::take(&mut message.in_data) {
            // Only without a daemon: it died between the final dot and the record of its outcome.
            let why = "the daemon stopped between the final dot and the record of its outcome";
            self.set_open(state, message.id, Progress::Uncertain, |_| why.to_owned())?;
        }
        if !matches!(self.act, Act::Expire | Act::Flush) {
            // Only without a daemon: it was given one before the daemon ended, and this is the later word.
            state.forget_order(message.id)?;
        }
        match self.act {
            Act::Hold => (message.place, message.next_attempt, message.reason) = (QueueDir::Hold, None, self.by.clone()),
            Act::Release => (message.place, message.next_attempt, message.reason) = (QueueDir::Cur, Some(self.now), String::new()),
            Act::Remove => {
                (message.place, message.next_attempt, message.finished) = (QueueDir::Ended, None, Some(self.now));
                message.reason = format!("removed {}", self.by);
            }
            Act::Requeue => {
                (message.place, message.next_attempt, message.finished) = (QueueDir::Cur, Some(self.now), None);
                (message.attempts, message.expires) = (0, self.now.saturating_add(self.queue_lifetime));
                message.reason = String::new();
                self.reopen(state, message.id)?;
            }
            Act::Expire => message.expires = message.expires.min(self.now),
            Act::Bounce => {
                // Without an open recipient its next round is its conclusion: moved to `failed/`, and its sender told.
                (message.place, message.next_attempt, message.reason) = (QueueDir::Cur, Some(self.now), String::new());
                message.expires = message.expires.min(self.now);
                self.give_up(state, message.id)?;
            }
            Act::Flush => message.next_attempt = Some(self.now),
        }
        state.update(&message)?;
        state.record(message.id, &Event { at: self.now, kind: self.act.done().to_owned(), text: self.by.clone() })
    }

    /// A requeued message tries all of its recipients again that were not relayed.
    fn reopen(&self, state: &State, id: QueueId) -> rusqlite::Result<()> {
        for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress != Progress::Relayed) {
            let update = RecipientUpdate {
                n: recipient.n,
                progress: Progress::Deferred,
                status: recipient.status,
                reply: recipient.reply,
                relay: recipient.relay,
            };
            state.update_recipient(id, &update, self.now)?;
        }
        Ok(())
    }

    fn give_up(&self, state: &State, id: QueueId) -> rusqlite::Result<()> {
        let last = |reply: &str| if reply.is_empty() { "never attempted".to_owned() } else { reply.to_owned() };
        for n in self.set_open(state, id, Progress::Failed, |reply| format!("{BOUNCED}{}", last(reply)))? {
            state.ask_dsn(id, n, Action::Failed)?;
        }
        Ok(())
    }

    /// Changes every open recipient; `say` gets its last reply. Returns which they were.
    fn set_open(&self, state: &State, id: QueueId, progress: Progress, say: impl Fn(&str) -> String) -> rusqlite::Result<Vec<u32>> {
        let status = if progress == Progress::Failed { "5.4.7" } else { "4.4.2" };
        let mut changed = Vec::new();
        for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress.is_open()) {
            let (n, reply) = (recipient.n, say(&recipient.reply));
            state.update_recipient(
                id,
                &RecipientUpdate { n, progress, status: status.to_owned(), reply, relay: recipient.relay },
                self.now,
            )?;
            changed.push(n);
        }
        Ok(changed)
    }

    /// Takes removed messages out of `trash/` again, where a requeue names them: to `hold/`, in a transaction of its own before the
    /// one that requeues them. On the straight way to `cur/` a crash would leave a file whose row says that it is finished, and the
    /// next start would delete it.
    ///
    /// Errors: the database's.
    pub fn restore(&self, state: &State, store: &Store, may: &dyn Fn(&Message) -> bool, named: &[Named]) -> rusqlite::Result<()> {
        if self.act != Act::Requeue || self.dry_run {
            return Ok(());
        }
        let mut removed = Vec::new();
        for id in named.iter().filter_map(|named| named.id) {
            let message = state.message(id)?.filter(|message| message.place == QueueDir::Ended && may(message));
            removed.extend(message.filter(|message| store.has(layout::TRASH, message.id)));
        }
        let moves: Vec<_> = removed.iter().map(|message| Some((message.id, layout::TRASH, layout::HOLD))).collect();
        for (message, moved) in removed.into_iter().zip(store.move_all(&moves)) {
            // A file that cannot be moved stays in the trash, and the requeue says that there is no such message.
            if moved.is_ok() {
                let reason = format!("taken out of the trash {}", self.by);
                state.record(message.id, &Event { at: self.now, kind: "restored".to_owned(), text: self.by.clone() })?;
                state.update(&Message { place: QueueDir::Hold, finished: None, next_attempt: None, reason, ..message })?;
            }
        }
        Ok(())
    }
}

/// What is said of a message in the trash to those who want anything but to have it back.
pub fn was_removed(id: QueueId) -> String {
    format!("was removed; mailchute requeue {id} brings it back")
}

/// What is to be done about one message.
enum Plan {
    /// Nothing more than to say this.
    Answer(bool, Cow<'static, str>),
    /// Nothing yet: it follows after the attempt under way, and this is said.
    Later(&'static str),
    /// Its file moves, perhaps, and its row follows.
    Do(Box<Message>, Option<(&'static str, &'static str)>),
}
