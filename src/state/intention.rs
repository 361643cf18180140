//! Intentions: every move of a file that somebody wanted, from the moment it is decided until file and row agree.
//!
//! A row is committed and synced before its file moves, and deleted in the transaction that records the result. Whatever a crash
//! leaves, the next start finds here what is to be done, and who wanted it. An intention of the phase [`Phase::AfterAttempt`] waits:
//! the message is being sent, and the record of that attempt carries it out.

use mail::code::{Code, HoldCause, Op, QueueDir, Trigger};
use mail::queue_id::QueueId;
use mail::{Actor, Hold};
use rusqlite::{OptionalExtension, Row, params};

use crate::codes;
use crate::database::State;
use crate::errors::{Result, damage};
use crate::rows::actor_of;

/// How far an intention has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the end of the attempt under way.
    AfterAttempt,
    /// The file moves.
    Moving,
}

impl Phase {
    fn number(self) -> i64 {
        match self {
            Phase::AfterAttempt => 0,
            Phase::Moving => 1,
        }
    }

    fn of_number(number: i64) -> Option<Phase> {
        [Phase::AfterAttempt, Phase::Moving].into_iter().find(|phase| phase.number() == number)
    }
}

/// What is wanted of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intention {
    /// The message.
    pub id: QueueId,
    /// What is done to it.
    pub op: Op,
    /// Whether it waits.
    pub phase: Phase,
    /// Where its file is, as its row says.
    pub source: QueueDir,
    /// Where the file goes; [`QueueDir::NoFile`] deletes it.
    pub target: QueueDir,
    /// Why it is held, if it is to be.
    pub hold: Option<HoldCause>,
    /// What made the system do it.
    pub trigger: Trigger,
    /// Who wanted it.
    pub by: Option<Actor>,
    /// More for people. Printable; shown, never read.
    pub detail: String,
    /// When it was decided, unix seconds.
    pub at: i64,
}

impl Intention {
    /// To do `op` to a message whose file is in `source`, decided at `at`.
    pub fn new(id: QueueId, op: Op, source: QueueDir, at: i64) -> Intention {
        let target = target_of(op, source);
        let hold = (op == Op::Hold).then_some(HoldCause::Operator);
        Intention { id, op, phase: Phase::Moving, source, target, hold, trigger: Trigger::Operator, by: None, detail: String::new(), at }
    }

    /// The same, wanted by this operator.
    pub fn by(self, actor: &Actor) -> Intention {
        Intention { by: Some(actor.clone()), ..self }
    }

    /// The same, because of this.
    pub fn on(self, trigger: Trigger) -> Intention {
        Intention { trigger, ..self }
    }

    /// The same, with more for people.
    pub fn with(self, detail: impl Into<String>) -> Intention {
        Intention { detail: detail.into(), ..self }
    }

    /// To hold a message for this reason.
    pub fn to_hold(id: QueueId, source: QueueDir, hold: &Hold, at: i64) -> Intention {
        let intention = Intention::new(id, Op::Hold, source, at).with(hold.detail.clone());
        Intention { hold: Some(hold.cause), by: hold.by.clone(), ..intention }
    }

    /// The same, once the attempt under way has ended.
    pub fn after_attempt(self) -> Intention {
        Intention { phase: Phase::AfterAttempt, ..self }
    }

    /// Why the message is to be held.
    pub fn held(&self) -> Hold {
        Hold { cause: self.hold.unwrap_or(HoldCause::Operator), by: self.by.clone(), detail: self.detail.clone() }
    }
}

/// Where the file of a message goes. Expire and flush change the row alone.
fn target_of(op: Op, source: QueueDir) -> QueueDir {
    match op {
        Op::Hold => QueueDir::Hold,
        Op::Release | Op::Requeue => QueueDir::Cur,
        Op::Remove => QueueDir::Trash,
        Op::Bounce | Op::Fail => QueueDir::Failed,
        Op::Lose => QueueDir::Corrupt,
        Op::Discard => QueueDir::NoFile,
        Op::Expire | Op::Flush => source,
    }
}

const COLUMNS: &str = "message, op, phase, source, target, cause, trigger, by_uid, by_name, detail, at";

