//! Puts events of messages into the outbox. The steps O1 to O4 are in docs/SPOOL.md, "The outbox".

use log::message::MessageEvent;
use mail::queue_id::QueueId;
use mail::words;
use state::{Message, RecipientUpdate, State};

/// Adds these events of a message to the transaction in progress.
pub(crate) fn tell(state: &State, id: QueueId, events: &[MessageEvent]) {
    events.iter().for_each(|event| state.tell(event.line(id)));
}

/// The event of a recipient's outcome at `now`.
pub(crate) fn outcome_event(message: &Message, to: &str, update: &RecipientUpdate, now: i64) -> MessageEvent {
    MessageEvent::Outcome(log::message::Outcome {
        progress: update.progress,
        from: message.reverse_path.clone(),
        to: to.to_owned(),
        relay: update.relay.clone(),
        delay: now.saturating_sub(message.accepted),
        dsn: update.status.clone(),
        reply: words::of_recipient(&update.diagnosis, &update.reply),
        diagnosis: update.diagnosis,
        end: None,
    })
}
