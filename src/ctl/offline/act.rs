//! Operations of root while the daemon is stopped, done as the daemon does them ([`admin::moves`]).
//!
//! Before the first one, what the last run of the daemon or of this command left is settled as a start of the daemon settles it
//! ([`admin::settle`]). A file without a row is taken first ([`admin::take`]), and then handled like any message.

use super::found::Found;
use super::{Offline, unreadable};
use crate::select::Selection;
use admin::moves::{self, MoveError};
use admin::op::{AdminOp, Named, Reach};
use admin::pause;
use admin::settle::{self, Settling};
use admin::take::{Taken, Taking};
use control::protocol::{Act, Done};
use control::state::QueueState;
use control::warnings;
use exit::{Exit, Failure};
use mail::Actor;
use mail::code::Answer;
use mail::queue_id::QueueId;
use spool::layout;
use state::{Durability, Message};

/// Messages per transaction.
const BATCH: usize = 100;

impl Offline {
    /// Applies the operation to the selected messages and calls `each` with every result.
    ///
    /// Errors: those of the disk and the database. The results before the error are valid.
    pub(crate) fn act(&mut self, op: &AdminOp, selection: &Selection, mut each: impl FnMut(Done)) -> Result<(), Failure> {
        self.check_writable()?;
        if !op.dry_run {
            self.settle(op.now)?;
        }
        let mut named = self.named(op, selection)?;
        while !named.is_empty() {
            let rest = named.split_off(named.len().min(BATCH));
            self.batch(op, std::mem::replace(&mut named, rest))?.into_iter().for_each(&mut each);
        }
        Ok(())
    }

    /// Carries out what was left.
    fn settle(&mut self, now: i64) -> Result<(), Failure> {
        let settling = Settling { now, on_uncertain: self.on_uncertain, tells: false };
        let state = self.state.as_mut().ok_or_else(missing)?;
        settle::settle(state, &self.store, settling).map(drop).map_err(|e| failed(&e))
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
        let (mut rows, mut done) = (Vec::new(), Vec::new());
        for one in named {
            match self.without_row(one.id)? {
                None => rows.push(one),
                Some((id, directory)) => match self.take(op, id, directory)? {
                    None => rows.push(one),
                    Some((answer, text)) => done.push(Done::new(one.text, answer, text)),
                },
            }
        }
        let state = self.state.as_mut().ok_or_else(missing)?;
        let (store, may) = (&self.store, |_: &Message| true);
        let reach = Reach { may: &may, mark: None };
        let planned = state.transaction(Durability::Full, |state| op.plan(state, store, &reach, &rows)).map_err(|e| unreadable(&e))?;
        let planned = planned.ok_or_else(|| unreadable(&"an intention that was not carried out"))?;
        let mut concluded = Vec::new();
        moves::follow_through(state, store, op.terms(), &mut concluded).map_err(|e| failed(&e))?;
        done.extend(op.told(planned, &concluded));
        Ok(done)
    }

    /// The directory of the file, if the message has no row.
    fn without_row(&self, id: Option<QueueId>) -> Result<Option<(QueueId, &'static str)>, Failure> {
        let Some(id) = id else { return Ok(None) };
        Ok(match self.locate(id)? {
            Some(Found::File(directory)) => Some((id, directory)),
            // A removed message whose row was lost.
            None => self.store.has(layout::TRASH, id).then_some((id, layout::TRASH)),
            Some(Found::Row(_)) => None,
        })
    }

    /// Takes a file that has no row, and has one then; or says why not, or in a dry run what would be done.
    fn take(&mut self, op: &AdminOp, id: QueueId, directory: &'static str) -> Result<Option<(Answer, String)>, Failure> {
        let state = self.state.as_mut().ok_or_else(missing)?;
        let boot = state.get("boot_id").map_err(|e| unreadable(&e))?;
        let taking = Taking { now: op.now, policy: self.policy, state_was_lost: boot.is_none() };
        // What is refused changes nothing.
        let refusal = match taking.look(&self.store, id, directory) {
            Ok(message) => op.refusal(&self.store, &message),
            Err(why) => Some((Answer::Refused, why)),
        };
        if refusal.is_some() || op.dry_run {
            return Ok(Some(refusal.unwrap_or_else(|| (Answer::WouldDo, op.outcome()))));
        }
        match taking.take(state, &self.store, id, directory).map_err(|e| failed(&e))? {
            Taken::Row(_) => Ok(None),
            Taken::Refused(why) => Ok(Some((Answer::Refused, why))),
        }
    }

    /// Pauses (`on`) or resumes delivery from the next start of the daemon. Returns the new state as text.
    ///
    /// Errors: EX_UNAVAILABLE without a database.
    pub(crate) fn pause(&mut self, on: bool, by: &Actor) -> Result<String, Failure> {
        self.check_writable()?;
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
        let state = self.state.as_mut().ok_or_else(missing)?;
        let reason = close.map(|reason| match mail::printable::text(reason) {
            reason if reason.is_empty() => by.to_owned(),
            reason => format!("{reason} ({by})"),
        });
        state.transaction(Durability::Full, |state| state.set_closed(reason.as_deref())).map_err(|e| unreadable(&e))?;
        Ok(reason.map_or_else(|| "admission opens when mailchuted starts".to_owned(), |reason| warnings::closed(&reason)))
    }
}

fn missing() -> Failure {
    Failure::new(Exit::Unavailable, "state.sqlite is missing or unusable; start mailchuted once, which makes it")
}

/// What was begun is on record, and is carried out before the next operation.
fn failed(e: &MoveError) -> Failure {
    Failure::new(Exit::IoErr, format!("the spool failed: {e}; mailchuted, or the next operation, completes what was begun"))
}

/// Whether an operation applies to a file without a row. `ALL` and conditions select only such files.
fn changes_unindexed(act: Act, queue_name: QueueState) -> bool {
    match act {
        Act::Hold | Act::Flush => queue_name == QueueState::Incoming,
        Act::Release => queue_name == QueueState::Hold,
        Act::Remove | Act::Requeue => true,
        Act::Expire | Act::Bounce => queue_name != QueueState::Failed,
    }
}
