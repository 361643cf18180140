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

use std::collections::HashSet;
use std::sync::Arc;

use super::terms::{Orphans, REBUILDING, Recovered, Recovery, tell_unclaimed};
use crate::state_writer::{Admission, Arrival, StateWriter, Stopped};
use admin::take::Taking;
use log::events;
use mail::queue_id::QueueId;
use spool::layout;
use state::{Known, QueueDir};
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
    let taking = Taking { now: how.now, policy: how.policy, state_was_lost: how.state_was_lost };
    let ids: HashSet<QueueId> = orphans.iter().map(|(id, _)| *id).collect();
    let known = state_writer.work(move |state, _| state.known(&ids))?.blocking_recv().map_err(|_| Stopped)?;
    for batch in orphans.chunks(BATCH) {
        if is_stopping() {
            return Ok(recovered);
        }
        let mut asked = Vec::with_capacity(batch.len());
        for (id, place) in batch {
            if let Some(arrival) = look(store, *id, *place, known.get(id), taking, &mut recovered) {
                asked.push((*id, *place, state_writer.adopt(arrival)?));
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

/// Reads one file, and plans its row, with what the log of outcomes knows of it. What is no message is put away.
fn look(store: &Store, id: QueueId, place: QueueDir, known: Option<&Known>, taking: Taking, recovered: &mut Recovered) -> Option<Arrival> {
    let of_file = |claimed: &ClaimedMessage| known.filter(|known| known.is_of(&claimed.digest));
    let Some(directory) = place.directory().filter(|_| place != QueueDir::Cur) else {
        return match store.check_claimed(id) {
            Claim::Message(claimed) => Some(taking.arrival(&claimed, place, of_file(&claimed))),
            other => {
                tell_unclaimed(id, other, recovered);
                None
            }
        };
    };
    match store.inspect(directory, id) {
        Ok(claimed) => Some(taking.arrival(&claimed, place, of_file(&claimed))),
        Err(e) => {
            recovered.corrupt += 1;
            events::corrupt(&format!("{directory}/{id}"), &e.to_string());
            None
        }
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
