//! The state shared by the workers of all webhooks: the open queue and the settings in force.
//!
//! In: the records of the event table, and the receivers of the configuration. Out: events in the queue, and a signal to the workers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::endpoint::Endpoint;
use super::queue::{self, New, Queue};
use crate::alarms::judge::WebhookSnapshot;
use crate::outbox::{Kept, Receiver};
use log::events;
use log::record::Record;

/// The receivers of a configuration.
#[derive(Debug, Default)]
pub struct Settings {
    /// The usable receivers.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// The most queued events of one receiver.
    pub queue_limit: u64,
    /// The lifetime of an event in seconds.
    pub lifetime: i64,
    /// The name of this host in each event.
    pub host: String,
}

/// The shared state.
pub struct Hooks {
    path: PathBuf,
    inner: Mutex<Inner>,
    /// The queue grew, or the settings changed.
    pub(super) news: Condvar,
}

/// What is behind the lock.
#[derive(Default)]
pub(super) struct Inner {
    /// Open while there is a receiver.
    pub(super) queue: Option<Queue>,
    endpoints: Vec<Arc<Endpoint>>,
    /// The most queued events of one receiver.
    pub(super) limit: u64,
    /// The lifetime of an event in seconds.
    pub(super) lifetime: i64,
    /// The name of this host in each event.
    host: String,
    /// Workers of an older generation stop.
    pub(super) generation: u64,
    pub(super) stopping: bool,
    /// The queue does not work, and that was logged.
    is_broken: bool,
}

impl Hooks {
    /// Creates the state without receivers. The queue is in `spool`.
    pub fn new(spool: &Path) -> Arc<Hooks> {
        Arc::new(Hooks { path: spool.join(queue::FILE), inner: Mutex::default(), news: Condvar::new() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies the receivers of a configuration. Returns them with the generation of their workers.
    pub(super) fn configure(&self, settings: Settings) -> (u64, Vec<Arc<Endpoint>>) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.endpoints = settings.endpoints;
        inner.limit = settings.queue_limit;
        inner.lifetime = settings.lifetime;
        inner.host = settings.host;
        let names: Vec<String> = inner.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
        if self.opened(&mut inner)
            && let Some(queue) = &mut inner.queue
            && let Err(e) = queue.keep_only(&names, sys::clock::now())
        {
            self.log_broken(&mut inner, &e);
        }
        self.news.notify_all();
        (inner.generation, inner.endpoints.clone())
    }

    /// True while anybody wants events.
    pub(crate) fn has_endpoints(&self) -> bool {
        !self.lock().endpoints.is_empty()
    }

    /// Puts events into the queue. What cannot be queued is lost, and counted.
    pub(crate) fn add(&self, records: &[Record]) {
        let mut inner = self.lock();
        let new: Vec<New> = records.iter().flat_map(|record| wanted(&inner, record)).collect();
        if !self.queued(&mut inner, &new, None)
            && let Some(queue) = &mut inner.queue
        {
            new.iter().for_each(|event| queue.lose(std::iter::once(event.webhook.as_str()), 1));
        }
    }

    /// True if they are in the queue, or were counted as lost because it is full.
    fn queued(&self, inner: &mut Inner, new: &[New], reached: Option<(i64, i64)>) -> bool {
        if new.is_empty() {
            return true;
        }
        if !self.opened(inner) {
            return false;
        }
        let limit = inner.limit;
        let added = inner.queue.as_mut().map(|queue| queue.add(new, limit, reached));
        match &added {
            Some(Err(e)) => self.log_broken(inner, e),
            _ => inner.is_broken = false,
        }
        self.news.notify_all();
        matches!(added, Some(Ok(())))
    }

    /// Opens the queue if there is a receiver. True if it is open.
    fn opened(&self, inner: &mut Inner) -> bool {
        if inner.queue.is_none() && !inner.endpoints.is_empty() {
            match Queue::open(&self.path) {
                Ok(queue) => inner.queue = Some(queue),
                Err(e) => self.log_broken(inner, &e),
            }
        }
        inner.queue.is_some()
    }

    fn log_broken(&self, inner: &mut Inner, e: &rusqlite::Error) {
        if !std::mem::replace(&mut inner.is_broken, true) {
            events::webhook_failed(queue::FILE, &e.to_string());
        }
    }

    /// The state of the receivers, for the alarms.
    pub fn snapshots(&self) -> Vec<WebhookSnapshot> {
        let inner = self.lock();
        let Some(queue) = &inner.queue else { return Vec::new() };
        let snapshot = |endpoint: &Arc<Endpoint>| WebhookSnapshot {
            name: endpoint.name.clone(),
            waiting: queue.waiting(&endpoint.name),
            lost: queue.lost(&endpoint.name).unwrap_or_default(),
            failing_since: queue.failing_since(&endpoint.name).unwrap_or_default(),
        };
        inner.endpoints.iter().map(snapshot).collect()
    }

    /// Stops the workers without waiting for them: an event under way is sent again after the next start.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.news.notify_all();
    }
}

impl Receiver for Arc<Hooks> {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    fn take(&mut self, events: &[&Kept]) -> bool {
        let mut inner = self.lock();
        let new: Vec<New> = events.iter().flat_map(|event| wanted(&inner, event.record())).collect();
        self.queued(&mut inner, &new, events.last().map(|event| event.transaction()))
    }

    fn reached(&mut self) -> Option<(i64, i64)> {
        // Without an answer the events are added again, which changes nothing but the count of those that were lost.
        self.lock().queue.as_ref()?.reached().ok()?
    }

    fn lose(&mut self, lost: u64) {
        let mut inner = self.lock();
        let names: Vec<String> = inner.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
        if let Some(queue) = &mut inner.queue {
            queue.lose(names.iter().map(String::as_str), lost);
        }
    }

    fn sync(&mut self) {
        let mut inner = self.lock();
        if let Some(Err(e)) = inner.queue.as_ref().map(Queue::sync) {
            self.log_broken(&mut inner, &e);
        }
    }
}

/// The entries for the receivers that want this record.
fn wanted(inner: &Inner, record: &Record) -> Vec<New> {
    let wanting: Vec<_> = inner.endpoints.iter().filter(|endpoint| endpoint.wants(record)).collect();
    if wanting.is_empty() {
        return Vec::new();
    }
    let random = || format!("{:016x}{:016x}", sys::clock::random().unwrap_or_default(), sys::clock::random().unwrap_or_default());
    let (id, body) = (format!("evt_{}", record.id.clone().unwrap_or_else(random)), record.webhook_body(&inner.host));
    let urgent = record.event.starts_with("alarm_") || record.event == "events_lost";
    let new =
        |endpoint: &Arc<Endpoint>| New { webhook: endpoint.name.clone(), id: id.clone(), at: record.at / 1000, body: body.clone(), urgent };
    wanting.into_iter().map(new).collect()
}
