//! The row of a file that has none: of mail that has just been claimed, of mail whose row was lost, and of mail that root names while
//! the daemon is stopped.
//!
//! A file without a row is never moved: it is taken first, and then it is a message like any other. One that is to be held gets a row
//! that says where its file is, and the intention to hold it, in one transaction.

use std::collections::HashSet;

use log::message::MessageEvent;
use mail::code::{Cause, HoldCause, MessageEnd, Subject, Trigger};
use mail::queue_id::QueueId;
use mail::{Diagnosis, Hold};
use spool::file::FileError;
use spool::layout;
use state::{Durability, Intention, Known, KnownRecipient, Message, Origin, Progress, QueueDir, RecipientRow, State};
use store::{Claim, ClaimedMessage, Store};

use crate::moves::{Concluded, MoveError, Terms, follow_through};
use crate::plan::{Plan, Policy};
use crate::rows::rows_of;

/// A file that has no row yet, as far as its finder knows.
#[derive(Debug)]
pub struct Arrival {
    /// Its row.
    pub message: Message,
    /// Its recipients' rows.
    pub recipients: Vec<RecipientRow>,
    /// Where it came from.
    pub origin: Origin,
    /// Where the file is.
    pub found: QueueDir,
}

/// How files are taken.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// Unix seconds.
    pub now: i64,
    /// The bounds of the configuration.
    pub policy: Policy,
    /// The database was lost: what lies in the spool may have been delivered.
    pub state_was_lost: bool,
}

impl Taking {
    /// The rows of a file in this directory, with what the log of outcomes knows of it.
    pub fn arrival(&self, claimed: &ClaimedMessage, found: QueueDir, known: Option<&Known>) -> Arrival {
        match found {
            QueueDir::Cur => self.of_cur(claimed, known),
            found => self.of_parked(claimed, found, known),
        }
    }

    fn of_cur(&self, claimed: &ClaimedMessage, known: Option<&Known>) -> Arrival {
        let plan = self.policy.plan(claimed, self.now);
        let mut arrival = arrival(claimed, &plan, QueueDir::Cur);
        if self.state_was_lost {
            mark(&mut arrival, Progress::Uncertain, Cause::StateLost, "4.4.2", self.now);
        }
        take_known(&mut arrival, known, self.now);
        if self.state_was_lost && arrival.recipients.iter().any(|row| row.progress.is_open()) {
            arrival.message.park(Hold::of(HoldCause::StateLost));
        } else if arrival.message.hold.is_none() {
            arrival.message.next_attempt = arrival.message.next_attempt.or(Some(self.now));
        }
        arrival
    }

    fn of_parked(&self, claimed: &ClaimedMessage, found: QueueDir, known: Option<&Known>) -> Arrival {
        let unknown = if self.state_was_lost { HoldCause::ReasonLost } else { HoldCause::Moved };
        let hold = known.and_then(Known::hold).unwrap_or_else(|| Hold::of(unknown));
        let plan = Plan { hold: Some(hold), ..self.policy.plan(claimed, self.now) };
        let mut arrival = arrival(claimed, &plan, found);
        match found {
            QueueDir::Failed => {
                mark(&mut arrival, Progress::Failed, Cause::Unknown, "5.0.0", self.now);
                take_known(&mut arrival, known, self.now);
                let end = state::end_of(&arrival.recipients).or_else(|| known?.end()).unwrap_or(MessageEnd::Failed);
                arrival.message.end(QueueDir::Failed, end, self.now);
            }
            QueueDir::Trash => {
                take_known(&mut arrival, known, self.now);
                arrival.message.end(QueueDir::Trash, MessageEnd::Removed, self.now);
            }
            // Whoever held it last knew of every recipient.
            _ if known.is_some() => take_known(&mut arrival, known, self.now),
            _ if self.state_was_lost => mark(&mut arrival, Progress::Uncertain, Cause::StateLost, "4.4.2", self.now),
            // Nobody has tried it yet: it was parked before its claim was recorded.
            _ => {}
        }
        arrival
    }

    /// The row that the file of a message without one would get.
    ///
    /// Errors: why it is no message.
    pub fn look(&self, store: &Store, id: QueueId, directory: &str) -> Result<Message, String> {
        let claimed = store.inspect(directory, id).map_err(|why| unreadable(&why))?;
        Ok(self.arrival(&claimed, dir_of(directory), None).message)
    }