fn intention_of(row: &Row<'_>) -> rusqlite::Result<Intention> {
    let number: i64 = row.get(2)?;
    Ok(Intention {
        id: QueueId::from_i64(row.get(0)?),
        op: codes::get(row, 1)?,
        phase: Phase::of_number(number).ok_or_else(|| codes::no_code("phase", number, 2))?,
        // Version 2 kept orders without directories: for messages in `cur/` alone.
        source: codes::get_option(row, 3)?.unwrap_or(QueueDir::Cur),
        target: codes::get_option(row, 4)?.unwrap_or(QueueDir::Cur),
        hold: codes::get_option(row, 5)?,
        trigger: codes::get(row, 6)?,
        by: actor_of(row, 7)?,
        detail: row.get(9)?,
        at: row.get(10)?,
    })
}

impl State {
    /// Keeps an intention. Of those that wait for the end of an attempt the last one counts.
    ///
    /// Errors: SQLite's; damage where the file of the message is to move already, which nobody may change.
    pub fn intend(&self, intention: &Intention) -> Result<()> {
        if self.is_moving(intention.id)? {
            return Err(damage(&format!("{} moves already", intention.id)));
        }
        self.connection
            .prepare_cached(&format!("INSERT OR REPLACE INTO intention ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"))?
            .execute(params![
                intention.id.to_i64(),
                intention.op.number(),
                intention.phase.number(),
                intention.source.number(),
                intention.target.number(),
                codes::number(intention.hold),
                intention.trigger.number(),
                intention.by.as_ref().map(|by| by.uid),
                intention.by.as_ref().map_or("", |by| by.name.as_str()),
                intention.detail,
                intention.at,
            ])?;
        Ok(())
    }

    /// True while the file of this message is to move.
    pub fn is_moving(&self, id: QueueId) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM intention WHERE message = ?1 AND phase = 1")?;
        Ok(statement.query_row([id.to_i64()], |_| Ok(())).optional()?.is_some())
    }

    /// The intention was carried out, or there is nothing left to be carried out on.
    pub fn forget_intention(&self, id: QueueId) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM intention WHERE message = ?1")?.execute([id.to_i64()])?;
        Ok(())
    }

    /// Every intention of this phase, at most `limit`, by queue id.
    pub fn intentions(&self, phase: Phase, limit: usize) -> Result<Vec<Intention>> {
        let sql = format!("SELECT {COLUMNS} FROM intention WHERE phase = ?1 ORDER BY message LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let kept = statement.query_map(params![phase.number(), limit as i64], intention_of)?;
        Ok(kept.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intention_is_kept_until_it_is_forgotten_and_of_those_that_wait_the_last_one_counts() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("state.sqlite");
        let root = Actor { uid: 0, name: "root".to_owned() };
        let wanted = |n, op| Intention::new(QueueId::new(n, n), op, QueueDir::Cur, 9).by(&root).with("more");
        let state = State::open(&path).unwrap();
        state.intend(&wanted(1, Op::Hold).after_attempt()).unwrap();
        state.intend(&wanted(1, Op::Remove).after_attempt()).unwrap();
        state.intend(&wanted(2, Op::Hold)).unwrap();
        drop(state);
        let state = State::open(&path).unwrap();
        assert_eq!(state.intentions(Phase::AfterAttempt, 9).unwrap(), [wanted(1, Op::Remove).after_attempt()]);
        assert_eq!(state.intentions(Phase::Moving, 9).unwrap(), [wanted(2, Op::Hold)]);
        assert!(state.is_moving(QueueId::new(2, 2)).unwrap() && !state.is_moving(QueueId::new(1, 1)).unwrap());
        assert!(state.intend(&wanted(2, Op::Remove)).is_err(), "its file moves already");
        state.intend(&wanted(1, Op::Remove)).unwrap();
        state.forget_intention(QueueId::new(2, 2)).unwrap();
        assert_eq!(state.intentions(Phase::Moving, 9).unwrap(), [wanted(1, Op::Remove)]);
        assert!(state.intentions(Phase::AfterAttempt, 9).unwrap().is_empty());
    }
}
