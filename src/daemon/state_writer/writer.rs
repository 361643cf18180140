//! The thread of the state_writer: commits groups of commands, and makes the files follow. The steps K1 to K5 stand in [`super`].
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
use crate::outcome::{Conclusion, DeliveryAttempt, GivenUp, Stop};
use crate::quota::Limits;
use admin::moves::{self, Concluded, MoveError, MoveResult, Terms};
use log::events;
use log::message::MessageEvent;
use mail::Hold;
use mail::code::{Duplicate, Happened, HoldCause, MessageEnd, Op, Trigger};
use mail::queue_id::QueueId;
use spool::layout;
use state::{Durability, HistoryLine, Intention, Message, Phase, QueueDir, State, StateError};
use store::Store;
use store::ballast;
use store::carry::Carried;

/// Commands that are committed together at most.
const GROUP: usize = 512;
/// The key of what is written for its sync alone: SQLite does not write, and does not sync, what is so already.
const SYNCED: &str = "synced";

/// What a command found, to be told once it is committed.
enum Reply {
    Admission(Admission),
    Recorded(Recorded),
    Done,
}

impl Command {
    /// After the commit and the moves. A receiver that has gone does not matter: what was committed is committed.
    fn answer(self, reply: Reply, state: &State, concluded: &[Concluded]) {
        let not_done = |id: QueueId| concluded.iter().any(|moved| moved.message.id == id && !moved.is_done());
        match (self, reply) {
            (Command::Admit(arrival, _, sender), Reply::Admission(admission)) => {
                let is_left = matches!(admission, Admission::Held(_)) && not_done(arrival.message.id);
                drop(sender.send(if is_left { Admission::Admitted } else { admission }));
            }
            (Command::Mark(_, sender), _) => drop(sender.send(())),
            (Command::Record(record, sender), Reply::Recorded(mut recorded)) => {
                if not_done(record.id) {
                    // What became of it instead was told.
                    recorded.conclusion = None;
                }
                drop(sender.send(recorded));
            }
            (Command::Work(_, work), _) => work.answer(state, concluded),
            // Every command makes its own kind of reply; without one the sender is dropped, which is no success.
            (Command::Admit(..) | Command::Record(..), _) => {}
        }
    }
}

