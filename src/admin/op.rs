//! Administrative operations: hold, release, remove, requeue, expire, bounce, flush.
//!
//! In: the operation, its user, the messages, and the open spool. Out: moved files, updated rows, an event in the history of each
//! message, and a result for each. The daemon's state writer uses it, and root while the daemon is stopped.
//!
//! The files move first, durably. The rows follow in the caller's transaction. The reply comes last. The next start repairs a crash
//! in between: a file moved to `hold/` stays there, a file moved out of `hold/` goes back, and no message is lost. A message with a
//! delivery attempt in progress is only marked; the operation follows after the attempt. A hold or a removal is also recorded in the
//! database, so that the next start applies it if the daemon stops first.

use std::borrow::Cow;
use std::collections::HashSet;

use control::protocol::{Act, Done};
use mail::code::{Answer, Cause, Duplicate, Happened, HoldCause, MessageEnd, Subject};
use mail::queue_id::QueueId;
use mail::{Actor, Diagnosis, HistoryCause, Hold};
use spool::layout;
use state::{Action, HistoryLine, Message, Order, Progress, QueueDir, RecipientUpdate, State, Wanted, end_of};
use store::Store;

/// An operation, its user and its time.
#[derive(Clone, Debug)]
pub struct AdminOp {
    /// The operation.
    pub act: Act,
    /// The user.
    pub by: Actor,
    /// Report what would happen, without doing it.
    pub dry_run: bool,
    /// The time, unix seconds.
    pub now: i64,
    /// The queue lifetime of a requeued message, in seconds.
    pub queue_lifetime: i64,
}

/// A message as the operator named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The text as given, printable.
    pub text: String,
    /// The queue id; `None` if the text is not a queue id.
    pub id: Option<QueueId>,
}

impl Named {
    /// Parses the text from a command line.
    pub fn parse(text: &str) -> Named {
        Named { text: mail::printable::text(text), id: QueueId::parse(text.as_bytes()) }
    }
}

impl From<QueueId> for Named {
    fn from(id: QueueId) -> Named {
        Named { text: id.to_string(), id: Some(id) }
    }
}

/// The messages that the operator may modify, and how to mark messages with an attempt in progress.
pub struct Reach<'a> {
    /// Whether the operator may modify this message.
    pub may: &'a dyn Fn(&Message) -> bool,
    /// Marks a message with an attempt in progress, so that the operation follows later. `None` if the daemon is stopped: then there
    /// is no attempt in progress, whatever the row says.
    pub mark: Option<&'a dyn Fn(QueueId)>,
}

impl AdminOp {
    /// Whether the operation applies to a message in this state. `ALL` and conditions select only such messages.
    pub fn changes(&self, message: &Message) -> bool {
        match (self.act, message.dir) {
            (act, QueueDir::Trash) => act == Act::Requeue,
            (_, QueueDir::NoFile | QueueDir::Corrupt) => false,
            (Act::Remove | Act::Requeue, _) => true,
            (Act::Hold | Act::Flush, dir) => dir == QueueDir::Cur,
            (Act::Release, dir) => dir == QueueDir::Hold,
            (Act::Expire | Act::Bounce, dir) => dir != QueueDir::Failed,
        }
    }

    /// Applies the operation to `named` in the caller's transaction, and returns a result for each.
    ///
    /// Errors: the database's. Then nothing is committed, and files may have moved.
    pub fn perform(&self, state: &State, store: &Store, reach: &Reach<'_>, named: Vec<Named>) -> state::Result<Vec<Done>> {
        let mut done = Vec::with_capacity(named.len());
        let mut plans = Vec::new();
        let mut seen = HashSet::new();
        // A message that is named twice is planned once: the second plan would not see the first.
        for named in named.into_iter().filter(|named| named.id.is_none_or(|id| seen.insert(id))) {
            match self.plan(state, store, reach, &named)? {
                Plan::Answer(answer, text) => done.push(Done::new(named.text, answer, text)),
                Plan::Do(message, moves) => plans.push((named, message, moves)),
            }
        }
        let moves: Vec<_> = plans.iter().map(|(_, message, moves)| moves.map(|(from, to)| (message.id, from, to))).collect();
        let moved = store.move_all(&moves);
        for ((named, message, _), moved) in plans.into_iter().zip(moved) {
            let text = match moved {
                Ok(()) => self.record(state, *message).map(|()| self.outcome())?,
                Err(e) => {
                    done.push(Done::new(named.text, Answer::NotDone, format!("failed: {e}")));
                    continue;
                }
            };
            done.push(Done::new(named.text, Answer::Done, text));
        }
        Ok(done)
    }

