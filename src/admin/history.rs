//! Reads the history of messages for `trace`, `why` and `show`. It is in the database, so it outlives the messages.
//!
//! In: the open database and a queue id, address or Message-ID. Out: values for the control protocol. All texts in them are
//! untrusted; the program that prints them makes them printable.

use crate::entries;
use config::names::is_loopback;
use control::history;
use control::protocol::{Detail, Happening};
use mail::queue_id::QueueId;
use state::{Attempt, Message, State};

/// Rows per page.
const PAGE: usize = 100;
/// Maximum rows read for one request, so that a user with no mail cannot make the daemon read the whole table.
const ROWS: usize = 10_000;

/// One message with its history. `is_active`: a delivery attempt is in progress.
///
/// Errors: the database's.
pub fn detail(state: &State, message: &Message, is_active: bool, now: i64) -> rusqlite::Result<Detail> {
    let origin = state.origin(message.id)?.unwrap_or_default();
    Ok(Detail {
        entry: entries::entry(message, &state.recipients(message.id)?, is_active, now),
        attested: origin.attested,
        caller: origin.caller,
        warnings: origin.warnings,
        digest: message.digest.iter().map(|b| format!("{b:02x}")).collect(),
        tries: state.attempts_of(message.id)?.into_iter().map(tried).collect(),
        history: state.events(message.id)?.into_iter().map(|e| Happening { at: e.at, kind: e.kind, text: e.text }).collect(),
    })
}

fn tried(attempt: Attempt) -> history::Attempt {
    history::Attempt {
        address: attempt.address,
        since: attempt.since,
        at: attempt.at,
        times: attempt.times,
        status: attempt.progress.word().to_owned(),
        dsn: attempt.status,
        relay: attempt.relay,
        reply: attempt.reply,
        remote_id: attempt.remote_id,
        tls: attempt.tls,
        notes: attempt.notes,
        reached: attempt.reached,
        connect_ms: attempt.connect_ms,
        transaction_ms: attempt.transaction_ms,
    }
}

/// The messages found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Latest first.
    pub messages: Vec<Message>,
    /// The search stopped before its end; there may be more messages.
    pub is_partial: bool,
}

/// The name that an alias would have replaced: the local part if the domain is localhost, otherwise the whole address.
pub fn original_of(address: &str) -> &str {
    address.rsplit_once('@').filter(|(_, domain)| is_loopback(domain)).map_or(address, |(local, _)| local)
}

/// Finds messages by `subject`: a queue id, a Message-ID with or without angle brackets, or the address of a sender or recipient,
/// before or after alias expansion. Returns at most `limit` messages that `may` allows, latest first.
///
/// Errors: the database's.
pub fn find(state: &State, subject: &str, limit: usize, may: impl Fn(&Message) -> bool) -> rusqlite::Result<Found> {
    if let Some(id) = QueueId::parse(subject.as_bytes()) {
        let messages = state.message(id)?.into_iter().filter(|message| may(message)).collect();
        return Ok(Found { messages, is_partial: false });
    }
    let by_message_id = |before| state.trace_by_message_id(subject, before, PAGE);
    let by_address = |before| state.trace_by_address(subject, original_of(subject), before, PAGE);
    if subject.starts_with('<') {
        return pages(limit, may, by_message_id);
    }
    let found = pages(limit, &may, by_address)?;
    if found == Found::default() { pages(limit, may, by_message_id) } else { Ok(found) }
}

fn pages(
    limit: usize,
    may: impl Fn(&Message) -> bool,
    page: impl Fn(Option<QueueId>) -> rusqlite::Result<Vec<Message>>,
) -> rusqlite::Result<Found> {
    let (mut found, mut before, mut looked_at) = (Found::default(), None, 0);
    while found.messages.len() < limit {
        let rows = page(before)?;
        let Some(last) = rows.last() else { return Ok(found) };
        before = Some(last.id);
        looked_at += rows.len();
        let is_last = rows.len() < PAGE;
        for message in rows.into_iter().filter(|message| may(message)) {
            found.messages.push(message);
        }
        if is_last && found.messages.len() <= limit {
            return Ok(found);
        }
        if looked_at >= ROWS {
            break;
        }
    }
    found.messages.truncate(limit);
    found.is_partial = true;
    Ok(found)
}
