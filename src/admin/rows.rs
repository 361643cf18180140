//! The rows of a claimed message.

use mail::Diagnosis;
use mail::envelope::{Envelope, Notify};
use state::{Message, Origin, Progress, QueueDir, RecipientRow};
use store::ClaimedMessage;

use crate::plan::Plan;

/// The rows of a message that has just been claimed.
pub fn rows_of(claimed: &ClaimedMessage, plan: &Plan) -> (Message, Vec<RecipientRow>, Origin) {
    let envelope = &claimed.envelope;
    let accepted = mail::date::parse_rfc3339(&envelope.time).unwrap_or_default();
    let mut message = Message {
        id: envelope.id,
        uid: claimed.uid,
        digest: claimed.digest.clone(),
        size: envelope.size,
        accepted,
        expires: plan.expires,
        reverse_path: envelope.reverse_path.to_string(),
        message_id: claimed.message_id.clone(),
        dir: QueueDir::Cur,
        hold: None,
        by: None,
        detail: String::new(),
        attempts: 0,
        last_attempt: None,
        next_attempt: plan.next_attempt,
        in_data: false,
        outcome: None,
        ended_at: None,
        suspect: None,
    };
    if let Some(hold) = plan.hold.clone() {
        let next_attempt = message.next_attempt;
        message.park(hold);
        message.next_attempt = next_attempt;
    }
    let recipient = |(n, recipient): (usize, &mail::envelope::Recipient)| RecipientRow {
        n: u32::try_from(n).unwrap_or(u32::MAX),
        address: recipient.address.to_string(),
        original: recipient.original.clone().unwrap_or_default(),
        notify: recipient.notify.unwrap_or(Notify::UNSAID),
        progress: Progress::Deferred,
        diagnosis: Diagnosis::default(),
        status: String::new(),
        reply: String::new(),
        relay: String::new(),
        at: None,
    };
    (message, envelope.recipients.iter().enumerate().map(recipient).collect(), origin_of(envelope))
}

/// What the kernel says of a caller of the submission socket goes before what the caller says.
fn origin_of(envelope: &Envelope) -> Origin {
    let mut caller = envelope.caller.clone();
    if let Some(peer) = envelope.peer {
        (caller.gid, caller.pid) = (Some(peer.gid), Some(peer.pid));
    }
    Origin { attested: envelope.peer.is_some(), caller, warnings: envelope.warnings.clone() }
}
