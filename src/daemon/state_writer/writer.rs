//! The thread of the state_writer: commits groups of commands, and makes the files follow. The steps K1 to K4 stand in [`super`].
//!
//! A command outlives its transaction, because a full disk may undo it: it is applied again after the ballast was given back.

use std::sync::{Arc, mpsc};

use nix::errno::Errno;

use super::command::{Admission, Arrival, Command, OutcomeRecord, Recorded};
use crate::due;
use crate::lost;
use crate::orders::Orders;
use crate::outbox::{outcome_event, tell};
use crate::outcome;
use crate::outcome::{Conclusion, GivenUp, Loss};
use crate::quota::Limits;
use log::events;
use log::message::MessageEvent;
use mail::Hold;
use mail::code::{Duplicate, Happened, HoldCause, MessageEnd, Trigger};
use mail::queue_id::QueueId;
use spool::layout;
use state::{Durability, HistoryLine, Message, QueueDir, State, StateError};
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
}

/// The thread's own.
pub(super) struct Writer {
    state: State,
    store: Arc<Store>,
    orders: Arc<Orders>,
    /// When the machine stopped without a clean stop of the daemon, if ever: what is older may have been delivered.
    crashed: Option<i64>,
    /// Called after each group: there may be something new in the outbox.
    told: Box<dyn Fn() + Send>,
}

/// Why the thread ends.
pub(super) struct Broken {
    /// One line.
    pub(super) reason: String,
    /// The database itself is damaged, not the disk.
    pub(super) is_damage: bool,
}

impl From<StateError> for Broken {
    fn from(e: StateError) -> Self {
        Broken { reason: e.to_string(), is_damage: e.is_damage() }
    }
}

impl From<std::io::Error> for Broken {
    fn from(e: std::io::Error) -> Self {
        Broken { reason: e.to_string(), is_damage: false }
    }
}

