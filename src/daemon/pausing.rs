//! Whether an administrator has paused delivery: in the queue and in the database alike.

use std::sync::Arc;

use crate::dispatch::Dispatch;
use crate::state_writer::StateWriter;

/// Pauses and resumes delivery.
#[derive(Clone)]
pub(crate) struct Pausing {
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// Where messages that were not begun become due again.
    pub(crate) state_writer: StateWriter,
}

impl Pausing {
    /// Delivery is paused since then and by somebody, or goes on, as the database has it.
    pub(crate) fn set(&self, since: Option<String>) {
        let Some(since) = since else { return self.dispatch.resume() };
        let (waiting, now) = (self.dispatch.pause(since), sys::clock::now());
        // A stopped state writer ends the daemon by itself; the next start finds these messages due.
        let _ = self.state_writer.work(move |state, _| waiting.into_iter().try_for_each(|id| state.schedule(id, Some(now))));
    }
}