    /// Claims the file of a message without a row, which is in `directory`, and makes its row.
    ///
    /// Errors: those of the disk and the database. A file without a row that was claimed is found by the next start.
    pub fn take(&self, state: &mut State, store: &Store, id: QueueId, directory: &str) -> Result<Taken, MoveError> {
        if state.message(id)?.is_some() {
            return Ok(Taken::Refused(format!("its file was moved to {directory}/ by hand; start mailchuted, which records that")));
        }
        let claimed = match store.inspect(directory, id) {
            Ok(claimed) => claimed,
            Err(why) => return Ok(Taken::Refused(unreadable(&why))),
        };
        let (claimed, found) = match directory {
            layout::NEW => match store.claim(id.to_string())? {
                Claim::Message(claimed) => (*claimed, QueueDir::Cur),
                Claim::Later => return Ok(Taken::Refused("is still being written; try again".to_owned())),
                _ => return Ok(Taken::Refused("cannot be claimed; start mailchuted, which says why".to_owned())),
            },
            _ => (claimed, dir_of(directory)),
        };
        // What is in new/ has not been tried, whatever was lost.
        let lost = self.state_was_lost && directory != layout::NEW;
        let known = state.known(&HashSet::from([id]))?.remove(&id).filter(|known| known.is_of(&claimed.digest));
        let arrival = Taking { state_was_lost: lost, ..*self }.arrival(&claimed, found, known.as_ref());
        state.transaction(Durability::Full, |state| arrival.insert(state, None, self.now))?;
        let mut concluded = Vec::new();
        follow_through(state, store, Terms { now: self.now, is_left: false }, &mut concluded)?;
        Ok(Taken::Row(concluded))
    }
}

/// What became of a file that was to be taken.
#[derive(Debug)]
pub enum Taken {
    /// It has a row, and the policy may have held it.
    Row(Vec<Concluded>),
    /// It has none, for this reason.
    Refused(String),
}

impl Arrival {
    /// Makes the row. Where it is to be held, for its own reason or for `unplanned`, the hold is intended.
    ///
    /// Errors: the database's.
    pub fn insert(&self, state: &State, unplanned: Option<&Hold>, now: i64) -> state::Result<()> {
        let Arrival { message, recipients, origin, found } = self;
        let (from, message_id) = (message.reverse_path.clone(), message.message_id.clone());
        let accepted = MessageEvent::Accepted { from, uid: message.uid, size: message.size, recipients: recipients.len(), message_id };
        state.tell(accepted.line(message.id));
        let hold = unplanned.cloned().or_else(|| message.held().filter(|_| message.dir != *found));
        let Some(hold) = hold else {
            state.insert(message, recipients, origin)?;
            return match message.held() {
                Some(hold) => state.record(message.id, &state::HistoryLine::held(now, &hold)),
                None => Ok(()),
            };
        };
        let mut row = message.clone();
        (row.dir, row.hold, row.by, row.detail) = (*found, None, None, String::new());
        state.insert(&row, recipients, origin)?;
        state.intend(&Intention::to_hold(message.id, *found, &hold, now).on(Trigger::Policy))
    }
}

/// What the log of outcomes knows: who has it does not get it again.
fn take_known(arrival: &mut Arrival, known: Option<&Known>, now: i64) {
    let Some(known) = known else { return };
    let results = known.recipients(arrival.recipients.len());
    // Of what had no file any more the log has its end alone.
    let is_relayed = known.end() == Some(MessageEnd::Relayed);
    for row in &mut arrival.recipients {
        let KnownRecipient { progress, cause, status, reply } = match results.get(&row.n) {
            Some(known) => known.clone(),
            None if is_relayed => KnownRecipient::relayed(),
            None => continue,
        };
        (row.progress, row.status, row.reply, row.at) = (progress, status, reply, Some(now));
        row.diagnosis = cause.map_or_else(Diagnosis::default, |cause| Diagnosis::of(cause, Subject::Recipient));
    }
}

fn arrival(claimed: &ClaimedMessage, plan: &Plan, found: QueueDir) -> Arrival {
    let (message, recipients, origin) = rows_of(claimed, plan);
    Arrival { message, recipients, origin, found }
}

fn mark(arrival: &mut Arrival, progress: Progress, cause: Cause, status: &str, now: i64) {
    for recipient in &mut arrival.recipients {
        (recipient.progress, recipient.at) = (progress, Some(now));
        (recipient.status, recipient.diagnosis) = (status.to_owned(), Diagnosis::of(cause, Subject::Host));
    }
}

fn unreadable(why: &FileError) -> String {
    format!("unreadable message: {why}")
}

fn dir_of(directory: &str) -> QueueDir {
    let all = [QueueDir::Hold, QueueDir::Failed, QueueDir::Trash];
    all.into_iter().find(|dir| dir.directory() == Some(directory)).unwrap_or(QueueDir::Cur)
}
