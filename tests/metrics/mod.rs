//! The page of metrics, read by independent parsers while a daemon delivers.

use std::process::Command;

use serde_json::Value;

use crate::support::command::{self, wait_for};
use crate::support::installation::Installation;
use crate::support::parts::{self, Missing};
use crate::support::scripted::Script;

const MESSAGE: &[u8] = b"Subject: counted\n\nHello\n";

/// The samples of a page, by two parsers of prometheus_client that must agree.
fn judged(page: &str) -> Result<Vec<Value>, Missing> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics/openmetrics_judge.py");
    let ended = command::run(Command::new(parts::python()?).arg(script), page.as_bytes()).succeeded();
    Ok(ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The sum of the samples with this name and these labels among theirs.
fn value(samples: &[Value], name: &str, labels: &[(&str, &str)]) -> f64 {
    let matches = |s: &&Value| s["name"] == name && labels.iter().all(|(label, value)| s["labels"][label] == *value);
    samples.iter().filter(matches).filter_map(|s| s["value"].as_f64()).sum()
}

#[test]
fn the_page_counts_what_happened_and_independent_parsers_read_it() {
    if let Err(missing) = parts::python() {
        return parts::skip("the_page_counts_what_happened_and_independent_parsers_read_it", &missing);
    }
    let receiver = Script::new().say("RCPT TO:<gone@", "550 5.1.1 no such user").say("RCPT TO:<later@", "450 4.2.1 busy").start();
    let mut installation = Installation::rootless();
    let page = installation.paths.run.join("metrics.prom");
    // One attempt, and no second one before the page is read.
    let rows = "metrics_interval = \"1s\"\nretry_min = \"1h\"\nretry_max = \"1h\"\n";
    installation.relay_to(&receiver.url("smtp", "tls=none"), rows);
    installation.start_daemon();
    let arguments =
        ["-N", "never", "-f", "alice@sender.example", "now@receiver.example", "later@receiver.example", "gone@receiver.example"];
    installation.sendmail(&arguments, MESSAGE).succeeded();
    receiver.wait_for_messages(1);
    let outcome = |samples: &[Value], outcome| value(samples, "mailchute_recipient_outcomes_total", &[("outcome", outcome)]);
    let mut samples = Vec::new();
    wait_for("a page that has counted the outcomes", || {
        samples = judged(&std::fs::read_to_string(&page).unwrap_or_else(|_| "# EOF\n".to_owned())).unwrap();
        outcome(&samples, "relayed") >= 1.0
    });
    assert_eq!((outcome(&samples, "relayed"), outcome(&samples, "failed"), outcome(&samples, "deferred")), (1.0, 1.0, 1.0), "{samples:?}");
    assert_eq!(value(&samples, "mailchute_recipient_outcomes_total", &[("outcome", "failed"), ("class", "5")]), 1.0);
    assert_eq!(value(&samples, "mailchute_queue_messages", &[("state", "queued"), ("age", "5m")]), 1.0);
    assert_eq!(value(&samples, "mailchute_delivery_seconds_count", &[]), 1.0);
    assert_eq!(value(&samples, "mailchute_transaction_seconds_count", &[]), 1.0);
    assert_eq!(value(&samples, "mailchute_sessions_total", &[("tls", "none")]), 1.0);
    assert_eq!(value(&samples, "mailchute_events_total", &[("event", "accepted")]), 1.0);
    assert!(value(&samples, "mailchute_spool_free_bytes", &[]) > 0.0);
    installation.stop_daemon();
}
