//! The scheduler: brings due messages into memory, and opens connections for them.
//!
//! One task. It sleeps until the next message is due or somebody wakes it; nothing is polled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::daemon::Daemon;
use super::delivery;
use super::dispatch::JobEnd;
use super::ledger::{Settlement, Stopped};
use super::outcome::Round;
use super::queue::JobRecipient;
use super::recover::POWER_CUT;
use super::route::RouteKey;
use super::settle;
use crate::log::events;
use crate::mail::Address;
use crate::mail::queue_id::QueueId;
use crate::spool::state::{Message, State, Transaction};
use crate::sys;

/// Messages loaded at a time.
const LOAD: usize = 1000;
/// The longest sleep, so that a changed clock is noticed.
const LONGEST_SLEEP: i64 = 60;
/// Their recipients, about: the last message may bring ten thousand more.
const LOAD_RECIPIENTS: usize = 10_000;
/// The sleep while memory is full: what is due cannot be loaded, so that it is due is no reason to wake.
const FULL_SLEEP: i64 = 1;
/// Seconds that the clock must go back to be called set back.
const CLOCK_STEP: i64 = 60;
/// Seconds after which a suspended route without mail is forgotten.
const ROUTE_MEMORY: i64 = 3600;

/// Runs until the daemon stops.
pub async fn run(daemon: Arc<Daemon>) -> Result<(), Stopped> {
    let mut last = sys::clock::now();
    while !daemon.is_stopping() {
        let now = sys::clock::now();
        heal_clock(&daemon, last, now).await?;
        last = now;
        let sleep = round(&daemon, now).await?;
        // Waking and waiting out are the same: look again.
        let _ = tokio::time::timeout(sleep, daemon.dispatch.wake.notified()).await;
    }
    Ok(())
}

/// Everything that can be done at `now`. Returns how long nothing else can be.
async fn round(daemon: &Arc<Daemon>, now: i64) -> Result<Duration, Stopped> {
    let next = load_due(daemon, now).await?;
    for (route, suspension, jobs) in daemon.dispatch.take_suspended(now) {
        delivery::postpone(daemon, &route, &suspension, jobs).await?;
    }
    for work in daemon.dispatch.take_abandoned() {
        settle::abandoned(daemon, work).await?;
    }
    let is_paused = daemon.dispatch.is_paused();
    if !is_paused {
        open_connections(daemon, now);
    }
    daemon.dispatch.queue(|queue| queue.forget_routes(now.saturating_sub(ROUTE_MEMORY)));
    daemon.made_progress();
    let earliest = match daemon.dispatch.room() {
        // Whoever resumes wakes us.
        0 if is_paused => LONGEST_SLEEP,
        0 => FULL_SLEEP,
        _ => 0,
    };
    let sleep = next.map_or(LONGEST_SLEEP, |at| at.saturating_sub(now).clamp(earliest, LONGEST_SLEEP));
    Ok(Duration::from_secs(sleep.unsigned_abs()).max(Duration::from_millis(5)))
}

/// Where the clock was set back, what was planned by the old one would wait until that time comes again.
async fn heal_clock(daemon: &Arc<Daemon>, last: i64, now: i64) -> Result<(), Stopped> {
    if now >= last - CLOCK_STEP {
        return Ok(());
    }
    daemon.dispatch.queue(|queue| queue.end_suspensions());
    daemon.ledger.work(move |state, _| state.heal_clock(now, now))?.await.map_err(|_| Stopped).map(drop)
}

/// Starts a connection's task for each route that wants one more.
fn open_connections(daemon: &Arc<Daemon>, now: i64) {
    for route in daemon.dispatch.queue(|queue| queue.waiting_routes()) {
        while daemon.dispatch.queue(|queue| queue.open_connection(&route, now)) {
            let (task_daemon, task_route) = (Arc::clone(daemon), route.clone());
            daemon.tasks.spawn(async move {
                // Also where the task panics, the connection must not stay counted.
                let _closed = CloseOnDrop { daemon: &task_daemon, route: &task_route };
                delivery::run(Arc::clone(&task_daemon), task_route.clone()).await;
            });
        }
    }
}

struct CloseOnDrop<'a> {
    daemon: &'a Daemon,
    route: &'a RouteKey,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.daemon.dispatch.queue(|queue| queue.close_connection(self.route));
        self.daemon.dispatch.wake.notify_one();
    }
}

/// A message with its open recipients, on its way into memory.
type Loaded = (Message, Vec<JobRecipient>);

/// Loads what is due and fits. Returns when the next one is due.
async fn load_due(daemon: &Arc<Daemon>, now: i64) -> Result<Option<i64>, Stopped> {
    let room = daemon.dispatch.room().min(LOAD);
    let work = daemon.ledger.work(move |state, _| {
        let loaded = load(state, now, room)?;
        Ok((loaded, state.next_due()?))
    })?;
    let (loaded, next) = work.await.map_err(|_| Stopped)?;
    for (message, recipients) in loaded {
        start_round(daemon, message, recipients).await?;
    }
    Ok(next)
}

fn load(state: &State, now: i64, room: usize) -> rusqlite::Result<Vec<Loaded>> {
    let due = if room == 0 { Vec::new() } else { state.due(now, room)? };
    // A time that the clock has not come to is from a clock that was wrong, and says nothing.
    let crashed = state.crashed()?.filter(|at| *at <= now);
    let (mut loaded, mut count) = (Vec::with_capacity(due.len()), 0);
    for message in due {
        if crashed.is_some_and(|at| message.next_attempt.is_some_and(|due| due <= at)) {
            events::possible_duplicate(message.id, POWER_CUT);
        }
        state.schedule(message.id, None)?;
        let recipients = open_recipients(state, message.id)?;
        count += recipients.len();
        loaded.push((message, recipients));
        if count >= LOAD_RECIPIENTS {
            break;
        }
    }
    Ok(loaded)
}

fn open_recipients(state: &State, id: QueueId) -> rusqlite::Result<Vec<JobRecipient>> {
    let open = state.recipients(id)?.into_iter().filter(|r| r.progress.is_open());
    Ok(open.map(|r| JobRecipient { n: r.n, address: r.address }).collect())
}

/// Puts a message into the queue, by route. One without open recipients (the daemon died before its conclusion) is concluded.
pub async fn start_round(daemon: &Arc<Daemon>, message: Message, recipients: Vec<JobRecipient>) -> Result<(), Stopped> {
    let setup = daemon.setup();
    let mut routes: HashMap<RouteKey, Vec<JobRecipient>> = HashMap::new();
    for recipient in recipients {
        // Every address in a row came from a checked envelope; what cannot be parsed here has been damaged since, and waits.
        let Ok(address) = Address::parse(&recipient.address) else { continue };
        routes.entry(setup.router.route_of(&address)).or_default().push(recipient);
    }
    if !routes.is_empty() {
        daemon.dispatch.start_round(message, routes.into_iter().collect());
        return Ok(());
    }
    let round = Round {
        stop: None,
        was_expired: false,
        expires: message.expires,
        now: sys::clock::now(),
        attempted: JobEnd::default().attempted,
        route_until: None,
        random: 0,
        backoff: setup.backoff,
        on_uncertain: setup.params.uncertain,
        delay_warning: setup.delay_warning(),
    };
    let transaction = Transaction::default();
    let nothing_new = Settlement { id: message.id, updates: Vec::new(), transaction, hop_reports: false, round: Some(round) };
    if daemon.ledger.settle(nothing_new).await?.notice_due {
        daemon.notices.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
