//! The events of a message that this host lost.

use admin::moves::Concluded;
use log::events;
use log::events::Outcome;
use mail::code::{MessageEnd, Trigger};
use mail::words;
use state::Message;

pub(crate) use admin::lost::{GivenUp, Lost, failed, line, record};

/// Logs what was recorded.
pub(crate) fn tell(lost: &Lost, now: i64) {
    let Lost { message, loss, given_up } = lost;
    tell_given_up(message, given_up, message.outcome, now);
    match given_up.is_empty() {
        // Nothing was lost but a copy.
        true => events::reconciled(message.id, "the file that was kept of it has vanished"),
        false => events::lost(message.id, loss.end(), &loss.detail, &message.reverse_path, given_up.len()),
    }
}

/// Logs a move that was taken back. Of what an operator ordered, the operator is told.
pub(crate) fn tell_taken_back(moved: &Concluded, why: &str) {
    let id = moved.message.id;
    match moved.intention.trigger {
        Trigger::Operator => events::reconciled(id, &format!("not {}: {why}", words::of_op(moved.intention.op))),
        _ => events::storage_failed(&id.to_string(), why),
    }
}

/// Logs the recipients of a message that were given up, and with the last one how the message ended.
pub(crate) fn tell_given_up(message: &Message, given_up: &[GivenUp], end: Option<MessageEnd>, now: i64) {
    for (at, GivenUp { address, update }) in given_up.iter().enumerate() {
        events::failed(Outcome {
            queue_id: message.id,
            from: &message.reverse_path,
            to: address,
            relay: &update.relay,
            delay: now.saturating_sub(message.accepted),
            dsn: &update.status,
            reply: &words::of_recipient(&update.diagnosis, &update.reply),
            diagnosis: update.diagnosis,
            end: end.filter(|_| at + 1 == given_up.len()),
        });
    }
}