/// What has to happen to a file once its commit has succeeded.
enum FileWork {
    Remove(QueueId, &'static str),
    /// Out of `cur/`, to where its row says that it is, with the digest of the row.
    Follow(QueueId, QueueDir, Vec<u8>, String),
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

impl From<MoveError> for Broken {
    fn from(e: MoveError) -> Self {
        match e {
            MoveError::State(e) => e.into(),
            MoveError::Disk(e) => e.into(),
        }
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

    /// K1 to K5 for these commands: for all at once, or for those before one that has to wait for the moves of another.
    fn commit(&mut self, durability: Durability, mut commands: Vec<Command>) -> Result<(), Broken> {
        while !commands.is_empty() {
            let applied = match self.apply(durability, &mut commands) {
                Err(e) if e.is_full() && self.made_room(&e) => self.apply(durability, &mut commands),
                applied => applied,
            };
            let (replies, files) = applied?;
            for file in &files {
                match self.finish(file) {
                    Err(e) if e.raw_os_error() == Some(Errno::ENOSPC as i32) && self.made_room(&e) => self.finish(file)?,
                    finished => finished?,
                }
            }
            let concluded = self.follow_through(durability)?;
            let rest = commands.split_off(replies.len());
            let done = std::mem::replace(&mut commands, rest);
            done.into_iter().zip(replies).for_each(|(command, reply)| command.answer(reply, &self.state, &concluded));
            (self.told)();
        }
        Ok(())
    }

    /// K1. Returns a reply for each command that was applied, which are the first ones.
    fn apply(&mut self, durability: Durability, commands: &mut [Command]) -> state::Result<(Vec<Reply>, Vec<FileWork>)> {
        let (store, orders, crashed) = (Arc::clone(&self.store), Arc::clone(&self.orders), self.crashed);
        self.state.transaction(durability, |state| {
            let mut group = Group { state, store: &store, orders: &orders, crashed, files: Vec::new() };
            let mut replies = Vec::with_capacity(commands.len());
            for command in commands {
                match group.apply(command)? {
                    Some(reply) => replies.push(reply),
                    // Before the first one nothing moves.
                    None if replies.is_empty() => return Err(StateError::Damaged("an intention that nobody carries out".to_owned())),
                    None => break,
                }
            }
            Ok((replies, group.files))
        })
    }

    /// K2 to K4 for what was intended.
    fn follow_through(&mut self, durability: Durability) -> Result<Vec<Concluded>, Broken> {
        if durability == Durability::Ordered && !self.state.intentions(Phase::Moving, 1)?.is_empty() {
            // Mail that turned out to be held: no file moves before its intention is on the disk.
            let other = format!("{:016x}", sys::clock::random()?);
            self.state.transaction(Durability::Full, |state| state.set(SYNCED, &other))?;
        }
        let mut concluded = Vec::new();
        let terms = Terms { now: sys::clock::now(), is_left: false };
        match moves::follow_through(&mut self.state, &self.store, terms, &mut concluded) {
            Err(e) if e.is_full() && self.made_room(&e) => moves::follow_through(&mut self.state, &self.store, terms, &mut concluded)?,
            followed => followed?,
        }
        for moved in &concluded {
            if let MoveResult::TakenBack(why) = &moved.result {
                lost::tell_taken_back(moved, why);
            }
        }
        Ok(concluded)
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

    /// K2, for what is no move of a message that has to be recorded.
    fn finish(&self, work: &FileWork) -> std::io::Result<()> {
        match work {
            FileWork::Remove(id, directory) => self.store.remove(*id, directory),
            FileWork::Follow(id, dir, pinned, why) => match self.store.carry(*id, layout::CUR, dir.directory(), pinned, why)? {
                Carried::Refused(e) => Err(e),
                _ => Ok(()),
            },
            FileWork::Discard(id, why) => self.store.discard(*id, why),
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
    /// `None` for work that has to wait for the moves of this group.
    fn apply(&mut self, command: &mut Command) -> state::Result<Option<Reply>> {
        let reply = match command {
            Command::Mark(id, _) => self.state.mark_in_data(*id).map(|()| Reply::Done),
            Command::Admit(arrival, limits, _) => self.admit(arrival, limits).map(Reply::Admission),
            Command::Record(record, _) => {
                if let Some(attempt) = &mut record.attempt {
                    attempt.stop = self.orders.take(record.id, attempt.stop.take());
                    // Whatever the attempt comes to: nothing of the order is left for the next start.
                    if attempt.stop.is_some() {
                        self.state.forget_intention(record.id)?;
                    }
                }
                record_outcome(self.state, self.store, record, &mut self.files).map(Reply::Recorded)
            }
            Command::Work(_, work) => return Ok(work.run(self.state, self.store)?.then_some(Reply::Done)),
        };
        reply.map(Some)
    }

    fn admit(&mut self, arrival: &Arrival, limits: &Limits) -> state::Result<Admission> {
        let Arrival { message, found, .. } = arrival;
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
        arrival.insert(self.state, unplanned.as_ref(), sys::clock::now())?;
        limits.tell_if_reached(message.uid, has, message.size);
        if self.crashed.is_some_and(|at| message.accepted <= at) {
            // Its row, and with it the record of its delivery, may have been lost.
            self.state.tell(MessageEvent::PossibleDuplicate(Duplicate::PowerCut).line(message.id));
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
        if self.state.is_moving(id)? {
            return Ok(Admission::Known);
        }
        match (known.dir, known.outcome) {
            (QueueDir::Cur, _) => return Ok(Admission::Known),
            (QueueDir::NoFile, Some(MessageEnd::Relayed)) => self.files.push(FileWork::Remove(id, layout::CUR)),
            (QueueDir::NoFile, _) => {
                // Somebody put it back. It is not sent by itself, and never deleted.
                let (hold, now) = (Hold::of(HoldCause::Restored), sys::clock::now());
                known.open(now);
                known.next_attempt = None;
                self.state.update(&known)?;
                self.state.intend(&Intention::to_hold(id, QueueDir::Cur, &hold, now).on(Trigger::Start))?;
                return Ok(Admission::Restored);
            }
            (dir, _) => self.files.push(FileWork::Follow(id, dir, known.digest, known.detail)),
        }
        Ok(Admission::Resurrected)
    }
}

impl Group<'_> {
    /// True if only a crash kept the file of this failed message from being deleted.
    fn is_discarded(&self, known: &Message) -> state::Result<bool> {
        Ok(known.dir == QueueDir::NoFile && self.state.was_discarded(known.id)?)
    }
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
    let known = message.clone();
    let mut recipients = state.recipients(id)?;
    let (conclusion, given_up) = outcome::conclude(&mut message, &mut recipients, attempt);
    for GivenUp { update, address } in &given_up {
        state.update_recipient(id, update, now)?;
        state.record(id, &lost::failed(now, address, update.diagnosis.cause, &update.reply))?;
        due::note(state, id, update, false)?;
        events.push(outcome_event(&message, address, update, now));
    }
    if let (Some(Stop::GiveUp(actor, op)), false) = (&attempt.stop, given_up.is_empty()) {
        let kind = if *op == Op::Bounce { Happened::Bounced } else { Happened::Expired };
        state.record(id, &HistoryLine::new(now, kind).by(actor))?;
    }
    let intention = intention_of(&conclusion, id, attempt, now);
    match &intention {
        // Its row says where the file is until it has moved.
        Some(intention) => {
            let Message { attempts, last_attempt, .. } = message;
            state.update(&Message { attempts, last_attempt, in_data: false, next_attempt: None, ..known })?;
            state.intend(intention)?;
        }
        None => state.update(&message)?,
    }
    let dsn_due = due::conclude(state, store, &message, &recipients, &conclusion, attempt)?;
    match &conclusion {
        Conclusion::Relayed => files.push(FileWork::Remove(id, layout::CUR)),
        Conclusion::Lost(loss) if !loss.is_corrupt => {
            state.record(id, &lost::line(loss, now))?;
            events.push(loss.event(&message, given_up.len()));
        }
        _ => {}
    }
    // A move adds its own event when it is done.
    if !matches!(conclusion, Conclusion::Removed(_)) {
        end_with(&mut events, &message);
    }
    tell(state, id, &events);
    Ok(Recorded { conclusion: Some(conclusion), given_up, dsn_due })
}

/// One event of an ended message says how it ended: the last one that can, or one of its own.
fn end_with(events: &mut Vec<MessageEvent>, message: &Message) {
    let Some(end) = message.outcome else { return };
    if !events.iter_mut().rev().any(|event| event.end_with(end)) {
        events.push(MessageEvent::Ended { from: message.reverse_path.clone(), end });
    }
}

/// The move that follows from the end of an attempt.
fn intention_of(conclusion: &Conclusion, id: QueueId, attempt: &DeliveryAttempt, now: i64) -> Option<Intention> {
    let of = |op| Intention::new(id, op, QueueDir::Cur, now).on(Trigger::Delivery);
    match conclusion {
        Conclusion::Failed => Some(Intention { at: attempt.now, ..of(Op::Fail) }),
        Conclusion::Hold(hold) => Some(Intention::to_hold(id, QueueDir::Cur, hold, now).on(Trigger::Delivery)),
        Conclusion::Lost(loss) if loss.is_corrupt => Some(Intention { at: attempt.now, ..of(Op::Lose) }.with(loss.detail.clone())),
        Conclusion::Removed(actor) => Some(of(Op::Remove).by(actor)),
        Conclusion::Relayed | Conclusion::Retry { .. } | Conclusion::Lost(_) => None,
    }
}
