//! What the control socket shows: listings, counts, one message with its history, its bytes.

use std::sync::Arc;

use super::asked::{Answer, Rights, Served, Server, database, read};
use super::choose::Wanted;
use super::history;
use control::filter::Filter;
use control::listing::Entry;
use control::overview::Overview;
use control::protocol::{Count, Part, Text};

use exit::{Exit, Failure};
use mail::queue_id::QueueId;

use spool::file;
use spool::file::Line;
use spool::layout;
use state::Message;

/// Messages with one Message-ID that are shown.
const SAME_MESSAGE_ID: usize = 500;
/// Bytes of one piece of `cat`.
const PIECE: usize = 48 << 10;

/// One entry per message that the peer may see and that matches, by queue id: of what is queued or held, unless the filter asks for
/// other states; or of `ids` only, except those that are unknown.
pub(super) async fn list(
    server: &Arc<Server>,
    rights: Rights,
    ids: Vec<String>,
    filter: Filter,
    out: &mut Answer,
) -> Result<Served, Failure> {
    let wanted = wanted(rights, states_of(&ids, filter), true)?;
    if !ids.is_empty() {
        return list_some(server, &wanted, &ids, out).await;
    }
    let mut pages = wanted.pages(server);
    while let Some(found) = pages.next().await? {
        for (_, entry) in &found {
            out.say(entry).await?;
        }
    }
    Ok(Served::All)
}

/// A message that is named is found in any state.
fn states_of(ids: &[String], filter: Filter) -> Filter {
    if ids.is_empty() { filter.default_states() } else { filter }
}

fn wanted(rights: Rights, filter: Filter, with_recipients: bool) -> Result<Wanted, Failure> {
    if !rights.sees_own {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may list the queue here (mailq_users)"));
    }
    Ok(Wanted { may: Rights::sees, rights, filter, with_recipients })
}

async fn list_some(server: &Arc<Server>, wanted: &Wanted, ids: &[String], out: &mut Answer) -> Result<Served, Failure> {
    let mut unknown = Vec::new();
    for text in ids {
        match wanted.named(server, text).await? {
            Some((entry, true)) => out.say(&entry).await?,
            Some((_, false)) => {}
            None => unknown.push(text.as_str()),
        }
    }
    Ok(if unknown.is_empty() { Served::All } else { Served::Some(no_such_text(&unknown.join(", "))) })
}

fn no_such(id: &str) -> Failure {
    Failure::new(Exit::NotFound, no_such_text(id))
}

fn no_such_text(id: &str) -> String {
    format!("{}: no such message", mail::printable::text(id))
}

/// The message of this id, if there is one and the peer may see it; the two are not told apart.
async fn find(server: &Arc<Server>, rights: Rights, id: &str) -> Result<Message, Failure> {
    let parsed = QueueId::parse(id.as_bytes()).ok_or_else(|| no_such(id))?;
    let message = read(server, move |state| state.message(parsed)).await?;
    message.filter(|message| rights.sees(message)).ok_or_else(|| no_such(id))
}

/// How many messages match that the peer may see, and their bytes. Except those of `ids` that are unknown.
pub(super) async fn count(
    server: &Arc<Server>,
    rights: Rights,
    ids: Vec<String>,
    filter: Filter,
    out: &mut Answer,
) -> Result<Served, Failure> {
    let wanted = wanted(rights, states_of(&ids, filter), false)?;
    let (mut count, mut unknown) = (Count::default(), Vec::new());
    let mut add = |entry: &Entry| (count.messages, count.bytes) = (count.messages + 1, count.bytes + entry.message_size);
    for text in &ids {
        match wanted.named(server, text).await? {
            Some((entry, true)) => add(&entry),
            Some((_, false)) => {}
            None => unknown.push(text.as_str()),
        }
    }
    let mut pages = wanted.pages(server);
    while ids.is_empty()
        && let Some(found) = pages.next().await?
    {
        found.iter().for_each(|(_, entry)| add(entry));
    }
    out.say(&count).await?;
    Ok(if unknown.is_empty() { Served::All } else { Served::Some(no_such_text(&unknown.join(", "))) })
}

/// The numbers of what the peer may see.
pub(super) async fn stats(server: &Arc<Server>, rights: Rights, out: &mut Answer) -> Result<(), Failure> {
    let uid = (!rights.sees_all).then_some(rights.uid);
    if !rights.sees_own {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may look at the queue here (mailq_users)"));
    }
    let stats = read(server, move |state| admin::stats::read(state, uid, sys::clock::now())).await?;
    out.say(&stats).await
}

/// One message with its history.
pub(super) async fn detail(server: &Arc<Server>, rights: Rights, id: &str, out: &mut Answer) -> Result<(), Failure> {
    let message = find(server, rights, id).await?;
    out.say(&history::detail(server, message).await?).await
}

/// All messages with a Message-ID that the peer may see, the latest first.
pub(super) async fn find_by_message_id(server: &Arc<Server>, rights: Rights, message_id: String, out: &mut Answer) -> Result<(), Failure> {
    let found = read(server, move |state| state.trace_by_message_id(&message_id, None, SAME_MESSAGE_ID)).await?;
    for message in found.into_iter().filter(|message| rights.sees(message)) {
        out.say(&history::detail(server, message).await?).await?;
    }
    Ok(())
}

/// What bears on all messages that the peer may see.
pub(super) async fn overview(server: &Arc<Server>, rights: Rights, out: &mut Answer) -> Result<(), Failure> {
    if !rights.sees_own {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may look at the mail here (mailq_users)"));
    }
    let (uid, now) = ((!rights.sees_all).then_some(rights.uid), sys::clock::now());
    let free = sys::fs::free_space(&server.paths.spool).ok().map(|(bytes, _)| bytes);
    let overview = read(server, move |state| admin::overview::read(state, uid, now)).await?;
    out.say(&Overview { free, ..overview }).await
}

fn open(server: &Server, message: &Message) -> Result<(std::fs::File, Line), String> {
    let removed = || server.store.has(layout::TRASH, message.id).then_some(layout::TRASH);
    let place = message.dir.directory().or_else(removed).ok_or("the message has no file any more: it was delivered or removed")?;
    let file = server.store.open_message(place, message.id).map_err(|e| e.desc().to_owned())?;
    let line = file::read_line(&file).map_err(|e| e.to_string())?;
    Ok((file, line))
}

/// The bytes of a message: those of the file as it is now, which may not be those that were claimed; `Raw` is for that look.
pub(super) async fn cat(server: &Arc<Server>, rights: Rights, id: &str, part: Part, out: &mut Answer) -> Result<(), Failure> {
    let message = find(server, rights, id).await?;
    let reading = Arc::clone(server);
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
