//! The order to stop the daemon, and its reason.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use exit::Failure;
use tokio::sync::Notify;

/// The order to stop, shared by all tasks.
#[derive(Default)]
pub(crate) struct Stop {
    is_set: AtomicBool,
    failure: Mutex<Option<Failure>>,
    told: Notify,
}

impl Stop {
    /// Ends the daemon. `failure` says why, unless somebody asked for it; the first one counts.
    pub(crate) fn now(&self, failure: Option<Failure>) {
        if let Some(failure) = failure {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
        self.is_set.store(true, Ordering::SeqCst);
        self.told.notify_one();
    }

    /// True once the daemon is ending.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Waits for [`Stop::now`].
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    /// Why, unless somebody asked for it.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
