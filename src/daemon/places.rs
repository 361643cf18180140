//! Places for connections on a unix socket: nobody can take all of them.
//!
//! In: the uid of a peer. Out: a seat, or none. Root and the daemon's own user always get one and are not counted, so that they
//! cannot crowd out the others either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The places of one socket.
pub struct Places {
    all: usize,
    of_one: usize,
    taken: Mutex<HashMap<u32, usize>>,
}

/// One place, until it is dropped.
pub struct Seat {
    places: Arc<Places>,
    uid: u32,
}

impl Places {
    /// So many in all, and of one user at most.
    pub fn new(all: usize, of_one: usize) -> Arc<Places> {
        Arc::new(Places { all, of_one, taken: Mutex::default() })
    }

    /// A place for a peer, if there is one.
    pub fn take(places: &Arc<Places>, uid: u32) -> Option<Seat> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if uid != 0 && uid != sys::process::euid() {
            let (all, own) = (taken.values().sum::<usize>(), taken.get(&uid).copied().unwrap_or_default());
            if all >= places.all || own >= places.of_one {
                return None;
            }
            taken.insert(uid, own + 1);
        }
        Some(Seat { places: Arc::clone(places), uid })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.uid) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_spool_8_one_user_cannot_take_all_places_and_the_favoured_always_get_one() {
        let places = Places::new(5, 3);
        let mut of_one: Vec<Seat> = (0..3).filter_map(|_| Places::take(&places, 1000)).collect();
        assert!(of_one.len() == 3 && Places::take(&places, 1000).is_none());
        let others: Vec<Seat> = (1001..1009).filter_map(|uid| Places::take(&places, uid)).collect();
        assert_eq!(others.len(), 2);
        let favoured: Vec<Seat> =
            (0..50).filter_map(|n| Places::take(&places, if n % 2 == 0 { 0 } else { sys::process::euid() })).collect();
        assert_eq!(favoured.len(), 50);
        drop(favoured);
        assert!(Places::take(&places, 1009).is_none());
        of_one.pop();
        assert!(Places::take(&places, 1009).is_some());
        drop((of_one, others));
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
