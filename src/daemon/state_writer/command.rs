//! What the state writer is asked, and what it answers.

use std::sync::Arc;

use admin::moves::Concluded;
pub(crate) use admin::take::Arrival;
use log::message::MessageEvent;
use mail::Hold;
use mail::queue_id::QueueId;
use state::{Durability, Progress, QueueDir, RecipientUpdate, State, Transaction};
use store::Store;
use tokio::sync::oneshot;

use crate::orders::Orders;
use crate::outcome::{Conclusion, DeliveryAttempt, GivenUp};
use crate::quota::Limits;

/// What one job found out.
#[derive(Debug)]
pub(crate) struct OutcomeRecord {
    /// The message.
    pub(crate) id: QueueId,
    /// What is new about its recipients.
    pub(crate) updates: Vec<RecipientUpdate>,
    /// The transaction that they come from, for the history.
    pub(crate) transaction: Transaction,
    /// The next hop understands RFC 3461: it reports on what it takes.
    pub(crate) hop_reports: bool,
    /// Set with the last job of an attempt: the message is concluded.
    pub(crate) attempt: Option<DeliveryAttempt>,
    /// Its events, committed with it.
    pub(crate) events: Vec<MessageEvent>,
}

impl OutcomeRecord {
    /// True if nothing ended: every recipient waits, and nobody stopped the message.
    fn is_mere_delay(&self) -> bool {
        let waits = !self.updates.is_empty() && self.updates.iter().all(|update| update.progress == Progress::Deferred);
        waits && self.attempt.as_ref().is_none_or(|attempt| attempt.stop.is_none() && attempt.now < attempt.expires)
    }
}

/// What the state writer says to a claimed file.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is new: a row was made, and the file is where its row says.
    Admitted,
    /// It is new, and held, which was not planned: admission is closed, or its sender has reached the spool limit.
    Held(Hold),
    /// It is the same file as one that is known and still open; nothing to do.
    Known,
    /// It had ended, and the end of its file was lost: the file was removed, or went where its row says.
    Resurrected,
    /// It had ended otherwise than relayed, and its file was put back: it is held.
    Restored,
    /// Its id belongs to another message: moved to `corrupt/`.
    Foreign,
}

pub(super) enum Command {
    /// With what its sender may have.
    Admit(Box<Arrival>, Arc<Limits>, oneshot::Sender<Admission>),
    Mark(QueueId, oneshot::Sender<()>),
    Record(Box<OutcomeRecord>, oneshot::Sender<Recorded>),
    Work(Durability, Box<dyn Work>),
}

impl Command {
    /// True for what the files repeat, or what a power cut may take without harm: a delay that is forgotten is only an attempt that
    /// comes too early, and its mark, forgotten with it, makes it uncertain.
    pub(super) fn needs_no_sync(&self, orders: &Orders) -> bool {
        match self {
            Command::Mark(..) => true,
            Command::Admit(arrival, ..) => arrival.message.dir == QueueDir::Cur,
            Command::Record(record, _) => record.is_mere_delay() && !orders.has(record.id),
            Command::Work(durability, _) => *durability == Durability::Ordered,
        }
    }
}

/// What a record did.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// The conclusion, with the last job of an attempt.
    pub(crate) conclusion: Option<Conclusion>,
    /// Recipients that were given up.
    pub(crate) given_up: Vec<GivenUp>,
    /// Somebody has to be told.
    pub(crate) dsn_due: bool,
}

/// The state writer has stopped: the disk or the database failed. Its reason is in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

/// Something else to do with the database and the files.
pub(super) trait Work: Send {
    /// Does it, again if it must be. False where a file that it wants to move is moving already: then it has done nothing, and is run
    /// again behind that.
    fn run(&mut self, state: &State, store: &Store) -> state::Result<bool>;
    /// Gives what the last run found, after its commit and after the moves that it intended: told before, an administrator could
    /// believe in what a crash then undoes.
    fn answer(self: Box<Self>, state: &State, concluded: &[Concluded]);
}

/// The work of a closure, and what makes its answer of what was found and of what became of the moves.
pub(super) struct Asked<F, G, T, U> {
    work: F,
    then: G,
    found: Option<T>,
    answer: oneshot::Sender<U>,
}

impl<F, G, T, U> Asked<F, G, T, U> {
    pub(super) fn new(work: F, then: G, answer: oneshot::Sender<U>) -> Asked<F, G, T, U> {
        Asked { work, then, found: None, answer }
    }
}

impl<F, G, T, U> Work for Asked<F, G, T, U>
where
    F: FnOnce(&State, &Store) -> state::Result<Option<T>> + Clone + Send,
    G: FnOnce(T, &State, &[Concluded]) -> U + Send,
    T: Send,
    U: Send,
{
    fn run(&mut self, state: &State, store: &Store) -> state::Result<bool> {
        self.found = (self.work.clone())(state, store)?;
        Ok(self.found.is_some())
    }

    fn answer(self: Box<Self>, state: &State, concluded: &[Concluded]) {
        if let Some(found) = self.found {
            // Nobody may be waiting any more; the work counts all the same.
            let _ = self.answer.send((self.then)(found, state, concluded));
        }
    }
}
