//! What an earlier run left: moves that it had begun, final dots whose reply nobody saw, and what was to follow an attempt.
//!
//! In: the open database and spool, of which no other process has hold. Out: rows and files that agree with what was wanted, by whom it
//! was wanted. The daemon does it when it starts, and root before the first verb while the daemon is stopped.
//!
//! | found | then |
//! |---|---|
//! | an intention whose file moves | [`complete`]: carried out, or taken back where the disk refuses |
//! | a row "in data" | [`in_data`]: its open recipients are uncertain; tried again after ten minutes, or held |
//! | an intention that waits for an attempt | [`after_attempts`]: the attempt ended with the daemon: carried out now |

use config::OnUncertain;
use log::message::MessageEvent;
use mail::code::{Cause, Duplicate, Happened, HoldCause, Op, Progress, QueueDir, Subject, Trigger};
use mail::queue_id::QueueId;
use mail::{Diagnosis, HistoryCause, Hold, words};
use state::{Action, Agreement, Durability, HistoryLine, Intention, Message, Phase, RecipientRow, RecipientUpdate, State, Taken};
use store::Store;

use crate::lost::outcome_event;
use crate::moves::{self, Concluded, MoveError, Terms, follow_through};

/// The key that says: the database was found to be an older copy, and nobody was alarmed yet.
pub const OLDER_COPY: &str = "older_copy";
/// Messages of one transaction.
const GROUP: usize = 500;
/// Seconds after which a message whose fate is uncertain is tried again (SPOOL.md, "Guarantees", 9).
pub const UNCERTAIN: i64 = 600;

/// How to settle.
#[derive(Clone, Copy, Debug)]
pub struct Settling {
    /// Unix seconds.
    pub now: i64,
    /// What to do with messages that were in data.
    pub on_uncertain: OnUncertain,
    /// Messages that were in data are told of now. Otherwise their next attempt tells.
    pub tells: bool,
}

impl Settling {
    fn terms(self) -> Terms {
        Terms { now: self.now, is_left: true }
    }
}

/// All of it, in the order of the table.
///
/// Errors: those of the disk and the database; what was settled before stays so.
pub fn settle(state: &mut State, store: &Store, how: Settling) -> Result<Vec<Concluded>, MoveError> {
    take_results(state, how.now)?;
    let mut concluded = complete(state, store, how)?;
    let rows = were_in_data(state)?;
    concluded.extend(in_data(state, store, rows, how)?);
    concluded.extend(after_attempts(state, store, how)?);
    Ok(concluded)
}

/// What `outcomes.log` alone has is recorded, and told, as if its commit had not been lost. Of what was relayed, no DSN is due: whether
/// the next hop reports is not known any more. Beside an older copy, DSNs of what failed have been sent since; that the database is one
/// is remembered for the daemon, which raises the alarm. Before anything is written: a new line would hide that the log was ahead.
///
/// Errors: those of the disk and the database.
pub fn take_results(state: &mut State, now: i64) -> state::Result<()> {
    let agreement = state.agreement()?;
    if agreement == Agreement::Same {
        return Ok(());
    }
    state.transaction(Durability::Full, |state| {
        for Taken { message, address, update } in state.take_results(now)? {
            if update.progress == Progress::Failed && agreement == Agreement::Ahead {
                state.ask_dsn(message.id, update.n, Action::Failed)?;
            }
            state.tell(outcome_event(&message, &address, &update, now).line(message.id));
        }
        if agreement == Agreement::OlderCopy { state.set_flag(OLDER_COPY, true) } else { Ok(()) }
    })
}

/// Carries out every move that was begun.
///
/// Errors: as [`settle`].
pub fn complete(state: &mut State, store: &Store, how: Settling) -> Result<Vec<Concluded>, MoveError> {
    let mut concluded = Vec::new();
    follow_through(state, store, how.terms(), &mut concluded)?;
    Ok(concluded)
}

/// The messages whose final dot may have been sent, and whose outcome nobody recorded.
///
/// Errors: the database's.
pub fn were_in_data(state: &State) -> state::Result<Vec<Message>> {
    Ok(state.in_hand()?.into_iter().filter(|row| row.in_data).collect())
}

