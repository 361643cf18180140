//! The health of the daemon, for the status, the metrics and the watchdog.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// Seconds without an attempt of the scheduler after which the daemon no longer counts as healthy.
pub(crate) const STALLED: i64 = 180;

/// When what last worked.
pub(crate) struct Health {
    started: Instant,
    last_relayed: AtomicI64,
    progress: AtomicI64,
}

impl Default for Health {
    fn default() -> Health {
        Health { started: Instant::now(), last_relayed: AtomicI64::new(0), progress: AtomicI64::new(0) }
    }
}

impl Health {
    /// Seconds since the start, by a clock that nobody sets.
    pub(crate) fn uptime(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX)
    }

    /// Remembers when delivery last succeeded, unix seconds.
    pub(crate) fn note_relayed(&self, now: i64) {
        self.last_relayed.store(now, Ordering::Relaxed);
    }

    /// When delivery last succeeded since the start, unix seconds.
    pub(crate) fn last_relayed(&self) -> Option<i64> {
        Some(self.last_relayed.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// The scheduler went attempt, the state writer answered.
    pub(crate) fn made_progress(&self) {
        self.progress.store(self.uptime(), Ordering::Relaxed);
    }

    /// Seconds since the scheduler last went attempt.
    pub(crate) fn stalled_for(&self) -> i64 {
        self.uptime().saturating_sub(self.progress.load(Ordering::Relaxed))
    }
}
