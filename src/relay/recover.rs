//! The start: makes files and rows agree again, whatever the last run left.
//!
//! | file | row | then |
//! |---|---|---|
//! | `cur/` | none | checked and admitted, as after a claim; after a lost database held: it may have been delivered |
//! | `cur/` | cur | goes on; "in data" = uncertain |
//! | `cur/` | hold, failed | moved there: the commit came before the move |
//! | `cur/` | gone | removed: the commit came before the removal |
//! | `hold/`, `failed/` | none | a row is made from the file |
//! | `hold/`, `failed/` | another place | the directory is the state: the row follows |
//! | `new/` | cur, hold, failed | claimed again: its move to `cur/` was lost in a power cut, the row was not |
//! | none | cur, hold, failed | the row ends, and says that the file vanished |
//!
//! A commit of the row syncs the database, and on no file system is that a promise that the move before it is on the disk too.
//! After a power cut, whatever was due, and whatever has no row yet, may have been delivered: it is logged as a possible duplicate.
//!
//! Nothing is hashed that has a row, so a start with a million messages is quick.

use std::collections::HashSet;
use std::path::Path;

use super::backoff;
use super::plan::{Plan, Policy};
use crate::config::OnUncertain;
use crate::exit::{Exit, Failure};
use crate::log::events;
use crate::mail::queue_id::QueueId;
use crate::spool::layout;
use crate::spool::state::{Durability, Event, Message, Place, Progress, RecipientUpdate, State};
use crate::spool::store::{Claim, Claimed, Store};

/// The reason of possible duplicates after a boot without a clean stop.
const POWER_CUT: &str = "the machine stopped while it was due; a power cut may have lost a delivery's record";
/// The file name of the database in the spool.
pub const STATE_FILE: &str = "state.sqlite";
/// The reason of messages that are held after a lost database.
const LOST: &str = "the state was lost, so it may have been delivered already; `mailchute requeue` sends it, `mailchute remove` drops it";

/// Opens the database; a damaged one is put aside and begun anew. Returns it and whether it was lost.
///
/// Errors: EX_IOERR where not even a new one can be made.
pub fn open_state(store: &Store, now: i64) -> Result<(State, bool), Failure> {
    let path = store.path(STATE_FILE);
    let existed = path.symlink_metadata().is_ok();
    match State::open(&path) {
        Ok(state) => Ok((state, !existed)),
        Err(e) if existed && is_damage(&e) => {
            events::storage_failed(STATE_FILE, &format!("{e}; put aside, and rebuilt from the files"));
            put_aside(&path, now)?;
            State::open(&path).map(|state| (state, true)).map_err(|e| unusable(&path, &e))
        }
        Err(e) => Err(unusable(&path, &e)),
    }
}

fn is_damage(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase))
}

fn unusable(path: &Path, e: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("{}: {e}; no mail is delivered until it works", path.display()))
}

/// Keeps the damaged files for a person: `state.sqlite.damaged-TIME`.
fn put_aside(path: &Path, now: i64) -> Result<(), Failure> {
    for suffix in ["", "-wal", "-shm"] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        let mut to = path.as_os_str().to_owned();
        to.push(format!(".damaged-{now}{suffix}"));
        match std::fs::rename(&from, &to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(unusable(path, &e)),
            _ => {}
        }
    }
    Ok(())
}

/// What the start found and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files without a row that were admitted.
    pub admitted: usize,
    /// Messages that were in data.
    pub uncertain: usize,
    /// Rows whose file had vanished.
    pub vanished: usize,
    /// Files that were moved or removed to follow their row.
    pub settled: usize,
    /// Files that are no messages.
    pub corrupt: usize,
}

/// How to recover.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// Unix seconds.
    pub now: i64,
    /// The database was lost or damaged.
    pub state_was_lost: bool,
    /// For messages that get their row only now.
    pub policy: Policy,
    /// What to do with messages that were in data.
    pub on_uncertain: OnUncertain,
    /// The machine was started since, without a clean stop of the daemon.
    pub after_crash: bool,
}

/// Makes files and rows agree.
///
/// Errors: one line, where disk or database refuse; then nothing may be delivered.
pub fn reconcile(state: &mut State, store: &Store, how: Recovery) -> Result<Recovered, String> {
    let mut recovered = Recovered::default();
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let files = |directory| store.ids(directory).map_err(|e| format!("{directory}/: {e}"));
    let (mut cur, mut hold, mut failed) = (files(layout::CUR)?, files(layout::HOLD)?, files(layout::FAILED)?);
    let mut unsettled = Vec::new();
    let look = |row: Message| {
        let places = [(Place::Cur, &mut cur), (Place::Hold, &mut hold), (Place::Failed, &mut failed)];
        let found = take(places, row.id, row.place);
        if found != Some(row.place) || row.in_data {
            unsettled.push((row, found));
        } else if row.place == Place::Cur && how.after_crash && row.next_attempt.is_none_or(|at| at <= how.now) {
            events::possible_duplicate(row.id, POWER_CUT);
        }
    };
    state.queued(None, usize::MAX >> 1, look).map_err(|e| text(&e))?;
    for (row, found) in unsettled {
        follow(state, store, row, found, how, &mut recovered)?;
    }
    for id in cur {
        recover_cur(state, store, id, how, &mut recovered)?;
    }
    if how.after_crash {
        files(layout::NEW)?.into_iter().for_each(|id| events::possible_duplicate(id, POWER_CUT));
    }
    for (directory, place, ids) in [(layout::HOLD, Place::Hold, hold), (layout::FAILED, Place::Failed, failed)] {
        for id in ids {
            adopt_parked(state, store, id, directory, place, how, &mut recovered)?;
        }
    }
    state.reclaim(how.now).and_then(|_| state.heal_clock(how.now, how.now)).map_err(|e| text(&e))?;
    Ok(recovered)
}

