//! Deletes history that is older than `history_time`, or more than `history_size`: in the background, a little at a time.
//!
//! Each turn is a transaction of a few milliseconds among those of the ledger, and the pauses between them are longer than the
//! turns, so that no delivery waits noticeably. What a power cut takes of a turn is deleted again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::ledger::Stopped;
use crate::spool::state::State;
use crate::sys;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);
/// Messages of one turn at most.
const TURN: usize = 200;
/// After this time a turn ends: where the history is long, each message costs reads of the disk.
const SLICE: Duration = Duration::from_millis(10);
/// The pause after a turn: at least, and in turns.
const PAUSE: (Duration, u32) = (Duration::from_millis(20), 2);
/// Seconds after its end for which a message is remembered however long the history is: its file may come back after a power cut,
/// and must not be sent again.
const REMEMBERED: i64 = 3600;

/// The bounds of the history.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Seconds after its end for which a message is remembered.
    pub time: i64,
    /// Octets of the database, with what is queued.
    pub size: u64,
}

impl Bounds {
    /// Deletes what is over the bounds at `now`, `limit` messages at most and no more once `may_go_on` says no. Returns how many.
    pub fn enforce(self, state: &State, now: i64, limit: usize, may_go_on: impl FnMut() -> bool) -> rusqlite::Result<usize> {
        let kept = if state.octets()? > self.size { self.time.min(REMEMBERED) } else { self.time };
        state.forget(now.saturating_sub(kept), limit, may_go_on)
    }
}

/// Runs until it is aborted.
pub async fn run(daemon: Arc<Daemon>) {
    loop {
        tokio::time::sleep(LOOK).await;
        // The ledger's own thread has said why it stopped and ends the daemon.
        if let Err(Stopped) = sweep(&daemon).await {
            return;
        }
    }
}

/// Turns and pauses until nothing is over the bounds.
async fn sweep(daemon: &Daemon) -> Result<(), Stopped> {
    loop {
        let params = &daemon.setup().params;
        let bounds = Bounds { time: i64::try_from(params.history_time.0.as_secs()).unwrap_or(i64::MAX), size: params.history_size.0 };
        let begun = Instant::now();
        let turn = daemon.ledger.work_unsynced(move |state, _| {
            let end = Instant::now() + SLICE;
            bounds.enforce(state, sys::clock::now(), TURN, || Instant::now() < end)
        })?;
        if turn.await.map_err(|_| Stopped)? == 0 {
            return Ok(());
        }
        tokio::time::sleep((begun.elapsed() * PAUSE.1).max(PAUSE.0)).await;
    }
}
