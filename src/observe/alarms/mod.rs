//! Alarms that do not depend on mail: a broken mail system cannot report by mail.
//!
//! In: inputs that are looked up twice a minute, and the events in between. Out: each alarm is raised once and cleared once, across
//! restarts too. The change goes to the log and the event sinks (level error when raised, info when cleared), to `alarms.json` in the
//! spool, to `alarm_command`, and into the daemon status. All of this runs on its own thread and cannot delay mail.
//!
//! | module | work |
//! |---|---|
//! | [`alarm`] | the table of alarms |
//! | [`judge`](mod@judge) | inputs to alarms; pure |
//! | [`memory`] | what alarms need to know of past events; pure |
//! | [`active`] | which alarms are new and which have cleared; the file |
//! | [`command`] | the administrator's program |
//! | [`canary`] | the daily test message |
//!
//! A change is first logged, then saved in the file, then passed to the program. After a crash in between it is reported again.

pub mod active;
pub mod alarm;
pub mod canary;
pub mod command;
pub mod judge;
pub mod memory;
mod program;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::outbox::Listener;
use active::{ActiveAlarms, Change};
use alarm::Kind;
use canary::Canary;
use config::Params;
use config::paths::{Mode, Paths};
use control::protocol::AlarmLine;
use jiff::tz::TimeZone;
use judge::{AlarmInputs, Limits};
use log::events;
use mail::Address;
use memory::{AlarmMemory, Resolved};

/// The time between two checks, unless an event asks for one.
const INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two checks, so that many events cause one check.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks of somebody who waits for an alarm.
const POLL: Duration = Duration::from_millis(20);

/// The active alarms and the memory, shared by the thread and the status queries.
pub struct AlarmManager {
    active: Mutex<ActiveAlarms>,
    memory: Mutex<AlarmMemory>,
    stopping: AtomicBool,
    wake: SyncSender<()>,
}

impl AlarmManager {
    /// Loads the state that the last run left in the spool. The receiver wakes the thread.
    pub fn load(spool: &std::path::Path) -> (Arc<AlarmManager>, Receiver<()>) {
        let (active, memory) = active::load(spool);
        let (wake, woken) = sync_channel(1);
        let manager = AlarmManager { active: Mutex::new(active), memory: Mutex::new(memory), stopping: AtomicBool::new(false), wake };
        (Arc::new(manager), woken)
    }

    /// The active alarms, critical ones first.
    pub fn lines(&self) -> Vec<AlarmLine> {
        lock(&self.active).lines()
    }

    /// The listener that remembers events.
    pub fn listener(self: &Arc<Self>) -> Listener {
        let manager = Arc::clone(self);
        Box::new(move |records| {
            let mut memory = lock(&manager.memory);
            // All of them are noted, whether one of them wakes the thread or not.
            if records.iter().filter(|record| memory.note(record)).count() > 0 {
                manager.wake();
            }
        })
    }

    /// Waits until an alarm of this kind is active, at most for `limit`.
    pub fn wait_for(&self, kind: Kind, limit: Duration) {
        let end = Instant::now() + limit;
        while !lock(&self.active).has_kind(kind) && Instant::now() < end {
            std::thread::sleep(POLL);
        }
    }

    /// Makes the thread check soon.
    fn wake(&self) {
        // If the channel is full, the thread is awake already.
        let _ = self.wake.try_send(());
    }

    /// Stops the thread.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The configuration in force, as far as alarms need it.
#[derive(Clone)]
pub struct Settings {
    /// The paths of the installation.
    pub paths: Paths,
    /// The settings.
    pub params: Params,
    /// The name of this host, for `alarm_command`.
    pub host: String,
    /// The sender domain of the canary.
    pub mailname: String,
    /// The recipient of the canary.
    pub canary: Option<Address>,
    /// The local time zone.
    pub zone: TimeZone,
}

/// The source of the inputs: the daemon.
pub trait Watched: Send + Sync + 'static {
    /// The configuration in force.
    fn settings(&self) -> Settings;
    /// The inputs at `now`, unix seconds.
    fn inputs(&self, now: i64) -> AlarmInputs;
    /// The remembered conditions that have ended without an event.
    fn resolved(&self, memory: &AlarmMemory, inputs: &AlarmInputs) -> Resolved;
}

