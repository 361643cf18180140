//! What is put into the outbox about messages. The steps O1 to O4 stand in docs/SPOOL.md, "The outbox".

use log::message::MessageEvent;
use mail::queue_id::QueueId;
use state::State;

pub(crate) use admin::lost::outcome_event;

/// Tells these events of a message with the commit of the transaction under way.
pub(crate) fn tell(state: &State, id: QueueId, events: &[MessageEvent]) {
    events.iter().for_each(|event| state.tell(event.line(id)));
}
