//! Where the daemon's events go: the journal, with its fields, where systemd connected stderr to it; else stderr, one line each.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use tracing_subscriber::filter::LevelFilter;

/// Starts the log of this process. A second start changes nothing.
pub fn start() {
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let registry = Registry::default();
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
}