    fn plan(&self, state: &State, store: &Store, reach: &Reach<'_>, named: &Named) -> state::Result<Plan> {
        let message = match named.id {
            Some(id) => state.message(id)?.filter(|message| (reach.may)(message)),
            None => None,
        };
        let Some(mut message) = message else { return Ok(Plan::Answer(Answer::NotFound, "no such message".into())) };
        if !message.dir.is_queued() {
            return Ok(self.plan_of_ended(store, &message));
        }
        if let (QueueDir::Cur, None, Some(mark)) = (message.dir, message.next_attempt, reach.mark) {
            return self.follow(state, &mut message, mark);
        }
        if let Some(why) = self.refusal(&message) {
            return Ok(Plan::Answer(Answer::Refused, why.into()));
        }
        if self.dry_run {
            return Ok(Plan::Answer(Answer::WouldDo, self.outcome().into()));
        }
        let from = message.dir.directory().unwrap_or(layout::CUR);
        let to = match self.act {
            Act::Hold => layout::HOLD,
            Act::Release | Act::Requeue | Act::Bounce => layout::CUR,
            Act::Remove => layout::TRASH,
            Act::Expire | Act::Flush => from,
        };
        Ok(Plan::Do(Box::new(message), (from != to).then_some((from, to))))
    }

    /// A message that has ended, and is not in `failed/`.
    fn plan_of_ended(&self, store: &Store, message: &Message) -> Plan {
        let is_kept = message.dir == QueueDir::Trash && store.has(layout::TRASH, message.id);
        match (is_kept, message.dir, self.act) {
            (_, QueueDir::Corrupt, _) => {
                Plan::Answer(Answer::NotFound, "was lost on this host: its file was changed, and lies in corrupt/".into())
            }
            (false, ..) => Plan::Answer(Answer::NotFound, "no such message".into()),
            (true, _, Act::Requeue) if self.dry_run => Plan::Answer(Answer::WouldDo, self.outcome().into()),
            // `restore` has just tried to move it.
            (true, _, Act::Requeue) => Plan::Answer(Answer::NotDone, "was removed; its file cannot be moved out of trash/".into()),
            (true, ..) => Plan::Answer(Answer::Refused, was_removed(message.id).into()),
        }
    }

    /// A message with an attempt in progress. Release, requeue and flush have nothing to do.
    fn follow(&self, state: &State, message: &mut Message, mark: &dyn Fn(QueueId)) -> state::Result<Plan> {
        let text = match self.act {
            Act::Hold | Act::Remove if self.dry_run => "delivery is in progress; this would follow after the attempt",
            Act::Expire | Act::Bounce if self.dry_run => {
                "delivery is in progress; the message would bounce after the attempt unless it is delivered"
            }
            Act::Hold | Act::Remove => "delivery is in progress; this follows after the attempt",
            Act::Expire | Act::Bounce => "delivery is in progress; the message bounces after the attempt unless it is delivered",
            Act::Release | Act::Requeue | Act::Flush => return Ok(Plan::Answer(Answer::Already, "delivery is already in progress".into())),
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
            let asked = HistoryLine::new(self.now, Happened::Asked).because(HistoryCause::Op(self.act.op()));
            state.record(message.id, &asked.by(&self.by))?;
        }
        Ok(Plan::Answer(if self.dry_run { Answer::WouldLater } else { Answer::Later }, text.into()))
    }

    /// The part of the operation that must be recorded until the attempt ends. The row records an expiry.
    fn wanted(&self) -> Option<Wanted> {
        match self.act {
            Act::Hold => Some(Wanted::Hold),
            Act::Remove => Some(Wanted::Remove),
            Act::Release | Act::Requeue | Act::Expire | Act::Bounce | Act::Flush => None,
        }
    }

    /// The result text for a message to which the operation is or would be applied.
    pub fn outcome(&self) -> String {
        if self.dry_run { format!("would be {}", self.act.done()) } else { self.act.done().to_owned() }
    }

