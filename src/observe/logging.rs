//! The log of the daemon. Events go to the journal, with their fields, if systemd connected stderr to it; otherwise to stderr, one
//! line each. As values they also go to [`super::dispatcher`], which feeds the event file, the webhooks and the alarms.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use log::record::Record;

/// Events queued for the event sinks. Further events are dropped and counted: an event sink never delays mail.
const BACKLOG: usize = 10_000;

/// The events since the start of the log, as values.
pub struct Feed {
    /// The events. `None` only wakes the reader.
    pub records: mpsc::Receiver<Option<Record>>,
    /// Wakes the reader.
    pub wake: mpsc::SyncSender<Option<Record>>,
    /// Events dropped because the backlog was full, since the last reset.
    pub lost: Arc<AtomicU64>,
}

/// Starts the log of this process. A second start has no effect, and its feed stays empty.
pub fn start() -> Feed {
    let (sender, records) = mpsc::sync_channel(BACKLOG);
    let lost = Arc::new(AtomicU64::new(0));
    let wake = sender.clone();
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
    Feed { records, wake, lost }
}

thread_local! {
    /// True while this thread logs what it has as a value already.
    static IS_KNOWN: Cell<bool> = const { Cell::new(false) };
}

/// Logs an event whose value does not come through the feed.
pub(crate) fn without_feed(log: impl FnOnce()) {
    IS_KNOWN.set(true);
    log();
    IS_KNOWN.set(false);
}

/// Copies each event to the feed, without blocking.
struct Tap {
    sender: mpsc::SyncSender<Option<Record>>,
    lost: Arc<AtomicU64>,
}

impl<S: Subscriber> Layer<S> for Tap {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if IS_KNOWN.get() {
            return;
        }
        let Some(record) = Record::of(event, sys::clock::milliseconds()) else { return };
        if self.sender.try_send(Some(record)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::events;
    use mail::queue_id::QueueId;
    use std::sync::Mutex;
    use tracing::field::{Field, Visit};

    /// What the journal and the text log are given: the values as they are.
    #[derive(Clone, Default)]
    struct Raw(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Raw {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            event.record(&mut self.clone());
        }
    }

    impl Visit for Raw {
        fn record_str(&mut self, _: &Field, value: &str) {
            self.0.lock().unwrap().push(value.to_owned());
        }

        fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }

    fn heard(log: impl FnOnce()) -> (Vec<String>, Vec<Record>) {
        let raw = Raw::default();
        let (sender, records) = mpsc::sync_channel(10);
        let tap = Tap { sender, lost: Arc::default() };
        tracing::subscriber::with_default(Registry::default().with(raw.clone()).with(tap), log);
        let raw = raw.0.lock().unwrap().clone();
        (raw, records.try_iter().flatten().collect())
    }

    #[test]
    fn t_out_1_no_sink_gets_an_unprintable_character() {
        let hostile = "a\x1b[2J\r\nb\u{202e}\u{9b}\0MESSAGE=forged";
        let id = QueueId::new(1, 2);
        let outcome = events::Outcome {
            queue_id: id,
            from: hostile,
            to: hostile,
            relay: hostile,
            delay: 1,
            dsn: hostile,
            reply: hostile,
            diagnosis: Default::default(),
            end: None,
        };
        let (raw, records) = heard(|| {
            events::failed(outcome);
            events::held(id, &mail::Hold::with(mail::code::HoldCause::Dkim, hostile));
            events::alarm_raised(hostile, hostile, hostile, hostile);
        });
        assert_eq!((raw.len(), records.len()), (20, 3), "{raw:?}");
        assert!(raw.iter().all(|value| !value.chars().any(|c| c.is_control() || c == '\u{202e}')), "{raw:?}");
        assert_eq!(records[1].text("detail"), Some("a\\x1b[2J\\x0d\\x0ab\\u{202e}\\x9b\\x00MESSAGE=forged"));
    }

    #[test]
    fn what_others_log_is_no_event_and_a_full_backlog_is_counted() {
        let (_, records) = heard(|| tracing::warn!(event = "failed", "not ours"));
        assert!(records.is_empty());
        let lost = Arc::new(AtomicU64::new(0));
        let (sender, _records) = mpsc::sync_channel(1);
        let tap = Tap { sender, lost: Arc::clone(&lost) };
        tracing::subscriber::with_default(Registry::default().with(tap), || (0..3).for_each(|_| events::stopped()));
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        let (raw, records) = heard(|| without_feed(events::stopped));
        assert!(records.is_empty() && raw.iter().any(|value| value == "stopped"));
    }
}
