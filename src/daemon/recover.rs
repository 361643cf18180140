//! The start: makes files and rows agree again, whatever the last run left.
//!
//! | file | row | then |
//! |---|---|---|
//! | `cur/` | none | a row, while mail is delivered already ([`adopt`]); after a lost database held: it may have been delivered |
//! | `cur/` | cur | goes on; "in data" = uncertain |
//! | `cur/` | hold, failed | moved there: the commit came before the move |
//! | `cur/` | gone | removed: the commit came before the removal ([`adopt`]) |
//! | `hold/`, `failed/` | none | a row is made from the file ([`adopt`]) |
//! | `hold/`, `failed/` | another place | the directory is the state: the row follows |
//! | `new/` | cur, hold, failed | claimed again: its move to `cur/` was lost in a power cut, the row was not |
//! | none | cur, hold, failed | the message ends as vanished, and its sender gets a bounce; of one that had ended, only the copy is gone |
//!
//! A commit of the row syncs the database, and on no file system is that a promise that the move before it is on the disk too.
//! What operators wanted done to a message after the attempt that the daemon did not live to end is done now.
//!
//! After a power cut, whatever was due, and whatever has no row yet, may have been delivered: it is logged as a possible duplicate
//! when it is tried next, or gets its row.
//!
//! The comparison is one walk through the names and one through an index, side by side: nothing is hashed that has a row, nothing is
//! read of the others, and it takes 16 bytes of memory a message. What does not agree is settled a few hundred at a time, each
//! group with one commit and one sync of the directories. A crash anywhere leaves less to settle for the next start.

pub(crate) mod adopt;
pub(crate) mod start;
mod terms;

use super::backoff;
use crate::lost;
use crate::outcome::Loss;
use config::OnUncertain;
use log::events;
use log::message::MessageEvent;
use mail::code::{Cause, Duplicate, Happened, HoldCause, MessageEnd, Subject, Trigger};
use mail::queue_id::QueueId;
use mail::{Diagnosis, HistoryCause, Hold, words};
use spool::layout;
use state::{Durability, HistoryLine, Message, Order, Progress, QueueDir, RecipientUpdate, State, Wanted};
use store::{Claim, Store};
pub(crate) use terms::{Orphans, Recovered, Recovery, Trouble, is_rebuilding};
use terms::{REBUILDING, tell_unclaimed};

/// Messages that are settled in one transaction.
const GROUP: usize = 500;

/// Makes the files of all rows agree with them, and returns the files that have none.
pub(crate) fn reconcile(state: &mut State, store: &Store, how: Recovery) -> Result<(Recovered, Orphans), Trouble> {
    let mut recovered = Recovered::default();
    if how.after_crash {
        state.set_crashed(how.now)?;
    }
    let (unsettled, orphans) = compare(state, list(store)?)?;
    if how.state_was_lost {
        // Where there is nothing to rebuild, as in a new spool, nothing is uncertain: not even if this run ends at once.
        state.set_flag(REBUILDING, !orphans.is_empty())?;
    }
    in_groups(state, store, &unsettled, |state, (id, found)| follow(state, store, *id, *found, how, &mut recovered))?;
    let orders = state.orders()?;
    in_groups(state, store, &orders, |state, (id, order)| {
        // What has no row yet gets one, and its order, when it is adopted.
        let is_orphan = orphans.binary_search_by_key(&id.to_i64(), |(orphan, _)| orphan.to_i64()).is_ok();
        if is_orphan && state.message(*id)?.is_none() { Ok(()) } else { carry_out(state, store, *id, order, how, &mut recovered) }
    })?;
    let in_data: Vec<Message> = state.in_hand()?.into_iter().filter(|row| row.in_data).collect();
    recovered.uncertain += in_data.len();
    in_groups(state, store, &in_data, |state, row| make_uncertain(state, store, row.clone(), how))?;
    state.reclaim(how.now)?;
    state.heal_clock(how.now, how.suspect_waits)?;
    Ok((recovered, orphans))
}

/// Settles `all`, each group with one commit and one sync of the directories. What was settled before an error stays so: it would be
/// settled in the same way again.
fn in_groups<T>(
    state: &mut State,
    store: &Store,
    all: &[T],
    mut each: impl FnMut(&State, &T) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    for group in all.chunks(GROUP) {
        state.transaction(Durability::Full, |state| Ok(group.iter().try_for_each(|one| each(state, one))))??;
        store.sync_moves().map_err(|e| Trouble::Disk(e.to_string()))?;
    }
    Ok(())
}