/// Where the file of a row is, its own place first; it is taken from the set, so that what is left has no row.
fn take(places: [(Place, &mut HashSet<QueueId>); 3], id: QueueId, own: Place) -> Option<Place> {
    let mut places = places;
    places.sort_by_key(|(place, _)| *place != own);
    places.into_iter().find_map(|(place, ids)| ids.remove(&id).then_some(place))
}

/// A file in `cur/` without a row that says so: finished before, or claimed and never recorded.
fn recover_cur(state: &mut State, store: &Store, id: QueueId, how: Recovery, recovered: &mut Recovered) -> Result<(), String> {
    let disk = |e: std::io::Error| format!("cur/{id}: {e}");
    let claimed = match store.check_claimed(id) {
        Claim::Message(claimed) => claimed,
        not_yet => {
            tell_unclaimed(id, not_yet, recovered);
            return Ok(());
        }
    };
    if let Some(known) = state.message(id).map_err(|e| e.to_string())? {
        recovered.settled += 1;
        if known.uid == claimed.uid && known.digest == claimed.digest {
            events::reconciled(id, "finished before; its file was still there and was removed");
            return store.remove(id, layout::CUR).map_err(disk);
        }
        events::corrupt(&id.to_string(), "its queue id belongs to another message");
        return store.discard(id, "its queue id belongs to another message").map_err(disk);
    }
    recovered.admitted += 1;
    if !how.state_was_lost {
        if how.after_crash {
            events::possible_duplicate(id, POWER_CUT);
        }
        return insert(state, &claimed, how.policy.plan(&claimed, how.now), Place::Cur, how).and_then(|place| follow_row(store, id, place));
    }
    let plan = Plan { hold: Some(LOST.to_owned()), ..how.policy.plan(&claimed, how.now) };
    let place = insert(state, &claimed, plan, Place::Hold, how)?;
    events::held(id, LOST);
    follow_row(store, id, place)
}

/// Says why a file is no message, or not now. One that the disk does not let us read must not keep all others waiting.
fn tell_unclaimed(id: QueueId, claim: Claim, recovered: &mut Recovered) {
    match claim {
        Claim::Corrupt(why) => {
            events::corrupt(&id.to_string(), &why);
            recovered.corrupt += 1;
        }
        Claim::Newer(version) => events::newer(&id.to_string(), version),
        Claim::Unread(e) => events::storage_failed(&format!("cur/{id}"), &format!("{e}; left there until the next start")),
        Claim::Message(_) | Claim::Later | Claim::Gone | Claim::Stuck(_) => {}
    }
}

/// Moves a file of `cur/` to where its row says.
fn follow_row(store: &Store, id: QueueId, place: Place) -> Result<(), String> {
    match place.directory() {
        Some(directory) if place != Place::Cur => store.park(id, layout::CUR, directory).map_err(|e| format!("cur/{id}: {e}")),
        _ => Ok(()),
    }
}

/// A file in `hold/` or `failed/` without a row, after a lost database.
fn adopt_parked(
    state: &mut State,
    store: &Store,
    id: QueueId,
    directory: &str,
    place: Place,
    how: Recovery,
    recovered: &mut Recovered,
) -> Result<(), String> {
    if state.message(id).map_err(|e| e.to_string())?.is_some() {
        events::reconciled(id, &format!("a second file in {directory}/ is left for a person"));
        return Ok(());
    }
    match store.inspect(directory, id) {
        Ok(claimed) => {
            recovered.admitted += 1;
            let reason = "the state was lost; the reason is not known any more".to_owned();
            let plan = Plan { hold: Some(reason), ..how.policy.plan(&claimed, how.now) };
            insert(state, &claimed, plan, place, how).map(drop)
        }
        Err(e) => {
            recovered.corrupt += 1;
            events::corrupt(&format!("{directory}/{id}"), &e.to_string());
            Ok(())
        }
    }
}