/// Starts the thread, which [`AlarmManager::stop`] stops.
///
/// Errors: the kernel has no room for a thread.
pub fn start(manager: &Arc<AlarmManager>, watched: impl Watched, woken: Receiver<()>) -> std::io::Result<()> {
    let manager = Arc::clone(manager);
    std::thread::Builder::new().name("alarms".to_owned()).spawn(move || run(&manager, &watched, &woken)).map(drop)
}

fn run(manager: &AlarmManager, watched: &impl Watched, woken: &Receiver<()>) {
    let mut file = StateFile { saved: None, works: true };
    while !manager.stopping.load(Ordering::SeqCst) {
        let settings = watched.settings();
        let changes = check(manager, watched, &settings, &mut file);
        run_command(&changes, &settings);
        std::thread::sleep(PAUSE);
        if woken.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Checks all alarms once: logs and saves the changes. Status queries do not wait for the lookups.
fn check(manager: &AlarmManager, watched: &impl Watched, settings: &Settings, file: &mut StateFile) -> Vec<Change> {
    let now = sys::clock::now();
    lock(&manager.memory).heal_clock(now);
    lock(&manager.active).heal_clock(now);
    send_canary(manager, settings, now);
    let inputs = watched.inputs(now);
    let known = lock(&manager.memory).clone();
    let resolved = watched.resolved(&known, &inputs);
    let memory = {
        let mut memory = lock(&manager.memory);
        memory.forget(&resolved);
        memory.clone()
    };
    let (changes, active) = {
        let mut active = lock(&manager.active);
        let alarms = judge::judge(&inputs, &memory, Limits::of(&settings.params), |kind, subject| active.has(kind, subject));
        (active.update(alarms, now), active.clone())
    };
    changes.iter().for_each(log_change);
    file.save(&settings.paths.spool, active, memory, now);
    changes
}

fn log_change(change: &Change) {
    let (alarm, since) = (&change.alarm, change.since);
    match change.is_raised {
        true => events::alarm_raised(alarm.kind.name(), &alarm.subject, alarm.kind.severity().word(), &alarm.reason),
        false => events::alarm_cleared(alarm.kind.name(), &alarm.subject, sys::clock::now().saturating_sub(since)),
    }
}

/// `alarms.json` as this run has written it.
struct StateFile {
    saved: Option<(ActiveAlarms, AlarmMemory)>,
    works: bool,
}

impl StateFile {
    /// Writes the file if its content changed. A failure is logged once.
    fn save(&mut self, spool: &std::path::Path, active: ActiveAlarms, memory: AlarmMemory, now: i64) {
        let content = Some((active, memory));
        if self.saved == content {
            return;
        }
        let written = content.as_ref().map_or(Ok(()), |(active, memory)| active::save(spool, active, memory, now));
        if let (Err(e), true) = (&written, self.works) {
            events::alarm_sink_failed(active::FILE, &e.to_string());
        }
        self.works = written.is_ok();
        self.saved = content.filter(|_| self.works);
    }
}

fn run_command(changes: &[Change], settings: &Settings) {
    for change in changes {
        if let Err(why) = command::run(&settings.params.alarm_command, change, &settings.host) {
            events::alarm_sink_failed("alarm_command", &why);
        }
    }
}

/// Sends the canary if it is due. A canary that cannot be sent counts as missing.
fn send_canary(manager: &AlarmManager, settings: &Settings, now: i64) {
    let Some(to) = &settings.canary else {
        lock(&manager.memory).canary = Canary::default();
        return;
    };
    if !lock(&manager.memory).canary.is_due(now, settings.params.canary_time, &settings.zone) {
        return;
    }
    let random = sys::clock::random().unwrap_or_default();
    let message_id = format!("<canary.{random:016x}@{}>", settings.mailname);
    let wait = i64::try_from(settings.params.canary_wait.0.as_secs()).unwrap_or(i64::MAX);
    // Before it can arrive, so that its events are recognised.
    lock(&manager.memory).canary = Canary::sent(&message_id, now, wait);
    // One user's sendmail finds that user's spool by these, and by nothing in a system installation.
    let own = ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"].into_iter().filter(|_| settings.paths.mode == Mode::Rootless);
    let environment: Vec<_> = own.filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
    let message = canary::compose(to, &settings.mailname, &message_id);
    match canary::send(&settings.paths.sendmail(), to, &message, &environment) {
        Ok(()) => events::canary_sent(&message_id, &to.to_string()),
        Err(why) => lock(&manager.memory).canary = Canary::refused(now, &why),
    }
}
