//! The scheduler: brings due messages into memory, and opens connections for them.
//!
//! One task. It sleeps until the next message is due or another task wakes it; nothing is polled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::delivery::{self, Deliverer};
use super::dispatch::JobEnd;
use super::outcome::DeliveryAttempt;
use super::queue::JobRecipient;
use super::state_writer::{OutcomeRecord, Stopped};
use crate::current::Current;
use crate::dispatch::Dispatch;
use crate::health::Health;
use crate::record::Recorder;
use crate::state_writer::StateWriter;
use crate::stop::Stop;
use crate::tasks::Tasks;
use log::message::MessageEvent;
use mail::Address;
use mail::HistoryCause;
use mail::code::{Cause, Duplicate, Happened};
use mail::queue_id::QueueId;
use state::{HistoryLine, Message, Progress, RecipientRow, State, Transaction};
use transport::route::RouteKey;

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

/// What brings due messages to their connections.
pub(crate) struct Scheduler {
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The one writer.
    pub(crate) state_writer: StateWriter,
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// Where outcomes are recorded.
    pub(crate) recorder: Recorder,
    /// What every connection works with.
    pub(crate) deliverer: Arc<Deliverer>,
    /// What the connections run in.
    pub(crate) tasks: Tasks,
    /// Whether the daemon is ending.
    pub(crate) stop: Arc<Stop>,
    /// Signs of life.
    pub(crate) health: Arc<Health>,
}

/// Runs until the daemon stops.
pub(crate) async fn run(scheduler: Arc<Scheduler>) -> Result<(), Stopped> {
    let mut last = sys::clock::now();
    while !scheduler.stop.is_set() {
        let now = sys::clock::now();
        heal_clock(&scheduler, last, now).await?;
        last = now;
        let sleep = turn(&scheduler, now).await?;
        // Waking and waiting out are the same: look again.
        let _ = tokio::time::timeout(sleep, scheduler.dispatch.wake.notified()).await;
    }
    Ok(())
}

/// Everything that can be done at `now`. Returns how long nothing else can be.
async fn turn(scheduler: &Arc<Scheduler>, now: i64) -> Result<Duration, Stopped> {
    let next = load_due(scheduler, now).await?;
    for (route, suspension, jobs) in scheduler.dispatch.take_suspended(now) {
        delivery::postpone(&scheduler.deliverer, &route, &suspension, jobs).await?;
    }
    for work in scheduler.dispatch.take_abandoned() {
        scheduler.recorder.abandoned(work).await?;
    }
    let is_paused = scheduler.dispatch.is_paused();
    if !is_paused {
        open_connections(scheduler, now);
    }
    scheduler.dispatch.queue(|queue| queue.forget_routes(now.saturating_sub(ROUTE_MEMORY)));
    scheduler.health.made_progress();
    let earliest = match scheduler.dispatch.room() {
        // Whoever resumes wakes us.
        0 if is_paused => LONGEST_SLEEP,
        0 => FULL_SLEEP,
        _ => 0,
    };
    let sleep = next.map_or(LONGEST_SLEEP, |at| at.saturating_sub(now).clamp(earliest, LONGEST_SLEEP));
    Ok(Duration::from_secs(sleep.unsigned_abs()).max(Duration::from_millis(5)))
}

/// Where the clock was set back, what was planned by the old one would wait until that time comes again.
async fn heal_clock(scheduler: &Arc<Scheduler>, last: i64, now: i64) -> Result<(), Stopped> {
    if now >= last - CLOCK_STEP {
        return Ok(());
    }
    scheduler.dispatch.queue(|queue| queue.end_suspensions());
    scheduler.state_writer.work(move |state, _| state.heal_clock(now, now))?.await.map_err(|_| Stopped).map(drop)
}

/// Starts a connection's task for each route that wants one more.
fn open_connections(scheduler: &Arc<Scheduler>, now: i64) {
    for route in scheduler.dispatch.queue(|queue| queue.waiting_routes()) {
        while scheduler.dispatch.queue(|queue| queue.open_connection(&route, now)) {
            let (deliverer, task_route) = (Arc::clone(&scheduler.deliverer), route.clone());
            scheduler.tasks.spawn(async move {
                // Also where the task panics, the connection must not stay counted.
                let _closed = CloseOnDrop { dispatch: &deliverer.dispatch, route: &task_route };
                delivery::run(Arc::clone(&deliverer), task_route.clone()).await;
            });
        }
    }
}

