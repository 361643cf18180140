//! What the control socket shows: listings, counts, one message with its history, its octets.

use std::sync::Arc;

use super::{Answer, Rights, database, read};
use crate::control::entries;
use crate::control::listing::Entry;
use crate::control::protocol::{Count, Detail, Part, Text};
use crate::exit::{Exit, Failure};
use crate::mail::queue_id::QueueId;
use crate::relay::daemon::Daemon;
use crate::spool::file::{self, Line};
use crate::spool::state::{Message, State};

/// Rows read at a time: between two pages the database is free.
const PAGE: usize = 500;
/// And about the most recipients of a page: each message may have ten thousand.
const PAGE_RECIPIENTS: usize = 10_000;
/// Octets of one piece of `cat`.
const PIECE: usize = 48 << 10;

/// One entry per message that the peer may see, by queue id; or of `ids` only, with EX 1 if one is unknown.
pub(super) async fn list(daemon: &Arc<Daemon>, rights: Rights, ids: Vec<String>, out: &mut Answer) -> Result<(), Failure> {
    if !rights.sees_own {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may list the queue here (mailq_users)"));
    }
    if !ids.is_empty() {
        return list_some(daemon, rights, &ids, out).await;
    }
    let mut after = None;
    loop {
        let reading = Arc::clone(daemon);
        // No thread is kept while the client takes its time: there are few, and deliveries need them.
        let (entries, last) = read(daemon, move |state| read_page(&reading, state, rights, after)).await?;
        for entry in &entries {
            out.say(entry).await?;
        }
        if last.is_none() {
            return Ok(());
        }
        after = last;
    }
}

/// The next page of the queue behind `after`, and its last id; none where the queue ends.
fn read_page(daemon: &Daemon, state: &State, rights: Rights, after: Option<QueueId>) -> rusqlite::Result<(Vec<Entry>, Option<QueueId>)> {
    let mut page = Vec::with_capacity(PAGE);
    state.queued(after, PAGE, |message| page.push(message))?;
    let (mut entries, mut recipients, mut last) = (Vec::new(), 0, None);
    for message in page {
        last = Some(message.id);
        if !rights.sees(&message) {
            continue;
        }
        let entry = entry_of(daemon, state, &message)?;
        recipients += entry.recipients.len();
        entries.push(entry);
        if recipients >= PAGE_RECIPIENTS {
            break;
        }
    }
    Ok((entries, last))
}

fn entry_of(daemon: &Daemon, state: &State, message: &Message) -> rusqlite::Result<Entry> {
    Ok(entries::entry(message, &state.recipients(message.id)?, daemon.dispatch.is_active(message.id)))
}

async fn list_some(daemon: &Arc<Daemon>, rights: Rights, ids: &[String], out: &mut Answer) -> Result<(), Failure> {
    let mut unknown = Vec::new();
    for text in ids {
        match find(daemon, rights, text).await {
            Ok(message) => {
                let reading = Arc::clone(daemon);
                out.say(&read(daemon, move |state| entry_of(&reading, state, &message)).await?).await?;
            }
            Err(_) => unknown.push(text.as_str()),
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(no_such(&unknown.join(", "))) }
}

fn no_such(id: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("{}: no such message", crate::mail::printable::text(id)))
}

/// The message of this id, if there is one and the peer may see it; the two are not told apart.
async fn find(daemon: &Arc<Daemon>, rights: Rights, id: &str) -> Result<Message, Failure> {
    let parsed = QueueId::parse(id.as_bytes()).ok_or_else(|| no_such(id))?;
    let message = read(daemon, move |state| state.message(parsed)).await?;
    message.filter(|message| rights.sees(message)).ok_or_else(|| no_such(id))
}

/// How many messages the peer may see, and their octets.
pub(super) async fn count(daemon: &Arc<Daemon>, rights: Rights, out: &mut Answer) -> Result<(), Failure> {
    let count = read(daemon, move |state| {
        let mut count = Count::default();
        state.queued(None, usize::MAX >> 1, |message| {
            if rights.sees(&message) {
                count.messages += 1;
                count.octets += message.size;
            }
        })?;
        Ok(count)
    });
    out.say(&count.await?).await
}

/// One message with its envelope's claims and its history.
pub(super) async fn detail(daemon: &Arc<Daemon>, rights: Rights, id: &str, out: &mut Answer) -> Result<(), Failure> {
    let message = find(daemon, rights, id).await?;
    out.say(&detail_of(daemon, message).await?).await
}

async fn detail_of(daemon: &Arc<Daemon>, message: Message) -> Result<Detail, Failure> {
    let reading = Arc::clone(daemon);
    let detail = read(daemon, move |state| {
        let envelope = open(&reading, &message).ok().map(|(_, line)| line.envelope);
        let (recipients, events) = (state.recipients(message.id)?, state.events(message.id)?);
        Ok(entries::detail(&message, &recipients, &events, envelope, reading.dispatch.is_active(message.id)))
    });
    detail.await
}

/// All messages with a Message-ID that the peer may see, the latest first.
pub(super) async fn find_by_message_id(daemon: &Arc<Daemon>, rights: Rights, message_id: String, out: &mut Answer) -> Result<(), Failure> {
    let found = read(daemon, move |state| state.trace_by_message_id(&message_id, None, PAGE)).await?;
    for message in found.into_iter().filter(|message| rights.sees(message)) {
        out.say(&detail_of(daemon, message).await?).await?;
    }
    Ok(())
}

fn open(daemon: &Daemon, message: &Message) -> Result<(std::fs::File, Line), String> {
    let place = message.place.directory().ok_or("its file is gone: it was delivered or removed")?;
    let file = daemon.store.open_message(place, message.id).map_err(|e| e.desc().to_owned())?;
    let line = file::read_line(&file).map_err(|e| e.to_string())?;
    Ok((file, line))
}

/// The octets of a message: those of the file as it is now, which may not be those that were claimed; `Raw` is for that look.
pub(super) async fn cat(daemon: &Arc<Daemon>, rights: Rights, id: &str, part: Part, out: &mut Answer) -> Result<(), Failure> {
    let message = find(daemon, rights, id).await?;
    let reading = Arc::clone(daemon);
    let opened = tokio::task::spawn_blocking(move || {
        let (file, line) = open(&reading, &message)?;
        let range = file::range_of(&file, &line, part).map_err(|e| e.to_string())?;
        Ok::<_, String>((file, range))
    });
    let unreadable = |why: String| Failure::new(Exit::NotFound, format!("{id}: {why}"));
    let (file, (mut at, end)) = opened.await.map_err(database)?.map_err(unreadable)?;
    let file = Arc::new(file);
    while at < end {
        let (file, wanted) = (Arc::clone(&file), usize::try_from(end - at).unwrap_or(PIECE).min(PIECE));
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; wanted];
            let read = file::read_full(&file, &mut piece, at)?;
            piece.truncate(read);
            Ok::<_, std::io::Error>(piece)
        });
        let piece = read.await.map_err(database)?.map_err(|e| unreadable(e.to_string()))?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        out.say(&Text::new(&piece)).await?;
    }
    Ok(())
}
