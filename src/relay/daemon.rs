//! What all tasks of the daemon share: the spool, the ledger, the queue, and the configuration in force.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::admission::Gate;
use super::alarms::Board;
use super::dispatch::Dispatch;
use super::hooks::Hooks;
use super::ledger::{Ledger, Stopped};
use super::metrics::counters::Counters;
use super::notify;
use super::outlet;
use super::setup::{DKIM_HOLD, Setup};
use super::tasks::Tasks;
use crate::config::{Config, Paths};
use crate::exit::Failure;
use crate::log::events;
use crate::spool::layout;
use crate::spool::state::{Event, Message, Place, State};
use crate::spool::store::Store;
use crate::sys;

/// Octets of messages in flight, envelopes included (SPOOL.md, "The claim"), in KiB: a larger message goes alone.
const BUDGET_KIB: u32 = 64 << 10;
/// Seconds without a round of the scheduler after which nobody is told any more that all is well.
pub const STALLED: i64 = 180;

/// What the tasks of the daemon share.
pub struct Daemon {
    /// Where everything lies.
    pub paths: Paths,
    /// The spool.
    pub store: Arc<Store>,
    /// The one writer.
    pub ledger: Ledger,
    /// The queue in memory.
    pub dispatch: Dispatch,
    /// Deliveries and settlements under way.
    pub tasks: Tasks,
    /// Who may put mail into the spool.
    pub gate: Gate,
    /// A notice is due.
    pub notices: Notify,
    /// What is counted for the metrics.
    pub counters: Arc<Counters>,
    /// Receivers of events.
    pub hooks: Arc<Hooks>,
    /// What is wrong now.
    pub alarms: Arc<Board>,
    /// When this process started.
    pub started: Instant,
    /// The [`Daemon::uptime`] from which ordinary users may flush again.
    pub next_flush: AtomicI64,
    setup: RwLock<Arc<Setup>>,
    budget: Arc<Semaphore>,
    stop: Arc<Stop>,
    outlet: outlet::Reloader,
    last_relayed: AtomicI64,
    progress: AtomicI64,
    paused: Mutex<Option<String>>,
}

/// Who gets events, beside the log.
pub struct Outlets {
    /// What is counted for the metrics.
    pub counters: Arc<Counters>,
    /// The event file.
    pub outlet: outlet::Reloader,
    /// Receivers of webhooks.
    pub hooks: Arc<Hooks>,
    /// What is wrong now.
    pub alarms: Arc<Board>,
}

/// How the daemon is told to end.
#[derive(Default)]
pub struct Stop {
    is_set: AtomicBool,
    failure: Mutex<Option<Failure>>,
    told: Notify,
}

impl Stop {
    /// Ends the daemon. `failure` says why, unless somebody asked for it; the first one counts.
    pub fn now(&self, failure: Option<Failure>) {
        if let Some(failure) = failure {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
        self.is_set.store(true, Ordering::SeqCst);
        self.told.notify_one();
    }

    /// True once the daemon is ending.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Waits for [`Stop::now`].
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// Why, unless somebody asked for it.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Daemon {
    /// The shared part of a daemon that begins now.
    pub fn new(paths: Paths, store: Arc<Store>, ledger: Ledger, setup: Setup, stop: Arc<Stop>, outlets: Outlets) -> Daemon {
        let Outlets { counters, outlet, hooks, alarms } = outlets;
        let gate = Gate::default();
        ledger.set_limits(gate.limits(&setup.params));
        Daemon {
            paths,
            store,
            ledger,
            dispatch: Dispatch::new(setup.params.route_connections),
            tasks: Tasks::default(),
            gate,
            notices: Notify::new(),
            counters,
            hooks,
            alarms,
            started: Instant::now(),
            next_flush: AtomicI64::new(0),
            setup: RwLock::new(Arc::new(setup)),
            budget: Arc::new(Semaphore::new(BUDGET_KIB as usize)),
            stop,
            outlet,
            last_relayed: AtomicI64::new(0),
            progress: AtomicI64::new(0),
            paused: Mutex::new(None),
        }
    }

    /// The configuration in force.
    pub fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// True once the daemon is ending: begin nothing new.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_set()
    }

