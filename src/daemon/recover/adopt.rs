//! Files without a row get one, while the daemon delivers other mail already: claimed and never recorded, or all of them after a
//! lost database. A hundred thousand are read and hashed here, and nobody waits for it.
//!
//! | file | then |
//! |---|---|
//! | `cur/` | as after a claim; after a lost database held, where a recipient is open: it may have been delivered |
//! | `hold/`, `failed/` | a row that says so: who held it while the daemon was stopped; after a lost database that the reason is lost |
//! | any, known to `outcomes.log` | its recipients and why it was held as they were last known |
//! | no message | `corrupt/`, with the reason |
//!
//! A crash leaves files without a row again, and the note in the database that it is being rebuilt: the next start goes on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::terms::{Orphans, REBUILDING, Recovered, Recovery, tell_unclaimed};
use crate::plan::Plan;
use crate::state_writer::{Admission, Arrival, StateWriter, Stopped};
use log::events;
use mail::code::{Cause, HoldCause, MessageEnd, Subject};
use mail::queue_id::QueueId;
use mail::{Diagnosis, Hold};
use spool::layout;
use state::{Known, Order, Progress, QueueDir, Wanted};
use store::{Claim, ClaimedMessage, Store};

/// Files that get their rows together.
const BATCH: usize = 256;

/// Makes rows for `orphans` until `is_stopping`. Returns what it found and did.
///
/// Errors: [`Stopped`] where the state writer has stopped.
pub(crate) fn adopt(
    store: &Store,
    state_writer: &StateWriter,
    orphans: &[(QueueId, QueueDir)],
    how: Recovery,
    is_stopping: impl Fn() -> bool,
) -> Result<Recovered, Stopped> {
    let mut recovered = Recovered::default();
    let orders: HashMap<QueueId, Order> =
        state_writer.work(|state, _| state.orders())?.blocking_recv().map_err(|_| Stopped)?.into_iter().collect();
    let ids: HashSet<QueueId> = orphans.iter().map(|(id, _)| *id).collect();
    let known = state_writer.work(move |state, _| state.known(&ids))?.blocking_recv().map_err(|_| Stopped)?;
    for batch in orphans.chunks(BATCH) {
        if is_stopping() {
            return Ok(recovered);
        }
        let mut asked = Vec::with_capacity(batch.len());
        for (id, place) in batch {
            if let Some(arrival) = look(store, *id, *place, (orders.get(id), known.get(id)), how, &mut recovered) {
                asked.push((*id, *place, state_writer.adopt(arrival)?));
                if orders.contains_key(id) {
                    let id = *id;
                    state_writer.work(move |state, _| state.forget_order(id))?;
                }
            }
        }
        for (id, place, answer) in asked {
            tell(id, place, &answer.blocking_recv().map_err(|_| Stopped)?, &mut recovered);
        }
        // What went to corrupt/: if this fails, the files are found again.
        let _ = store.sync_moves();
    }
    if how.state_was_lost {
        let done = state_writer.work(|state, _| state.set_flag(REBUILDING, false))?;
        done.blocking_recv().map_err(|_| Stopped)?;
    }
    Ok(recovered)
}

/// Reads one file, and plans its row, with what was ordered for it and what the log of outcomes knows of it. What is no message is put
/// away.
fn look(
    store: &Store,
    id: QueueId,
    place: QueueDir,
    (order, known): (Option<&Order>, Option<&Known>),
    how: Recovery,
    recovered: &mut Recovered,
) -> Option<Arrival> {
    let of_file = |claimed: &ClaimedMessage| known.filter(|known| known.is_of(&claimed.digest));
    let Some(directory) = place.directory().filter(|_| place != QueueDir::Cur) else {
        return match store.check_claimed(id) {
            Claim::Message(claimed) => Some(arrival_of_cur(&claimed, of_file(&claimed), how)),
            other => {
                tell_unclaimed(id, other, recovered);
                None
            }
        };
    };
    match store.inspect(directory, id) {
        Ok(claimed) => Some(arrival_of_parked(&claimed, place, (order, of_file(&claimed)), how)),
        Err(e) => {
            recovered.corrupt += 1;
            events::corrupt(&format!("{directory}/{id}"), &e.to_string());
            None
        }
    }
}

fn arrival_of_cur(claimed: &ClaimedMessage, known: Option<&Known>, how: Recovery) -> Arrival {
    let plan = how.policy.plan(claimed, how.now);
    let mut arrival = arrival(claimed, &plan, QueueDir::Cur);
    if how.state_was_lost {
        mark(&mut arrival, Progress::Uncertain, Cause::StateLost, "4.4.2", how.now);
    }
    take_known(&mut arrival, known, how.now);
    if how.state_was_lost && arrival.recipients.iter().any(|row| row.progress.is_open()) {
        arrival.message.park(Hold::of(HoldCause::StateLost));
    } else if arrival.message.hold.is_none() {
        arrival.message.next_attempt = arrival.message.next_attempt.or(Some(how.now));
    }
    arrival
}

