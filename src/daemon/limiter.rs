//! Limits the connections on a unix socket, in total and for each user: nobody can take all of them.
//!
//! In: the uid of a peer. Out: a permit, or none. Root and the daemon's own user always get one and are not counted, so that they
//! cannot crowd out the others either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The places of one socket.
pub(crate) struct ConnectionLimiter {
    all: usize,
    of_one: usize,
    taken: Mutex<HashMap<u32, usize>>,
}

/// One place, until it is dropped.
pub(crate) struct Permit {
    places: Arc<ConnectionLimiter>,
    uid: u32,
}

impl ConnectionLimiter {
    /// So many in all, and of one user at most.
    pub(crate) fn new(all: usize, of_one: usize) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter { all, of_one, taken: Mutex::default() })
    }

    /// A place for a peer, if there is one.
    pub(crate) fn take(places: &Arc<ConnectionLimiter>, uid: u32) -> Option<Permit> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if uid != 0 && uid != sys::process::euid() {
            let (all, own) = (taken.values().sum::<usize>(), taken.get(&uid).copied().unwrap_or_default());
            if all >= places.all || own >= places.of_one {
                return None;
            }
            taken.insert(uid, own + 1);
        }
        Some(Permit { places: Arc::clone(places), uid })
    }
}

impl Drop for Permit {
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
        let places = ConnectionLimiter::new(5, 3);
        let mut of_one: Vec<Permit> = (0..3).filter_map(|_| ConnectionLimiter::take(&places, 1000)).collect();
        assert!(of_one.len() == 3 && ConnectionLimiter::take(&places, 1000).is_none());
        let others: Vec<Permit> = (1001..1009).filter_map(|uid| ConnectionLimiter::take(&places, uid)).collect();
        assert_eq!(others.len(), 2);
        let favoured: Vec<Permit> =
            (0..50).filter_map(|n| ConnectionLimiter::take(&places, if n % 2 == 0 { 0 } else { sys::process::euid() })).collect();
        assert_eq!(favoured.len(), 50);
        drop(favoured);
        assert!(ConnectionLimiter::take(&places, 1009).is_none());
        of_one.pop();
        assert!(ConnectionLimiter::take(&places, 1009).is_some());
        drop((of_one, others));
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
