//! The daemon at work: starts every part on the runtime in the right order, and ends them in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use config::Paths;
use exit::{Exit, Failure};
use log::events;
use nix::sys::eventfd::{EfdFlags, EventFd};
use observe::alarms;
use observe::alarms::AlarmManager;
use observe::alarms::alarm::Kind;
use observe::dispatcher;
use observe::outbox::Source;
use state::Cursor;
use store::{ClaimedMessage, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::database::STATE_FILE;
use crate::health::{Health, STALLED};
use crate::intake::{Admitted, Intake};
use crate::plan::{Plan, Policy};
use crate::queue::JobRecipient;
use crate::recover::start::Started;
use crate::recover::{self, Orphans, Recovery};
use crate::schedule::Scheduler;
use crate::setup::Setup;
use crate::state_writer::{StateWriter, Stopped};
use crate::stop::Stop;
use crate::wire::{Base, EventSinks, Parts};
use crate::{answer, dsn_queue, history, metrics, notify, schedule, submission};

/// How long deliveries may go on after SIGTERM. The promise is ten seconds for everything.
const GRACE: Duration = Duration::from_secs(6);
/// How long the end waits until receivers have what happened to messages; what is left is told at the next start.
const LAST_TOLD: Duration = Duration::from_secs(1);
/// How long the end waits for the alarm that says why.
const LAST_ALARM: Duration = Duration::from_secs(3);

/// Runs until somebody asks for the end, or the state writer stops.
///
/// Errors: what cannot be started, or why the state writer stopped.
pub(super) async fn serve(
    paths: Paths,
    store: Arc<Store>,
    started: Started,
    setup: Setup,
    (sinks, woken): (EventSinks, Receiver<()>),
) -> Result<(), Failure> {
    let Started { state, recovered, orphans, how } = started;
    // Before anything shows that we run: who sees that may send a signal, and none may end us by its default.
    let signals = Signals::listen().map_err(|e| Failure::new(Exit::OsErr, format!("cannot listen for signals: {e}")))?;
    let stop = Arc::new(Stop::default());
    let paused = admin::pause::read(&state).map_err(|e| Failure::new(Exit::IoErr, format!("state.sqlite: {e}")))?;
    let dispatcher = sinks.dispatcher.clone();
    let waker = dispatcher.clone();
    let told = move || waker.wake();
    let (state_writer, writer_thread) =
        StateWriter::start(state, Arc::clone(&store), told, end_on_failure(Arc::clone(&stop))).map_err(thread_failed)?;
    dispatcher.attach(outbox(&store, &state_writer));
    let (next_hop, alarm_manager) = (setup.params.next_hop.to_string(), Arc::clone(&sinks.alarms));
    let base = Base { paths, store, state_writer, stop };
    let parts = Parts::new(&base, setup, sinks);
    recovered.tell();
    // A stopped state writer ends the daemon by itself, with its reason.
    let _ = parts.pausing.set(paused).await;
    let _ = parts.admission.begin().await;
    parts.tasks.spawn(parts.releaser.clone().release_dkim_holds());
    adopt(&base, &parts, orphans, how).map_err(thread_failed)?;
    // The control socket last: who finds it finds the other one, too.
    let taking = submission::start(parts.taker)?;
    let answering = answer::start(&parts.server)?;
    let claims = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
    let claims = Arc::new(claims.map_err(|e| Failure::new(Exit::OsErr, format!("eventfd: {}", e.desc())))?);
    let intake = start_intake(&base, &parts.scheduler, &claims, &alarm_manager).map_err(thread_failed)?;
    let scheduling = tokio::spawn(watch_scheduler(Arc::clone(&parts.scheduler), Arc::clone(&base.stop)));
    parts.tasks.spawn(dsn_queue::run(parts.dsns));
    let measuring = tokio::spawn(metrics::run(parts.metrics));
    let others = [
        tokio::spawn(Arc::clone(&parts.admission).run()),
        tokio::spawn(history::run(Arc::clone(&parts.current), base.state_writer.clone(), Arc::clone(&base.store))),
        answering,
    ];
    alarms::start(&alarm_manager, parts.alarm_source, woken).map_err(thread_failed)?;
    events::started(env!("CARGO_PKG_VERSION"), &base.paths.spool.display().to_string(), &next_hop);
    notify::tell("READY=1");
    let wake = || parts.dispatch.wake.notify_one();
    wait_for_end(signals, &base.stop, &parts.health, wake, || parts.reload.reload()).await;
    notify::tell("STOPPING=1");
    taking.abort();
    // A write to our own eventfd cannot fail; if it did, the thread would end with the process.
    let _ = claims.write(1);
    wake();
    parts.dispatch.work.notify_waiters();
    parts.dsn_due.notify_one();
    let all_ended = tokio::time::timeout(GRACE, parts.tasks.ended()).await.is_ok();
    others.iter().for_each(tokio::task::JoinHandle::abort);
    for task in [measuring, scheduling] {
        task.abort();
        let _ = task.await;
    }
    drop((parts.server, parts.admission, parts.pausing, parts.releaser, parts.reload, parts.scheduler));
    let Base { state_writer, stop, .. } = base;
    finish(state_writer, dispatcher, intake, writer_thread, all_ended).await;
    events::stopped();
    stop.failure().map_or(Ok(()), Err)
}

/// Where the dispatcher reads what happened to messages, and says what it has told.
fn outbox(store: &Store, state_writer: &StateWriter) -> Source {
    let state_writer = state_writer.clone();
    let acknowledge = move |cursors: Vec<Cursor>| {
        // A stopped state writer ends the daemon; then the events are told once more.
        let _ = state_writer.work_unsynced(move |state, _| state.acknowledge(&cursors));
    };
    Source { path: store.path(STATE_FILE), acknowledge: Box::new(acknowledge) }
}

/// The kernel has no room for a thread.
pub(super) fn thread_failed(e: std::io::Error) -> Failure {
    Failure::new(Exit::OsErr, format!("cannot start a thread: {e}"))
}

/// The state writer cannot write: nothing may be sent any more, so everything ends.
fn end_on_failure(stop: Arc<Stop>) -> impl FnOnce(String) + Send {
    move |reason| {
        let text = format!("the spool or its database failed: {reason}; no mail was lost; start mailchuted again when the disk works");
        stop.now(Some(Failure::new(Exit::IoErr, text)));
    }
}

/// Files without a row get one meanwhile.
fn adopt(base: &Base, parts: &Parts, orphans: Orphans, how: Recovery) -> std::io::Result<()> {
    let (stop, dispatch) = (Arc::clone(&base.stop), Arc::clone(&parts.dispatch));
    let wake = move || dispatch.wake.notify_one();
    recover::adopt::spawn(Arc::clone(&base.store), base.state_writer.clone(), orphans, how, move || stop.is_set(), wake).map(drop)
}

/// Runs the scheduler. It ends early only where the state writer stopped, which ends the daemon by itself, or by a panic, which must.
async fn watch_scheduler(scheduler: Arc<Scheduler>, stop: Arc<Stop>) {
    let ended = tokio::spawn(schedule::run(scheduler)).await;
    if ended.is_err() {
        stop.now(Some(Failure::new(Exit::Software, "internal error in the scheduler; please report it; no mail was lost")));
    }
}

/// What an administrator or systemd can send.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        // Blocked since the start; one that came meanwhile is a reload now.
        sys::process::unblock_hangup();
        Ok(signals)
    }
}

