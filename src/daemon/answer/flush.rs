//! A flush: what waits is due now, page after page, so that a queue of any length holds up neither deliveries nor its first messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::asked::{Answer, Rights, Server, stopped};
use control::protocol::{Count, Select};
use exit::Failure;
use log::events;
use mail::queue_id::QueueId;

use state::{QueueDir, State};

/// Seconds between two flushes by ordinary users (SENDMAIL.md section 7).
pub(super) const FLUSH_INTERVAL: i64 = 30;
/// Messages that one turn of the state writer makes due: deliveries go on between two.
pub(super) const FLUSH_PAGE: usize = 1000;

/// Everybody may ask for a flush of what they may see; ordinary users not too often, which is no error (SENDMAIL.md section 14).
pub(super) async fn flush(server: &Arc<Server>, rights: Rights, select: Select, out: &mut Answer) -> Result<(), Failure> {
    if !may_flush(server, rights) {
        return out.say(&Count::default()).await;
    }
    let (now, mut after, mut messages) = (sys::clock::now(), None, 0);
    server.dispatch.queue(|queue| queue.end_suspensions());
    loop {
        let wanted = select.clone();
        let page = server.state_writer.work_unsynced(move |state, _| make_due(state, rights, &wanted, now, after));
        let (due, last) = page.map_err(|_| stopped())?.await.map_err(|_| stopped())?;
        messages += due;
        // The first ones need not wait for the last ones of a long queue.
        server.dispatch.wake.notify_one();
        if last.is_none() {
            break;
        }
        after = last;
    }
    events::requested("flush", rights.uid, messages, &select_text(&select));
    out.say(&Count { messages, bytes: 0 }).await
}

/// What a flush was asked for, for the log.
fn select_text(select: &Select) -> String {
    let (by, text, except) = match select {
        Select::All {} => return "ALL".to_owned(),
        Select::Id { text, except } => ("id", text, except),
        Select::Recipient { text, except } => ("to", text, except),
        Select::Sender { text, except } => ("from", text, except),
    };
    format!("{}{by} {}", if *except { "not " } else { "" }, mail::printable::text(text))
}

pub(super) fn may_flush(server: &Server, rights: Rights) -> bool {
    rights.is_admin || is_time(&server.next_flush, server.health.uptime())
}

/// True once in [`FLUSH_INTERVAL`]: every flush reads the queue, and knocks at next hops that do not want to be knocked at.
pub(super) fn is_time(next: &AtomicI64, uptime: i64) -> bool {
    let planned = next.load(Ordering::Relaxed);
    let after = uptime.saturating_add(FLUSH_INTERVAL);
    uptime >= planned && next.compare_exchange(planned, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Makes due what is meant among the next messages after `after`. Returns how many, and the last that was looked at; none where the
/// queue ends.
fn make_due(state: &State, rights: Rights, select: &Select, now: i64, after: Option<QueueId>) -> state::Result<(u64, Option<QueueId>)> {
    let is_all = matches!(select, Select::All {});
    let (mut waiting, mut last) = (Vec::new(), None);
    let seen = state.queued(after, FLUSH_PAGE, |message| {
        last = Some(message.id);
        let is_waiting = message.dir == QueueDir::Cur && message.next_attempt.is_some_and(|next| next > now);
        if is_waiting && (is_all || rights.is_admin || message.uid == rights.uid) {
            waiting.push((message.id, message.reverse_path));
        }
    })?;
    let mut due = 0;
    for (id, reverse_path) in waiting {
        let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let matches = match select {
            Select::All {} => true,
            Select::Id { text, except } => id.to_string().starts_with(text.as_str()) != *except,
            Select::Sender { text, except } => has(&reverse_path, text) != *except,
            Select::Recipient { text, except } => state.recipients(id)?.iter().any(|r| has(&r.address, text)) != *except,
        };
        if matches {
            state.schedule(id, Some(now))?;
            due += 1;
        }
    }
    Ok((due, last.filter(|_| seen == FLUSH_PAGE)))
}
