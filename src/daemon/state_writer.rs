//! The one writer: a thread that owns state.sqlite and the directories, and commits in groups.
//!
//! In: claims and outcomes, as commands. Out: an answer to each, only after its commit. While one commit is being synced, the next
//! ones collect, so that a busy daemon pays one sync for many messages.
//!
//! ```text
//!   mark     "in data"  → commit, ordered  → answered; only then may the final dot leave
//!   record   outcomes, and the DSNs that they make due → K1 to K5
//!   admit    new row    → commit, ordered  → answered (the file in cur/ repeats it); a held one: K1 to K5
//!   work     what operators and the start ask for → K1 to K5
//! ```
//!
//! A file never moves but by an intention ([`state::Intention`]), for the whole group at once ([`admin::moves`]):
//!
//! | step | what happens | a crash after it leaves |
//! |---|---|---|
//! | K1 | outcomes and intentions of the group are committed, synced | intentions: the next start carries them out |
//! | K2 | files of relayed messages are unlinked, others are moved | each file where it was, or where it is wanted; the same |
//! | K3 | one sync for each directory that files were moved from or to | the same; an unlink that was lost is recognised by its row |
//! | K4 | only behind moves: rows, history, and the end of the intentions are committed, ordered | nothing; a power cut may take it: the same |
//! | K5 | everybody who waits is answered | nothing to do |
//!
//! A crash before K1 leaves the mark "in data": the next start calls the open recipients uncertain. The row of a relayed message is its
//! own intention: it is final in K1, and K4 has nothing to do.
//!
//! A full disk is met with the ballast: it is given back and the same commands are applied once more, so that the outcome which met
//! the full disk is not lost. Any other error of the disk or the database, and a second full disk, stops the state_writer: everything that
//! waits for an answer gets none, so no dot is sent and no file removed, and the daemon ends loudly (promise 1).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, mpsc};

use tokio::sync::oneshot;

use super::orders::Orders;
use super::plan::Plan;
use crate::database;
use crate::quota::Limits;
use crate::rows::rows_of;
use admin::moves::Concluded;
pub(crate) use command::{Admission, Arrival, OutcomeRecord, Recorded, Stopped};
use command::{Asked, Command};
use log::events;
use mail::queue_id::QueueId;
use state::{Durability, QueueDir, State};
use store::{ClaimedMessage, Store};
use writer::{Broken, Writer};

mod command;
mod writer;

/// Commands that may wait before senders have to.
const BACKLOG: usize = 4096;

/// The way to the state writer. Cheap to clone; the thread ends when the last one is dropped.
#[derive(Clone)]
pub(crate) struct StateWriter {
    commands: mpsc::SyncSender<Command>,
    orders: Arc<Orders>,
    limits: Arc<RwLock<Arc<Limits>>>,
}

impl StateWriter {
    /// Starts the thread. `told` is called after commits: there may be something in the outbox. `on_stop` is called once if the thread
    /// has to stop because of an error.
    pub(crate) fn start(
        state: State,
        store: Arc<Store>,
        told: impl Fn() + Send + 'static,
        on_stop: impl FnOnce(String) + Send + 'static,
    ) -> std::io::Result<(StateWriter, std::thread::JoinHandle<()>)> {
        let (commands, receiver) = mpsc::sync_channel(BACKLOG);
        let orders = Arc::new(Orders::default());
        let given = Arc::clone(&orders);
        let run = move || {
            let marking = Arc::clone(&store);
            // A state writer that has gone without a word would be a daemon that takes mail and never sends any.
            let run = || Writer::new(state, store, given, Box::new(told)).map_err(Broken::from).and_then(|writer| writer.run(&receiver));
            let ended = catch_unwind(AssertUnwindSafe(run));
            let internal = || Broken { reason: "internal error in the state writer; please report it".to_owned(), is_damage: false };
            if let Err(Broken { reason, is_damage }) = ended.unwrap_or_else(|_| Err(internal())) {
                events::storage_failed("state.sqlite or the spool", &reason);
                if is_damage {
                    database::mark_damaged(&marking, &reason);
                }
                on_stop(reason);
            }
        };
        let thread = std::thread::Builder::new().name("state_writer".to_owned()).spawn(run)?;
        Ok((StateWriter { commands, orders, limits: Arc::default() }, thread))
    }