/// Signals and signs of life, until the end is told.
async fn wait_for_end(mut signals: Signals, stop: &Stop, health: &Health, wake: impl Fn(), reload: impl Fn()) {
    let mut life = tokio::time::interval(notify::watchdog_interval().unwrap_or(Duration::from_secs(3600)));
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            () = stop.told() => break,
            _ = signals.hangup.recv() => reload(),
            _ = life.tick() => {
                wake();
                if health.stalled_for() < STALLED {
                    notify::tell("WATCHDOG=1");
                }
            }
        }
    }
    stop.now(None);
}

/// The thread that claims. What it admits goes to the queue at once, if memory has room.
fn start_intake(
    base: &Base,
    scheduler: &Arc<Scheduler>,
    claims: &Arc<EventFd>,
    alarms: &Arc<AlarmManager>,
) -> std::io::Result<JoinHandle<()>> {
    let (planning, starting) = (Arc::clone(scheduler), Arc::clone(scheduler));
    let runtime = tokio::runtime::Handle::current();
    let admitted = move |admitted: Admitted| {
        if admitted.plan.next_attempt.is_none() {
            let started = runtime.block_on(start_attempt(&starting, &admitted));
            // Then the state writer has stopped, which ends the daemon.
            let _ = started;
        } else {
            starting.dispatch.wake.notify_one();
        }
    };
    let intake = Intake {
        store: Arc::clone(&base.store),
        state_writer: base.state_writer.clone(),
        stop: Arc::clone(claims),
        plan: Box::new(move |claimed| plan(&planning, claimed)),
        admitted: Box::new(admitted),
    };
    let (stop, alarms) = (Arc::clone(&base.stop), Arc::clone(alarms));
    std::thread::Builder::new().name("intake".to_owned()).spawn(move || {
        // A claim that has gone without a word would be a daemon that lets mail lie.
        let ended = catch_unwind(AssertUnwindSafe(|| intake.run()));
        if let Err(failure) = ended.unwrap_or_else(|_| Err(Failure::new(Exit::Software, "internal error; please report it"))) {
            raise_alarm(&alarms, &failure);
            stop.now(Some(failure));
        }
    })
}

