//! What operators want done to messages once the attempt under way has ended. Kept with the rows, so that what was promised is done
//! even if the daemon ends first.

use mail::Actor;
use mail::code::{Code, Op, Trigger};
use mail::queue_id::QueueId;
use rusqlite::params;

use crate::codes;
use crate::database::State;
use crate::errors::Result;
use crate::rows::actor_of;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To `hold/`.
    Hold,
    /// To `trash/`.
    Remove,
}

impl Wanted {
    fn op(self) -> Op {
        match self {
            Wanted::Hold => Op::Hold,
            Wanted::Remove => Op::Remove,
        }
    }

    fn of(op: Op) -> Option<Wanted> {
        [Wanted::Hold, Wanted::Remove].into_iter().find(|wanted| wanted.op() == op)
    }
}

/// What an operator wants done to a message, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub wanted: Wanted,
    /// Who.
    pub by: Actor,
}

/// The phase of an intention that waits for the end of the attempt.
const AFTER_ATTEMPT: i64 = 0;

impl State {
    /// Keeps an order for a message; the last one counts.
    pub fn set_order(&self, id: QueueId, order: &Order) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO intention (message, op, phase, trigger, by_uid, by_name, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, unixepoch())",
            )?
            .execute(params![
                id.to_i64(),
                order.wanted.op().number(),
                AFTER_ATTEMPT,
                Trigger::Operator.number(),
                order.by.uid,
                order.by.name
            ])?;
        Ok(())
    }

    /// The order was carried out, or has nothing left to be carried out on.
    pub fn forget_order(&self, id: QueueId) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM intention WHERE message = ?1")?.execute([id.to_i64()])?;
        Ok(())
    }

    /// Every order that was kept.
    pub fn orders(&self) -> Result<Vec<(QueueId, Order)>> {
        let mut statement = self.connection.prepare_cached("SELECT message, op, by_uid, by_name FROM intention")?;
        let kept = statement.query_map([], |row| Ok((QueueId::from_i64(row.get(0)?), codes::get::<Op>(row, 1)?, actor_of(row, 2)?)))?;
        let kept = kept.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(kept.into_iter().filter_map(|(id, op, by)| Some((id, Order { wanted: Wanted::of(op)?, by: by? }))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::Scratch;

    #[test]
    fn an_order_is_kept_until_it_is_forgotten_and_the_last_one_counts() {
        let scratch = Scratch::new();
        let path = scratch.store().path("state.sqlite");
        let order = |wanted| Order { wanted, by: Actor { uid: 0, name: "root".to_owned() } };
        let (one, two) = (QueueId::new(1, 1), QueueId::new(2, 2));
        let state = State::open(&path).unwrap();
        state.set_order(one, &order(Wanted::Hold)).unwrap();
        state.set_order(one, &order(Wanted::Remove)).unwrap();
        state.set_order(two, &order(Wanted::Hold)).unwrap();
        drop(state);
        let state = State::open(&path).unwrap();
        assert_eq!(state.orders().unwrap(), [(one, order(Wanted::Remove)), (two, order(Wanted::Hold))]);
        state.forget_order(one).unwrap();
        assert_eq!(state.orders().unwrap(), [(two, order(Wanted::Hold))]);
    }
}
