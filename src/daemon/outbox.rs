//! Puts events of messages into the outbox. The steps O1 to O4 are in docs/SPOOL.md, "The outbox".

use log::message::MessageEvent;
use mail::queue_id::QueueId;
use state::State;

pub(crate) use admin::lost::outcome_event;

/// Adds these events of a message to the transaction in progress.
pub(crate) fn tell(state: &State, id: QueueId, events: &[MessageEvent]) {
    events.iter().for_each(|event| state.tell(event.line(id)));
}