/// A daemon whose spool has lost a directory is not started again by itself: somebody must be told before it ends.
fn raise_alarm(alarms: &AlarmManager, failure: &Failure) {
    if failure.exit == Exit::Config {
        events::storage_failed("spool", &failure.text);
        alarms.wait_for(Kind::StorageFailed, LAST_ALARM);
    }
}

async fn start_attempt(scheduler: &Arc<Scheduler>, admitted: &Admitted) -> Result<(), Stopped> {
    let claimed = &admitted.claimed;
    let (message, rows, _) = crate::rows::rows_of(claimed, &admitted.plan);
    let recipients = rows.into_iter().map(|row| JobRecipient { n: row.n, address: row.address }).collect();
    schedule::start_attempt(scheduler, message, recipients).await
}

/// What is decided of a message, and whether memory has room for it now.
fn plan(scheduler: &Scheduler, claimed: &ClaimedMessage) -> Plan {
    let now = sys::clock::now();
    let plan = Policy::of(&scheduler.current.get().params).plan(claimed, now);
    let later = plan.next_attempt.or_else(|| (scheduler.dispatch.room() == 0).then_some(now));
    Plan { next_attempt: later, ..plan }
}

/// Ends the threads. If everything was settled, the next start knows that no outcome was lost.
async fn finish(
    state_writer: StateWriter,
    dispatcher: dispatcher::Handle,
    intake: JoinHandle<()>,
    writer_thread: JoinHandle<()>,
    all_ended: bool,
) {
    let ended = tokio::task::spawn_blocking(move || intake.join());
    let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
    let told = tokio::task::spawn_blocking(move || dispatcher.detach(LAST_TOLD));
    let _ = tokio::time::timeout(LAST_TOLD, told).await;
    if all_ended && let Ok(done) = state_writer.work(|state, _| state.set("clean_stop", "1")) {
        let _ = tokio::time::timeout(Duration::from_secs(1), done).await;
    }
    drop(state_writer);
    // Tasks that did not end keep the state writer open; the process ends all the same.
    let _ = tokio::time::timeout(Duration::from_secs(1), tokio::task::spawn_blocking(move || writer_thread.join())).await;
}
