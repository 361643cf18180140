//! What the daemon says of moves that came out otherwise than they were wanted.

use admin::moves::Concluded;
use log::events;
use mail::code::Trigger;
use mail::words;

pub(crate) use admin::lost::{failed, line, record};

/// Logs a move that was taken back. An operator who ordered it gets the answer.
pub(crate) fn tell_taken_back(moved: &Concluded, why: &str) {
    let id = moved.message.id;
    match moved.intention.trigger {
        Trigger::Operator => events::reconciled(id, &format!("not {}: {why}", words::of_op(moved.intention.op))),
        _ => events::storage_failed(&id.to_string(), why),
    }
}
