//! The event dispatcher: one thread tells every event to its receivers: the log, the webhooks, the event file and the listeners (alarms,
//! counters).
//!
//! In: the events of messages, from the outbox of the state ([`super::outbox`]); all others as records through a queue in memory that
//! drops events when it is full ([`super::logging`], which has logged them by then). Out: lines of the event file, rows of the webhook
//! queue, and each record to each listener. A disk that hangs blocks this thread alone. Dropped events are counted, and the count is
//! logged as soon as the queue has room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::event_file::{EventFile, Rotation};
use super::hooks::Hooks;
use super::logging::Feed;
use super::outbox::{self, Listener, LogReceiver, Reader, Receiver};
use config::Params;
use log::events;
use log::record::Record;

/// Events that are written together.
const BATCH: usize = 512;
/// The longest wait for an event. A reload wakes the thread.
const POLL: Duration = Duration::from_secs(60);
/// Between two looks at an outbox that cannot be read.
const RETRY: Duration = Duration::from_secs(5);
/// The sink in [`events::events_lost`] for events that only the log got.
const ALL: &str = "all but the log";

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
    /// What the thread has not taken yet.
    news: Mutex<News>,
    wake: Option<SyncSender<Option<Record>>>,
}

#[derive(Default)]
struct News {
    settings: Option<Settings>,
    outbox: Option<outbox::Source>,
    /// Somebody waits until the outbox is told and acknowledged, and let go.
    detach: Option<mpsc::Sender<()>>,
}

impl Shared {
    /// Wakes the thread. If the queue is full, the thread is awake already.
    fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(None);
        }
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running thread.
pub struct EventDispatcher {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// Passes news to the thread: a configuration, the outbox, and that something is in it.
#[derive(Clone, Default)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Applies `settings` from the next event on.
    pub fn reload(&self, settings: Settings) {
        self.0.news().settings = Some(settings);
        self.0.wake();
    }

    /// From now on the thread tells what is in the outbox.
    pub fn attach(&self, source: outbox::Source) {
        self.0.news().outbox = Some(source);
        self.0.wake();
    }

    /// Something is new in the outbox.
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Waits until everything in the outbox is told and its acknowledgement is on its way, but no longer than `limit`. The thread has
    /// nothing of the outbox then.
    pub fn detach(&self, limit: Duration) {
        let (sender, done) = mpsc::channel();
        self.0.news().detach = Some(sender);
        self.0.wake();
        // What is not told by then is told at the next start.
        let _ = done.recv_timeout(limit);
    }
}

impl EventDispatcher {
    /// Starts the thread.
    ///
    /// Errors: the kernel has no room for a thread.
    pub fn start(feed: Feed, settings: Settings, listeners: Vec<Listener>, hooks: Arc<Hooks>) -> std::io::Result<EventDispatcher> {
        let shared = Arc::new(Shared { wake: Some(feed.wake.clone()), ..Shared::default() });
        let own = Arc::clone(&shared);
        let file = settings.file.clone().map(|rotation| EventFile::new(rotation, settings.host.clone()));
        let mut worker = Worker { file, listeners, hooks, outbox: None, unopened: None };
        let thread = std::thread::Builder::new().name("events".to_owned()).spawn(move || worker.run(&feed, &own))?;
        Ok(EventDispatcher { shared, thread })
    }

    /// The way to the thread.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
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
    file: Option<EventFile>,
    listeners: Vec<Listener>,
    hooks: Arc<Hooks>,
    outbox: Option<Reader>,
    /// An outbox that could not be opened yet.
    unopened: Option<outbox::Source>,
}

impl Worker {
    fn run(&mut self, feed: &Feed, shared: &Shared) {
        let mut rest = POLL;
        loop {
            let is_stopping = shared.stopping.load(Ordering::SeqCst);
            let batch = next_batch(feed, if is_stopping { Duration::ZERO } else { rest });
            let News { settings, outbox, detach } = std::mem::take(&mut *shared.news());
            if let Some(settings) = settings {
                self.apply(settings);
            }
            self.unopened = outbox.or(self.unopened.take());
            self.distribute(&batch);
            rest = self.tell_outbox(is_stopping || detach.is_some());
            if let Some(waiting) = detach {
                (self.outbox, self.unopened) = (None, None);
                // Who no longer waits has given up.
                let _ = waiting.send(());
            }
            // Logged after its batch: the queue has room now.
            let lost = feed.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                events::events_lost(ALL, lost);
            }
            if batch.is_empty() && is_stopping {
                return;
            }
        }
    }

    /// Applies a reload. The file is reopened in any case, for administrators who rotate it themselves.
    fn apply(&mut self, settings: Settings) {
        let Settings { host, file } = settings;
        self.file = file.map(|rotation| EventFile::new(rotation, host));
    }

    /// What is not in the outbox: what happened to the daemon, not to a message.
    fn distribute(&mut self, batch: &[Record]) {
        if batch.is_empty() {
            return;
        }
        for listener in &mut self.listeners {
            listener(batch);
        }
        self.hooks.add(batch);
        // Last, because its disk may be the slow one.
        if let Some(file) = &mut self.file {
            file.write(batch);
        }
    }

    /// Tells what is in the outbox. Returns how long the thread may sleep.
    fn tell_outbox(&mut self, is_last: bool) -> Duration {
        if let Some(source) = self.unopened.take() {
            match Reader::open(source) {
                Ok(reader) => self.outbox = Some(reader),
                Err((source, e)) => {
                    events::storage_failed("the outbox", &e.to_string());
                    self.unopened = Some(source);
                    return RETRY;
                }
            }
        }
        let Some(outbox) = &mut self.outbox else { return POLL };
        let mut log = LogReceiver { listeners: &mut self.listeners };
        let mut hooks = Arc::clone(&self.hooks);
        let mut receivers: Vec<&mut dyn Receiver> = vec![&mut log];
        if hooks.has_endpoints() {
            receivers.push(&mut hooks);
        }
        receivers.extend(self.file.as_mut().map(|file| file as &mut dyn Receiver));
        match outbox.tell(&mut receivers) {
            Ok(rest) => {
                outbox.acknowledge(&mut receivers, is_last);
                rest.unwrap_or(POLL)
            }
            Err(e) => {
                events::storage_failed("the outbox", &e.to_string());
                RETRY
            }
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
        Record { at: n, level: "info", event: "stopped".to_owned(), id: None, fields: Vec::new() }
    }

    fn start(
        records: mpsc::Receiver<Option<Record>>,
        wake: &SyncSender<Option<Record>>,
        settings: Settings,
        listeners: Vec<Listener>,
    ) -> EventDispatcher {
        let feed = Feed { records, wake: wake.clone(), lost: Arc::new(AtomicU64::new(0)) };
        EventDispatcher::start(feed, settings, listeners, Hooks::new(std::path::Path::new("/nonexistent"))).unwrap()
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
        let dispatcher = start(records, &sender, settings, vec![listener]);
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
        let dispatcher = start(records, &sender, settings, Vec::new());
        dispatcher.handle().reload(Settings { host: "h".to_owned(), file: rotation("new") });
        while dispatcher.shared.news().settings.is_some() {
            std::thread::yield_now();
        }
        sender.send(Some(record(1))).unwrap();
        dispatcher.stop(Duration::from_secs(600));
        assert!(scratch.path().join("new").exists());
        assert_eq!(std::fs::read_to_string(scratch.path().join("old")).unwrap_or_default(), "");
    }
}
