//! Releases messages whose reason to be held is over: keys that can be read again, admission that is open, a user below the cap.

use std::sync::Arc;

use log::events;
use spool::layout;
use state::{Event, Message, QueueDir, State};
use store::Store;

use crate::dispatch::Dispatch;
use crate::setup::DKIM_HOLD;
use crate::state_writer::{StateWriter, Stopped};
use crate::stop::Stop;

/// What releases messages.
#[derive(Clone)]
pub(crate) struct Releaser {
    /// Where rows and files change.
    pub(crate) state_writer: StateWriter,
    /// What is released is due at once.
    pub(crate) dispatch: Arc<Dispatch>,
    /// Nothing more is released once the daemon ends.
    pub(crate) stop: Arc<Stop>,
}

impl Releaser {
    /// Messages that were held because they could not be signed are tried with the keys of today; if those are no better, they are
    /// held again.
    pub(crate) async fn release_dkim_holds(self) {
        // A stopped state writer ends the daemon by itself.
        let _ = self.release_held(DKIM_HOLD, |_| true, "the keys were read again").await;
    }

    /// Releases the messages that are held for a reason that begins with `prefix` and that `is_free` of it. `why` goes into their
    /// history. A page at a time: however many there are, the state writer is not kept from others.
    ///
    /// Errors: [`Stopped`].
    pub(crate) async fn release_held(
        &self,
        prefix: &'static str,
        is_free: impl Fn(&Message) -> bool + Clone + Send + 'static,
        why: &'static str,
    ) -> Result<(), Stopped> {
        let mut after = None;
        while !self.stop.is_set() {
            let is_free = is_free.clone();
            let release = move |state: &State, store: &Store| {
                let held = state.held_for(prefix, after, PAGE)?;
                let last = held.last().map(|row| row.id);
                held.into_iter().filter(is_free).try_for_each(|row| release(state, store, row, why))?;
                Ok(last)
            };
            match self.state_writer.work(release)?.await.map_err(|_| Stopped)? {
                None => return Ok(()),
                last => after = last,
            }
            self.dispatch.wake.notify_one();
        }
        Ok(())
    }
}

/// Messages released in one transaction.
const PAGE: usize = 200;

/// From `hold/` back to `cur/`. The files move before the commit and are synced after it, by the state_writer: a crash in between finds the
/// row on hold and moves the file back, or finds the file on hold and lets the row follow; nothing is lost, and the next start or
/// reload releases again.
fn release(state: &State, store: &Store, row: Message, why: &str) -> rusqlite::Result<()> {
    if let Err(e) = store.shift(row.id, layout::HOLD, layout::CUR) {
        events::storage_failed(&format!("hold/{}", row.id), &e.to_string());
        return Ok(());
    }
    let now = sys::clock::now();
    let id = row.id;
    state.update(&Message { place: QueueDir::Cur, reason: String::new(), next_attempt: Some(now), ..row })?;
    state.record(id, &Event { at: now, kind: "released".to_owned(), text: why.to_owned() })
}
