//! Who hears what the daemon does, beside the log: the journal, the event file, webhooks, and alarms outside of mail.

mod alarms;
mod file;
mod hooks;
mod journal;
mod monitor;
mod outbox;

use std::path::Path;

use serde_json::Value;

use crate::support::command::wait_for;
use crate::support::installation::Installation;

/// The lines of an event file.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Waits for an event in the file that makes `condition` true.
#[track_caller]
fn wait_for_event(path: &Path, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    wait_for(what, || {
        found = lines(path).into_iter().find(|line| condition(line));
        found.is_some()
    });
    found.unwrap()
}

/// An event file beside the spool, and the configuration that asks for it.
fn event_file(installation: &Installation) -> (std::path::PathBuf, String) {
    let path = installation.paths.config_file.with_file_name("events.jsonl");
    let toml = format!("event_file = \"{}\"\n", path.display());
    (path, toml)
}
