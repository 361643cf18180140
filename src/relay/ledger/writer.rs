//! The thread of the ledger: commits groups of commands, and makes the files follow. The steps K1 to K4 stand in [`super`].

use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::{Admission, Answer, Arrival, Command, GROUP, Settled, Settlement};
use crate::log::events;
use crate::mail::queue_id::QueueId;
use crate::relay::orders::Orders;
use crate::relay::outcome::{self, Conclusion, GivenUp};
use crate::relay::recover::POWER_CUT;
use crate::relay::report::due;
use crate::spool::layout;
use crate::spool::state::{Durability, Event, Message, Place, State, is_damage};
use crate::spool::store::Store;

/// An answer that is due once its commit has succeeded.
enum Due {
    Admission(oneshot::Sender<Admission>, Admission),
    Mark(oneshot::Sender<()>),
    Settled(oneshot::Sender<Settled>, Settled),
    Work(Answer),
}

/// What has to happen to a file once its commit has succeeded.
enum FileWork {
    Remove(QueueId),
    Park(QueueId, Place),
    Discard(QueueId, String),
    Trash(QueueId),
}

/// The thread's own.
pub(super) struct Writer {
    state: State,
    store: Arc<Store>,
    orders: Arc<Orders>,
    /// When the machine stopped without a clean stop of the daemon, if ever: what is older may have been delivered.
    crashed: Option<i64>,
}

/// Why the thread ends.
pub(super) struct Broken {
    /// One line.
    pub(super) reason: String,
    /// The database itself is damaged, not the disk.
    pub(super) is_damage: bool,
}

impl From<rusqlite::Error> for Broken {
    fn from(e: rusqlite::Error) -> Self {
        Broken { reason: e.to_string(), is_damage: is_damage(&e) }
    }
}

impl From<std::io::Error> for Broken {
    fn from(e: std::io::Error) -> Self {
        Broken { reason: e.to_string(), is_damage: false }
    }
}

impl Writer {
    pub(super) fn new(state: State, store: Arc<Store>, orders: Arc<Orders>) -> rusqlite::Result<Writer> {
        let crashed = state.crashed()?;
        Ok(Writer { state, store, orders, crashed })
    }

    pub(super) fn run(mut self, receiver: &mpsc::Receiver<Command>) -> Result<(), Broken> {
        while let Ok(first) = receiver.recv() {
            let mut group = vec![first];
            while let Some(command) = (group.len() < GROUP).then(|| receiver.try_recv().ok()).flatten() {
                group.push(command);
            }
            let (ordered, full): (Vec<_>, Vec<_>) = group.into_iter().partition(|command| command.needs_no_sync(&self.orders));
            self.commit(Durability::Ordered, ordered)?;
            self.commit(Durability::Full, full)?;
        }
        Ok(())
    }

    /// K1 to K4 for one group.
    fn commit(&mut self, durability: Durability, commands: Vec<Command>) -> Result<(), Broken> {
        if commands.is_empty() {
            return Ok(());
        }
        let (store, orders, crashed) = (Arc::clone(&self.store), Arc::clone(&self.orders), self.crashed);
        let (answers, files) = self.state.transaction(durability, |state| {
            let mut group = Group { state, store: &store, orders: &orders, crashed, answers: Vec::new(), files: Vec::new() };
            for command in commands {
                group.apply(command)?;
            }
            Ok((group.answers, group.files))
        })?;
        for file in files {
            self.finish(file)?;
        }
        self.store.sync_moves()?;
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
        match self.store.shift(id, layout::CUR, to) {
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
            Due::Work(answer) => answer(),
        }
    }
}

/// What one transaction works on, and what it leaves to do after its commit.
struct Group<'a> {
    state: &'a State,
    store: &'a Store,
    orders: &'a Orders,
    crashed: Option<i64>,
    answers: Vec<Due>,
    files: Vec<FileWork>,
}

impl Group<'_> {
    fn apply(&mut self, command: Command) -> rusqlite::Result<()> {
        let due = match command {
            Command::Mark(id, sender) => {
                self.state.mark_in_data(id)?;
                Due::Mark(sender)
            }
            Command::Admit(arrival, sender) => Due::Admission(sender, self.admit(&arrival)?),
            Command::Settle(mut settlement, sender) => {
                if let Some(round) = &mut settlement.round {
                    round.stop = self.orders.take(settlement.id, round.stop.take());
                }
                Due::Settled(sender, settle(self.state, self.store, *settlement, &mut self.files)?)
            }
            Command::Work(_, work) => Due::Work(work(self.state, self.store)?),
        };
        self.answers.push(due);
        Ok(())
    }

    fn admit(&mut self, arrival: &Arrival) -> rusqlite::Result<Admission> {
        let Arrival { message, recipients, origin, found } = arrival;
        match self.state.message(message.id)? {
            None => {}
            Some(known) if *found == Place::Cur => return Ok(recognise(message, &known, &mut self.files)),
            Some(_) => return Ok(Admission::Known),
        }
        self.state.insert(message, recipients, origin)?;
        if self.crashed.is_some_and(|at| message.accepted <= at) {
            // Its row, and with it the record of its delivery, may have been lost.
            events::possible_duplicate(message.id, POWER_CUT);
        }
        if message.place == Place::Hold {
            let held = Event { at: crate::sys::clock::now(), kind: "held".to_owned(), text: message.reason.clone() };
            self.state.record(message.id, &held)?;
        }
        if message.place != *found {
            self.files.push(FileWork::Park(message.id, message.place));
        }
        Ok(Admission::Admitted)
    }
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