impl Writer {
    pub(super) fn new(state: State, store: Arc<Store>, orders: Arc<Orders>, told: Box<dyn Fn() + Send>) -> state::Result<Writer> {
        let crashed = state.crashed()?;
        Ok(Writer { state, store, orders, crashed, told })
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
            Err(e) if e.is_full() && self.made_room(&e) => self.apply(durability, &mut commands),
            applied => applied,
        };
        let (replies, files) = applied?;
        let mut vanished = Vec::new();
        for file in &files {
            let finished = match self.finish(file) {
                Err(e) if e.raw_os_error() == Some(Errno::ENOSPC as i32) && self.made_room(&e) => self.finish(file)?,
                finished => finished?,
            };
            vanished.extend(finished);
        }
        self.store.sync_moves()?;
        self.end_vanished(&vanished)?;
        commands.into_iter().zip(replies).for_each(|(command, reply)| command.answer(reply));
        (self.told)();
        Ok(())
    }

    /// K1.
    fn apply(&mut self, durability: Durability, commands: &mut [Command]) -> state::Result<(Vec<Reply>, Vec<FileWork>)> {
        let (store, orders, crashed) = (Arc::clone(&self.store), Arc::clone(&self.orders), self.crashed);
        self.state.transaction(durability, |state| {
            let mut group = Group { state, store: &store, orders: &orders, crashed, files: Vec::new() };
            let replies = commands.iter_mut().map(|command| group.apply(command)).collect::<state::Result<_>>()?;
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
    /// Returns the message if its file is gone.
    fn finish(&self, work: &FileWork) -> std::io::Result<Option<QueueId>> {
        match work {
            FileWork::Remove(id, directory) => self.store.remove(*id, directory).map(|()| None),
            FileWork::Park(id, dir) => self.park(*id, dir.directory().unwrap_or(layout::FAILED)),
            FileWork::Discard(id, why) => self.store.discard(*id, why).map(|()| None),
        }
    }

    /// The rows of files that were gone when they should follow.
    fn end_vanished(&mut self, vanished: &[QueueId]) -> Result<(), Broken> {
        if vanished.is_empty() {
            return Ok(());
        }
        let now = sys::clock::now();
        self.state.transaction(Durability::Full, |state| {
            let rows = vanished.iter().map(|id| state.message(*id)).collect::<state::Result<Vec<_>>>()?;
            rows.into_iter().flatten().try_for_each(|row| lost::record(state, row, Loss::vanished(""), now))
        })?;
        Ok(())
    }
}

impl Writer {
    /// Moves a file out of `cur/`. What somebody with the daemon's or root's rights did to one file must not stop all others.
    /// Returns the message if its file is gone.
    fn park(&self, id: QueueId, to: &str) -> std::io::Result<Option<QueueId>> {
        match self.store.shift(id, layout::CUR, to) {
            // Where a directory has vanished, the file may come back with it.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.store.check_directories().map_err(|why| std::io::Error::new(e.kind(), why))?;
                Ok(Some(id))
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                events::reconciled(id, &format!("another file has its place in {to}/; its own was moved to corrupt/"));
                self.store.discard(id, &format!("another file had its place in {to}/")).map(|()| None)
            }
            result => result.map(|()| None),
        }
    }
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
    fn apply(&mut self, command: &mut Command) -> state::Result<Reply> {
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

    fn admit(&mut self, arrival: &Arrival, limits: &Limits) -> state::Result<Admission> {
        let Arrival { message, recipients, origin, found } = arrival;
        match self.state.message(message.id)? {
            None => {}
            Some(known) if *found == QueueDir::Cur => return self.recognise(message, known),
            Some(known) if *found == QueueDir::Failed && is_same(message, &known) && self.is_discarded(&known)? => {
                self.files.push(FileWork::Remove(message.id, layout::FAILED));
                return Ok(Admission::Resurrected);
            }
            Some(_) => return Ok(Admission::Known),
        }
        let has = self.state.usage(message.uid)?;
        let unplanned = if message.dir == QueueDir::Cur { limits.hold(message.uid, has, message.size) } else { None };
        let mut row = message.clone();
        if let Some(hold) = unplanned.clone() {
            let next_attempt = row.next_attempt;
            row.park(hold);
            row.next_attempt = next_attempt;
        }
        self.state.insert(&row, recipients, origin)?;
        self.tell(row.id, &accepted(&row, recipients.len()));
        limits.tell_if_reached(message.uid, has, message.size);
        if self.crashed.is_some_and(|at| message.accepted <= at) {
            // Its row, and with it the record of its delivery, may have been lost.
            self.tell(message.id, &MessageEvent::PossibleDuplicate(Duplicate::PowerCut));
        }
        if let Some(hold) = row.held() {
            self.state.record(message.id, &HistoryLine::held(sys::clock::now(), &hold))?;
            // What lies in hold/ already was told when it came there.
            if *found == QueueDir::Cur {
                self.tell(message.id, &MessageEvent::held(&hold));
            }
        }
        if row.dir != *found {
            self.files.push(FileWork::Park(message.id, row.dir));
        }
        Ok(unplanned.map_or(Admission::Admitted, Admission::Held))
    }

    /// A file in `cur/` whose id has a row (SPOOL.md, "The claim"). The same file, by uid and digest, is adopted, follows its row, or is
    /// removed if it was relayed; another one must not overwrite or resurrect anything.
    fn recognise(&mut self, message: &Message, mut known: Message) -> state::Result<Admission> {
        let id = message.id;
        if !is_same(message, &known) {
            self.files.push(FileWork::Discard(id, "its queue id belongs to another message".to_owned()));
            return Ok(Admission::Foreign);
        }
        match (known.dir, known.outcome) {
            (QueueDir::Cur, _) => return Ok(Admission::Known),
            (QueueDir::NoFile, Some(MessageEnd::Relayed)) => self.files.push(FileWork::Remove(id, layout::CUR)),
            (QueueDir::NoFile, _) => {
                // Somebody put it back. It is not sent by itself, and never deleted.
                let hold = Hold::of(HoldCause::Restored);
                known.open(sys::clock::now());
                known.park(hold.clone());
                self.state.update(&known)?;
                self.state.record(id, &HistoryLine::held(sys::clock::now(), &hold))?;
                self.tell(id, &MessageEvent::held(&hold));
                self.files.push(FileWork::Park(id, QueueDir::Hold));
                return Ok(Admission::Restored);
            }
            (QueueDir::Corrupt, _) => self.files.push(FileWork::Discard(id, known.detail.clone())),
            (dir, _) => self.files.push(FileWork::Park(id, dir)),
        }
        Ok(Admission::Resurrected)
    }
}

impl Group<'_> {
    fn tell(&self, id: QueueId, event: &MessageEvent) {
        self.state.tell(event.line(id));
    }

    /// True if only a crash kept the file of this failed message from being deleted.
    fn is_discarded(&self, known: &Message) -> state::Result<bool> {
        Ok(known.dir == QueueDir::NoFile && self.state.was_discarded(known.id)?)
    }
}

fn accepted(row: &Message, recipients: usize) -> MessageEvent {
    let (from, message_id) = (row.reverse_path.clone(), row.message_id.clone());
    MessageEvent::Accepted { from, uid: row.uid, size: row.size, recipients, message_id }
}

fn is_same(message: &Message, known: &Message) -> bool {
    known.uid == message.uid && known.digest == message.digest
}

fn record_outcome(state: &State, store: &Store, record: &mut OutcomeRecord, files: &mut Vec<FileWork>) -> state::Result<Recorded> {
    let id = record.id;
    let now = sys::clock::now();
    for update in &record.updates {
        state.update_recipient(id, update, now)?;
        state.record_attempt(id, update, &record.transaction, now)?;
        due::note(state, id, update, record.hop_reports)?;
    }
    let mut events = record.events.clone();
    let Some(attempt) = &mut record.attempt else {
        tell(state, id, &events);
        return Ok(Recorded::default());
    };
    let Some(mut message) = state.message(id)? else { return Ok(Recorded::default()) };
    attempt.was_expired = attempt.now >= message.expires && state.was_expired(id)?;
    let mut recipients = state.recipients(id)?;
    let (conclusion, given_up) = outcome::conclude(&mut message, &mut recipients, attempt);
    for GivenUp { update, address } in &given_up {
        state.update_recipient(id, update, now)?;
        state.record(id, &lost::failed(now, address, update.diagnosis.cause, &update.reply))?;
        due::note(state, id, update, false)?;
        events.push(outcome_event(&message, address, update, now));
    }
    state.update(&message)?;
    let dsn_due = due::conclude(state, store, &message, &recipients, &conclusion, attempt)?;
    match &conclusion {
        Conclusion::Relayed => files.push(FileWork::Remove(id, layout::CUR)),
        Conclusion::Failed => files.push(FileWork::Park(id, QueueDir::Failed)),
        Conclusion::Hold(hold) => {
            state.record(id, &HistoryLine::held(now, hold))?;
            files.push(FileWork::Park(id, QueueDir::Hold));
        }
        Conclusion::Lost(loss) => {
            state.record(id, &lost::line(loss, now))?;
            if loss.is_corrupt {
                files.push(FileWork::Discard(id, loss.detail.clone()));
            }
        }
        Conclusion::Removed(actor) => {
            state.record(id, &HistoryLine::new(now, Happened::Removed).by(actor))?;
            files.push(FileWork::Park(id, QueueDir::Trash));
        }
        Conclusion::Retry { .. } => {}
    }
    events.extend(concluded(&message, &conclusion, given_up.len()));
    end_with(&mut events, &message);
    tell(state, id, &events);
    Ok(Recorded { conclusion: Some(conclusion), given_up, dsn_due })
}

/// The event of the conclusion itself, beside the outcomes of recipients.
fn concluded(message: &Message, conclusion: &Conclusion, given_up: usize) -> Option<MessageEvent> {
    match conclusion {
        Conclusion::Hold(hold) => Some(MessageEvent::held(hold)),
        Conclusion::Lost(loss) => Some(loss.event(message, given_up)),
        Conclusion::Removed(actor) => Some(MessageEvent::Removed(Some(actor.clone()), Trigger::Delivery, None)),
        Conclusion::Retry { .. } | Conclusion::Relayed | Conclusion::Failed => None,
    }
}

/// One event of an ended message says how it ended: the last one that can, or one of its own.
fn end_with(events: &mut Vec<MessageEvent>, message: &Message) {
    let Some(end) = message.outcome else { return };
    if !events.iter_mut().rev().any(|event| event.end_with(end)) {
        events.push(MessageEvent::Ended { from: message.reverse_path.clone(), end });
    }
}
