//! Moves of messages between the directories of the spool, from the intention to the result: the same for the daemon, for its start,
//! and for root while it is stopped.
//!
//! ```text
//!   K1  the intention is committed, synced             (the caller, with whatever else is decided)
//!   K2  the file moves
//!   K3  the directories are synced
//!   K4  the result is committed: row and history change, the intention goes
//!   K5  whoever asked is answered
//! ```
//!
//! K4 needs no sync: what a power cut takes of it is done again, from the intention, and finds the file moved. Nothing is reported before
//! it has happened, and no row says anything of a file that is not true. Its events are in the outbox, with K4.

use log::message::MessageEvent;
use mail::code::{Cause, Happened, MessageEnd, Op, Progress, Trigger};
use mail::queue_id::QueueId;
use mail::{Actor, Diagnosis, HistoryCause};
use spool::layout;
use state::{Action, Durability, HistoryLine, Intention, Message, Phase, QueueDir, RecipientUpdate, State, StateError, end_of};
use store::Store;
use store::carry::Carried;

use crate::lost::{self, GivenUp, Loss};

/// Moves that are concluded in one transaction.
const GROUP: usize = 512;
/// Seconds until a message is looked at again whose file could not be moved.
const AGAIN: i64 = 600;

/// What the conclusion of a move depends on.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Unix seconds.
    pub now: i64,
    /// An earlier run had the intention: the history says so.
    pub is_left: bool,
}

/// What became of an intention.
#[derive(Debug)]
pub struct Concluded {
    /// What was wanted, and who wanted it.
    pub intention: Intention,
    /// The message, as it is now.
    pub message: Message,
    /// How it came out.
    pub result: MoveResult,
}

/// How a move came out.
#[derive(Debug)]
pub enum MoveResult {
    /// It was done.
    Done,
    /// It was done, and there is no file: somebody had deleted it.
    DoneWithoutFile,
    /// Its file is gone: the message has ended as lost.
    Lost,
    /// It was taken back, for this reason; the message is where it was.
    TakenBack(String),
}

/// Why moves stopped. Those that are left are still intended.
#[derive(Debug)]
pub enum MoveError {
    /// The database's.
    State(StateError),
    /// The disk's.
    Disk(std::io::Error),
}

impl MoveError {
    /// True for a full disk.
    pub fn is_full(&self) -> bool {
        match self {
            MoveError::State(e) => e.is_full(),
            MoveError::Disk(e) => e.kind() == std::io::ErrorKind::StorageFull,
        }
    }
}

impl From<StateError> for MoveError {
    fn from(e: StateError) -> Self {
        MoveError::State(e)
    }
}

impl From<std::io::Error> for MoveError {
    fn from(e: std::io::Error) -> Self {
        MoveError::Disk(e)
    }
}

impl std::fmt::Display for MoveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MoveError::State(e) => e.fmt(f),
            MoveError::Disk(e) => e.fmt(f),
        }
    }
}

/// K2 to K4 for every committed intention whose file is to move. What is concluded is added to `concluded`, also before an error; a
/// second call goes on where the first one stopped.
///
/// Errors: those of the disk and the database.
pub fn follow_through(state: &mut State, store: &Store, terms: Terms, concluded: &mut Vec<Concluded>) -> Result<(), MoveError> {
    loop {
        let group = state.intentions(Phase::Moving, GROUP)?;
        let mut carried = Vec::with_capacity(group.len());
        for intention in group {
            let message = state.message(intention.id)?;
            let carry = message.as_ref().map(|message| carry(store, &intention, message)).transpose()?;
            carried.push((intention, message.zip(carry)));
        }
        store.sync_moves()?;
        if carried.is_empty() {
            return Ok(());
        }
        let done = state.transaction(Durability::Ordered, |state| {
            let each = |(intention, found)| conclude(state, intention, found, terms);
            carried.into_iter().map(each).collect::<state::Result<Vec<_>>>()
        })?;
        concluded.extend(done.into_iter().flatten());
    }
}