    /// What is to be done to messages that are being sent; to be given in [`StateWriter::work`] only.
    pub(crate) fn orders(&self) -> &Arc<Orders> {
        &self.orders
    }

    fn send(&self, command: Command) -> Result<(), Stopped> {
        // The backlog only fills while the disk is slower than 4096 commands; then waiting here is what slows intake and delivery.
        match self.commands.try_send(command) {
            Ok(()) => Ok(()),
            Err(mpsc::TrySendError::Full(command)) => self.commands.send(command).map_err(|_| Stopped),
            Err(mpsc::TrySendError::Disconnected(_)) => Err(Stopped),
        }
    }

    /// What users may have in the spool from now on.
    pub(crate) fn set_limits(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A claimed message becomes a row, as planned, unless the limits say that it is held.
    pub(crate) fn admit(&self, claimed: &ClaimedMessage, plan: &Plan) -> Result<oneshot::Receiver<Admission>, Stopped> {
        let (message, recipients, origin) = rows_of(claimed, plan);
        self.adopt(Arrival { message, recipients, origin, found: QueueDir::Cur })
    }

    /// A file without a row gets one; if the row says another place than where the file is, the file follows.
    pub(crate) fn adopt(&self, arrival: Arrival) -> Result<oneshot::Receiver<Admission>, Stopped> {
        let (answer, receiver) = oneshot::channel();
        self.send(Command::Admit(Box::new(arrival), self.limits(), answer))?;
        Ok(receiver)
    }

    /// Commits that the final dot of a message may leave. Only after `Ok` may it.
    pub(crate) async fn mark_in_data(&self, id: QueueId) -> Result<(), Stopped> {
        let (answer, receiver) = oneshot::channel();
        self.send(Command::Mark(id, answer))?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Commits outcomes, and moves or removes the file if they conclude the message.
    pub(crate) async fn record(&self, record: OutcomeRecord) -> Result<Recorded, Stopped> {
        let (answer, receiver) = oneshot::channel();
        self.send(Command::Record(Box::new(record), answer))?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Runs `work` on the thread, in a synced transaction of its group, and returns what it returned once that is on the disk, and the
    /// moves that it intended are made. Where the disk is full it runs twice, so it must not change files.
    pub(crate) fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State, &Store) -> state::Result<T> + Clone + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Stopped> {
        self.work_with(Durability::Full, work)
    }

    /// As [`StateWriter::work`], for what a power cut may take without harm.
    pub(crate) fn work_unsynced<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State, &Store) -> state::Result<T> + Clone + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Stopped> {
        self.work_with(Durability::Ordered, work)
    }

    fn work_with<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&State, &Store) -> state::Result<T> + Clone + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Stopped> {
        let (sender, receiver) = oneshot::channel();
        let work = |state: &State, store: &Store| work(state, store).map(Some);
        self.send(Command::Work(durability, Box::new(Asked::new(work, |found, _: &State, _: &[Concluded]| found, sender))))?;
        Ok(receiver)
    }

    /// As [`StateWriter::work`], for work that returns `None`, and has changed nothing, where a file that it wants to move is moving
    /// already. Returns what `then` makes of what was found and of what became of the moves of its group.
    pub(crate) fn operate<T: Send + 'static, U: Send + 'static>(
        &self,
        work: impl FnOnce(&State, &Store) -> state::Result<Option<T>> + Clone + Send + 'static,
        then: impl FnOnce(T, &State, &[Concluded]) -> U + Send + 'static,
    ) -> Result<oneshot::Receiver<U>, Stopped> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Work(Durability::Full, Box::new(Asked::new(work, then, sender))))?;
        Ok(receiver)
    }
}

#[cfg(test)]
mod tests;