fn arrival_of_parked(
    claimed: &ClaimedMessage,
    place: QueueDir,
    (order, known): (Option<&Order>, Option<&Known>),
    how: Recovery,
) -> Arrival {
    let held_by = order.filter(|order| order.wanted == Wanted::Hold && place == QueueDir::Hold).map(|order| order.by.clone());
    let unknown = if how.state_was_lost { HoldCause::ReasonLost } else { HoldCause::Moved };
    let hold = held_by.map(Hold::by).or_else(|| known?.hold()).unwrap_or_else(|| Hold::of(unknown));
    let plan = Plan { hold: Some(hold), ..how.policy.plan(claimed, how.now) };
    let mut arrival = arrival(claimed, &plan, place);
    match place {
        QueueDir::Failed => {
            mark(&mut arrival, Progress::Failed, Cause::Unknown, "5.0.0", how.now);
            take_known(&mut arrival, known, how.now);
            let end = state::end_of(&arrival.recipients).or_else(|| known?.end()).unwrap_or(MessageEnd::Failed);
            arrival.message.end(QueueDir::Failed, end, how.now);
        }
        // Whoever held it last knew of every recipient.
        _ if known.is_some() => take_known(&mut arrival, known, how.now),
        _ if how.state_was_lost => mark(&mut arrival, Progress::Uncertain, Cause::StateLost, "4.4.2", how.now),
        // Nobody has tried it yet: it was parked before its claim was recorded.
        _ => {}
    }
    arrival
}

/// What the log of outcomes knows: who has it does not get it again.
fn take_known(arrival: &mut Arrival, known: Option<&Known>, now: i64) {
    let Some(known) = known else { return };
    let results = known.recipients(arrival.recipients.len());
    // Of what had no file any more the log has its end alone.
    let is_relayed = known.end() == Some(MessageEnd::Relayed);
    for row in &mut arrival.recipients {
        let (progress, cause, status) = match results.get(&row.n) {
            Some(known) => (known.progress, known.cause, known.status.clone()),
            None if is_relayed => (Progress::Relayed, None, "2.0.0".to_owned()),
            None => continue,
        };
        (row.progress, row.status, row.at) = (progress, status, Some(now));
        row.diagnosis = cause.map_or_else(Diagnosis::default, |cause| Diagnosis::of(cause, Subject::Recipient));
    }
}

fn arrival(claimed: &ClaimedMessage, plan: &Plan, found: QueueDir) -> Arrival {
    let (message, recipients, origin) = crate::rows::rows_of(claimed, plan);
    Arrival { message, recipients, origin, found }
}

fn mark(arrival: &mut Arrival, progress: Progress, cause: Cause, status: &str, now: i64) {
    for recipient in &mut arrival.recipients {
        (recipient.progress, recipient.at) = (progress, Some(now));
        (recipient.status, recipient.diagnosis) = (status.to_owned(), Diagnosis::of(cause, Subject::Host));
    }
}

fn tell(id: QueueId, place: QueueDir, admission: &Admission, recovered: &mut Recovered) {
    match admission {
        Admission::Admitted | Admission::Held(_) => {
            recovered.admitted += 1;
        }
        Admission::Known if place == QueueDir::Cur => {}
        Admission::Known => {
            let directory = place.directory().unwrap_or(layout::HOLD);
            events::reconciled(id, &format!("a second file in {directory}/ is left for a person"));
        }
        Admission::Restored => recovered.settled += 1,
        Admission::Resurrected => {
            recovered.settled += 1;
            events::reconciled(id, "it had ended before; its file was still there, and is where its row says");
        }
        Admission::Foreign => {
            recovered.settled += 1;
            events::corrupt(&id.to_string(), "its queue id belongs to another message");
        }
    }
}

/// [`adopt`] on a thread of its own; its count is logged.
///
/// Errors: the kernel's, where there can be no thread.
pub(crate) fn spawn(
    store: Arc<Store>,
    state_writer: StateWriter,
    orphans: Orphans,
    how: Recovery,
    is_stopping: impl Fn() -> bool + Send + 'static,
    wake: impl Fn() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("recovery".to_owned()).spawn(move || {
        // A stopped state writer ends the daemon by itself.
        if let Ok(recovered) = adopt(&store, &state_writer, &orphans, how, is_stopping) {
            recovered.tell();
            wake();
        }
    })
}
