//! Releases messages when the reason of their hold has ended: a key can be read again, admission was opened, the user is below the
//! quota.

use std::sync::Arc;

use mail::code::{HoldCause, Op, Trigger};
use state::{Intention, Message, QueueDir, State};
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
            let release = move |state: &State, _: &Store| {
                let held = state.held_for(cause, after, PAGE)?;
                let last = held.last().map(|row| row.id);
                let intended = |row: Message| Intention::new(row.id, Op::Release, QueueDir::Hold, sys::clock::now()).on(trigger);
                held.into_iter().filter(is_free).try_for_each(|row| state.intend(&intended(row)))?;
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
