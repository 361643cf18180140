//! The thread of the state_writer: commits groups of commands, and makes the files follow. The steps K1 to K4 stand in [`super`].
//!
//! A command outlives its transaction, because a full disk may undo it: it is applied again after the ballast was given back.

use std::sync::{Arc, mpsc};

use nix::errno::Errno;

use super::command::{Admission, Arrival, Command, OutcomeRecord, Recorded};
use crate::due;
use crate::orders::Orders;
use crate::outcome;
use crate::outcome::{Conclusion, GivenUp};
use crate::quota::Limits;
use crate::reasons::POWER_CUT;
use log::events;
use mail::queue_id::QueueId;
use spool::layout;
use state::{Durability, Event, Message, QueueDir, State, is_damage};
use store::Store;
use store::ballast;

/// Commands that are committed together at most.
const GROUP: usize = 512;

/// What a command found, to be told once it is committed.
enum Reply {
    Admission(Admission),
    Recorded(Recorded),
    Done,
}

impl Command {
    /// After the commit. A receiver that has gone does not matter: what was committed is committed.
    fn answer(self, reply: Reply) {
        match (self, reply) {
            (Command::Admit(_, _, sender), Reply::Admission(admission)) => drop(sender.send(admission)),
            (Command::Mark(_, sender), _) => drop(sender.send(())),
            (Command::Record(_, sender), Reply::Recorded(settled)) => drop(sender.send(settled)),
            (Command::Work(_, work), _) => work.answer(),
            // Every command makes its own kind of reply; without one the sender is dropped, which is no success.
            (Command::Admit(..) | Command::Record(..), _) => {}
        }
    }
}

