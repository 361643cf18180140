//! What operators want done to messages whose attempt is under way: kept until the attempt ends.
//!
//! Both ends run on the state writer's thread: an order is given in the same turn that finds the row in the daemon's hands, and the
//! record that ends the attempt takes it. So none can come too late or be forgotten. Those that stop a message are in the database
//! as well ([`State::set_order`](state::State::set_order)), for a daemon that ends before the attempt does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::outcome::Stop;
use mail::queue_id::QueueId;

/// The orders by message. `None` has nothing to add to what the row says, except that it matters.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    orders: Mutex<HashMap<QueueId, Option<Stop>>>,
}

impl Orders {
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Option<Stop>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last order counts, but nothing takes back that a message is to stop.
    pub(crate) fn give(&self, id: QueueId, stop: Option<Stop>) {
        let mut orders = self.lock();
        let order = orders.entry(id).or_default();
        *order = stop.or(order.take());
    }

    /// True if there is an order for the message: its next record is no mere delay.
    pub(crate) fn has(&self, id: QueueId) -> bool {
        self.lock().contains_key(&id)
    }

    /// The attempt of the message ends, stopped by `stop` if at all: how it stops now. A file that is not what was claimed is put away
    /// rather than parked.
    pub(crate) fn take(&self, id: QueueId, stop: Option<Stop>) -> Option<Stop> {
        match (self.lock().remove(&id).flatten(), stop) {
            (Some(Stop::Hold(_)), Some(Stop::Lost(loss))) => Some(Stop::Lost(loss)),
            // There is nothing left that could be put into the trash.
            (Some(Stop::Remove(_)), Some(Stop::Lost(loss))) if !loss.is_corrupt => Some(Stop::Lost(loss)),
            (order, stop) => order.or(stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Loss;
    use mail::{Actor, Hold};

    fn root() -> Actor {
        Actor { uid: 0, name: "root".into() }
    }

    #[test]
    fn an_order_is_taken_once_and_a_later_expiry_does_not_take_it_back() {
        let (orders, id) = (Orders::default(), QueueId::new(1, 1));
        orders.give(id, Some(Stop::Remove(root())));
        orders.give(id, None);
        assert!(orders.has(id) && !orders.has(QueueId::new(1, 2)));
        assert_eq!((orders.take(id, None), orders.take(id, None)), (Some(Stop::Remove(root())), None));
        orders.give(id, None);
        assert!(orders.has(id) && orders.take(id, None).is_none() && !orders.has(id));
    }

    #[test]
    fn a_corrupt_file_is_not_parked_but_may_be_removed() {
        let (orders, id) = (Orders::default(), QueueId::new(1, 1));
        let corrupt = Some(Stop::Lost(Loss::corrupt("why")));
        orders.give(id, Some(Stop::Hold(Hold::by(root()))));
        assert_eq!(orders.take(id, corrupt.clone()), corrupt);
        orders.give(id, Some(Stop::Remove(root())));
        assert_eq!(orders.take(id, corrupt), Some(Stop::Remove(root())));
        let vanished = Some(Stop::Lost(Loss::vanished("")));
        orders.give(id, Some(Stop::Remove(root())));
        assert_eq!(orders.take(id, vanished.clone()), vanished);
    }
}
