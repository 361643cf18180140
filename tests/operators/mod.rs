//! The operator's verbs (SENDMAIL.md section 11): what they do with the daemon at work and without it, and who may.

mod check;
mod effects;
mod failed;
mod history;
mod in_data;
mod lost;
mod rights;
mod selectors;
mod stopped;
mod under_way;

use serde_json::Value;

use crate::delivery::MESSAGE;
use crate::support::command::{Ended, run};
use crate::support::installation::Installation;
use crate::support::scripted::Receiver;

/// An id that no message has.
const UNKNOWN: &str = "0000000000000001";

/// One user's installation with a running daemon that sends to `receiver`, and a waiting message to each of `recipients`, whose ids
/// are returned in their order. Attempts are an hour apart.
fn with_waiting(receiver: &Receiver, recipients: &[&str]) -> (Installation, Vec<String>) {
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"\n");
    installation.start_daemon();
    let ids = recipients.iter().map(|recipient| wait_for_message(&installation, &["-N", "never"], recipient)).collect();
    (installation, ids)
}

/// Sends a message and waits until its first attempt is over and it waits for the next. Returns its id.
fn wait_for_message(installation: &Installation, options: &[&str], recipient: &str) -> String {
    installation.sendmail(&[options, &["--", recipient]].concat(), MESSAGE).succeeded();
    let is_it = |entry: &Value| entry["recipients"][0]["address"] == recipient && entry["queue_name"] == "deferred";
    id_of(&installation.wait_for_entry("its first attempt", is_it))
}

fn id_of(entry: &Value) -> String {
    entry["queue_id"].as_str().unwrap().to_owned()
}

/// The state of a message, as a listing calls it.
fn state_of(installation: &Installation, id: &str) -> String {
    let shown: Value = serde_json::from_str(&installation.mailchute(&["show", "--json", id]).succeeded().stdout).unwrap();
    shown["queue_name"].as_str().unwrap().to_owned()
}

/// `mailchute` with standard input.
fn mailchute_with(installation: &Installation, arguments: &[&str], stdin: &[u8]) -> Ended {
    run(installation.program(env!("CARGO_BIN_EXE_mailchute")).args(arguments), stdin)
}

/// The ids in a JSON listing with these arguments.
fn listed(installation: &Installation, arguments: &[&str]) -> Vec<String> {
    let listing = installation.mailchute(&[&["list", "--json"], arguments].concat()).succeeded().stdout;
    listing.lines().map(|line| id_of(&serde_json::from_str(line).unwrap())).collect()
}