/// Makes the open recipients of these messages uncertain.
///
/// Errors: as [`settle`].
pub fn in_data(state: &mut State, store: &Store, rows: Vec<Message>, how: Settling) -> Result<Vec<Concluded>, MoveError> {
    let mut concluded = Vec::new();
    let ordered: std::collections::HashSet<QueueId> = waiting(state)?.iter().map(|order| order.id).collect();
    for group in rows.chunks(GROUP) {
        state.transaction(Durability::Full, |state| {
            group.iter().try_for_each(|row| {
                // What an operator wants of it counts more.
                let is_held = how.on_uncertain == OnUncertain::Hold && !ordered.contains(&row.id);
                make_uncertain(state, row.clone(), is_held, how)
            })
        })?;
        follow_through(state, store, Terms { is_left: false, ..how.terms() }, &mut concluded)?;
    }
    Ok(concluded)
}

fn make_uncertain(state: &State, mut row: Message, is_held: bool, how: Settling) -> state::Result<()> {
    let (id, now) = (row.id, how.now);
    mark_uncertain(state, id, now)?;
    (row.in_data, row.next_attempt) = (false, Some(now + UNCERTAIN));
    // A server had accepted it up to its content: that was an attempt. When, only that server knows.
    row.attempts = row.attempts.saturating_add(1);
    match how.tells {
        true => state.tell(MessageEvent::PossibleDuplicate(Duplicate::Stopped).line(id)),
        false => row.suspect = Some(Duplicate::Stopped),
    }
    state.update(&row)?;
    state.record(id, &HistoryLine::new(now, Happened::Uncertain).because(HistoryCause::Duplicate(Duplicate::Stopped)))?;
    if is_held {
        let hold = Hold::with(HoldCause::Uncertain, words::of_duplicate(Duplicate::Stopped));
        state.intend(&Intention::to_hold(id, QueueDir::Cur, &hold, now).on(Trigger::Start))?;
    }
    Ok(())
}

/// Nobody knows what became of the open recipients.
///
/// Errors: the database's.
pub fn mark_uncertain(state: &State, id: QueueId, now: i64) -> state::Result<()> {
    for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress.is_open()) {
        let RecipientRow { n, reply, relay, .. } = recipient;
        let (progress, diagnosis) = (Progress::Uncertain, Diagnosis::of(Cause::Stopped, Subject::Connection));
        state.update_recipient(id, &RecipientUpdate { n, progress, diagnosis, status: "4.4.2".to_owned(), reply, relay }, now)?;
    }
    Ok(())
}

fn waiting(state: &State) -> state::Result<Vec<Intention>> {
    state.intentions(Phase::AfterAttempt, usize::MAX >> 1)
}

/// Carries out what was to follow attempts that ended with the daemon.
///
/// Errors: as [`settle`].
pub fn after_attempts(state: &mut State, store: &Store, how: Settling) -> Result<Vec<Concluded>, MoveError> {
    let mut concluded = Vec::new();
    for group in waiting(state)?.chunks(GROUP) {
        state.transaction(Durability::Full, |state| group.iter().try_for_each(|order| begin(state, order, how)))?;
        follow_through(state, store, how.terms(), &mut concluded)?;
    }
    Ok(concluded)
}

fn begin(state: &State, order: &Intention, how: Settling) -> state::Result<()> {
    state.forget_intention(order.id)?;
    let Some(row) = state.message(order.id)?.filter(|row| row.dir == QueueDir::Cur) else { return Ok(()) };
    let is_left = |progress: Progress| progress.is_open() || (progress == Progress::Failed && order.op == Op::Remove);
    if !state.recipients(order.id)?.iter().any(|recipient| is_left(recipient.progress)) {
        // Only its conclusion was missing.
        return Ok(());
    }
    let wanted = Intention { phase: Phase::Moving, source: QueueDir::Cur, at: how.now, ..order.clone() };
    match order.op {
        Op::Expire => moves::done(state, wanted, row, how.terms()).map(drop),
        op => state.intend(&Intention { target: Intention::new(order.id, op, QueueDir::Cur, how.now).target, ..wanted }),
    }
}
