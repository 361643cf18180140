//! Deletes the files of failed and corrupt mail after `failed_lifetime`.
//!
//! In: rows of messages that failed that long ago, and files that have been in `corrupt/` that long. Out: fewer files. Outcome and
//! history stay, and say that the file was deleted. While a DSN is due, which may quote the message, its file is kept.
//!
//! In `failed/` that is an intention like any other move: a crash leaves it to the next start. In `corrupt/`, where most files have no
//! row, the row goes first: a crash leaves a file for the next look, and never a row whose file seems lost.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state_writer::{StateWriter, Stopped};
use crate::database::STATE_FILE;
use admin::moves::Concluded;
use log::events;
use mail::code::{Op, QueueDir, Trigger};
use mail::queue_id::QueueId;
use spool::layout;
use state::{Intention, Message, State};
use store::{Store, corrupt_id};

/// Messages of one turn of the state writer at most.
const TURN: usize = 200;
/// The pause after a turn: at least, and in turns.
const PAUSE: (Duration, u32) = (Duration::from_millis(20), 2);

/// Deletes what failed before `before`.
///
/// Errors: [`Stopped`].
pub(crate) async fn failed(store: &Arc<Store>, state_writer: &StateWriter, before: i64) -> Result<(), Stopped> {
    loop {
        let begun = Instant::now();
        // Looked for on a connection of its own: mostly there is nothing, and the state writer has other work.
        let path = store.path(STATE_FILE);
        let looked = tokio::task::spawn_blocking(move || State::open_to_read(&path)?.kept_before(QueueDir::Failed, before, 1)).await;
        // A database that cannot be read is the state writer's trouble.
        if !matches!(looked, Ok(Ok(found)) if !found.is_empty()) {
            return Ok(());
        }
        let turn =
            state_writer.operate(move |state, _| intend(state, before, sys::clock::now()).map(Some), |ids, _, moved| done(&ids, moved))?;
        let discarded = turn.await.map_err(|_| Stopped)?;
        discarded.iter().for_each(|id| events::discarded(&id.to_string(), &format!("{}/{id}", layout::FAILED)));
        // The state writer has said what the disk refuses; the next look tries again.
        if discarded.is_empty() {
            return Ok(());
        }
        tokio::time::sleep((begun.elapsed() * PAUSE.1).max(PAUSE.0)).await;
    }
}

fn discard(state: &State, dir: QueueDir, before: i64, now: i64) -> state::Result<Vec<QueueId>> {
    let messages = state.kept_before(dir, before, TURN)?;
    messages.iter().try_for_each(|message| state.discard(message, now))?;
    Ok(messages.into_iter().map(|message| message.id).collect())
}

/// The files of what failed before `before` are to be deleted.
fn intend(state: &State, before: i64, now: i64) -> state::Result<Vec<QueueId>> {
    let messages = state.kept_before(QueueDir::Failed, before, TURN)?;
    let intention = |message: &Message| Intention::new(message.id, Op::Discard, QueueDir::Failed, now).on(Trigger::Lifetime);
    messages.iter().try_for_each(|message| state.intend(&intention(message)))?;
    Ok(messages.into_iter().map(|message| message.id).collect())
}

/// Those of `ids` whose file was deleted.
fn done(ids: &[QueueId], concluded: &[Concluded]) -> Vec<QueueId> {
    concluded.iter().filter(|moved| moved.is_done()).map(|moved| moved.message.id).filter(|id| ids.contains(id)).collect()
}

/// Deletes what was moved to `corrupt/` before `before`, with or without a row. A crash between a row and its file leaves the file for
/// the next look.
///
/// Errors: [`Stopped`].
pub(crate) async fn corrupt(store: &Arc<Store>, state_writer: &StateWriter, before: i64) -> Result<(), Stopped> {
    loop {
        let turn = state_writer.work(move |state, _| discard(state, QueueDir::Corrupt, before, sys::clock::now()))?;
        if turn.await.map_err(|_| Stopped)?.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE.0).await;
    }
    let store = Arc::clone(store);
    // The message of a panic is on standard error.
    let _ = tokio::task::spawn_blocking(move || empty_corrupt(&store, before)).await;
    Ok(())
}

