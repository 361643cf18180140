//! Administrative operations: hold, release, remove, requeue, expire, bounce, flush.
//!
//! In: the operation, its user, the messages, and the open spool. Out: intentions, updated rows, an event in the history of each
//! message, and a result for each. The daemon's state writer uses it, and root while the daemon is stopped.
//!
//! An operation that moves a file is an intention first ([`crate::moves`]): committed, then done, then recorded, then answered. A
//! message with a delivery attempt in progress is only marked; the operation follows after the attempt. That, too, is an intention: if
//! the daemon stops first, the next start carries it out.

use std::borrow::Cow;
use std::collections::HashSet;

use control::protocol::{Act, Done};
use mail::code::{Answer, Happened};
use mail::queue_id::QueueId;
use mail::{Actor, HistoryCause};
use spool::layout;
use state::{HistoryLine, Intention, Message, QueueDir, State};
use store::Store;

use crate::moves::{self, Concluded, MoveResult, Terms};

/// An operation, its user and its time.
#[derive(Clone, Debug)]
pub struct AdminOp {
    /// The operation.
    pub act: Act,
    /// The user.
    pub by: Actor,
    /// Report what would happen, without doing it.
    pub dry_run: bool,
    /// The time, unix seconds.
    pub now: i64,
    /// The queue lifetime of a requeued message, in seconds.
    pub queue_lifetime: i64,
}

/// A message as the operator named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The text as given, printable.
    pub text: String,
    /// The queue id; `None` if the text is not a queue id.
    pub id: Option<QueueId>,
}

impl Named {
    /// Parses the text from a command line.
    pub fn parse(text: &str) -> Named {
        Named { text: mail::printable::text(text), id: QueueId::parse(text.as_bytes()) }
    }
}

impl From<QueueId> for Named {
    fn from(id: QueueId) -> Named {
        Named { text: id.to_string(), id: Some(id) }
    }
}

/// The messages that the operator may modify, and how to mark messages with an attempt in progress.
pub struct Reach<'a> {
    /// Whether the operator may modify this message.
    pub may: &'a dyn Fn(&Message) -> bool,
    /// Marks a message with an attempt in progress, so that the operation follows later. `None` if the daemon is stopped: then there
    /// is no attempt in progress, whatever the row says.
    pub mark: Option<&'a dyn Fn(QueueId)>,
}

impl AdminOp {
    /// Whether the operation applies to a message in this state. `ALL` and conditions select only such messages.
    pub fn changes(&self, message: &Message) -> bool {
        match (self.act, message.dir) {
            (act, QueueDir::Trash) => act == Act::Requeue,
            (_, QueueDir::NoFile | QueueDir::Corrupt) => false,
            (Act::Remove | Act::Requeue, _) => true,
            (Act::Hold | Act::Flush, dir) => dir == QueueDir::Cur,
            (Act::Release, dir) => dir == QueueDir::Hold,
            (Act::Expire | Act::Bounce, dir) => dir != QueueDir::Failed,
        }
    }

    /// Decides what becomes of each of `named`, in the caller's transaction: what changes rows alone is done, a move is intended, and
    /// [`moves::follow_through`] makes it behind the commit. Returns an answer for each, which is true once [`AdminOp::told`] has seen
    /// what became of the moves. `None`, and no change, where the file of one of them moves already: it is to be asked again behind that.
    ///
    /// Errors: the database's.
    pub fn plan(&self, state: &State, store: &Store, reach: &Reach<'_>, named: &[Named]) -> state::Result<Option<Vec<Done>>> {
        for id in named.iter().filter_map(|named| named.id) {
            if state.is_moving(id)? {
                return Ok(None);
            }
        }
        let mut seen = HashSet::new();
        // A message that is named twice is planned once: the second plan would not see the first.
        let once = named.iter().filter(|named| named.id.is_none_or(|id| seen.insert(id)));
        let answers = once.map(|named| {
            let (answer, text) = self.plan_one(state, store, reach, named)?;
            Ok(Done::new(named.text.clone(), answer, text))
        });
        answers.collect::<state::Result<Vec<_>>>().map(Some)
    }

    /// The same answers, corrected by what became of the moves.
    pub fn told(&self, mut done: Vec<Done>, concluded: &[Concluded]) -> Vec<Done> {
        for moved in concluded {
            let id = moved.message.id.to_string();
            let Some(told) = done.iter_mut().find(|done| done.answer == Answer::Done && done.id == id) else { continue };
            let (answer, text) = match &moved.result {
                MoveResult::Done => continue,
                MoveResult::DoneWithoutFile => (Answer::Done, format!("{}; its file had vanished before", self.outcome())),
                MoveResult::Lost => (Answer::Lost, "is lost: its file has vanished from the spool".to_owned()),
                MoveResult::TakenBack(why) => (Answer::NotDone, format!("failed: {why}")),
            };
            *told = Done::new(id, answer, text);
        }
        done
    }

