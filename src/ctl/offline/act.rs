//! Operations of root while the daemon is stopped. Messages with a row are handled as in the daemon. Files without a row move between
//! the directories; the next start of the daemon creates their rows. The database keeps the user of a hold until then.

use super::found::Found;
use super::{Offline, unreadable};
use crate::select::Selection;
use admin::op::{AdminOp, Named, Reach, was_removed};
use admin::pause;
use control::protocol::{Act, Done};
use control::state::QueueState;
use control::warnings;
use exit::{Exit, Failure};
use mail::Actor;
use mail::code::Answer;
use mail::queue_id::QueueId;
use spool::layout;
use state::{Durability, Message, Order, State, Wanted};

/// Messages per transaction.
const BATCH: usize = 100;

impl Offline {
    /// Applies the operation to the selected messages and calls `each` with every result.
    ///
    /// Errors: those of the disk and the database. The results before the error are valid.
    pub(crate) fn act(&mut self, op: &AdminOp, selection: &Selection, mut each: impl FnMut(Done)) -> Result<(), Failure> {
        self.check_writable()?;
        let mut named = self.named(op, selection)?;
        while !named.is_empty() {
            let rest = named.split_off(named.len().min(BATCH));
            self.batch(op, std::mem::replace(&mut named, rest))?.into_iter().for_each(&mut each);
        }
        Ok(())
    }

    fn check_writable(&self) -> Result<(), Failure> {
        let refused = |why: &String| Failure::new(Exit::IoErr, format!("cannot write to state.sqlite: {why}; no message was changed"));
        self.write_error.as_ref().map(refused).map_or(Ok(()), Err)
    }

    fn named(&self, op: &AdminOp, selection: &Selection) -> Result<Vec<Named>, Failure> {
        let (filter, mut named) = (&selection.filter, Vec::new());
        let Some(ids) = &selection.ids else {
            self.every(filter, op.now, |message, entry| {
                let changes = message.map_or_else(|| changes_unindexed(op.act, entry.queue_name), |message| op.changes(message));
                if changes && filter.matches(&entry, op.now) {
                    named.push(Named::parse(&entry.queue_id));
                }
                Ok(())
            })?;
            return Ok(named);
        };
        for one in ids.iter().map(|text| Named::parse(text)) {
            let found = match one.id {
                Some(id) if !filter.is_everything() => self.find(id, op.now)?,
                _ => None,
            };
            if found.is_none_or(|entry| filter.matches(&entry, op.now)) {
                named.push(one);
            }
        }
        Ok(named)
    }

    fn batch(&mut self, op: &AdminOp, named: Vec<Named>) -> Result<Vec<Done>, Failure> {
        let (mut rows, mut done, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for one in named {
            let directory = match one.id.map(|id| Ok::<_, Failure>((id, self.locate(id)?))).transpose()? {
                Some((_, Some(Found::File(directory)))) => Some(directory),
                Some((id, None)) => self.removed_unindexed(id)?,
                _ => None,
            };
            match (one.id, directory) {
                (Some(id), Some(directory)) => {
                    let result = self.move_unindexed(op, id, directory);
                    moved.extend(Some(id).filter(|_| result.done && !op.dry_run));
                    done.push(result);
                }
                _ => rows.push(one),
            }
        }
        let Some(state) = &mut self.state else {
            done.extend(rows.into_iter().map(|one| Done::new(one.text, Answer::NotFound, "no such message")));
            return Ok(done);
        };
        if !moved.is_empty() {
            state.transaction(Durability::Full, |state| keep_reason(state, op, &moved)).map_err(|e| unreadable(&e))?;
        }
        let may = |_: &Message| true;
        let store = &self.store;
        state.transaction(Durability::Full, |state| op.restore(state, store, &may, &rows)).map_err(|e| unreadable(&e))?;
        let reach = Reach { may: &may, mark: None };
        done.extend(state.transaction(Durability::Full, |state| op.perform(state, store, &reach, rows)).map_err(|e| unreadable(&e))?);
        Ok(done)
    }

    /// The directory of a removed message without a row.
    fn removed_unindexed(&self, id: QueueId) -> Result<Option<&'static str>, Failure> {
        let known = self.state.as_ref().map(|state| state.message(id)).transpose().map_err(|e| unreadable(&e))?.flatten();
        Ok((known.is_none() && self.store.has(layout::TRASH, id)).then_some(layout::TRASH))
    }

