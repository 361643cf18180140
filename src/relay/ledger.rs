//! The one writer: a thread that owns state.sqlite and the directories, and commits in groups.
//!
//! In: facts from intake and deliveries. Out: an answer to each, only after its commit. While one commit is being synced, the next
//! ones collect, so that a busy daemon pays one sync for many messages.
//!
//! ```text
//!   mark     "in data"  → commit, ordered  → answered; only then may the final dot leave
//!   settle   outcomes, and the notices that they make due → commit, synced → file unlinked or moved → answered
//!   admit    new row    → commit, ordered  → answered (the file in cur/ repeats it)
//! ```
//! A crash after a settle's commit and before its unlink leaves a finished row and a file: the next start removes the file. A crash
//! before the commit leaves the mark: the next start calls the open recipients uncertain.
//!
//! An error of the disk or the database stops the ledger: everything that waits for an answer gets none, so no dot is sent and no
//! file removed, and the daemon ends loudly (promise 1).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::outcome::{self, Conclusion, GivenUp, Round};
use super::plan::Plan;
use super::report::due;
use crate::log::events;
use crate::mail::envelope::{Envelope, Notify};
use crate::mail::queue_id::QueueId;
use crate::spool::layout;
use crate::spool::state::{Durability, Event, Message, Origin, Place, Progress, RecipientRow, RecipientUpdate, State, Transaction};
use crate::spool::store::{Claimed, Store};

/// Commands that are committed together at most.
const GROUP: usize = 512;
/// Commands that may wait before senders have to.
const BACKLOG: usize = 4096;

/// What one job found out.
#[derive(Debug)]
pub struct Settlement {
    /// The message.
    pub id: QueueId,
    /// What is new about its recipients.
    pub updates: Vec<RecipientUpdate>,
    /// The transaction that they come from, for the history.
    pub transaction: Transaction,
    /// The next hop understands RFC 3461: it reports on what it takes.
    pub hop_reports: bool,
    /// Set with the last job of a round: the message is concluded.
    pub round: Option<Round>,
}

impl Settlement {
    /// True if nothing ended: every recipient waits, and nobody stopped the message.
    fn is_mere_delay(&self) -> bool {
        let waits = !self.updates.is_empty() && self.updates.iter().all(|update| update.progress == Progress::Waiting);
        waits && self.round.as_ref().is_none_or(|round| round.stop.is_none() && round.now < round.expires)
    }
}

/// What the ledger says to a claimed file.
#[derive(Debug)]
pub enum Admission {
    /// It is new: a row was made, and the file is where its row says.
    Admitted,
    /// It is the same file as one that is known and still open; nothing to do.
    Known,
    /// It had been finished, and its removal was lost: the file was removed again.
    Resurrected,
    /// Its id belongs to another message: moved to `corrupt/`.
    Foreign,
}

/// Something else to do with the database and the files, in a synced transaction. It returns what is to be done behind the commit:
/// telling whoever waits. Told before, an administrator could believe in what a crash then undoes.
type Job = Box<dyn FnOnce(&State, &Store) -> rusqlite::Result<Tell> + Send>;
/// Tells whoever waits for a [`Job`].
type Tell = Box<dyn FnOnce() + Send>;

enum Command {
    Admit(Box<(Message, Vec<RecipientRow>, Origin)>, oneshot::Sender<Admission>),
    Mark(QueueId, oneshot::Sender<()>),
    Settle(Box<Settlement>, oneshot::Sender<Settled>),
    Work(Job),
}

impl Command {
    /// True for what the files repeat, or what a power cut may take without harm: a delay that is forgotten is only an attempt that
    /// comes too early, and its mark, forgotten with it, makes it uncertain.
    fn needs_no_sync(&self) -> bool {
        match self {
            Command::Mark(..) | Command::Admit(..) => true,
            Command::Settle(settlement, _) => settlement.is_mere_delay(),
            Command::Work(_) => false,
        }
    }
}

/// What a settlement did.
#[derive(Debug, Default)]
pub struct Settled {
    /// The conclusion, with the last job of a round.
    pub conclusion: Option<Conclusion>,
    /// Recipients that were given up.
    pub given_up: Vec<GivenUp>,
    /// Somebody has to be told.
    pub notice_due: bool,
}

