//! Alarms outside of mail: a mail system that does not work cannot say so by mail.
//!
//! In: facts that are looked up twice a minute, and the events in between. Out: each alarm raised once and cleared once, over
//! restarts too, to the log and whoever gets its events (error level when raised, info when cleared), to `alarms.json` in the
//! spool, to `alarm_command`, and to those who ask for the status. One thread of its own: nothing here can hold up mail.
//!
//! | module | work |
//! |---|---|
//! | [`alarm`] | the table |
//! | [`judge`](mod@judge) | facts to alarms; pure |
//! | [`observed`] | what is remembered of events; pure |
//! | [`standing`] | what is new and what is over; the file |
//! | [`command`] | the administrator's program |
//! | [`canary`] | a message a day |
//!
//! The order of a change: told as an event, kept in the file, then the program is run. A crash in between tells it a second time.

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
use std::time::Duration;

use super::dispatcher::Listener;
use active::{ActiveAlarms, Change};
use canary::Canary;
use config::Params;
use config::paths::{Mode, Paths};
use control::protocol::AlarmLine;
use jiff::tz::TimeZone;
use judge::{AlarmInputs, Limits};
use log::events;
use mail::Address;
use memory::{AlarmMemory, Over};

/// Between two looks, when no event asks for one.
const ROUND: Duration = Duration::from_secs(30);
/// The shortest time between two looks: a storm of events is one.
const PAUSE: Duration = Duration::from_millis(500);

/// What stands and what is remembered, for the thread and for those who ask.
pub struct AlarmManager {
    standing: Mutex<ActiveAlarms>,
    remembered: Mutex<AlarmMemory>,
    ending: AtomicBool,
    wake: SyncSender<()>,
}

impl AlarmManager {
    /// The board that the last run left in the spool, and what wakes its thread.
    pub fn load(spool: &std::path::Path) -> (Arc<AlarmManager>, Receiver<()>) {
        let (standing, remembered) = active::load(spool);
        let (wake, woken) = sync_channel(1);
        let board =
            AlarmManager { standing: Mutex::new(standing), remembered: Mutex::new(remembered), ending: AtomicBool::new(false), wake };
        (Arc::new(board), woken)
    }

    /// What stands, the critical ones first.
    pub fn lines(&self) -> Vec<AlarmLine> {
        lock(&self.standing).lines()
    }

    /// Takes note of events.
    pub fn listener(self: &Arc<Self>) -> Listener {
        let board = Arc::clone(self);
        Box::new(move |records| {
            let mut remembered = lock(&board.remembered);
            // All of them are noted, whether one of them wakes the thread or not.
            if records.iter().filter(|record| remembered.note(record)).count() > 0 {
                board.look();
            }
        })
    }

    /// Has the thread look soon.
    fn look(&self) {
        // Full: it has been told already.
        let _ = self.wake.try_send(());
    }

    /// Lets the thread end.
    pub fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.look();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread knows of the configuration in force.
#[derive(Clone)]
pub struct Settings {
    /// Where everything lies.
    pub paths: Paths,
    /// What the administrator chose.
    pub params: Params,
    /// The name of this host, for `alarm_command`.
    pub host: String,
    /// The domain that the canary comes from.
    pub mailname: String,
    /// Where the canary goes.
    pub canary: Option<Address>,
    /// The host's zone.
    pub zone: TimeZone,
}

/// What alarms are judged by, looked up by the daemon.
pub trait Watched: Send + Sync + 'static {
    /// The configuration in force.
    fn settings(&self) -> Settings;
    /// What is so at `now`, unix seconds.
    fn facts(&self, now: i64) -> AlarmInputs;
    /// What operators have put an end to since.
    fn over(&self, remembered: &AlarmMemory, facts: &AlarmInputs) -> Over;
}

/// Starts the thread, which ends by [`AlarmManager::end`].
///
/// Errors: the kernel has no room for a thread.
pub fn start(board: &Arc<AlarmManager>, watched: impl Watched, woken: Receiver<()>) -> std::io::Result<()> {
    let board = Arc::clone(board);
    std::thread::Builder::new().name("alarms".to_owned()).spawn(move || run(&board, &watched, &woken)).map(drop)
}

