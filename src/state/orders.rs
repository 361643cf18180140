//! What operators want done to messages once the attempt under way has ended. Kept with the rows, so that what was promised is done
//! even if the daemon ends first.

use crate::database::{Result, State};
use mail::queue_id::QueueId;

/// How the keys in `run` begin; the queue id follows.
const KEY: &str = "order:";

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To `hold/`.
    Hold,
    /// To `trash/`.
    Remove,
}

/// What an operator wants done to a message, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub wanted: Wanted,
    /// Who, printable: `by root (uid 0)`.
    pub by: String,
}

impl State {
    /// Keeps an order for a message; the last one counts.
    pub fn set_order(&self, id: QueueId, order: &Order) -> Result<()> {
        let word = if order.wanted == Wanted::Hold { "hold" } else { "remove" };
        self.set(&format!("{KEY}{id}"), &format!("{word} {}", order.by))
    }

    /// The order was carried out, or has nothing left to be carried out on.
    pub fn forget_order(&self, id: QueueId) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM run WHERE key = ?1")?.execute([format!("{KEY}{id}")]).map(|_| ())
    }

    /// Every order that was kept. What is none is passed over.
    pub fn orders(&self) -> Result<Vec<(QueueId, Order)>> {
        let mut statement =
            self.connection.prepare_cached("SELECT substr(key, length(?1) + 1), value FROM run WHERE instr(key, ?1) = 1")?;
        let kept = statement.query_map([KEY], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let kept = kept.collect::<Result<Vec<_>>>()?;
        Ok(kept.iter().filter_map(|(id, value)| Some((QueueId::parse(id.as_bytes())?, order_of(value)?))).collect())
    }
}

fn order_of(value: &str) -> Option<Order> {
    let (word, by) = value.split_once(' ')?;
    let wanted = match word {
        "hold" => Wanted::Hold,
        "remove" => Wanted::Remove,
        _ => return None,
    };
    Some(Order { wanted, by: by.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::Scratch;

    #[test]
    fn an_order_is_kept_until_it_is_forgotten_and_the_last_one_counts() {
        let scratch = Scratch::new();
        let path = scratch.store().path("state.sqlite");
        let order = |wanted| Order { wanted, by: "by root (uid 0)".to_owned() };
        let (one, two) = (QueueId::new(1, 1), QueueId::new(2, 2));
        let state = State::open(&path).unwrap();
        state.set("boot_id", "hold on").unwrap();
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