/// The way to the ledger. Cheap to clone; the thread ends when the last one is dropped.
#[derive(Clone)]
pub struct Ledger {
    commands: mpsc::SyncSender<Command>,
}

/// The ledger has stopped: the disk or the database failed. Its reason is in the log.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

impl Ledger {
    /// Starts the thread. `on_stop` is called once if it has to stop because of an error.
    pub fn start(
        state: State,
        store: std::sync::Arc<Store>,
        on_stop: impl FnOnce(String) + Send + 'static,
    ) -> std::io::Result<(Ledger, std::thread::JoinHandle<()>)> {
        let (commands, receiver) = mpsc::sync_channel(BACKLOG);
        let run = move || {
            let writer = Writer { state, store };
            // A ledger that has gone without a word would be a daemon that takes mail and never sends any.
            let ended = catch_unwind(AssertUnwindSafe(|| writer.run(&receiver)));
            if let Err(reason) = ended.unwrap_or_else(|_| Err("internal error in the ledger; please report it".to_owned())) {
                events::storage_failed("state.sqlite or the spool", &reason);
                on_stop(reason);
            }
        };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(run)?;
        Ok((Ledger { commands }, thread))
    }

    fn send(&self, command: Command) -> Result<(), Stopped> {
        // The backlog only fills while the disk is slower than 4096 commands; then waiting here is what slows intake and delivery.
        match self.commands.try_send(command) {
            Ok(()) => Ok(()),
            Err(mpsc::TrySendError::Full(command)) => self.commands.send(command).map_err(|_| Stopped),
            Err(mpsc::TrySendError::Disconnected(_)) => Err(Stopped),
        }
    }

    /// A claimed message becomes a row, as planned.
    pub fn admit(&self, claimed: &Claimed, plan: &Plan) -> Result<oneshot::Receiver<Admission>, Stopped> {
        let (answer, receiver) = oneshot::channel();
        self.send(Command::Admit(Box::new(rows_of(claimed, plan)), answer))?;
        Ok(receiver)
    }

