//! Turns rows of state.sqlite into entries of a listing, for the daemon and for root while the daemon is stopped.

use control::listing::{Entry, HoldView, Recipient};
use control::state::QueueState;
use mail::code::MessageEnd;
use mail::words;
use state::{Message, Progress, QueueDir, RecipientRow};

/// The entry of a message at `now`. `is_active`: a delivery attempt is in progress.
pub fn entry(message: &Message, recipients: &[RecipientRow], is_active: bool, now: i64) -> Entry {
    Entry {
        queue_name: queue_name(message, recipients, is_active),
        queue_id: message.id.to_string(),
        arrival_time: message.accepted,
        message_size: message.size,
        forced_expire: message.dir == QueueDir::Cur && message.expires <= now,
        sender: message.reverse_path.clone(),
        recipients: recipients.iter().map(recipient).collect(),
        uid: message.uid,
        message_id: message.message_id.clone(),
        attempts: message.attempts,
        last_attempt: message.last_attempt,
        next_attempt: message.next_attempt,
        expires: Some(message.expires),
        end: message.outcome,
        hold: message.hold.map(|cause| HoldView { cause, by: message.by.clone(), detail: message.detail.clone() }),
        reason: reason(message),
    }
}

/// What there is to say of the whole message.
fn reason(message: &Message) -> String {
    match (message.held(), message.dir, message.outcome) {
        (Some(hold), ..) => words::of_hold(&hold),
        (None, _, Some(end)) if end.is_lost() => match message.detail.is_empty() {
            true => words::of_end(end).to_owned(),
            false => format!("{} ({})", words::of_end(end), message.detail),
        },
        (None, QueueDir::Trash | QueueDir::NoFile, _) => {
            message.by.as_ref().map(|by| format!("removed {}", words::of_actor(by))).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Postfix's queue names. A message is incoming before its first attempt, and deferred after it.
fn queue_name(message: &Message, recipients: &[RecipientRow], is_active: bool) -> QueueState {
    let is_untouched = || recipients.iter().all(|recipient| recipient.at.is_none());
    match (message.dir, message.outcome) {
        (QueueDir::Hold, _) => QueueState::Hold,
        (QueueDir::Failed, _) => QueueState::Failed,
        (QueueDir::Trash, _) => QueueState::Removed,
        (QueueDir::Corrupt, _) => QueueState::Corrupt,
        (QueueDir::NoFile, Some(MessageEnd::Relayed)) => QueueState::Finished,
        (QueueDir::NoFile, Some(end)) if end.is_lost() => QueueState::Lost,
        // Its file was deleted after failed_lifetime; nothing of it can be requeued.
        (QueueDir::NoFile, Some(end)) if end.is_failure() && message.by.is_none() => QueueState::Finished,
        (QueueDir::NoFile, _) => QueueState::Removed,
        (QueueDir::Cur, _) if is_active => QueueState::Active,
        (QueueDir::Cur, _) if is_untouched() => QueueState::Incoming,
        (QueueDir::Cur, _) => QueueState::Deferred,
    }
}

fn recipient(row: &RecipientRow) -> Recipient {
    let said = words::of_recipient(&row.diagnosis, &row.reply);
    let reason = |when: bool| if when { said.clone() } else { String::new() };
    Recipient {
        address: row.address.clone(),
        orig_address: row.original.clone(),
        delay_reason: reason(row.progress.is_open()),
        bounce_reason: reason(row.progress == Progress::Failed),
        status: row.progress,
        why: row.diagnosis.into(),
        dsn: row.status.clone(),
        relay: row.relay.clone(),
        remote_reply: row.reply.clone(),
    }
}
