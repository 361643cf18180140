//! Reads the history of messages for `trace`, `why` and `show`. It is in the database, so it outlives the messages.
//!
//! In: the open database and a queue id, address or Message-ID. Out: values for the control protocol. All texts in them are
//! untrusted; the program that prints them makes them printable.

use crate::entries;
use config::names::is_loopback;
use control::history;
use control::protocol::{Detail, Happening};
use mail::code::{Code, Happened};
use mail::printable::counted;
use mail::queue_id::QueueId;
use mail::words;
use state::{Attempt, HistoryLine, Message, State};

/// Rows per page.
const PAGE: usize = 100;
/// Maximum rows read for one request, so that a user with no mail cannot make the daemon read the whole table.
const ROWS: usize = 10_000;

/// One message with its history. `is_active`: a delivery attempt is in progress.
///
/// Errors: the database's.
pub fn detail(state: &State, message: &Message, is_active: bool, now: i64) -> state::Result<Detail> {
    let known = state.origin(message.id)?;
    let recipients = state.recipients(message.id)?;
    let attempts = state.attempts_of(message.id)?;
    // Rows of schema 1 have their acceptance in their history.
    let mut lines: Vec<Happening> = known.iter().map(|_| accepted(message, recipients.len())).collect();
    lines.extend(state.history(message.id)?.into_iter().map(happening));
    lines.extend(attempts.iter().map(attempt_line));
    // A stable sort: what was recorded in one second stays in its order.
    lines.sort_by_key(|line| line.at);
    let origin = known.unwrap_or_default();
    Ok(Detail {
        entry: entries::entry(message, &recipients, is_active, now),
        attested: origin.attested,
        caller: origin.caller,
        warnings: origin.warnings,
        digest: message.digest.iter().map(|b| format!("{b:02x}")).collect(),
        tries: attempts.into_iter().map(tried).collect(),
        history: lines,
    })
}

fn accepted(message: &Message, recipients: usize) -> Happening {
    let text = format!("uid {}, {} bytes, {}", message.uid, message.size, counted(recipients, "recipient"));
    Happening { at: message.accepted, kind: Happened::Accepted.word().to_owned(), text, ..Happening::default() }
}

fn happening(line: HistoryLine) -> Happening {
    let text = words::of_history(line.kind, line.cause, line.trigger, line.by.as_ref(), &line.detail);
    let cause = line.cause.map(|cause| cause.word().to_owned());
    Happening { at: line.at, kind: line.kind.word().to_owned(), cause, trigger: line.trigger, by: line.by, text }
}

/// An attempt as a line: who answered what to which recipient, over what.
fn attempt_line(attempt: &Attempt) -> Happening {
    let remote_id = Some(&attempt.remote_id).filter(|id| !id.is_empty()).map(|id| format!("queued there as {id}"));
    let connect = attempt.connect_ms.map(|ms| format!("connected in {ms} ms"));
    let transaction = attempt.transaction_ms.map(|ms| format!("answered in {ms} ms"));
    let session = [Some(attempt.tls.clone()), Some(attempt.notes.clone()), remote_id, connect, transaction];
    let session: Vec<String> = session.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    let said = words::of_recipient(&attempt.diagnosis, &attempt.reply);
    let mut text = format!("{}  {}  {said}", attempt.address, attempt.relay);
    if !session.is_empty() {
        text.push_str(&format!(" ({})", session.join("; ")));
    }
    if attempt.times > 1 {
        text.push_str(&format!(" ({} times)", attempt.times));
    }
    let cause = attempt.diagnosis.cause.map(|cause| cause.word().to_owned());
    Happening { at: attempt.at, kind: attempt.progress.word().to_owned(), cause, text, ..Happening::default() }
}

fn tried(attempt: Attempt) -> history::Attempt {
    history::Attempt {
        address: attempt.address,
        since: attempt.since,
        at: attempt.at,
        times: attempt.times,
        status: attempt.progress,
        why: attempt.diagnosis.into(),
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
pub fn find(state: &State, subject: &str, limit: usize, may: impl Fn(&Message) -> bool) -> state::Result<Found> {
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
    page: impl Fn(Option<QueueId>) -> state::Result<Vec<Message>>,
) -> state::Result<Found> {
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
