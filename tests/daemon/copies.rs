//! The database lost, an older one put back, or the whole spool an older copy: nobody gets again what `outcomes.log` says he has, and what
//! nobody can know is said before it is tried.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::delivery::MESSAGE;
use crate::support::command::{run, wait_for};
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script};

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    let said = installation.mailchute(arguments).succeeded().stdout;
    serde_json::from_str(said.lines().next().unwrap()).unwrap_or_else(|e| panic!("{e}: {said}"))
}

fn id_of(installation: &Installation, state: &str) -> String {
    installation.wait_for_entry(state, |entry| entry["queue_name"] == state)["queue_id"].as_str().unwrap().to_owned()
}

/// Removes the database with its log.
fn lose(spool: &Path) {
    for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        let _ = std::fs::remove_file(spool.join(name));
    }
}

fn progress(installation: &Installation, id: &str) -> Vec<(String, String)> {
    let shown = json(installation, &["show", "--json", id]);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    shown["recipients"].as_array().unwrap().iter().map(|row| (word(&row["address"]), word(&row["status"]))).collect()
}

/// Those who got a message, in any order.
fn recipients(receiver: &Receiver) -> Vec<String> {
    let mut all: Vec<String> = receiver.messages().iter().map(|message| message.recipients.concat()).collect();
    all.sort();
    all
}

fn has_alarm(installation: &Installation, kind: &str) -> bool {
    json(installation, &["status", "--json"])["alarms"].as_array().unwrap().iter().any(|alarm| alarm["alarm"] == kind)
}

#[test]
fn a_lost_database_costs_nobody_a_second_copy_and_no_hold_its_reason() {
    let receiver = Script::new().say("RCPT TO:<no@", "550 5.1.1 no such user").say("RCPT TO:<wait@", "450 4.2.1 busy").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"");
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "ok@receiver.example", "no@receiver.example"], MESSAGE).succeeded();
    let failed = id_of(&installation, "failed");
    installation.sendmail(&["-N", "never", "yes@receiver.example", "wait@receiver.example"], MESSAGE).succeeded();
    let held = id_of(&installation, "deferred");
    installation.mailchute(&["hold", &held]).succeeded();
    let (of_failed, of_held) = (progress(&installation, &failed), progress(&installation, &held));
    let reason = json(&installation, &["show", "--json", &held])["hold"].clone();
    installation.kill_daemon();
    lose(&installation.paths.spool);
    let willing = Script::new().start();
    installation.relay_to(&willing.url("smtp", "tls=none"), "");
    installation.start_daemon();
    wait_for("both rows", || installation.queue().len() == 2);
    assert_eq!((progress(&installation, &failed), progress(&installation, &held)), (of_failed, of_held));
    assert_eq!(json(&installation, &["show", "--json", &held])["hold"], reason);
    assert_eq!(json(&installation, &["stats", "--json"])["throughput"][0]["failed"], 1);
    installation.mailchute(&["requeue", &failed]).succeeded();
    installation.mailchute(&["release", &held]).succeeded();
    installation.wait_until_drained();
    assert_eq!(recipients(&willing), ["<no@receiver.example>", "<wait@receiver.example>"]);
}

#[test]
fn an_older_database_sends_nothing_again_and_calls_nothing_lost() {
    let receiver = Script::new().first(1, "RCPT TO:<later@", Reply::Lines("450 4.2.1 busy".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"");
    installation.start_daemon();
    installation.sendmail(&["ok@receiver.example", "later@receiver.example"], MESSAGE).succeeded();
    let id = id_of(&installation, "deferred");
    installation.stop_daemon();
    let spool = installation.paths.spool.clone();
    std::fs::copy(spool.join("state.sqlite"), spool.join("older")).unwrap();
    installation.start_daemon();
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(2);
    installation.wait_until_drained();
    // A few transactions more.
    for _ in 0..3 {
        installation.sendmail(&["other@receiver.example"], MESSAGE).succeeded();
        installation.wait_until_drained();
    }
    installation.stop_daemon();
    lose(&spool);
    std::fs::rename(spool.join("older"), spool.join("state.sqlite")).unwrap();
    let before = receiver.messages().len();
    // Whoever comes before the daemon does not hide it.
    installation.mailchute(&["hold", &id]).ended_with(1);
    installation.start_daemon();
    wait_for("the alarm", || has_alarm(&installation, "state_restored"));
    installation.mailchute(&["flush"]).succeeded();
    installation.wait_until_drained();
    assert_eq!(receiver.messages().len(), before, "neither a second copy nor a bounce");
    let shown = json(&installation, &["show", "--json", &id]);
    assert_eq!((&shown["end"], &shown["queue_name"]), (&"relayed".into(), &"finished".into()), "{shown}");
    assert!(!installation.daemon_log().contains("event=\"lost\""), "{}", installation.daemon_log());
}

#[test]
fn mail_of_a_spool_that_was_copied_back_is_called_a_possible_duplicate_before_it_is_sent() {
    let receiver = Script::new().first(1, "RCPT TO:<later@", Reply::Lines("450 4.2.1 busy".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"");
    installation.start_daemon();
    installation.sendmail(&["later@receiver.example"], MESSAGE).succeeded();
    let id = id_of(&installation, "deferred");
    installation.stop_daemon();
    let (spool, copy) = (installation.paths.spool.clone(), installation.paths.spool.with_extension("copy"));
    run(Command::new("cp").arg("-a").args([&spool, &copy]), b"").succeeded();
    installation.start_daemon();
    assert!(!has_alarm(&installation, "state_restored"), "a restart is no copy");
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(1);
    installation.wait_until_drained();
    installation.stop_daemon();
    std::fs::remove_dir_all(&spool).unwrap();
    std::fs::rename(&copy, &spool).unwrap();
    installation.start_daemon();
    wait_for("the alarm", || has_alarm(&installation, "state_restored"));
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(2);
    installation.wait_until_drained();
    installation.wait_for_log(&format!("event=\"possible_duplicate\" queue_id={id}"));
    let shown = json(&installation, &["show", "--json", &id]);
    let is_it = |line: &Value| line["kind"] == "possible_duplicate" && line["cause"] == "restored";
    assert!(shown["history"].as_array().unwrap().iter().any(is_it), "{shown}");
}

#[test]
fn what_was_held_since_a_lost_database_is_called_a_possible_duplicate_when_it_is_released() {
    let receiver = Script::new().first(1, "RCPT TO:<later@", Reply::Lines("450 4.2.1 busy".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"");
    installation.start_daemon();
    installation.sendmail(&["later@receiver.example"], MESSAGE).succeeded();
    let id = id_of(&installation, "deferred");
    installation.kill_daemon();
    lose(&installation.paths.spool);
    installation.start_daemon();
    assert_eq!(id_of(&installation, "hold"), id);
    installation.mailchute(&["release", &id]).succeeded();
    receiver.wait_for_messages(1);
    installation.wait_for_log(&format!("event=\"possible_duplicate\" queue_id={id}"));
}
