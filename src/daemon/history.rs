//! Deletes history that is older than `history_time`, or more than `history_size`, and files that were kept for `failed_lifetime`
//! ([`discard`]): in the background, a little at a time.
//!
//! Each turn is a transaction of a few milliseconds among those of the state writer, and the pauses between them are longer than the
//! turns, so that no delivery waits noticeably. What a power cut takes of a turn is deleted again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state_writer::{StateWriter, Stopped};
use crate::current::Current;
use crate::discard;
use state::State;
use store::Store;

/// Before the first look: at the start there is mail to deliver.
const FIRST: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);
/// Looks between two at `corrupt/`, where anybody can have a hundred thousand files put.
const CORRUPT: u32 = 60;
/// Messages of one turn at most.
const TURN: usize = 200;
/// After this time a turn ends: where the history is long, each message costs reads of the disk.
const SLICE: Duration = Duration::from_millis(10);
/// The pause after a turn: at least, and in turns.
const PAUSE: (Duration, u32) = (Duration::from_millis(20), 2);
/// Seconds after its end for which a message is remembered however long the history is: its file may come back after a power cut,
/// and must not be sent again.
const REMEMBERED: i64 = 3600;

/// Seconds for which `trash/` keeps a file.
const TRASH: i64 = 86_400;

/// The bounds of the history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Seconds after its end for which a message is remembered.
    pub(crate) time: i64,
    /// Bytes of the database, with what is queued.
    pub(crate) size: u64,
}

impl Bounds {
    /// Deletes what is over the bounds at `now`, `limit` messages at most and no more once `may_go_on` says no. Returns how many.
    pub(crate) fn enforce(self, state: &State, now: i64, limit: usize, may_go_on: impl FnMut() -> bool) -> state::Result<usize> {
        state.empty_trash(now.saturating_sub(TRASH))?;
        let kept = if state.bytes()? > self.size { self.time.min(REMEMBERED) } else { self.time };
        state.forget(now.saturating_sub(kept), limit, may_go_on)
    }
}

/// Runs until it is aborted.
pub(crate) async fn run(current: Arc<Current>, state_writer: StateWriter, store: Arc<Store>) {
    tokio::time::sleep(FIRST).await;
    for look in (0..CORRUPT).cycle() {
        if let Some(lifetime) = current.get().params.failed_lifetime() {
            let before = sys::clock::now().saturating_sub(i64::try_from(lifetime.0.as_secs()).unwrap_or(i64::MAX));
            if discard::failed(&store, &state_writer, before).await.is_err()
                || (look == 0 && discard::corrupt(&store, &state_writer, before).await.is_err())
            {
                return;
            }
        }
        // The state writer's own thread has said why it stopped and ends the daemon.
        if let Err(Stopped) = sweep(&current, &state_writer).await {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Turns and pauses until nothing is over the bounds.
async fn sweep(current: &Current, state_writer: &StateWriter) -> Result<(), Stopped> {
    loop {
        let params = &current.get().params;
        let bounds = Bounds { time: i64::try_from(params.history_time.0.as_secs()).unwrap_or(i64::MAX), size: params.history_size.0 };
        let begun = Instant::now();
        let turn = state_writer.work_unsynced(move |state, _| {
            let end = Instant::now() + SLICE;
            bounds.enforce(state, sys::clock::now(), TURN, || Instant::now() < end)
        })?;
        if turn.await.map_err(|_| Stopped)? == 0 {
            return Ok(());
        }
        tokio::time::sleep((begun.elapsed() * PAUSE.1).max(PAUSE.0)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::rows::rows_of;
    use mail::queue_id::QueueId;
    use state::{Message, QueueDir};
    use testing::{claimed, envelope};

    const NOW: i64 = 1_795_358_700;

    /// A database with messages that ended so many seconds ago, and one that waits.
    fn state(ended: &[i64]) -> (tempfile::TempDir, State) {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for (n, ago) in (0u32..).zip(ended.iter().map(|ago| Some(*ago)).chain([None])) {
            let plan = Plan { expires: NOW, next_attempt: Some(NOW), hold: None };
            let (message, recipients, origin) = rows_of(&claimed(envelope(&["a@b.example"])), &plan);
            let message = Message { id: QueueId::new(1, n), ..message };
            state.insert(&message, &recipients, &origin).unwrap();
            let ended_at = ago.map(|ago| NOW - ago);
            let dir = if ended_at.is_some() { QueueDir::NoFile } else { QueueDir::Cur };
            state.update(&Message { dir, ended_at, ..message }).unwrap();
        }
        (scratch, state)
    }

    #[test]
    fn history_ends_with_its_time_and_what_waits_is_no_history() {
        let (_scratch, state) = state(&[100, 5000, 90_000]);
        let bounds = Bounds { time: 86_400, size: u64::MAX };
        assert_eq!(bounds.enforce(&state, NOW, 9, || true).unwrap(), 1);
        assert_eq!(bounds.enforce(&state, NOW, 9, || true).unwrap(), 0);
        assert!(state.message(QueueId::new(1, 2)).unwrap().is_none() && state.message(QueueId::new(1, 3)).unwrap().is_some());
    }

    #[test]
    fn history_over_its_size_ends_earlier_but_not_within_the_hour() {
        let (_scratch, state) = state(&[100, 5000, 80_000]);
        let bounds = Bounds { time: 86_400, size: 0 };
        assert_eq!(bounds.enforce(&state, NOW, 1, || true).unwrap(), 1);
        assert!(state.message(QueueId::new(1, 2)).unwrap().is_none(), "the oldest goes first");
        assert_eq!(bounds.enforce(&state, NOW, 9, || true).unwrap(), 1);
        assert_eq!(bounds.enforce(&state, NOW, 9, || true).unwrap(), 0);
        assert!(state.message(QueueId::new(1, 0)).unwrap().is_some());
        let short = Bounds { time: 60, size: 0 };
        assert_eq!(short.enforce(&state, NOW, 9, || true).unwrap(), 1, "a shorter time is the administrator's word");
    }
}
