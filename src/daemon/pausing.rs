//! Pausing and resuming delivery, in the queue and in the database.

use std::sync::Arc;

use mail::queue_id::QueueId;
use state::{Message, State};

use crate::dispatch::Dispatch;
use crate::orders::Orders;
use crate::record::Recorder;
use crate::state_writer::{StateWriter, Stopped};

/// Pauses and resumes delivery.
#[derive(Clone)]
pub(crate) struct Pausing {
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// Where messages that were not begun become due again.
    pub(crate) state_writer: StateWriter,
    /// Carries out what was to follow an attempt that is not made now.
    pub(crate) recorder: Recorder,
}

impl Pausing {
    /// Delivery is paused since then and by somebody, or goes on, as the database has it.
    ///
    /// Errors: [`Stopped`]; the next start finds the messages due, and what was ordered.
    pub(crate) async fn set(&self, since: Option<String>) -> Result<(), Stopped> {
        let Some(since) = since else {
            self.dispatch.resume();
            return Ok(());
        };
        let (waiting, now) = (self.dispatch.pause(since), sys::clock::now());
        let orders = Arc::clone(self.state_writer.orders());
        let ordered = self.state_writer.work(move |state, _| put_back(state, &orders, &waiting, now))?.await.map_err(|_| Stopped)?;
        for message in ordered {
            self.recorder.not_begun(&message, now).await?;
        }
        Ok(())
    }
}

/// Messages that leave memory are due again. Those for which there is an order stay in the daemon's hands, and are returned: their
/// attempt is not to be, so the order is carried out now. On the state writer's thread, where orders are given.
fn put_back(state: &State, orders: &Orders, waiting: &[QueueId], now: i64) -> state::Result<Vec<Message>> {
    let mut ordered = Vec::new();
    for id in waiting {
        if orders.has(*id) {
            ordered.extend(state.message(*id)?);
        } else {
            state.schedule(*id, Some(now))?;
        }
    }
    Ok(ordered)
}