/// What has to happen to a file once its commit has succeeded.
enum FileWork {
    Remove(QueueId, &'static str),
    Park(QueueId, QueueDir),
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
    fn commit(&mut self, durability: Durability, mut commands: Vec<Command>) -> Result<(), Broken> {
        if commands.is_empty() {
            return Ok(());
        }
        let applied = match self.apply(durability, &mut commands) {
            Err(e) if is_full(&e) && self.made_room(&e) => self.apply(durability, &mut commands),
            applied => applied,
        };
        let (replies, files) = applied?;
        for file in &files {
            match self.finish(file) {
                Err(e) if e.raw_os_error() == Some(Errno::ENOSPC as i32) && self.made_room(&e) => self.finish(file)?,
                finished => finished?,
            }
        }
        self.store.sync_moves()?;
        commands.into_iter().zip(replies).for_each(|(command, reply)| command.answer(reply));
        Ok(())
    }

    /// K1.
    fn apply(&mut self, durability: Durability, commands: &mut [Command]) -> rusqlite::Result<(Vec<Reply>, Vec<FileWork>)> {
        let (store, orders, crashed) = (Arc::clone(&self.store), Arc::clone(&self.orders), self.crashed);
        self.state.transaction(durability, |state| {
            let mut group = Group { state, store: &store, orders: &orders, crashed, files: Vec::new() };
            let replies = commands.iter_mut().map(|command| group.apply(command)).collect::<rusqlite::Result<_>>()?;
            Ok((replies, group.files))
        })
    }

    /// Gives the ballast back. False where there is none: then nothing would be different.
    fn made_room(&self, why: &dyn std::fmt::Display) -> bool {
        match ballast::give_back(&self.store.path(ballast::NAME)) {
            Ok(0) => false,
            Ok(bytes) => {
                events::ballast_given_back(bytes, &why.to_string());
                true
            }
            Err(e) => {
                events::storage_failed(ballast::NAME, &e.to_string());
                false
            }
        }
    }

    /// K2: the file follows its row.
    fn finish(&self, work: &FileWork) -> std::io::Result<()> {
        match work {
            FileWork::Remove(id, directory) => self.store.remove(*id, directory),
            FileWork::Park(id, place) => self.park(*id, place.directory().unwrap_or(layout::FAILED)),
            FileWork::Trash(id) => self.park(*id, layout::TRASH),
            FileWork::Discard(id, why) => self.store.discard(*id, why),
        }
    }
}

impl Writer {
    /// Moves a file out of `cur/`. What somebody with the daemon's or root's rights did to one file must not stop all others.
    fn park(&self, id: QueueId, to: &str) -> std::io::Result<()> {
        match self.store.shift(id, layout::CUR, to) {
            // The row keeps the history. Where a directory has vanished, the file may come back with it.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.store.check_directories().map_err(|why| std::io::Error::new(e.kind(), why))?;
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

/// True where SQLite met a full disk. It has then undone the transaction.
fn is_full(e: &rusqlite::Error) -> bool {
    e.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// What one transaction works on, and what it leaves to do after its commit.
struct Group<'a> {
    state: &'a State,
    store: &'a Store,
    orders: &'a Orders,
    crashed: Option<i64>,
    files: Vec<FileWork>,
}

impl Group<'_> {
    fn apply(&mut self, command: &mut Command) -> rusqlite::Result<Reply> {
        match command {
            Command::Mark(id, _) => self.state.mark_in_data(*id).map(|()| Reply::Done),
            Command::Admit(arrival, limits, _) => self.admit(arrival, limits).map(Reply::Admission),
            Command::Record(record, _) => {
                if let Some(attempt) = &mut record.attempt {
                    attempt.stop = self.orders.take(record.id, attempt.stop.take());
                    // Whatever the attempt comes to: nothing of the order is left for the next start.
                    if attempt.stop.is_some() {
                        self.state.forget_order(record.id)?;
                    }
                }
                record_outcome(self.state, self.store, record, &mut self.files).map(Reply::Recorded)
            }
            Command::Work(_, work) => work.run(self.state, self.store).map(|()| Reply::Done),
        }
    }

    fn admit(&mut self, arrival: &Arrival, limits: &Limits) -> rusqlite::Result<Admission> {
        let Arrival { message, recipients, origin, found } = arrival;
        match self.state.message(message.id)? {
            None => {}
            Some(known) if *found == QueueDir::Cur => return Ok(recognise(message, &known, &mut self.files)),
            Some(known) if *found == QueueDir::Failed && is_same(message, &known) && self.is_discarded(&known)? => {
                self.files.push(FileWork::Remove(message.id, layout::FAILED));
                return Ok(Admission::Resurrected);
            }
            Some(_) => return Ok(Admission::Known),
        }
        let has = self.state.usage(message.uid)?;
        let unplanned = if message.place == QueueDir::Cur { limits.hold(message.uid, has, message.size) } else { None };
        let reason = unplanned.clone().unwrap_or_else(|| message.reason.clone());
        let place = if unplanned.is_some() { QueueDir::Hold } else { message.place };
        self.state.insert(&Message { place, reason: reason.clone(), ..message.clone() }, recipients, origin)?;
        limits.tell_if_reached(message.uid, has, message.size);
        if self.crashed.is_some_and(|at| message.accepted <= at) {
            // Its row, and with it the record of its delivery, may have been lost.
            events::possible_duplicate(message.id, POWER_CUT);
        }
        if place == QueueDir::Hold {
            self.state.record(message.id, &Event { at: sys::clock::now(), kind: "held".to_owned(), text: reason })?;
        }
        if place != *found {
            self.files.push(FileWork::Park(message.id, place));
        }
        Ok(unplanned.map_or(Admission::Admitted, Admission::Held))
    }
}

impl Group<'_> {
    /// True if only a crash kept the file of this failed message from being deleted.
    fn is_discarded(&self, known: &Message) -> rusqlite::Result<bool> {
        Ok(known.place == QueueDir::Ended && self.state.was_discarded(known.id)?)
    }
}

fn is_same(message: &Message, known: &Message) -> bool {
    known.uid == message.uid && known.digest == message.digest
}

/// A file in `cur/` whose id has a row (SPOOL.md, "The claim"). The same file, by uid and digest, is adopted or removed; another
/// one must not overwrite or resurrect anything.
fn recognise(message: &Message, known: &Message, files: &mut Vec<FileWork>) -> Admission {
    match (is_same(message, known), known.place) {
        (true, QueueDir::Cur) => Admission::Known,
        (true, _) => {
            files.push(FileWork::Remove(message.id, layout::CUR));
            Admission::Resurrected
        }
        (false, _) => {
            files.push(FileWork::Discard(message.id, "its queue id belongs to another message".to_owned()));
            Admission::Foreign
        }
    }
}

fn record_outcome(state: &State, store: &Store, record: &mut OutcomeRecord, files: &mut Vec<FileWork>) -> rusqlite::Result<Recorded> {
    let id = record.id;
    let now = sys::clock::now();
    for update in &record.updates {
        state.update_recipient(id, update, now)?;
        state.record_attempt(id, update, &record.transaction, now)?;
        due::note(state, id, update, record.hop_reports)?;
    }
    let Some(attempt) = &mut record.attempt else { return Ok(Recorded::default()) };
    let Some(mut message) = state.message(id)? else { return Ok(Recorded::default()) };
    attempt.was_expired = attempt.now >= message.expires && state.was_expired(id)?;
    let mut recipients = state.recipients(id)?;
    let (conclusion, given_up) = outcome::conclude(&mut message, &mut recipients, attempt);
    for GivenUp { update, address } in &given_up {
        state.update_recipient(id, update, now)?;
        let text = format!("{address}  {}  {}", update.relay, update.reply);
        state.record(id, &Event { at: now, kind: "failed".to_owned(), text })?;
        due::note(state, id, update, false)?;
    }
    state.update(&message)?;
    let dsn_due = due::conclude(state, store, &message, &recipients, &conclusion, attempt)?;
    match &conclusion {
        Conclusion::Relayed => files.push(FileWork::Remove(id, layout::CUR)),
        Conclusion::Failed => files.push(FileWork::Park(id, QueueDir::Failed)),
        Conclusion::Hold { reason } => {
            state.record(id, &Event { at: now, kind: "held".to_owned(), text: reason.clone() })?;
            files.push(FileWork::Park(id, QueueDir::Hold));
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
    Ok(Recorded { conclusion: Some(conclusion), given_up, dsn_due })
}
