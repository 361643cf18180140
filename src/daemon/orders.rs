//! What operators want done to messages whose attempt is under way: kept until the attempt ends.
//!
//! Both ends run on the state writer's thread: an order is given in the same turn that finds the row in the daemon's hands, and the
//! record that ends the attempt takes it. So none can come too late or be forgotten. All of them are intentions in the database as
//! well ([`Intention::after_attempt`](state::Intention::after_attempt)), for a daemon that ends before the attempt does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::outcome::Stop;
use mail::queue_id::QueueId;

/// The orders by message.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    orders: Mutex<HashMap<QueueId, Stop>>,
}

impl Orders {
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Stop>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last order counts, as it does in the database.
    pub(crate) fn give(&self, id: QueueId, stop: Stop) {
        self.lock().insert(id, stop);
    }

    /// True if there is an order for the message: its next record is no mere delay.
    pub(crate) fn has(&self, id: QueueId) -> bool {
        self.lock().contains_key(&id)
    }

    /// The attempt of the message ends, stopped by `stop` if at all: how it stops now. A file that is not what was claimed is put away
    /// rather than parked.
    pub(crate) fn take(&self, id: QueueId, stop: Option<Stop>) -> Option<Stop> {
        match (self.lock().remove(&id), stop) {
            (Some(Stop::Hold(_) | Stop::GiveUp(..)), Some(Stop::Lost(loss))) => Some(Stop::Lost(loss)),
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
    fn the_last_order_counts_and_is_taken_once() {
        let (orders, id) = (Orders::default(), QueueId::new(1, 1));
        orders.give(id, Stop::Hold(Hold::by(root())));
        orders.give(id, Stop::Remove(root()));
        assert!(orders.has(id) && !orders.has(QueueId::new(1, 2)));
        assert_eq!((orders.take(id, None), orders.take(id, None)), (Some(Stop::Remove(root())), None));
        assert!(!orders.has(id));
    }

    #[test]
    fn a_corrupt_file_is_not_parked_but_may_be_removed() {
        let (orders, id) = (Orders::default(), QueueId::new(1, 1));
        let corrupt = Some(Stop::Lost(Loss::corrupt("why")));
        orders.give(id, Stop::Hold(Hold::by(root())));
        assert_eq!(orders.take(id, corrupt.clone()), corrupt);
        orders.give(id, Stop::Remove(root()));
        assert_eq!(orders.take(id, corrupt), Some(Stop::Remove(root())));
        let vanished = Some(Stop::Lost(Loss::vanished("")));
        orders.give(id, Stop::Remove(root()));
        assert_eq!(orders.take(id, vanished.clone()), vanished);
    }
}