    fn refusal(&self, message: &Message) -> Option<&'static str> {
        match (self.act, message.dir) {
            (Act::Hold, QueueDir::Hold) => Some("is already on hold"),
            (Act::Hold | Act::Expire | Act::Bounce, QueueDir::Failed) => Some("has failed permanently; requeue or remove it"),
            (Act::Release, QueueDir::Cur | QueueDir::Failed) => Some("is not on hold"),
            (Act::Flush, QueueDir::Hold) => Some("is on hold; release it"),
            (Act::Flush, QueueDir::Failed) => Some("has failed permanently; requeue it"),
            _ => None,
        }
    }

    /// Updates the rows of a message whose file has been moved.
    fn record(&self, state: &State, mut message: Message) -> state::Result<()> {
        if std::mem::take(&mut message.in_data) {
            // Only while the daemon is stopped: it stopped between the final dot and the record of the outcome.
            self.set_open(state, message.id, Progress::Uncertain, Cause::Stopped)?;
            // The history must show this if the message was delivered, perhaps twice.
            let uncertain = HistoryLine::new(self.now, Happened::Uncertain).because(HistoryCause::Duplicate(Duplicate::Stopped));
            state.record(message.id, &uncertain)?;
        }
        if !matches!(self.act, Act::Expire | Act::Flush) {
            // Only while the daemon is stopped: this operation overrides the recorded one.
            state.forget_order(message.id)?;
        }
        match self.act {
            Act::Hold => message.park(Hold::by(self.by.clone())),
            Act::Release => message.open(self.now),
            Act::Remove => {
                message.end(QueueDir::Trash, end_of(&state.recipients(message.id)?).unwrap_or(MessageEnd::Removed), self.now);
                message.by = Some(self.by.clone());
            }
            Act::Requeue => {
                message.open(self.now);
                (message.attempts, message.expires) = (0, self.now.saturating_add(self.queue_lifetime));
                self.reopen(state, message.id)?;
            }
            Act::Expire => message.expires = message.expires.min(self.now),
            Act::Bounce => {
                // Without an open recipient the next attempt finishes the message: it moves to `failed/`, and its sender gets a bounce.
                message.open(self.now);
                message.expires = message.expires.min(self.now);
                self.give_up(state, message.id)?;
            }
            Act::Flush => message.next_attempt = Some(self.now),
        }
        state.update(&message)?;
        let line = HistoryLine::new(self.now, happened(self.act)).by(&self.by);
        let cause = (self.act == Act::Hold).then_some(HistoryCause::Hold(HoldCause::Operator));
        state.record(message.id, &HistoryLine { cause, ..line })
    }

    /// Reopens the recipients of a requeued message that were not relayed.
    fn reopen(&self, state: &State, id: QueueId) -> state::Result<()> {
        for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress != Progress::Relayed) {
            let update = RecipientUpdate {
                n: recipient.n,
                progress: Progress::Deferred,
                diagnosis: Diagnosis::default(),
                status: recipient.status,
                reply: recipient.reply,
                relay: recipient.relay,
            };
            state.update_recipient(id, &update, self.now)?;
        }
        Ok(())
    }

    fn give_up(&self, state: &State, id: QueueId) -> state::Result<()> {
        for n in self.set_open(state, id, Progress::Failed, Cause::Bounced)? {
            state.ask_dsn(id, n, Action::Failed)?;
        }
        Ok(())
    }

    /// Changes every open recipient, for this cause. Returns the changed recipients.
    fn set_open(&self, state: &State, id: QueueId, progress: Progress, cause: Cause) -> state::Result<Vec<u32>> {
        let status = if progress == Progress::Failed { "5.4.7" } else { "4.4.2" };
        let mut changed = Vec::new();
        for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress.is_open()) {
            let n = recipient.n;
            let diagnosis = match cause {
                Cause::Stopped => Diagnosis::of(cause, Subject::Connection),
                _ => recipient.diagnosis.given_up(cause),
            };
            state.update_recipient(
                id,
                &RecipientUpdate { n, progress, diagnosis, status: status.to_owned(), reply: recipient.reply, relay: recipient.relay },
                self.now,
            )?;
            changed.push(n);
        }
        Ok(changed)
    }

    /// Moves removed messages that a requeue names from `trash/` to `hold/`, in a transaction before the one that requeues them. With
    /// a direct move to `cur/`, a crash would leave a file whose row says that it is finished, and the next start would delete it.
    ///
    /// Errors: the database's.
    pub fn restore(&self, state: &State, store: &Store, may: &dyn Fn(&Message) -> bool, named: &[Named]) -> state::Result<()> {
        if self.act != Act::Requeue || self.dry_run {
            return Ok(());
        }
        let mut removed = Vec::new();
        for id in named.iter().filter_map(|named| named.id) {
            let message = state.message(id)?.filter(|message| message.dir == QueueDir::Trash && may(message));
            removed.extend(message.filter(|message| store.has(layout::TRASH, message.id)));
        }
        let moves: Vec<_> = removed.iter().map(|message| Some((message.id, layout::TRASH, layout::HOLD))).collect();
        for (message, moved) in removed.into_iter().zip(store.move_all(&moves)) {
            // A file that cannot be moved stays in the trash, and the requeue reports that.
            if moved.is_ok() {
                let mut message = message;
                message.open(self.now);
                message.park(Hold::by(self.by.clone()));
                state.record(message.id, &HistoryLine::new(self.now, Happened::Restored).by(&self.by))?;
                state.update(&message)?;
            }
        }
        Ok(())
    }
}

/// The result of any operation but a requeue on a message in the trash.
pub fn was_removed(id: QueueId) -> String {
    format!("was removed; `mailchute requeue {id}` restores it")
}

/// The line of history that says that it was done.
fn happened(act: Act) -> Happened {
    match act {
        Act::Hold => Happened::Held,
        Act::Release => Happened::Released,
        Act::Remove => Happened::Removed,
        Act::Requeue => Happened::Requeued,
        Act::Expire => Happened::Expired,
        Act::Bounce => Happened::Bounced,
        Act::Flush => Happened::Flushed,
    }
}

/// The plan for one message.
enum Plan {
    /// No change, only this result.
    Answer(Answer, Cow<'static, str>),
    /// Move the file if needed, then update the row.
    Do(Box<Message>, Option<(&'static str, &'static str)>),
}
