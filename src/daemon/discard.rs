//! Deletes the files of failed and corrupt mail once they were kept for `failed_lifetime`.
//!
//! In: rows of messages that failed so long ago, and what lies in `corrupt/` as long. Out: fewer files. Outcome and history stay, and
//! say that the file was deleted. Never while a DSN is due, which may quote the message.
//!
//! The row is committed before the file is unlinked. A crash between the two leaves a file that the next start recognises and removes,
//! and never a row whose file seems lost.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state_writer::{StateWriter, Stopped};
use crate::database::STATE_FILE;
use log::events;
use mail::queue_id::QueueId;
use spool::layout;
use state::State;
use store::{Store, corrupt_id};

/// Messages of one turn of the state writer at most.
const TURN: usize = 200;
/// The pause after a turn: at least, and in turns.
const PAUSE: (Duration, u32) = (Duration::from_millis(20), 2);
/// What the history says.
const WHY: &str = "its file was kept for failed_lifetime, and is deleted";

/// Deletes what failed before `before`.
///
/// Errors: [`Stopped`].
pub(crate) async fn failed(store: &Arc<Store>, state_writer: &StateWriter, before: i64) -> Result<(), Stopped> {
    loop {
        let begun = Instant::now();
        // Looked for on a connection of its own: mostly there is nothing, and the state writer has other work.
        let path = store.path(STATE_FILE);
        let looked = tokio::task::spawn_blocking(move || State::open_to_read(&path)?.failed_before(before, 1)).await;
        // A database that cannot be read is the state writer's trouble.
        if !matches!(looked, Ok(Ok(found)) if !found.is_empty()) {
            return Ok(());
        }
        let turn = state_writer.work(move |state, _| discard(state, before, sys::clock::now()))?;
        let ids = turn.await.map_err(|_| Stopped)?;
        let removing = Arc::clone(store);
        // A panic is told by the panic itself.
        let _ = tokio::task::spawn_blocking(move || ids.into_iter().for_each(|id| remove(&removing, id))).await;
        tokio::time::sleep((begun.elapsed() * PAUSE.1).max(PAUSE.0)).await;
    }
}

fn discard(state: &State, before: i64, now: i64) -> rusqlite::Result<Vec<QueueId>> {
    let messages = state.failed_before(before, TURN)?;
    messages.iter().try_for_each(|message| state.discard(message, WHY, now))?;
    Ok(messages.into_iter().map(|message| message.id).collect())
}

fn remove(store: &Store, id: QueueId) {
    match store.remove(id, layout::FAILED) {
        Ok(()) => events::discarded(&id.to_string(), &format!("{}/{id}", layout::FAILED)),
        Err(e) => events::storage_failed(&format!("{}/{id}", layout::FAILED), &e.to_string()),
    }
}

/// Deletes what was moved to `corrupt/` before `before`.
pub(crate) async fn corrupt(store: &Arc<Store>, before: i64) {
    let store = Arc::clone(store);
    let work = move || {
        let state = State::open_to_read(&store.path(STATE_FILE)).ok();
        // Whatever cannot be known now is kept until the next look.
        let is_kept = |id: QueueId| state.as_ref().is_none_or(|state| state.is_dsn_due(id).unwrap_or(true));
        store.empty_corrupt(before, is_kept)
    };
    // A panic is told by the panic itself.
    let Ok(emptied) = tokio::task::spawn_blocking(work).await else { return };
    match emptied {
        Ok(names) => names.iter().for_each(|name| {
            let id = corrupt_id(OsStr::new(name)).map_or_else(String::new, |id| id.to_string());
            events::discarded(&id, &format!("{}/{name}", layout::CORRUPT));
        }),
        Err(e) => events::storage_failed("corrupt/", &e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::idle;
    use state::{Message, QueueDir};
    use testing::Scratch;

    #[tokio::test]
    async fn a_failed_file_goes_after_its_time_and_its_history_stays() {
        let scratch = Scratch::new();
        let idle = idle(&scratch, "");
        let (base, now) = (&idle.base, sys::clock::now());
        let mut ids = Vec::new();
        for finished in [now - 100, now - 10] {
            let claimed = scratch.claimed(&["bob@receiver.example"]);
            let id = claimed.envelope.id;
            let plan = crate::plan::Policy::of(&idle.parts.current.get().params).plan(&claimed, now);
            base.state_writer.admit(&claimed, &plan).unwrap().await.unwrap();
            let fail = move |state: &State, store: &Store| {
                let row = state.message(id)?.unwrap();
                store.shift(id, layout::CUR, layout::FAILED).unwrap();
                state.update(&Message { place: QueueDir::Failed, finished: Some(finished), ..row })
            };
            base.state_writer.work(fail).unwrap().await.unwrap();
            ids.push(id);
        }
        failed(&base.store, &base.state_writer, now - 50).await.unwrap();
        assert_eq!(scratch.names(layout::FAILED), [ids[1].to_string()]);
        let state = State::open_to_read(&scratch.path().join(STATE_FILE)).unwrap();
        assert_eq!(state.message(ids[0]).unwrap().unwrap().place, QueueDir::Ended);
        assert!(state.events(ids[0]).unwrap().iter().any(|line| line.kind == "discarded"));
        assert_eq!(state.counts().unwrap(), [0, 0, 1]);
    }

    #[tokio::test]
    async fn a_corrupt_file_goes_after_its_time_with_its_reason() {
        let scratch = Scratch::new();
        let idle = idle(&scratch, "");
        for name in ["6921CE05000000AB", "6921CE05000000AB.why", "6921CE05000000AB.0123abcd", "x0000000000000001"] {
            std::fs::write(scratch.path().join(layout::CORRUPT).join(name), "x").unwrap();
        }
        let now = sys::clock::now();
        corrupt(&idle.base.store, now - 60).await;
        assert_eq!(scratch.names(layout::CORRUPT).len(), 4);
        corrupt(&idle.base.store, now + 60).await;
        assert!(scratch.names(layout::CORRUPT).is_empty());
    }
}