/// Every file that is there, in the order of the rows.
fn list(store: &Store) -> Result<Vec<(QueueId, QueueDir)>, Trouble> {
    let mut files = Vec::new();
    for dir in [QueueDir::Cur, QueueDir::Hold, QueueDir::Failed] {
        let directory = dir.directory().unwrap_or(layout::CUR);
        let disk = |e: std::io::Error| Trouble::Disk(format!("{directory}/: {e}"));
        for id in store.each_id(directory).map_err(disk)? {
            files.push((id.map_err(disk)?, dir));
        }
    }
    files.sort_unstable_by_key(|(id, dir)| (id.to_i64(), *dir as i64));
    Ok(files)
}

/// Rows whose file is not where they say, with where it is; and files without a row.
type Disagreement = (Vec<(QueueId, Option<QueueDir>)>, Orphans);

/// Walks through rows and files side by side.
fn compare(state: &State, files: Vec<(QueueId, QueueDir)>) -> state::Result<Disagreement> {
    let (mut unsettled, mut orphans) = (Vec::new(), Vec::new());
    let mut files = files.into_iter().peekable();
    state.each_dir(|id, dir| {
        while let Some(orphan) = files.next_if(|(file, _)| file.to_i64() < id.to_i64()) {
            orphans.push(orphan);
        }
        let mut found = None;
        while let Some((_, there)) = files.next_if(|(file, _)| *file == id) {
            // Its own place counts first; a second file of that name is nobody's.
            match found {
                None => found = Some(there),
                Some(other) if there == dir => {
                    orphans.push((id, other));
                    found = Some(there);
                }
                Some(_) => orphans.push((id, there)),
            }
        }
        if found != Some(dir) {
            unsettled.push((id, found));
        }
    })?;
    orphans.extend(files);
    Ok((unsettled, orphans))
}

/// A row whose file is not where it says: brings row and file together.
fn follow(
    state: &State,
    store: &Store,
    id: QueueId,
    found: Option<QueueDir>,
    how: Recovery,
    recovered: &mut Recovered,
) -> Result<(), Trouble> {
    let Some(mut row) = state.message(id)? else { return Ok(()) };
    let found = match found {
        None => claim_again(store, &row, recovered)?,
        found => found,
    };
    let Some(found) = found else {
        recovered.vanished += 1;
        return Ok(lost::record(state, row, Loss::vanished("found at the start"), how.now)?);
    };
    if found == row.dir {
        return Ok(());
    }
    recovered.settled += 1;
    if let (QueueDir::Cur, Some(directory)) = (found, row.dir.directory()) {
        events::reconciled(id, "moved to where its row says");
        return shift(store, id, directory);
    }
    events::reconciled(id, "its file had been moved by hand");
    if row.in_data {
        mark_uncertain(state, id, how.now)?;
    }
    row.in_data = false;
    let line = HistoryLine::new(how.now, Happened::Reconciled).on(Trigger::Start).with("its file had been moved by hand");
    if found == QueueDir::Failed {
        let recipients = state.recipients(id)?;
        row.end(QueueDir::Failed, state::end_of(&recipients).unwrap_or(MessageEnd::Failed), how.now);
        return update(state, &row, &line);
    }
    let hold = Hold::of(HoldCause::Moved);
    row.open(how.now);
    row.park(hold.clone());
    state.record(id, &line)?;
    update(state, &row, &HistoryLine::held(how.now, &hold))
}

/// Looks for a vanished file in `new/`, and claims it if it is that of the row. Were the row ended instead, the claim would take the
/// file for one that was finished before, and remove it.
fn claim_again(store: &Store, row: &Message, recovered: &mut Recovered) -> Result<Option<QueueDir>, Trouble> {
    let id = row.id;
    let disk = |e: std::io::Error| Trouble::Disk(format!("new/{id}: {e}"));
    if store.path(layout::NEW).join(id.to_string()).symlink_metadata().is_err() {
        return Ok(None);
    }
    match store.claim(id.to_string()).map_err(disk)? {
        Claim::Message(claimed) if claimed.uid == row.uid && claimed.digest == row.digest => {
            events::reconciled(id, "its move to cur/ had been lost; claimed again");
            Ok(Some(QueueDir::Cur))
        }
        Claim::Message(_) => {
            events::corrupt(&id.to_string(), "its queue id belongs to another message");
            store.discard(id, "its queue id belongs to another message").map(|()| None).map_err(disk)
        }
        other => {
            tell_unclaimed(id, other, recovered);
            Ok(None)
        }
    }
}