    fn plan_one(&self, state: &State, store: &Store, reach: &Reach<'_>, named: &Named) -> state::Result<(Answer, Cow<'static, str>)> {
        let message = match named.id {
            Some(id) => state.message(id)?.filter(|message| (reach.may)(message)),
            None => None,
        };
        let Some(message) = message else { return Ok((Answer::NotFound, "no such message".into())) };
        if let (QueueDir::Cur, None, Some(mark)) = (message.dir, message.next_attempt, reach.mark) {
            return self.follow(state, &message, mark);
        }
        if let Some((answer, text)) = self.refusal(store, &message) {
            return Ok((answer, text.into()));
        }
        if self.dry_run {
            return Ok((Answer::WouldDo, self.outcome().into()));
        }
        self.begin(state, message)?;
        Ok((Answer::Done, self.outcome().into()))
    }

    /// Changes the row, or intends the move.
    fn begin(&self, state: &State, mut message: Message) -> state::Result<()> {
        if self.act == Act::Requeue {
            message.expires = self.now.saturating_add(self.queue_lifetime);
            state.update(&message)?;
        }
        let intention = Intention::new(message.id, self.act.op(), message.dir, self.now).by(&self.by);
        if intention.target != intention.source {
            return state.intend(&intention);
        }
        moves::done(state, intention, message, self.terms()).map(drop)
    }

    /// For the conclusion of its moves.
    pub fn terms(&self) -> Terms {
        Terms { now: self.now, is_left: false }
    }

    /// Why the operation is not for a message in this state, if it is not.
    pub fn refusal(&self, store: &Store, message: &Message) -> Option<(Answer, String)> {
        let refused = |text: &str| Some((Answer::Refused, text.to_owned()));
        match (self.act, message.dir) {
            (_, QueueDir::Corrupt) => {
                Some((Answer::NotFound, "was lost on this host: its file was changed, and lies in corrupt/".to_owned()))
            }
            (Act::Requeue, QueueDir::Trash) if store.has(layout::TRASH, message.id) => None,
            (_, QueueDir::Trash) if store.has(layout::TRASH, message.id) => refused(&was_removed(message.id)),
            (_, QueueDir::NoFile | QueueDir::Trash) => Some((Answer::NotFound, "no such message".to_owned())),
            (Act::Hold, QueueDir::Hold) => refused("is already on hold"),
            (Act::Hold | Act::Expire | Act::Bounce, QueueDir::Failed) => refused("has failed permanently; requeue or remove it"),
            (Act::Release, QueueDir::Cur | QueueDir::Failed) => refused("is not on hold"),
            (Act::Flush, QueueDir::Hold) => refused("is on hold; release it"),
            (Act::Flush, QueueDir::Failed) => refused("has failed permanently; requeue it"),
            _ => None,
        }
    }

    /// A message with an attempt in progress. Release, requeue and flush have nothing to do.
    fn follow(&self, state: &State, message: &Message, mark: &dyn Fn(QueueId)) -> state::Result<(Answer, Cow<'static, str>)> {
        let text = match self.act {
            Act::Hold | Act::Remove if self.dry_run => "delivery is in progress; this would follow after the attempt",
            Act::Expire | Act::Bounce if self.dry_run => {
                "delivery is in progress; the message would bounce after the attempt unless it is delivered"
            }
            Act::Hold | Act::Remove => "delivery is in progress; this follows after the attempt",
            Act::Expire | Act::Bounce => "delivery is in progress; the message bounces after the attempt unless it is delivered",
            Act::Release | Act::Requeue | Act::Flush => return Ok((Answer::Already, "delivery is already in progress".into())),
        };
        if self.dry_run {
            return Ok((Answer::WouldLater, text.into()));
        }
        mark(message.id);
        let order = Intention::new(message.id, self.act.op(), QueueDir::Cur, self.now).by(&self.by);
        state.intend(&order.after_attempt())?;
        let asked = HistoryLine::new(self.now, Happened::Asked).because(HistoryCause::Op(self.act.op()));
        state.record(message.id, &asked.by(&self.by))?;
        Ok((Answer::Later, text.into()))
    }

    /// The result text for a message to which the operation is or would be applied.
    pub fn outcome(&self) -> String {
        if self.dry_run { format!("would be {}", self.act.done()) } else { self.act.done().to_owned() }
    }
}

/// The result of any operation but a requeue on a message in the trash.
pub fn was_removed(id: QueueId) -> String {
    format!("was removed; `mailchute requeue {id}` restores it")
}