    /// A share of the memory for messages; `None` if there is none now and `wait` is false.
    pub async fn budget(&self, octets: u64, wait: bool) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(octets / 1024).unwrap_or(u32::MAX).clamp(1, BUDGET_KIB);
        let budget = Arc::clone(&self.budget);
        if wait { budget.acquire_many_owned(kib).await.ok() } else { budget.try_acquire_many_owned(kib).ok() }
    }

    /// Since when an administrator has stopped delivery, and who ([`crate::control::pause`]).
    pub fn paused(&self) -> Option<String> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Delivery stops, or goes on, as the database has it.
    pub fn set_paused(&self, since: Option<String>) {
        let is_paused = since.is_some();
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = since;
        if !is_paused {
            return self.dispatch.resume();
        }
        let (waiting, now) = (self.dispatch.pause(), sys::clock::now());
        // A stopped ledger ends the daemon by itself; the next start finds these messages due.
        let _ = self.ledger.work(move |state, _| waiting.into_iter().try_for_each(|id| state.schedule(id, Some(now))));
    }

    /// Remembers when delivery last succeeded.
    pub fn note_relayed(&self, now: i64) {
        self.last_relayed.store(now, Ordering::Relaxed);
    }

    /// When delivery last succeeded since the start, unix seconds.
    pub fn last_relayed(&self) -> Option<i64> {
        Some(self.last_relayed.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// The scheduler went round, the ledger answered: what the watchdog wants to know.
    pub fn made_progress(&self) {
        self.progress.store(self.uptime(), Ordering::Relaxed);
    }

    /// Seconds since the start, by a clock that nobody sets.
    pub fn uptime(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX)
    }

    /// Seconds since the scheduler last went round.
    pub fn stalled_for(&self) -> i64 {
        self.uptime().saturating_sub(self.progress.load(Ordering::Relaxed))
    }

    /// Reads the configuration again; a wrong one changes nothing.
    pub fn reload(self: &Arc<Self>) {
        notify::tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", notify::monotonic_microseconds()));
        match Config::load().and_then(|config| Setup::new(&config)) {
            Ok(setup) => {
                self.dispatch.queue(|queue| {
                    queue.set_limit(setup.params.route_connections);
                    queue.end_suspensions();
                });
                self.outlet.reload(outlet::Settings::of(&setup));
                if let Err(e) = self.hooks.settle(&setup) {
                    events::webhook_failed("all", &e.to_string());
                }
                *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
                events::reloaded();
                self.gate.apply(self);
                self.gate.look_again();
                self.release_dkim_holds();
                self.dispatch.wake.notify_one();
            }
            Err(failure) => events::reload_refused(&failure.text),
        }
        notify::tell("READY=1");
    }

    /// Messages that were held because they could not be signed are tried with the keys of today; if those are no better, they are
    /// held again.
    pub fn release_dkim_holds(self: &Arc<Self>) {
        let daemon = Arc::clone(self);
        self.tasks.spawn(async move {
            // A stopped ledger ends the daemon by itself.
            let _ = daemon.release_held(DKIM_HOLD, |_| true, "the keys were read again").await;
        });
    }

    /// Releases the messages that are held for a reason that begins with `prefix` and that `is_free` of it. `why` goes into their
    /// history. A page at a time: however many there are, the ledger is not kept from others.
    ///
    /// Errors: [`Stopped`].
    pub async fn release_held(
        &self,
        prefix: &'static str,
        is_free: impl Fn(&Message) -> bool + Clone + Send + 'static,
        why: &'static str,
    ) -> Result<(), Stopped> {
        let mut after = None;
        while !self.is_stopping() {
            let is_free = is_free.clone();
            let release = move |state: &State, store: &Store| {
                let held = state.held_for(prefix, after, PAGE)?;
                let last = held.last().map(|row| row.id);
                held.into_iter().filter(is_free).try_for_each(|row| release(state, store, row, why))?;
                Ok(last)
            };
            match self.ledger.work(release)?.await.map_err(|_| Stopped)? {
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

/// From `hold/` back to `cur/`. The files move before the commit and are synced after it, by the ledger: a crash in between finds the
/// row on hold and moves the file back, or finds the file on hold and lets the row follow; nothing is lost, and the next start or
/// reload releases again.
fn release(state: &State, store: &Store, row: Message, why: &str) -> rusqlite::Result<()> {
    if let Err(e) = store.shift(row.id, layout::HOLD, layout::CUR) {
        events::storage_failed(&format!("hold/{}", row.id), &e.to_string());
        return Ok(());
    }
    let now = sys::clock::now();
    let id = row.id;
    state.update(&Message { place: Place::Cur, reason: String::new(), next_attempt: Some(now), ..row })?;
    state.record(id, &Event { at: now, kind: "released".to_owned(), text: why.to_owned() })
}
