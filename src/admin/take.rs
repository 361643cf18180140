//! The row of a file that has none: of mail that has just been claimed, of mail whose row was lost, and of mail that root names while
//! the daemon is stopped.
//!
//! A file without a row is never moved: it is taken first, and then it is a message like any other. One that is to be held gets a row
//! that says where its file is, and the intention to hold it, in one transaction.

use mail::code::{Cause, Duplicate, HoldCause, MessageEnd, Subject, Trigger};
use mail::queue_id::QueueId;
use mail::{Diagnosis, Hold};
use spool::file::FileError;
use spool::layout;
use state::{Durability, Intention, Message, Origin, Progress, QueueDir, RecipientRow, State};
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
    /// The rows of a file in this directory.
    pub fn arrival(&self, claimed: &ClaimedMessage, found: QueueDir) -> Arrival {
        match found {
            QueueDir::Cur => self.of_cur(claimed),
            found => self.of_parked(claimed, found),
        }
    }

    fn of_cur(&self, claimed: &ClaimedMessage) -> Arrival {
        let plan = self.policy.plan(claimed, self.now);
        if !self.state_was_lost {
            let mut arrival = arrival(claimed, &plan, QueueDir::Cur);
            arrival.message.next_attempt = arrival.message.next_attempt.or(Some(self.now));
            return arrival;
        }
        let mut arrival = arrival(claimed, &Plan { hold: Some(Hold::of(HoldCause::StateLost)), ..plan }, QueueDir::Cur);
        self.mark_uncertain(&mut arrival);
        arrival
    }

    fn of_parked(&self, claimed: &ClaimedMessage, found: QueueDir) -> Arrival {
        let unknown = if self.state_was_lost { HoldCause::ReasonLost } else { HoldCause::Moved };
        let plan = Plan { hold: Some(Hold::of(unknown)), ..self.policy.plan(claimed, self.now) };
        let mut arrival = arrival(claimed, &plan, found);
        match found {
            QueueDir::Failed => {
                mark(&mut arrival, Progress::Failed, Cause::Unknown, "5.0.0", self.now);
                arrival.message.end(QueueDir::Failed, MessageEnd::Failed, self.now);
            }
            QueueDir::Trash => arrival.message.end(QueueDir::Trash, MessageEnd::Removed, self.now),
            _ if self.state_was_lost => self.mark_uncertain(&mut arrival),
            // Nobody has tried it yet: it was parked before its claim was recorded.
            _ => {}
        }
        arrival
    }

    fn mark_uncertain(&self, arrival: &mut Arrival) {
        mark(arrival, Progress::Uncertain, Cause::StateLost, "4.4.2", self.now);
        arrival.message.suspect = Some(Duplicate::StateLost);
    }

    /// The row that the file of a message without one would get.
    ///
    /// Errors: why it is no message.
    pub fn look(&self, store: &Store, id: QueueId, directory: &str) -> Result<Message, String> {
        let claimed = store.inspect(directory, id).map_err(|why| unreadable(&why))?;
        Ok(self.arrival(&claimed, dir_of(directory)).message)
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
        let arrival = Taking { state_was_lost: lost, ..*self }.arrival(&claimed, found);
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