/// Makes the rows of a file without any, and says where it belongs. What was not sent from `cur/` may have been delivered.
fn insert(state: &mut State, claimed: &Claimed, plan: Plan, place: Place, how: Recovery) -> Result<Place, String> {
    let (mut message, recipients, event) = super::ledger::rows_of(claimed, &plan);
    if place != Place::Cur {
        message.place = place;
    }
    message.next_attempt = message.next_attempt.or(Some(how.now));
    let progress = if place == Place::Failed { Progress::Failed } else { Progress::Uncertain };
    let rows = |s: &State| {
        s.insert(&message, &recipients, &event)?;
        if place == Place::Cur { Ok(()) } else { mark_open(s, message.id, progress, &message.reason, how.now) }
    };
    state.transaction(Durability::Full, rows).map_err(|e| e.to_string())?;
    Ok(message.place)
}

/// A row that has, or should have, a file: brings row and file together, and settles what was in data.
fn follow(
    state: &mut State,
    store: &Store,
    mut row: Message,
    found: Option<Place>,
    how: Recovery,
    recovered: &mut Recovered,
) -> Result<(), String> {
    let id = row.id;
    let found = match found {
        None => claim_again(store, &row, recovered)?,
        found => found,
    };
    let Some(found) = found else {
        recovered.vanished += 1;
        events::reconciled(id, "its file had vanished");
        (row.place, row.finished, row.next_attempt) = (Place::Gone, Some(how.now), None);
        return update(state, &row, "vanished", "its file was not in the spool at start", how.now);
    };
    if found != row.place {
        recovered.settled += 1;
        if let (Place::Cur, Some(directory)) = (found, row.place.directory()) {
            events::reconciled(id, "moved to where its row says");
            return store.park(id, layout::CUR, directory).map_err(|e| format!("cur/{id}: {e}"));
        }
        events::reconciled(id, "its file had been moved by hand");
        if row.in_data {
            let why = "the daemon stopped between the final dot and the record of its outcome";
            state.transaction(Durability::Full, |s| mark_open(s, id, Progress::Uncertain, why, how.now)).map_err(|e| e.to_string())?;
        }
        (row.place, row.next_attempt, row.in_data, row.reason) = (found, None, false, "moved by hand".to_owned());
        return update(state, &row, "held", "its file had been moved by hand", how.now);
    }
    if row.place == Place::Cur && row.in_data {
        recovered.uncertain += 1;
        return make_uncertain(state, store, row, how);
    }
    if row.place == Place::Cur && how.after_crash {
        events::possible_duplicate(id, POWER_CUT);
    }
    Ok(())
}

/// Looks for a vanished file in `new/`, and claims it if it is that of the row. Were the row ended instead, the claim would take the
/// file for one that was finished before, and remove it.
fn claim_again(store: &Store, row: &Message, recovered: &mut Recovered) -> Result<Option<Place>, String> {
    let id = row.id;
    let disk = |e: std::io::Error| format!("new/{id}: {e}");
    if store.path(layout::NEW).join(id.to_string()).symlink_metadata().is_err() {
        return Ok(None);
    }
    match store.claim(id.to_string()).map_err(disk)? {
        Claim::Message(claimed) if claimed.uid == row.uid && claimed.digest == row.digest => {
            events::reconciled(id, "its move to cur/ had been lost; claimed again");
            Ok(Some(Place::Cur))
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

/// The daemon died between the final dot and the committed outcome.
fn make_uncertain(state: &mut State, store: &Store, mut row: Message, how: Recovery) -> Result<(), String> {
    const WHY: &str = "the daemon stopped between the final dot and the record of its outcome";
    events::possible_duplicate(row.id, WHY);
    row.in_data = false;
    match how.on_uncertain {
        OnUncertain::Retry => row.next_attempt = Some(how.now + backoff::UNCERTAIN),
        OnUncertain::Hold => (row.place, row.next_attempt, row.reason) = (Place::Hold, None, format!("uncertain: {WHY}")),
    }
    state.transaction(Durability::Full, |s| mark_open(s, row.id, Progress::Uncertain, WHY, how.now)).map_err(|e| e.to_string())?;
    update(state, &row, "uncertain", WHY, how.now)?;
    if row.place == Place::Hold {
        events::held(row.id, &row.reason);
        return store.park(row.id, layout::CUR, layout::HOLD).map_err(|e| format!("cur/{}: {e}", row.id));
    }
    Ok(())
}

fn mark_open(state: &State, id: QueueId, progress: Progress, why: &str, now: i64) -> rusqlite::Result<()> {
    for recipient in state.recipients(id)?.into_iter().filter(|r| r.progress.is_open()) {
        let status = if progress == Progress::Failed { "5.0.0" } else { "4.4.2" };
        let update = RecipientUpdate { n: recipient.n, progress, status: status.to_owned(), reply: why.to_owned(), relay: recipient.relay };
        state.update_recipient(id, &update, now)?;
    }
    Ok(())
}

fn update(state: &mut State, row: &Message, kind: &str, text: &str, now: i64) -> Result<(), String> {
    let event = Event { at: now, kind: kind.to_owned(), text: text.to_owned() };
    state.transaction(Durability::Full, |s| s.update(row).and_then(|()| s.record(row.id, &event))).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
