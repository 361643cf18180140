//! One thread takes every event from the log to those who are not the log: the event file, and whoever else listens (webhooks,
//! alarms).
//!
//! In: records, through a queue in memory that loses rather than waits ([`super::logging`]). Out: lines of the event file, and each
//! record to each listener, in the order of the events. A disk that does not answer holds up this thread alone; what is lost
//! meanwhile is counted, and the count is an event as soon as there is room for one.

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
/// The longest wait for an event; who wants the thread to look wakes it.
const LOOK: Duration = Duration::from_secs(60);
/// The outlet of [`events::events_lost`] for events that no outlet got.
const EVERYWHERE: &str = "all but the log";

/// Somebody who gets all events, and must not keep the thread for long.
pub(crate) type Listener = Box<dyn FnMut(&[Record]) + Send>;

/// What the configuration says of the event file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of this host in each line.
    pub host: String,
    /// The file, if one is wanted.
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
    ending: AtomicBool,
    /// Settings that the thread has not taken yet.
    news: Mutex<Option<Settings>>,
    wake: Option<SyncSender<Option<Record>>>,
}

impl Shared {
    /// Has the thread look. A full queue keeps it looking anyway.
    fn look(&self) {
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

/// The way to tell the thread what a new configuration says.
#[derive(Clone, Default)]
pub struct Reloader(Arc<Shared>);

impl Reloader {
    /// From the next event on.
    pub fn reload(&self, settings: Settings) {
        *self.0.news.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
        self.0.look();
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

    /// For reloads.
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.shared))
    }

    /// Lets the thread end with the events that are there, and waits for it, but no longer than `limit`: a disk that does not
    /// answer must not keep the process.
    pub fn end(self, limit: Duration) {
        self.shared.ending.store(true, Ordering::SeqCst);
        self.shared.look();
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
            let is_ending = shared.ending.load(Ordering::SeqCst);
            let batch = next_batch(feed, if is_ending { Duration::ZERO } else { LOOK });
            if let Some(settings) = shared.news.lock().unwrap_or_else(PoisonError::into_inner).take() {
                self.apply(settings);
            }
            if batch.is_empty() && is_ending {
                return;
            }
            self.deal_out(&batch);
            // Told after its batch: the queue has room now.
            let lost = feed.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                events::events_lost(EVERYWHERE, lost);
            }
        }
    }

    /// A reload: the file is opened anew in any case, so that somebody who moved it away can say so.
    fn apply(&mut self, settings: Settings) {
        self.file = settings.file.clone().map(EventFile::new);
        self.settings = settings;
    }

    fn deal_out(&mut self, batch: &[Record]) {
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

/// The events that are there, after a wait for the first one, or for somebody who wakes us.
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
    fn every_event_reaches_file_and_listeners_in_order_and_the_end_waits_for_them() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("events.jsonl");
        let (sender, records) = mpsc::sync_channel(2000);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listening = Arc::clone(&heard);
        let listener: Listener = Box::new(move |records| listening.lock().unwrap().extend(records.iter().map(|r| r.at)));
        let settings = Settings { host: "h".to_owned(), file: Some(Rotation { path: path.clone(), size: 0, kept: 0 }) };
        (0..1500).for_each(|n| sender.send(Some(record(n))).unwrap());
        let outlet =
            EventDispatcher::start(Feed { records, wake: sender.clone(), lost: Arc::new(AtomicU64::new(0)) }, settings, vec![listener])
                .unwrap();
        outlet.end(Duration::from_secs(600));
        assert_eq!(*heard.lock().unwrap(), (0..1500).collect::<Vec<i64>>());
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1500);
    }

    #[test]
    fn a_reload_moves_to_another_file() {
        let scratch = tempfile::tempdir().unwrap();
        let rotation = |name: &str| Some(Rotation { path: scratch.path().join(name), size: 0, kept: 0 });
        let (sender, records) = mpsc::sync_channel(10);
        let settings = Settings { host: "h".to_owned(), file: rotation("old") };
        let outlet =
            EventDispatcher::start(Feed { records, wake: sender.clone(), lost: Arc::new(AtomicU64::new(0)) }, settings, Vec::new())
                .unwrap();
        outlet.reloader().reload(Settings { host: "h".to_owned(), file: rotation("new") });
        while outlet.shared.news.lock().unwrap().is_some() {
            std::thread::yield_now();
        }
        sender.send(Some(record(1))).unwrap();
        outlet.end(Duration::from_secs(600));
        assert!(scratch.path().join("new").exists());
        assert_eq!(std::fs::read_to_string(scratch.path().join("old")).unwrap_or_default(), "");
    }
}