    /// Commits that the final dot of a message may leave. Only after `Ok` may it.
    pub async fn mark_in_data(&self, id: QueueId) -> Result<(), Stopped> {
        let (answer, receiver) = oneshot::channel();
        self.send(Command::Mark(id, answer))?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Commits outcomes, and moves or removes the file if they conclude the message.
    pub async fn settle(&self, settlement: Settlement) -> Result<Settled, Stopped> {
        let (answer, receiver) = oneshot::channel();
        self.send(Command::Settle(Box::new(settlement), answer))?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Runs `work` on the thread, in a synced transaction of its group, and returns what it returned.
    pub fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State, &Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Stopped> {
        let (answer, receiver) = oneshot::channel();
        let run = move |state: &State, store: &Store| {
            let done = work(state, store)?;
            // Nobody may be waiting any more; the work counts all the same.
            Ok(Box::new(move || drop(answer.send(done))) as Tell)
        };
        self.send(Command::Work(Box::new(run)))?;
        Ok(receiver)
    }
}

/// The rows of a message that has just been claimed.
pub(super) fn rows_of(claimed: &Claimed, plan: &Plan) -> (Message, Vec<RecipientRow>, Origin) {
    let envelope = &claimed.envelope;
    let accepted = crate::mail::date::parse_rfc3339(&envelope.time).unwrap_or_default();
    let message = Message {
        id: envelope.id,
        uid: claimed.uid,
        digest: claimed.digest.clone(),
        size: envelope.size,
        accepted,
        expires: plan.expires,
        reverse_path: envelope.reverse_path.to_string(),
        message_id: claimed.message_id.clone(),
        place: if plan.hold.is_some() { Place::Hold } else { Place::Cur },
        reason: plan.hold.clone().unwrap_or_default(),
        attempts: 0,
        last_attempt: None,
        next_attempt: plan.next_attempt,
        in_data: false,
        finished: None,
    };
    let recipient = |(n, recipient): (usize, &crate::mail::envelope::Recipient)| RecipientRow {
        n: u32::try_from(n).unwrap_or(u32::MAX),
        address: recipient.address.to_string(),
        original: recipient.original.clone().unwrap_or_default(),
        notify: recipient.notify.unwrap_or(Notify::UNSAID),
        progress: Progress::Waiting,
        status: String::new(),
        reply: String::new(),
        relay: String::new(),
        at: None,
    };
    (message, envelope.recipients.iter().enumerate().map(recipient).collect(), origin_of(envelope))
}

/// What the kernel says of a caller of the second door goes before what the caller says.
fn origin_of(envelope: &Envelope) -> Origin {
    let mut claimed = envelope.claimed.clone();
    if let Some(peer) = envelope.peer {
        (claimed.gid, claimed.pid) = (Some(peer.gid), Some(peer.pid));
    }
    Origin { attested: envelope.peer.is_some(), claimed, notices: envelope.notices.clone() }
}

/// An answer that is due once its commit has succeeded.
enum Due {
    Admission(oneshot::Sender<Admission>, Admission),
    Mark(oneshot::Sender<()>),
    Settled(oneshot::Sender<Settled>, Settled),
    Told(Tell),
}

/// What has to happen to a file once its commit has succeeded.
enum FileWork {
    Remove(QueueId),
    Park(QueueId, Place),
    Discard(QueueId, String),
    Trash(QueueId),
}

struct Writer {
    state: State,
    store: std::sync::Arc<Store>,
}

impl Writer {
    fn run(mut self, receiver: &mpsc::Receiver<Command>) -> Result<(), String> {
        while let Ok(first) = receiver.recv() {
            let mut group = vec![first];
            while let Some(command) = (group.len() < GROUP).then(|| receiver.try_recv().ok()).flatten() {
                group.push(command);
            }
            let (ordered, full): (Vec<_>, Vec<_>) = group.into_iter().partition(Command::needs_no_sync);
            self.commit(Durability::Ordered, ordered)?;
            self.commit(Durability::Full, full)?;
        }
        Ok(())
    }

    fn commit(&mut self, durability: Durability, commands: Vec<Command>) -> Result<(), String> {
        if commands.is_empty() {
            return Ok(());
        }
        let store = std::sync::Arc::clone(&self.store);
        let (answers, files) = self
            .state
            .transaction(durability, |state| {
                let (mut answers, mut files) = (Vec::new(), Vec::new());
                for command in commands {
                    apply(state, &store, command, &mut answers, &mut files)?;
                }
                Ok((answers, files))
            })
            .map_err(|e| e.to_string())?;
        for file in files {
            self.finish(file).map_err(|e| e.to_string())?;
        }
        answers.into_iter().for_each(Due::give);
        Ok(())
    }

    /// After the commit: the file follows its row.
    fn finish(&self, work: FileWork) -> std::io::Result<()> {
        match work {
            FileWork::Remove(id) => self.store.remove(id, layout::CUR),
            FileWork::Park(id, place) => self.park(id, place.directory().unwrap_or(layout::FAILED)),
            FileWork::Trash(id) => self.park(id, layout::TRASH),
            FileWork::Discard(id, why) => self.store.discard(id, &why),
        }
    }
}

impl Writer {
    /// Moves a file out of `cur/`. What somebody with the daemon's or root's rights did to one file must not stop all others.
    fn park(&self, id: QueueId, to: &str) -> std::io::Result<()> {
        match self.store.park(id, layout::CUR, to) {
            // The row keeps the history.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                events::reconciled(id, "its file had vanished from cur/");
                Ok(())
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                events::reconciled(id, &format!("another file has its place in {to}/; its own was moved to corrupt/"));
                self.store.discard(id, &format!("another file had its place in {to}/"))
            }
            result => result,
        }
    }
}

impl Due {
    /// A receiver that has gone does not matter: what was committed is committed.
    fn give(self) {
        match self {
            Due::Admission(sender, admission) => drop(sender.send(admission)),
            Due::Mark(sender) => drop(sender.send(())),
            Due::Settled(sender, settled) => drop(sender.send(settled)),
            Due::Told(tell) => tell(),
        }
    }
}

fn apply(state: &State, store: &Store, command: Command, answers: &mut Vec<Due>, files: &mut Vec<FileWork>) -> rusqlite::Result<()> {
    match command {
        Command::Mark(id, sender) => {
            state.mark_in_data(id)?;
            answers.push(Due::Mark(sender));
        }
        Command::Admit(rows, sender) => {
            let (message, recipients, origin) = *rows;
            let admission = match state.message(message.id)? {
                None => {
                    state.insert(&message, &recipients, &origin)?;
                    if message.place == Place::Hold {
                        let held = Event { at: crate::sys::clock::now(), kind: "held".to_owned(), text: message.reason.clone() };
                        state.record(message.id, &held)?;
                        files.push(FileWork::Park(message.id, Place::Hold));
                    }
                    Admission::Admitted
                }
                Some(known) => recognise(&message, &known, files),
            };
            answers.push(Due::Admission(sender, admission));
        }
        Command::Settle(settlement, sender) => {
            let settled = settle(state, store, *settlement, files)?;
            answers.push(Due::Settled(sender, settled));
        }
        Command::Work(work) => answers.push(Due::Told(work(state, store)?)),
    }
    Ok(())
}

/// A file in `cur/` whose id has a row (DESIGN.md, "Claim"). The same file, by uid and digest, is adopted or removed; another
/// one must not overwrite or resurrect anything.
fn recognise(message: &Message, known: &Message, files: &mut Vec<FileWork>) -> Admission {
    let is_same = known.uid == message.uid && known.digest == message.digest;
    match (is_same, known.place) {
        (true, Place::Cur) => Admission::Known,
        (true, _) => {
            files.push(FileWork::Remove(message.id));
            Admission::Resurrected
        }
        (false, _) => {
            files.push(FileWork::Discard(message.id, "its queue id belongs to another message".to_owned()));
            Admission::Foreign
        }
    }
}

fn settle(state: &State, store: &Store, settlement: Settlement, files: &mut Vec<FileWork>) -> rusqlite::Result<Settled> {
    let id = settlement.id;
    let now = crate::sys::clock::now();
    for update in &settlement.updates {
        state.update_recipient(id, update, now)?;
        state.record_attempt(id, update, &settlement.transaction, now)?;
        due::note(state, id, update, settlement.hop_reports)?;
    }
    let Some(round) = settlement.round else { return Ok(Settled::default()) };
    let Some(mut message) = state.message(id)? else { return Ok(Settled::default()) };
    let mut recipients = state.recipients(id)?;
    let (conclusion, given_up) = outcome::conclude(&mut message, &mut recipients, &round);
    for GivenUp { update, address } in &given_up {
        state.update_recipient(id, update, now)?;
        let text = format!("{address}  {}  {}", update.relay, update.reply);
        state.record(id, &Event { at: now, kind: "failed".to_owned(), text })?;
        due::note(state, id, update, false)?;
    }
    state.update(&message)?;
    let notice_due = due::conclude(state, store, &message, &recipients, &conclusion, &round)?;
    match &conclusion {
        Conclusion::Relayed => files.push(FileWork::Remove(id)),
        Conclusion::Failed => files.push(FileWork::Park(id, Place::Failed)),
        Conclusion::Hold { reason } => {
            state.record(id, &Event { at: now, kind: "held".to_owned(), text: reason.clone() })?;
            files.push(FileWork::Park(id, Place::Hold));
        }
        Conclusion::Corrupt { reason } => {
            state.record(id, &Event { at: now, kind: "corrupt".to_owned(), text: reason.clone() })?;
            files.push(FileWork::Discard(id, reason.clone()));
        }
        Conclusion::Removed => {
            state.record(id, &Event { at: now, kind: "removed".to_owned(), text: "after the attempt under way".to_owned() })?;
            files.push(FileWork::Trash(id));
        }
        Conclusion::Retry { .. } => {}
    }
    Ok(Settled { conclusion: Some(conclusion), given_up, notice_due })
}

#[cfg(test)]
mod tests;
