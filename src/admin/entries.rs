//! Turns rows of state.sqlite into entries of a listing, for the daemon and for root while the daemon is stopped.

use control::listing::{Entry, Recipient};
use state::{Message, Progress, QueueDir, RecipientRow};

/// The entry of a message at `now`. `is_active`: a delivery attempt is in progress.
pub fn entry(message: &Message, recipients: &[RecipientRow], is_active: bool, now: i64) -> Entry {
    Entry {
        queue_name: queue_name(message, recipients, is_active).to_owned(),
        queue_id: message.id.to_string(),
        arrival_time: message.accepted,
        message_size: message.size,
        forced_expire: message.place == QueueDir::Cur && message.expires <= now,
        sender: message.reverse_path.clone(),
        recipients: recipients.iter().map(recipient).collect(),
        uid: message.uid,
        message_id: message.message_id.clone(),
        attempts: message.attempts,
        last_attempt: message.last_attempt,
        next_attempt: message.next_attempt,
        expires: Some(message.expires),
        reason: message.reason.clone(),
    }
}

/// Postfix's queue names. A message is incoming before its first attempt, and deferred after it.
fn queue_name(message: &Message, recipients: &[RecipientRow], is_active: bool) -> &'static str {
    let is_untouched = || recipients.iter().all(|recipient| recipient.at.is_none());
    match message.place {
        QueueDir::Hold => "hold",
        QueueDir::Failed => "failed",
        QueueDir::Ended if message.reason.starts_with("removed") => "removed",
        QueueDir::Ended => "finished",
        QueueDir::Cur if is_active => "active",
        QueueDir::Cur if is_untouched() => "incoming",
        QueueDir::Cur => "deferred",
    }
}

fn recipient(row: &RecipientRow) -> Recipient {
    let reason = |when: bool| if when { row.reply.clone() } else { String::new() };
    Recipient {
        address: row.address.clone(),
        orig_address: row.original.clone(),
        delay_reason: reason(row.progress.is_open()),
        bounce_reason: reason(row.progress == Progress::Failed),
        status: row.progress.word().to_owned(),
        dsn: row.status.clone(),
        relay: row.relay.clone(),
        remote_reply: row.reply.clone(),
    }
}