struct CloseOnDrop<'a> {
    dispatch: &'a Dispatch,
    route: &'a RouteKey,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.dispatch.queue(|queue| queue.close_connection(self.route));
        self.dispatch.wake.notify_one();
    }
}

/// A message with its open recipients, on its way into memory.
type Loaded = (Message, Vec<JobRecipient>);

/// Loads what is due and fits. Returns when the next one is due.
async fn load_due(scheduler: &Arc<Scheduler>, now: i64) -> Result<Option<i64>, Stopped> {
    let room = scheduler.dispatch.room().min(LOAD);
    let work = scheduler.state_writer.work(move |state, _| {
        let loaded = load(state, now, room)?;
        Ok((loaded, state.next_due()?))
    })?;
    let (loaded, next) = work.await.map_err(|_| Stopped)?;
    for (message, recipients) in loaded {
        start_attempt(scheduler, message, recipients).await?;
    }
    Ok(next)
}

fn load(state: &State, now: i64, room: usize) -> state::Result<Vec<Loaded>> {
    let due = if room == 0 { Vec::new() } else { state.due(now, room)? };
    // A time that the clock has not come to is from a clock that was wrong, and says nothing.
    let crashed = state.crashed()?.filter(|at| *at <= now);
    let (mut loaded, mut count) = (Vec::with_capacity(due.len()), 0);
    for message in due {
        if crashed.is_some_and(|at| message.next_attempt.is_some_and(|due| due <= at)) {
            state.tell(MessageEvent::PossibleDuplicate(Duplicate::PowerCut).line(message.id));
        }
        state.schedule(message.id, None)?;
        let rows = state.recipients(message.id)?;
        tell_suspicion(state, message.id, &rows, now)?;
        let recipients = open_recipients(rows);
        count += recipients.len();
        loaded.push((message, recipients));
        if count >= LOAD_RECIPIENTS {
            break;
        }
    }
    Ok(loaded)
}

/// Says, before the attempt, that it may be a second delivery: of a spool that was copied, or of what was held since a lost database.
fn tell_suspicion(state: &State, id: QueueId, rows: &[RecipientRow], now: i64) -> state::Result<()> {
    let lost = |row: &RecipientRow| row.progress == Progress::Uncertain && row.diagnosis.cause == Some(Cause::StateLost);
    let cause = match state.take_suspicion(id)? {
        Some(cause) => cause,
        None if rows.iter().any(lost) => Duplicate::StateLost,
        None => return Ok(()),
    };
    state.tell(MessageEvent::PossibleDuplicate(cause).line(id));
    state.record(id, &HistoryLine::new(now, Happened::Suspect).because(HistoryCause::Duplicate(cause)))
}

fn open_recipients(rows: Vec<RecipientRow>) -> Vec<JobRecipient> {
    rows.into_iter().filter(|row| row.progress.is_open()).map(|row| JobRecipient { n: row.n, address: row.address }).collect()
}

/// Puts a message into the queue, by route. One without open recipients (the daemon died before its conclusion) is concluded.
pub(crate) async fn start_attempt(scheduler: &Arc<Scheduler>, message: Message, recipients: Vec<JobRecipient>) -> Result<(), Stopped> {
    let setup = scheduler.current.get();
    let mut routes: HashMap<RouteKey, Vec<JobRecipient>> = HashMap::new();
    for recipient in recipients {
        // Every address in a row came from a checked envelope; what cannot be parsed here has been damaged since, and waits.
        let Ok(address) = Address::parse(&recipient.address) else { continue };
        routes.entry(setup.router.route_of(&address)).or_default().push(recipient);
    }
    if !routes.is_empty() {
        scheduler.dispatch.start_attempt(message, routes.into_iter().collect());
        return Ok(());
    }
    let attempt = DeliveryAttempt {
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
    let nothing_new =
        OutcomeRecord { id: message.id, updates: Vec::new(), transaction, hop_reports: false, attempt: Some(attempt), events: Vec::new() };
    if scheduler.state_writer.record(nothing_new).await?.dsn_due {
        scheduler.recorder.dsn_due.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