fn run(board: &AlarmManager, watched: &impl Watched, woken: &Receiver<()>) {
    let mut file = StateFile { kept: None, works: true };
    while !board.ending.load(Ordering::SeqCst) {
        let settings = watched.settings();
        let changes = look(board, watched, &settings, &mut file);
        tell_program(&changes, &settings);
        std::thread::sleep(PAUSE);
        if woken.recv_timeout(ROUND) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// One look: what is new and what is over, told and kept. Nobody who asks for the status waits while things are looked up.
fn look(board: &AlarmManager, watched: &impl Watched, settings: &Settings, file: &mut StateFile) -> Vec<Change> {
    let now = sys::clock::now();
    send_canary(board, settings, now);
    let facts = watched.facts(now);
    let known = lock(&board.remembered).clone();
    let over = watched.over(&known, &facts);
    let remembered = {
        let mut remembered = lock(&board.remembered);
        remembered.forget(&over);
        remembered.clone()
    };
    let (changes, standing) = {
        let mut standing = lock(&board.standing);
        let alarms = judge::judge(&facts, &remembered, Limits::of(&settings.params), |kind| standing.has(kind));
        (standing.update(alarms, now), standing.clone())
    };
    changes.iter().for_each(tell);
    file.keep(&settings.paths.spool, standing, remembered, now);
    changes
}

fn tell(change: &Change) {
    let (alarm, since) = (&change.alarm, change.since);
    match change.is_raised {
        true => events::alarm_raised(alarm.kind.name(), &alarm.subject, alarm.kind.severity().word(), &alarm.reason),
        false => events::alarm_cleared(alarm.kind.name(), &alarm.subject, sys::clock::now().saturating_sub(since)),
    }
}

/// `alarms.json` as this run has written it.
struct StateFile {
    kept: Option<(ActiveAlarms, AlarmMemory)>,
    works: bool,
}

impl StateFile {
    /// Writes the file, if anything is new; that it cannot be written is told once.
    fn keep(&mut self, spool: &std::path::Path, standing: ActiveAlarms, remembered: AlarmMemory, now: i64) {
        let news = Some((standing, remembered));
        if self.kept == news {
            return;
        }
        let written = news.as_ref().map_or(Ok(()), |(standing, remembered)| active::keep(spool, standing, remembered, now));
        if let (Err(e), true) = (&written, self.works) {
            events::alarm_sink_failed(active::FILE, &e.to_string());
        }
        self.works = written.is_ok();
        self.kept = news.filter(|_| self.works);
    }
}

fn tell_program(changes: &[Change], settings: &Settings) {
    for change in changes {
        if let Err(why) = command::run(&settings.params.alarm_command, change, &settings.host) {
            events::alarm_sink_failed("alarm_command", &why);
        }
    }
}

/// Sends the canary, if its time has come. One that cannot be sent has not arrived.
fn send_canary(board: &AlarmManager, settings: &Settings, now: i64) {
    let Some(to) = &settings.canary else {
        lock(&board.remembered).canary = Canary::default();
        return;
    };
    if !lock(&board.remembered).canary.is_due(now, settings.params.canary_time, &settings.zone) {
        return;
    }
    let random = sys::clock::random().unwrap_or_default();
    let message_id = format!("<canary.{random:016x}@{}>", settings.mailname);
    let wait = i64::try_from(settings.params.canary_wait.0.as_secs()).unwrap_or(i64::MAX);
    // Before it can arrive, so that its events are recognised.
    lock(&board.remembered).canary = Canary::sent(&message_id, now, wait);
    // One user's sendmail finds that user's spool by these, and by nothing in a system installation.
    let own = ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"].into_iter().filter(|_| settings.paths.mode == Mode::Rootless);
    let environment: Vec<_> = own.filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
    let message = canary::compose(to, &settings.mailname, &message_id);
    match canary::send(&settings.paths.sendmail(), to, &message, &environment) {
        Ok(()) => events::canary_sent(&message_id, &to.to_string()),
        Err(why) => lock(&board.remembered).canary = Canary::refused(now, &why),
    }
}
