//! Releases messages when the reason of their hold has ended: a key can be read again, admission was opened, the user is below the
//! quota.

use std::sync::Arc;

use log::events;
use log::message::MessageEvent;
use mail::code::{Happened, HoldCause, Trigger};
use spool::layout;
use state::{HistoryLine, Message, State};
use store::Store;

use crate::dispatch::Dispatch;
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
        let _ = self.release_held(HoldCause::Dkim, |_| true, Trigger::Keys).await;
    }

    /// Releases the messages that are held for `cause` and that `is_free` of it. `trigger` goes into their history. A page at a time: however many there are, the state writer is not kept from others.
    ///
    /// Errors: [`Stopped`].
    pub(crate) async fn release_held(
        &self,
        cause: HoldCause,
        is_free: impl Fn(&Message) -> bool + Clone + Send + 'static,
        trigger: Trigger,
    ) -> Result<(), Stopped> {
        let mut after = None;
        while !self.stop.is_set() {
            let is_free = is_free.clone();
            let release = move |state: &State, store: &Store| {
                let held = state.held_for(cause, after, PAGE)?;
                let last = held.last().map(|row| row.id);
                held.into_iter().filter(is_free).try_for_each(|row| release(state, store, row, trigger))?;
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
fn release(state: &State, store: &Store, mut row: Message, trigger: Trigger) -> state::Result<()> {
    if let Err(e) = store.shift(row.id, layout::HOLD, layout::CUR) {
        events::storage_failed(&format!("hold/{}", row.id), &e.to_string());
        return Ok(());
    }
    let now = sys::clock::now();
    row.open(now);
    state.update(&row)?;
    state.tell(MessageEvent::Released(None, trigger).line(row.id));
    state.record(row.id, &HistoryLine::new(now, Happened::Released).on(trigger))
}
