//! The event dispatcher: one thread sends every event to the sinks other than the log: the event file and the listeners (webhooks,
//! alarms, counters).
//!
//! In: records, through a queue in memory that drops events when it is full ([`super::logging`]). Out: lines of the event file, and
//! each record to each listener, in the order of the events. A disk that hangs blocks this thread alone. Dropped events are counted,
//! and the count is logged as soon as the queue has room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::event_file::{EventFile, Rotation};
use super::logging::Feed;
use config::Params;
use log::events;
use log::record::Record;

/// Events that are written together.
const BATCH: usize = 512;
/// The longest wait for an event. A reload wakes the thread.
const POLL: Duration = Duration::from_secs(60);
/// The sink in [`events::events_lost`] for events that only the log got.
const ALL: &str = "all but the log";

/// A listener gets all events. It must not block the thread for long.
pub(crate) type Listener = Box<dyn FnMut(&[Record]) + Send>;

/// The configuration of the event file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of this host in each line.
    pub host: String,
    /// The event file, if configured.
    pub file: Option<Rotation>,
}

impl Settings {
    /// From the configuration in force, for the host of this name.
    pub fn new(params: &Params, host: &str) -> Settings {
        let rotation =
            |path: &std::path::PathBuf| Rotation { path: path.clone(), size: params.event_file_size.0, kept: params.event_file_count };
        Settings { host: host.to_owned(), file: params.event_file.as_ref().map(rotation) }
    }
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    /// Settings that the thread has not taken yet.
    news: Mutex<Option<Settings>>,
    wake: Option<SyncSender<Option<Record>>>,
}

impl Shared {
    /// Wakes the thread. If the queue is full, the thread is awake already.
    fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(None);
        }
    }
}

/// The running thread.
pub struct EventDispatcher {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// Passes a new configuration to the thread.
#[derive(Clone, Default)]
pub struct Reloader(Arc<Shared>);

impl Reloader {
    /// Applies `settings` from the next event on.
    pub fn reload(&self, settings: Settings) {
        *self.0.news.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
        self.0.wake();
    }
}

impl EventDispatcher {
    /// Starts the thread.
    ///
    /// Errors: the kernel has no room for a thread.
    pub fn start(feed: Feed, settings: Settings, listeners: Vec<Listener>) -> std::io::Result<EventDispatcher> {
        let shared = Arc::new(Shared { wake: Some(feed.wake.clone()), ..Shared::default() });
        let own = Arc::clone(&shared);
        let mut worker = Worker { file: settings.file.clone().map(EventFile::new), settings, listeners };
        let thread = std::thread::Builder::new().name("events".to_owned()).spawn(move || worker.run(&feed, &own))?;
        Ok(EventDispatcher { shared, thread })
    }

    /// The handle for reloads.
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.shared))
    }

    /// Stops the thread after the queued events and waits for it, but no longer than `limit`: a disk that hangs must not keep the
    /// process from exiting.
    pub fn stop(self, limit: Duration) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.wake();
        let deadline = Instant::now() + limit;
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Worker {
    settings: Settings,
    file: Option<EventFile>,
    listeners: Vec<Listener>,
}

impl Worker {
    fn run(&mut self, feed: &Feed, shared: &Shared) {
        loop {
            let is_stopping = shared.stopping.load(Ordering::SeqCst);
            let batch = next_batch(feed, if is_stopping { Duration::ZERO } else { POLL });
            if let Some(settings) = shared.news.lock().unwrap_or_else(PoisonError::into_inner).take() {
                self.apply(settings);
            }
            if batch.is_empty() && is_stopping {
                return;
            }
            self.distribute(&batch);
            // Logged after its batch: the queue has room now.
            let lost = feed.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                events::events_lost(ALL, lost);
            }
        }
    }

    /// Applies a reload. The file is reopened in any case, for administrators who rotate it themselves.
    fn apply(&mut self, settings: Settings) {
        self.file = settings.file.clone().map(EventFile::new);
        self.settings = settings;
    }

    fn distribute(&mut self, batch: &[Record]) {
        if batch.is_empty() {
            return;
        }
        for listener in &mut self.listeners {
            listener(batch);
        }
        // Last, because its disk may be the slow one.
        if let Some(file) = &mut self.file {
            let lines = batch.iter().map(|record| record.line(&self.settings.host) + "\n");
            file.write(&lines.collect::<Vec<String>>());
        }
    }
}

/// Waits for the first event or a wake-up, then returns the queued events.
fn next_batch(feed: &Feed, wait: Duration) -> Vec<Record> {
    let first = feed.records.recv_timeout(wait).ok().flatten();
    let rest = feed.records.try_iter().take(BATCH - 1).flatten();
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::sync::mpsc;

    fn record(n: i64) -> Record {
        Record { at: n, level: "info", event: "stopped".to_owned(), fields: Vec::new() }
    }

    #[test]
    fn every_event_reaches_file_and_listeners_in_order_before_the_dispatcher_stops() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("events.jsonl");
        let (sender, records) = mpsc::sync_channel(2000);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listening = Arc::clone(&heard);
        let listener: Listener = Box::new(move |records| listening.lock().unwrap().extend(records.iter().map(|r| r.at)));
        let settings = Settings { host: "h".to_owned(), file: Some(Rotation { path: path.clone(), size: 0, kept: 0 }) };
        (0..1500).for_each(|n| sender.send(Some(record(n))).unwrap());
        let dispatcher =
            EventDispatcher::start(Feed { records, wake: sender.clone(), lost: Arc::new(AtomicU64::new(0)) }, settings, vec![listener])
                .unwrap();
        dispatcher.stop(Duration::from_secs(600));
        assert_eq!(*heard.lock().unwrap(), (0..1500).collect::<Vec<i64>>());
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1500);
    }

    #[test]
    fn a_reload_moves_to_another_file() {
        let scratch = tempfile::tempdir().unwrap();
        let rotation = |name: &str| Some(Rotation { path: scratch.path().join(name), size: 0, kept: 0 });
        let (sender, records) = mpsc::sync_channel(10);
        let settings = Settings { host: "h".to_owned(), file: rotation("old") };
        let dispatcher =
            EventDispatcher::start(Feed { records, wake: sender.clone(), lost: Arc::new(AtomicU64::new(0)) }, settings, Vec::new())
                .unwrap();
        dispatcher.reloader().reload(Settings { host: "h".to_owned(), file: rotation("new") });
        while dispatcher.shared.news.lock().unwrap().is_some() {
            std::thread::yield_now();
        }
        sender.send(Some(record(1))).unwrap();
        dispatcher.stop(Duration::from_secs(600));
        assert!(scratch.path().join("new").exists());
        assert_eq!(std::fs::read_to_string(scratch.path().join("old")).unwrap_or_default(), "");
    }
}