/// The attempt after which a message was to be held or removed ended with the daemon.
fn carry_out(state: &State, store: &Store, id: QueueId, order: &Order, how: Recovery, recovered: &mut Recovered) -> Result<(), Trouble> {
    state.forget_order(id)?;
    let Some(mut row) = state.message(id)?.filter(|row| row.dir == QueueDir::Cur) else { return Ok(()) };
    let is_left = |progress: Progress| progress.is_open() || (progress == Progress::Failed && order.wanted == Wanted::Remove);
    if !state.recipients(id)?.iter().any(|recipient| is_left(recipient.progress)) {
        // Only its conclusion was missing.
        return Ok(());
    }
    if std::mem::take(&mut row.in_data) {
        recovered.uncertain += 1;
        mark_uncertain(state, id, how.now)?;
        tell(state, id, &MessageEvent::PossibleDuplicate(Duplicate::Stopped));
        state.record(id, &stopped(how.now))?;
    }
    row.next_attempt = None;
    match order.wanted {
        Wanted::Hold => {
            let hold = Hold::by(order.by.clone());
            row.park(hold.clone());
            update(state, &row, &HistoryLine::held(how.now, &hold))?;
            tell(state, id, &MessageEvent::held(&hold));
            shift(store, id, layout::HOLD)
        }
        Wanted::Remove => {
            row.end(QueueDir::Trash, state::end_of(&state.recipients(id)?).unwrap_or(MessageEnd::Removed), how.now);
            row.by = Some(order.by.clone());
            update(state, &row, &HistoryLine::new(how.now, Happened::Removed).by(&order.by))?;
            tell(state, id, &MessageEvent::Removed(Some(order.by.clone()), Trigger::Start, row.outcome));
            shift(store, id, layout::TRASH)
        }
    }
}

fn make_uncertain(state: &State, store: &Store, mut row: Message, how: Recovery) -> Result<(), Trouble> {
    tell(state, row.id, &MessageEvent::PossibleDuplicate(Duplicate::Stopped));
    row.in_data = false;
    // A server had accepted it up to its content: that was an attempt. When, only that server knows.
    row.attempts = row.attempts.saturating_add(1);
    match how.on_uncertain {
        OnUncertain::Retry => row.next_attempt = Some(how.now + backoff::UNCERTAIN),
        OnUncertain::Hold => row.park(Hold::with(HoldCause::Uncertain, words::of_duplicate(Duplicate::Stopped))),
    }
    mark_uncertain(state, row.id, how.now)?;
    update(state, &row, &stopped(how.now))?;
    if let Some(hold) = row.held() {
        tell(state, row.id, &MessageEvent::held(&hold));
        return shift(store, row.id, layout::HOLD);
    }
    Ok(())
}

fn shift(store: &Store, id: QueueId, to: &str) -> Result<(), Trouble> {
    let disk = |e: std::io::Error| Trouble::Disk(format!("cur/{id}: {e}"));
    match store.shift(id, layout::CUR, to) {
        // One file must not keep all others waiting.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            events::reconciled(id, &format!("another file has its place in {to}/; its own was moved to corrupt/"));
            store.discard(id, &format!("another file had its place in {to}/")).map_err(disk)
        }
        result => result.map_err(disk),
    }
}

fn mark_uncertain(state: &State, id: QueueId, now: i64) -> state::Result<()> {
    for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress.is_open()) {
        let (progress, status) = (Progress::Uncertain, "4.4.2".to_owned());
        let diagnosis = Diagnosis::of(Cause::Stopped, Subject::Connection);
        let update = RecipientUpdate { n: recipient.n, progress, diagnosis, status, reply: recipient.reply, relay: recipient.relay };
        state.update_recipient(id, &update, now)?;
    }
    Ok(())
}

/// The line of a message whose final dot was under way when the daemon stopped.
fn stopped(now: i64) -> HistoryLine {
    HistoryLine::new(now, Happened::Uncertain).because(HistoryCause::Duplicate(Duplicate::Stopped))
}

fn tell(state: &State, id: QueueId, event: &MessageEvent) {
    state.tell(event.line(id));
}

fn update(state: &State, row: &Message, line: &HistoryLine) -> Result<(), Trouble> {
    state.update(row)?;
    Ok(state.record(row.id, line)?)
}

#[cfg(test)]
mod tests;
