//! Which outcomes need a DSN, decided in the transaction that commits them. Once that transaction stands, no crash can lose
//! the DSN.

use crate::outcome::{Conclusion, DeliveryAttempt};
use dsn::original;
use mail::queue_id::QueueId;
use spool::layout;
use state::{Action, Message, Progress, RecipientRow, RecipientUpdate, State};
use store::Store;

/// Notes what one recipient's news mean for its sender. `hop_reports` is true where the next hop reports itself on what it took
/// (RFC 3461 5.2.1), false where it does not, or took nothing.
pub(crate) fn note(state: &State, id: QueueId, update: &RecipientUpdate, hop_reports: bool) -> state::Result<()> {
    match update.progress {
        Progress::Failed => state.ask_dsn(id, update.n, Action::Failed),
        // RFC 3461 5.2.2: without DSN at the next hop, "relayed" is the last that can be said.
        Progress::Relayed if !hop_reports => state.ask_dsn(id, update.n, Action::Relayed),
        _ => Ok(()),
    }
}

/// The attempt has ended with `conclusion`: what it brought is due. Returns false if there is nothing to tell.
pub(crate) fn conclude(
    state: &State,
    store: &Store,
    message: &Message,
    recipients: &[RecipientRow],
    conclusion: &Conclusion,
    attempt: &DeliveryAttempt,
) -> state::Result<bool> {
    if matches!(conclusion, Conclusion::Retry { .. }) && is_late(message, attempt) && state.begin_warning(message.id)? {
        for recipient in recipients.iter().filter(|r| r.progress.is_open()) {
            state.ask_dsn(message.id, recipient.n, Action::Delayed)?;
        }
    }
    let is_due = state.make_dsn_due(message.id, attempt.now)?;
    if is_due && *conclusion == Conclusion::Relayed {
        // The file goes with this conclusion. A head that cannot be read any more leaves a DSN that quotes nothing.
        let head = store.open_message(layout::CUR, message.id).ok().and_then(|file| original::read_head(&file).ok());
        head.map_or(Ok(()), |head| state.keep_head(message.id, &head))?;
    }
    Ok(is_due)
}

fn is_late(message: &Message, attempt: &DeliveryAttempt) -> bool {
    attempt.delay_warning > 0 && attempt.now >= message.accepted.saturating_add(attempt.delay_warning)
}