fn empty_corrupt(store: &Store, before: i64) {
    let state = State::open_to_read(&store.path(STATE_FILE)).ok();
    // Whatever cannot be known now is kept until the next look.
    let is_kept = |id: QueueId| state.as_ref().is_none_or(|state| state.is_dsn_due(id).unwrap_or(true));
    match store.empty_corrupt(before, is_kept) {
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
    use crate::testing::{Idle, idle};
    use mail::code::MessageEnd;
    use testing::Scratch;

    /// A message that ended in `dir` just now.
    async fn ended(idle: &Idle, scratch: &Scratch, dir: QueueDir, end: MessageEnd) -> QueueId {
        let claimed = scratch.claimed(&["bob@receiver.example"]);
        let (id, now) = (claimed.envelope.id, sys::clock::now());
        let plan = crate::plan::Policy::of(&idle.parts.current.get().params).plan(&claimed, now);
        idle.base.state_writer.admit(&claimed, &plan).unwrap().await.unwrap();
        let conclude = move |state: &State, store: &Store| {
            let mut row = state.message(id)?.unwrap();
            store.carry(id, layout::CUR, dir.directory(), &row.digest, "").unwrap();
            row.end(dir, end, now);
            state.update(&row)
        };
        idle.base.state_writer.work(conclude).unwrap().await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_failed_file_goes_after_its_time_and_its_outcome_and_history_stay() {
        let scratch = Scratch::new();
        let idle = idle(&scratch, "");
        let (base, now) = (&idle.base, sys::clock::now());
        let id = ended(&idle, &scratch, QueueDir::Failed, MessageEnd::Failed).await;
        failed(&base.store, &base.state_writer, now - 50).await.unwrap();
        assert_eq!(scratch.names(layout::FAILED), [id.to_string()]);
        failed(&base.store, &base.state_writer, now + 50).await.unwrap();
        assert!(scratch.names(layout::FAILED).is_empty());
        let state = State::open_to_read(&scratch.path().join(STATE_FILE)).unwrap();
        let row = state.message(id).unwrap().unwrap();
        assert_eq!((row.dir, row.outcome), (QueueDir::NoFile, Some(MessageEnd::Failed)));
        assert!(state.was_discarded(id).unwrap());
        assert_eq!((state.counts().unwrap(), state.usage(row.uid).unwrap()), ([0, 0, 0], state::Usage::default()));
    }

    #[tokio::test]
    async fn a_corrupt_file_goes_after_its_time_with_its_reason_and_its_row_stays() {
        let scratch = Scratch::new();
        let idle = idle(&scratch, "");
        let base = &idle.base;
        let id = ended(&idle, &scratch, QueueDir::Corrupt, MessageEnd::Corrupt).await;
        for name in ["6921CE05000000AB", "6921CE05000000AB.why", "6921CE05000000AB.0123abcd", "x0000000000000001"] {
            std::fs::write(scratch.path().join(layout::CORRUPT).join(name), "x").unwrap();
        }
        let now = sys::clock::now();
        corrupt(&base.store, &base.state_writer, now - 60).await.unwrap();
        assert_eq!(scratch.names(layout::CORRUPT).len(), 6);
        corrupt(&base.store, &base.state_writer, now + 60).await.unwrap();
        assert!(scratch.names(layout::CORRUPT).is_empty());
        let state = State::open_to_read(&scratch.path().join(STATE_FILE)).unwrap();
        let row = state.message(id).unwrap().unwrap();
        assert_eq!((row.dir, row.outcome), (QueueDir::NoFile, Some(MessageEnd::Corrupt)));
        assert_eq!(state.usage(row.uid).unwrap(), state::Usage::default());
    }
}
