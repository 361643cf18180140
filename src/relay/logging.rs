//! Where the daemon's events go: the journal, with its fields, where systemd connected stderr to it; else stderr, one line each.
//! And, as values, to [`super::outlet`], which feeds the event file, the webhooks and the alarms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use crate::log::record::Record;
use crate::sys;

/// Events that may wait for the outlets. Then they are counted as lost: an outlet never holds up mail.
const BACKLOG: usize = 10_000;

/// The events from the start of the log on, as values.
pub struct Feed {
    /// The events.
    pub records: mpsc::Receiver<Record>,
    /// Events that found the backlog full, since somebody last took the number away.
    pub lost: Arc<AtomicU64>,
}

/// Starts the log of this process. A second start changes nothing, and its feed stays empty.
pub fn start() -> Feed {
    let (sender, records) = mpsc::sync_channel(BACKLOG);
    let lost = Arc::new(AtomicU64::new(0));
    let tap = Tap { sender, lost: Arc::clone(&lost) };
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let registry = Registry::default().with(tap.with_filter(LevelFilter::INFO));
    // Only the first subscriber counts, and this is the only place that sets one.
    let _ = match journal {
        Some(layer) => tracing::subscriber::set_global_default(
            registry.with(layer.with_field_prefix(Some("MAILCHUTE".to_owned())).with_filter(LevelFilter::INFO)),
        ),
        None => {
            let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
            tracing::subscriber::set_global_default(registry.with(layer.with_filter(LevelFilter::INFO)))
        }
    };
    Feed { records, lost }
}

/// Takes a copy of each event, and never waits.
struct Tap {
    sender: mpsc::SyncSender<Record>,
    lost: Arc<AtomicU64>,
}

impl<S: Subscriber> Layer<S> for Tap {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let Some(record) = Record::of(event, sys::clock::milliseconds()) else { return };
        if self.sender.try_send(record).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