    /// Moves a file without a row; its directory is its state. A message to be delivered goes through `new/`, so the daemon checks it like
    /// any other.
    fn move_unindexed(&self, op: &AdminOp, id: QueueId, from: &'static str) -> Done {
        let result = |answer: Answer, text: &str| Done::new(id.to_string(), answer, text);
        let to = match (op.act, from) {
            (Act::Requeue, layout::TRASH) => layout::NEW,
            (_, layout::TRASH) => return result(Answer::Refused, &was_removed(id)),
            (Act::Hold, layout::HOLD) => return result(Answer::Refused, "is already on hold"),
            (Act::Hold, layout::FAILED) => return result(Answer::Refused, "has failed permanently; requeue or remove it"),
            (Act::Hold, _) => layout::HOLD,
            (Act::Release, layout::HOLD) => layout::NEW,
            (Act::Release, _) => return result(Answer::Refused, "is not on hold"),
            (Act::Remove, _) => layout::TRASH,
            (Act::Requeue, layout::HOLD | layout::FAILED) => layout::NEW,
            (Act::Requeue, _) => return result(Answer::Already, "is new; it is sent when mailchuted starts"),
            (Act::Expire | Act::Bounce | Act::Flush, _) => {
                return result(Answer::Refused, "is not in the database yet; start mailchuted first");
            }
        };
        if let Err(why) = self.store.inspect(from, id) {
            return result(Answer::Refused, &format!("unreadable message: {why}"));
        }
        if op.dry_run {
            return result(Answer::WouldDo, &op.outcome());
        }
        match self.store.park(id, from, to) {
            Ok(()) => result(Answer::Done, &op.outcome()),
            Err(e) => result(Answer::NotDone, &format!("failed: {e}")),
        }
    }

    /// Pauses (`on`) or resumes delivery from the next start of the daemon. Returns the new state as text.
    ///
    /// Errors: EX_UNAVAILABLE without a database.
    pub(crate) fn pause(&mut self, on: bool, by: &Actor) -> Result<String, Failure> {
        self.check_writable()?;
        let missing = || Failure::new(Exit::Unavailable, "state.sqlite is missing or unusable; start mailchuted once");
        let state = self.state.as_mut().ok_or_else(missing)?;
        let now = sys::clock::now();
        let since = state.transaction(Durability::Full, |state| pause::write(state, on, by, now)).map_err(|e| unreadable(&e))?;
        Ok(since.map_or_else(|| "delivery resumes when mailchuted starts".to_owned(), |since| warnings::paused(&since)))
    }
}

impl Offline {
    /// Closes admission for this reason from the next start of the daemon, or opens it. Returns the new state as text.
    ///
    /// Errors: EX_UNAVAILABLE without a database.
    pub(crate) fn admission(&mut self, close: Option<&str>, by: &str) -> Result<String, Failure> {
        self.check_writable()?;
        let missing = || Failure::new(Exit::Unavailable, "state.sqlite is missing or unusable; start mailchuted once");
        let state = self.state.as_mut().ok_or_else(missing)?;
        let reason = close.map(|reason| match mail::printable::text(reason) {
            reason if reason.is_empty() => by.to_owned(),
            reason => format!("{reason} ({by})"),
        });
        state.transaction(Durability::Full, |state| state.set_closed(reason.as_deref())).map_err(|e| unreadable(&e))?;
        Ok(reason.map_or_else(|| "admission opens when mailchuted starts".to_owned(), |reason| warnings::closed(&reason)))
    }
}

/// Records the user of a hold for files without a row, or deletes the record after another operation.
fn keep_reason(state: &State, op: &AdminOp, moved: &[QueueId]) -> state::Result<()> {
    moved.iter().try_for_each(|id| match op.act {
        Act::Hold => state.set_order(*id, &Order { wanted: Wanted::Hold, by: op.by.clone() }),
        _ => state.forget_order(*id),
    })
}

/// Whether an operation applies to a file without a row, or must report that it cannot. `ALL` and conditions select only such files.
fn changes_unindexed(act: Act, queue_name: QueueState) -> bool {
    match act {
        Act::Hold => queue_name == QueueState::Incoming,
        Act::Release => queue_name == QueueState::Hold,
        Act::Requeue => matches!(queue_name, QueueState::Hold | QueueState::Failed),
        Act::Remove => true,
        // Selected, so that the refusal is reported.
        Act::Expire | Act::Bounce => queue_name != QueueState::Failed,
        Act::Flush => false,
    }
}
