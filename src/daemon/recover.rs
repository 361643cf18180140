//! The start: makes files and rows agree again, whatever the last run left.
//!
//! | file | row | then |
//! |---|---|---|
//! | `cur/` | none | a row, while mail is delivered already ([`adopt`]); after a lost database held: it may have been delivered |
//! | `cur/` | cur | goes on; "in data" = uncertain |
//! | `cur/` | hold, failed | moved there: somebody, or an older program, left it so |
//! | `cur/` | gone | removed: the commit came before the removal ([`adopt`]) |
//! | `hold/`, `failed/` | none | a row is made from the file ([`adopt`]) |
//! | `hold/`, `failed/` | another place | the directory is the state: the row follows |
//! | `new/` | cur, hold, failed | claimed again: its move to `cur/` was lost in a power cut, the row was not |
//! | none | cur, hold, failed | the message ends as vanished, and its sender gets a bounce; of one that had ended, only the copy is gone |
//!
//! Before all that, every move that the last run had begun is carried out ([`admin::settle`]): what is compared then is what nobody
//! recorded. A commit of the row syncs the database, and on no file system is that a promise that the claim before it is on the disk
//! too. What operators wanted done to a message after the attempt that the daemon did not live to end is done at the end.
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

use crate::lost;
use crate::outcome::Loss;
use admin::moves::{Concluded, MoveResult};
use admin::settle::{self, Settling};
use log::events;
use mail::Hold;
use mail::code::{Happened, HoldCause, MessageEnd, Op, Trigger};
use mail::queue_id::QueueId;
use spool::layout;
use state::{Durability, HistoryLine, Message, QueueDir, State};
use store::carry::Carried;
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
    let settling = Settling { now: how.now, on_uncertain: how.on_uncertain, tells: true };
    let mut completed = settle::complete(state, store, settling)?;
    let (unsettled, orphans) = compare(state, list(store)?)?;
    if how.state_was_lost {
        // Where there is nothing to rebuild, as in a new spool, nothing is uncertain: not even if this run ends at once.
        state.set_flag(REBUILDING, !orphans.is_empty())?;
    }
    in_groups(state, store, &unsettled, |state, (id, found)| follow(state, store, *id, *found, how, &mut recovered))?;
    let in_data = settle::were_in_data(state)?;
    recovered.uncertain += in_data.len();
    settle::in_data(state, store, in_data, settling)?;
    completed.extend(settle::after_attempts(state, store, settling)?);
    recovered.settled += completed.len();
    completed.iter().for_each(tell);
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
    if found == QueueDir::Cur {
        return move_to_row(store, &row);
    }
    events::reconciled(id, "its file had been moved by hand");
    if row.in_data {
        settle::mark_uncertain(state, id, how.now)?;
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

/// What became of a move that an earlier run had begun, or of what was to follow an attempt. Events of messages are in the outbox.
fn tell(moved: &Concluded) {
    let id = moved.message.id;
    match (&moved.result, moved.intention.op) {
        (MoveResult::TakenBack(why), _) => lost::tell_taken_back(moved, why),
        (_, Op::Discard) => events::discarded(&id.to_string(), &format!("{}/{id}", layout::FAILED)),
        (_, op) => events::reconciled(id, &format!("{}, which was begun before the start", mail::words::of_op(op))),
    }
}

/// The file follows its row. One file must not keep all others waiting.
fn move_to_row(store: &Store, row: &Message) -> Result<(), Trouble> {
    let disk = |e: std::io::Error| Trouble::Disk(format!("cur/{}: {e}", row.id));
    match store.carry(row.id, layout::CUR, row.dir.directory(), &row.digest, "").map_err(disk)? {
        Carried::Refused(e) => events::storage_failed(&format!("cur/{}", row.id), &e.to_string()),
        _ => events::reconciled(row.id, "moved to where its row says"),
    }
    Ok(())
}

fn update(state: &State, row: &Message, line: &HistoryLine) -> Result<(), Trouble> {
    state.update(row)?;
    Ok(state.record(row.id, line)?)
}

#[cfg(test)]
mod tests;
