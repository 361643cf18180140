//! Metrics: one page in the OpenMetrics text format, for the textfile collector of node_exporter or another reader of files. No port.
//!
//! In: the counters of this process, the queue's numbers from state.sqlite, the spool's free space. Out: `metrics_file`, replaced
//! as a whole. If the disk or the database fails, a page is missing; delivery is not affected.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::current::Current;
use crate::database::STATE_FILE;
use crate::dispatch::Dispatch;
use crate::health::Health;
use config::Paths;
use log::events;
use observe::alarms::AlarmManager;
use observe::metrics::counters::Counters;
use observe::metrics::families::{AGES, MetricsSnapshot, QueueSnapshot};
use state::State;

/// How often a daemon that writes no metrics looks whether it shall.
const IDLE: Duration = Duration::from_secs(60);
/// Counting a long queue takes its time: a pause is at least this many times as long, so that metrics cost a twentieth of one
/// core at most.
const PATIENCE: u32 = 20;

/// What the page is made of.
pub(crate) struct MetricsWriter {
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// What is wrong now.
    pub(crate) alarms: Arc<AlarmManager>,
    /// What was counted.
    pub(crate) counters: Arc<Counters>,
    /// Signs of life.
    pub(crate) health: Arc<Health>,
}

/// Writes pages until the task is ended.
pub(crate) async fn run(writer: MetricsWriter) {
    let started = sys::clock::now();
    let mut is_refused = false;
    loop {
        let interval = writer.current.get().params.metrics_interval.0;
        let began = Instant::now();
        if !interval.is_zero() {
            let path = path(&writer);
            match write(&writer, path.clone(), started).await {
                Ok(()) => is_refused = false,
                // Once, not every half minute: who reads the page sees its age.
                Err(e) if !is_refused => {
                    is_refused = true;
                    events::metrics_refused(&path.display().to_string(), &e.to_string());
                }
                Err(_) => {}
            }
        }
        let pause = if interval.is_zero() { IDLE } else { interval };
        tokio::time::sleep(pause.max(began.elapsed().saturating_mul(PATIENCE))).await;
    }
}

fn path(writer: &MetricsWriter) -> PathBuf {
    writer.current.get().params.metrics_file.clone().unwrap_or_else(|| writer.paths.run.join("metrics.prom"))
}

async fn write(writer: &MetricsWriter, path: PathBuf, started: i64) -> std::io::Result<()> {
    let now = sys::clock::now();
    let suspended = writer.dispatch.queue(|queue| queue.suspensions(now).map(|(route, _)| route.to_string()).take(100).collect());
    // One sample for each name: a route and a webhook of it are details.
    let mut alarms: Vec<String> = writer.alarms.lines().into_iter().map(|line| line.alarm).collect();
    alarms.sort();
    alarms.dedup();
    let snapshot =
        MetricsSnapshot { alarms, now, started, last_relayed: writer.health.last_relayed(), suspended, ..MetricsSnapshot::default() };
    let counts = writer.counters.read();
    let spool = writer.paths.spool.clone();
    let work = move || {
        let queue = queue(&spool.join(STATE_FILE), now).ok();
        let snapshot = MetricsSnapshot {
            queue,
            free: sys::fs::free_space(&spool).ok().map(|(bytes, files)| (bytes, files.unwrap_or_default())),
            ..snapshot
        };
        sys::replace::replace(&path, 0o644, observe::metrics::families::page(&snapshot, &counts).as_bytes())
    };
    // On a thread that may wait for the disk.
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// The queue's numbers, on a connection of its own: the state writer is not held up.
fn queue(path: &Path, now: i64) -> state::Result<QueueSnapshot> {
    let bounds = AGES.map(|(_, seconds)| now.saturating_sub(seconds));
    let state = State::open_to_read(path)?;
    let numbers = state.queue_numbers(&bounds)?;
    let [waiting, held, failed] = numbers;
    let states = [("queued", &waiting), ("held", &held), ("failed", &failed)];
    let by_age = |ages: &[u64]| {
        let mut all = [0; AGES.len()];
        all.iter_mut().zip(ages).for_each(|(to, from)| *to = *from);
        all
    };
    Ok(QueueSnapshot {
        messages: states.iter().map(|(state, numbers)| (*state, by_age(&numbers.by_age))).collect(),
        bytes: states.iter().map(|(state, numbers)| (*state, numbers.bytes)).collect(),
        oldest: waiting.oldest,
        totals: state.totals()?,
    })
}