fn carry(store: &Store, intention: &Intention, message: &Message) -> std::io::Result<Carried> {
    let from = intention.source.directory().unwrap_or(layout::CUR);
    store.carry(intention.id, from, intention.target.directory(), &message.digest, &intention.detail)
}

/// K4 for one message. Nothing where it has no row: then there is nothing to agree with.
fn conclude(state: &State, intention: Intention, found: Option<(Message, Carried)>, terms: Terms) -> state::Result<Option<Concluded>> {
    state.forget_intention(intention.id)?;
    let Some((message, carried)) = found else { return Ok(None) };
    let concluded = match carried {
        Carried::Moved | Carried::WasThere => done(state, intention, message, terms)?,
        Carried::Vanished => vanished(state, intention, message, terms)?,
        Carried::Elsewhere(directory) => take_back(state, intention, message, format!("its file is in {directory}/"), terms)?,
        Carried::Refused(e) => take_back(state, intention, message, e.to_string(), terms)?,
    };
    if terms.is_left {
        let Intention { op, by, .. } = &concluded.intention;
        let line = HistoryLine::new(terms.now, Happened::Completed).because(HistoryCause::Op(*op)).on(Trigger::Start);
        state.record(concluded.message.id, &HistoryLine { by: by.clone(), ..line })?;
    }
    Ok(Some(concluded))
}

/// The file is where it has to be: so says the row now. Also for what changes the row alone.
pub(crate) fn done(state: &State, intention: Intention, mut message: Message, terms: Terms) -> state::Result<Concluded> {
    let (id, now, had_ended) = (intention.id, terms.now, message.outcome.is_some());
    match intention.op {
        Op::Hold => {
            let next_attempt = message.next_attempt.filter(|_| intention.trigger == Trigger::Policy);
            message.park(intention.held());
            message.next_attempt = next_attempt;
        }
        Op::Release => message.open(now),
        Op::Remove => {
            message.end(QueueDir::Trash, end_of(&state.recipients(id)?).unwrap_or(MessageEnd::Removed), now);
            message.by.clone_from(&intention.by);
        }
        Op::Requeue => {
            message.open(now);
            message.attempts = 0;
            reopen(state, id, now)?;
        }
        Op::Expire => message.expires = message.expires.min(now),
        Op::Flush => message.next_attempt = Some(now),
        Op::Bounce => {
            let given_up = bounce(state, id, now)?;
            message.end(QueueDir::Failed, end_of(&state.recipients(id)?).unwrap_or(MessageEnd::Bounced), now);
            lost::tell_given_up(state, &message, &given_up, now);
        }
        Op::Fail => message.end(QueueDir::Failed, end_of(&state.recipients(id)?).unwrap_or(MessageEnd::Failed), intention.at),
        Op::Lose => {
            message.end(QueueDir::Corrupt, MessageEnd::Corrupt, intention.at);
            message.detail.clone_from(&intention.detail);
            let lost = state.recipients(id)?.iter().filter(|row| row.diagnosis.cause == Some(Cause::Corrupt)).count();
            state.tell(Loss::corrupt(intention.detail.clone()).event(&message, lost).line(id));
        }
        Op::Discard => (message.dir, message.next_attempt) = (QueueDir::NoFile, None),
    }
    state.update(&message)?;
    if let Some(line) = line(&intention, now) {
        state.record(id, &line)?;
    }
    tell(state, &intention, &message, had_ended);
    Ok(Concluded { intention, message, result: MoveResult::Done })
}

/// Adds the event of what was done to the same transaction. The events of recipients were added where their outcome was decided.
fn tell(state: &State, intention: &Intention, message: &Message, had_ended: bool) {
    let (by, trigger) = (intention.by.clone(), intention.trigger);
    let event = match intention.op {
        Op::Hold => MessageEvent::held(&intention.held()),
        Op::Release => MessageEvent::Released(by, trigger),
        // One event of a message says how it ended.
        Op::Remove => MessageEvent::Removed(by, trigger, message.outcome.filter(|_| !had_ended)),
        Op::Requeue => MessageEvent::Requeued(by, trigger),
        Op::Expire | Op::Flush | Op::Bounce | Op::Fail | Op::Lose | Op::Discard => return,
    };
    state.tell(event.line(message.id));
}

/// The line of history that says that it was done. A failure has one for each recipient already.
fn line(intention: &Intention, now: i64) -> Option<HistoryLine> {
    let kind = match intention.op {
        Op::Hold => Happened::Held,
        Op::Release => Happened::Released,
        Op::Remove => Happened::Removed,
        Op::Requeue => Happened::Requeued,
        Op::Expire => Happened::Expired,
        Op::Bounce => Happened::Bounced,
        Op::Flush => Happened::Flushed,
        Op::Lose => Happened::Corrupt,
        Op::Discard => Happened::Discarded,
        Op::Fail => return None,
    };
    let cause = intention.hold.map(HistoryCause::Hold);
    let (by, detail) = (intention.by.clone(), intention.detail.clone());
    Some(HistoryLine { cause, trigger: Some(intention.trigger), by, detail, ..HistoryLine::new(now, kind) })
}

/// Reopens the recipients of a requeued message that were not relayed.
fn reopen(state: &State, id: QueueId, now: i64) -> state::Result<()> {
    for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress != Progress::Relayed) {
        let (n, diagnosis) = (recipient.n, Diagnosis::default());
        let (status, reply, relay) = (recipient.status, recipient.reply, recipient.relay);
        state.update_recipient(id, &RecipientUpdate { n, progress: Progress::Deferred, diagnosis, status, reply, relay }, now)?;
    }
    Ok(())
}

/// Fails the open recipients, and makes the DSN due.
fn bounce(state: &State, id: QueueId, now: i64) -> state::Result<Vec<GivenUp>> {
    let given_up = lost::give_up(&mut state.recipients(id)?, Cause::Bounced);
    for GivenUp { update, .. } in &given_up {
        state.update_recipient(id, update, now)?;
        state.ask_dsn(id, update.n, Action::Failed)?;
    }
    state.make_dsn_due(id, now)?;
    Ok(given_up)
}

/// The file is nowhere. Of a message that an operator dropped nothing is missed.
fn vanished(state: &State, intention: Intention, message: Message, terms: Terms) -> state::Result<Concluded> {
    if intention.op != Op::Remove {
        lost::record(state, message.clone(), Loss::vanished(""), terms.now)?;
        let message = state.message(message.id)?.unwrap_or(message);
        return Ok(Concluded { intention, message, result: MoveResult::Lost });
    }
    let mut concluded = done(state, intention, message, terms)?;
    concluded.message.dir = QueueDir::NoFile;
    state.update(&concluded.message)?;
    state.record(concluded.message.id, &HistoryLine::new(terms.now, Happened::Vanished).with("found when it was removed"))?;
    concluded.result = MoveResult::DoneWithoutFile;
    Ok(concluded)
}

/// The message stays as it was.
fn take_back(state: &State, intention: Intention, mut message: Message, why: String, terms: Terms) -> state::Result<Concluded> {
    if message.dir == QueueDir::Cur && message.next_attempt.is_none() {
        message.next_attempt = Some(terms.now.saturating_add(AGAIN));
        state.update(&message)?;
    }
    let note = HistoryLine::new(terms.now, Happened::Note).with(format!("not {}: {why}", mail::words::of_op(intention.op)));
    state.record(message.id, &HistoryLine { trigger: Some(intention.trigger), by: intention.by.clone(), ..note })?;
    Ok(Concluded { intention, message, result: MoveResult::TakenBack(why) })
}

impl Concluded {
    /// Who wanted it.
    pub fn by(&self) -> Option<&Actor> {
        self.intention.by.as_ref()
    }

    /// True if the message is as it was wanted.
    pub fn is_done(&self) -> bool {
        matches!(self.result, MoveResult::Done | MoveResult::DoneWithoutFile)
    }
}

#[cfg(test)]
mod tests;
