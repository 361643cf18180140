//! Alarms: each raised once and cleared once, told outside of mail, and kept over restarts.

use std::path::PathBuf;

use serde_json::Value;

use super::{event_file, lines, wait_for_event};
use crate::support::command::wait_for;
use crate::support::https::Webhook;
use crate::support::installation::Installation;
use crate::support::scripted::Script;

const MESSAGE: &[u8] = b"From: a@sender.example\nSubject: s\n\nbody\n";

/// What `mailchute status --json` says.
fn status(installation: &Installation) -> Value {
    serde_json::from_str(&installation.mailchute(&["status", "--json"]).stdout).unwrap()
}

/// The events of an alarm so far: `raised` or `cleared`.
fn told(events: &std::path::Path, alarm: &str) -> Vec<String> {
    let of_alarm = lines(events).into_iter().filter(|line| line["alarm"] == alarm);
    of_alarm.map(|line| line["event"].as_str().unwrap().trim_start_matches("alarm_").to_owned()).collect()
}

/// Has the daemon look now, and waits until it has told this.
#[track_caller]
fn look_until(installation: &Installation, events: &std::path::Path, alarm: &str, wanted: &[&str]) {
    let mut last = std::time::Instant::now();
    installation.reload_daemon();
    wait_for(&format!("{alarm} {wanted:?}"), || {
        if last.elapsed().as_secs() >= 2 {
            last = std::time::Instant::now();
            installation.reload_daemon();
        }
        told(events, alarm) == wanted
    });
}

/// A program for `alarm_command` that adds a line for each call to the file which it is given.
fn hook(installation: &Installation) -> (PathBuf, String) {
    let out = installation.paths.config_file.with_file_name("told");
    let script = "printf '%s %s %s\\n' \"$MAILCHUTE_EVENT\" \"$MAILCHUTE_ALARM\" \"$MAILCHUTE_SEVERITY\" >>\"$0\"";
    let toml = format!("alarm_command = [\"/bin/sh\", \"-c\", '''{script}''', \"{}\"]\n", out.display());
    (out, toml)
}

#[test]
fn an_alarm_is_raised_once_and_cleared_once_over_a_restart_and_told_everywhere() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 not now").start();
    let webhook = Webhook::http();
    let mut installation = Installation::rootless();
    installation.write_secret(&installation.paths.credentials.join("webhook"), "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=");
    let (events, event_toml) = event_file(&installation);
    let (out, hook_toml) = hook(&installation);
    let table = format!("[webhook.\"ops\"]\nurl = \"{}\"", webhook.url());
    let toml = format!("alarm_silence_time = \"1s\"\nalarm_age = \"1s\"\n{event_toml}{hook_toml}{table}");
    installation.relay_to(&receiver.url("smtp", "tls=none"), &toml);
    installation.start_daemon();
    installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    look_until(&installation, &events, "no_delivery", &["raised"]);
    look_until(&installation, &events, "queue_old", &["raised"]);
    let said = status(&installation);
    assert_eq!((&said["live"], &said["ready"], &said["healthy"]), (&true.into(), &true.into(), &false.into()), "{said}");
    assert_eq!((&said["alarms"][0]["alarm"], &said["alarms"][0]["severity"]), (&"no_delivery".into(), &"critical".into()));
    let kept: Value = serde_json::from_slice(&std::fs::read(installation.paths.spool.join("alarms.json")).unwrap()).unwrap();
    assert!(kept["alarms"].as_array().unwrap().iter().any(|alarm| alarm["alarm"] == "no_delivery"), "{kept}");
    wait_for("the program", || std::fs::read_to_string(&out).unwrap_or_default().contains("raised no_delivery critical\n"));
    assert_eq!(webhook.wait_for_event("alarm_raised").json()["data"]["level"], "error");
    let motd = installation.mailchute(&["motd"]).succeeded().stdout;
    assert!(motd.starts_with("mailchute: no_delivery: ") && motd.lines().count() == 1, "{motd}");
    installation.kill_daemon();
    installation.start_daemon();
    (0..2).for_each(|_| look_until(&installation, &events, "no_delivery", &["raised"]));
    installation.mailchute(&["remove", "ALL"]);
    wait_for("an empty queue", || {
        installation.mailchute(&["remove", "ALL"]);
        installation.queue().is_empty()
    });
    look_until(&installation, &events, "no_delivery", &["raised", "cleared"]);
    look_until(&installation, &events, "queue_old", &["raised", "cleared"]);
    assert_eq!(webhook.wait_for_event("alarm_cleared").json()["data"]["level"], "info");
    wait_for("the program", || std::fs::read_to_string(&out).unwrap_or_default().contains("cleared no_delivery critical\n"));
    assert_eq!(installation.mailchute(&["motd"]).succeeded().stdout, "");
    assert_eq!(status(&installation)["healthy"], true);
    let log = installation.daemon_log();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains("alarm_raised")), "{log}");
}

#[test]
fn a_next_hop_that_is_down_a_bad_key_and_a_file_in_corrupt_are_alarms_until_they_are_corrected() {
    let mut installation = Installation::rootless();
    let (events, toml) = event_file(&installation);
    // Nobody listens there.
    let down = format!("alarm_route_time = \"1s\"\n{toml}[domain.\"sender.example\"]\nselectors = [\"none\"]\n");
    installation.relay_to("smtp://127.0.0.1:9?tls=none", &down);
    installation.start_daemon();
    installation.sendmail(&["-f", "a@other.example", "bob@r.example"], b"From: a@other.example\n\nx\n").succeeded();
    look_until(&installation, &events, "route_suspended", &["raised"]);
    look_until(&installation, &events, "credential_unusable", &["raised"]);
    let corrupt = installation.paths.spool.join("corrupt/6B031D23B0ABD683");
    std::fs::write(&corrupt, "x").unwrap();
    look_until(&installation, &events, "corrupt_file", &["raised"]);
    let receiver = Script::new().start();
    std::fs::remove_file(&corrupt).unwrap();
    installation.relay_to(&receiver.url("smtp", "tls=none"), &format!("alarm_route_time = \"1s\"\n{toml}"));
    installation.reload_daemon();
    installation.wait_until_drained();
    for alarm in ["route_suspended", "credential_unusable", "corrupt_file"] {
        look_until(&installation, &events, alarm, &["raised", "cleared"]);
    }
}

#[test]
fn a_next_hop_that_is_not_configured_any_more_is_no_alarm() {
    let mut installation = Installation::rootless();
    let (events, toml) = event_file(&installation);
    let limits = format!("alarm_route_time = \"1s\"\n{toml}");
    installation.relay_to("smtp://127.0.0.1:9?tls=none", &limits);
    installation.start_daemon();
    installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    look_until(&installation, &events, "route_suspended", &["raised"]);
    // Nothing is relayed there either, but this one takes its time.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    installation.relay_to(&format!("smtp://{}?tls=none", silent.local_addr().unwrap()), &limits);
    look_until(&installation, &events, "route_suspended", &["raised", "cleared"]);
}

#[test]
fn a_dsn_that_fails_is_an_alarm_until_somebody_has_taken_it_away() {
    let receiver = Script::new().say("RCPT TO:", "550 5.1.1 nobody here").start();
    let mut installation = Installation::rootless();
    let (events, toml) = event_file(&installation);
    installation.relay_to(&receiver.url("smtp", "tls=none"), &toml);
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@sender.example", "bob@r.example"], MESSAGE).succeeded();
    let raised = wait_for_event(&events, "the alarm", |line| line["alarm"] == "dsn_undeliverable");
    assert!(raised["reason"].as_str().unwrap().contains("the DSN could not be delivered"), "{raised}");
    let shown = std::fs::read_to_string(installation.paths.spool.join("alarms.json")).unwrap();
    assert!(!shown.contains("example"), "everybody may read this: {shown}");
    installation.mailchute(&["remove", "ALL"]).succeeded();
    look_until(&installation, &events, "dsn_undeliverable", &["raised", "cleared"]);
}

#[test]
fn the_canary_goes_through_the_front_door_and_its_loss_is_an_alarm() {
    let receiver = Script::new().first(1, "RCPT TO:<canary@", crate::support::scripted::Reply::Lines("550 5.1.1 dead".into())).start();
    let mut installation = Installation::rootless();
    let (events, toml) = event_file(&installation);
    let more = format!("canary_address = \"canary@r.example\"\n{toml}");
    installation.relay_to(&receiver.url("smtp", "tls=none"), &more);
    installation.start_daemon();
    let sent = wait_for_event(&events, "the canary", |line| line["event"] == "canary_sent");
    let accepted = wait_for_event(&events, "its message", |line| line["message_id"] == sent["message_id"] && line["event"] == "accepted");
    assert_eq!(accepted["from"], "");
    let raised = wait_for_event(&events, "the alarm", |line| line["alarm"] == "canary_missing");
    assert!(raised["reason"].as_str().unwrap().contains("550 5.1.1 dead"), "{raised}");
    assert!(told(&events, "dsn_undeliverable").is_empty(), "it is no notice");
    // Requeued by a person, it arrives, and all is well.
    installation.mailchute(&["requeue", "ALL"]).succeeded();
    look_until(&installation, &events, "canary_missing", &["raised", "cleared"]);
    let arrived = String::from_utf8(receiver.wait_for_messages(1)[0].data.clone()).unwrap();
    assert!(arrived.contains("Auto-Submitted: auto-generated") && arrived.contains("canary"), "{arrived}");
    let count = lines(&events).iter().filter(|line| line["event"] == "canary_sent").count();
    assert_eq!(count, 1, "one a day");
}

#[test]
fn a_lost_database_is_an_alarm_until_what_was_held_is_decided() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 not now").start();
    let mut installation = Installation::rootless();
    let (events, toml) = event_file(&installation);
    installation.relay_to(&receiver.url("smtp", "tls=none"), &toml);
    installation.start_daemon();
    installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    installation.wait_for_entry("a first attempt", |entry| entry["attempts"].as_u64() > Some(0));
    installation.stop_daemon();
    for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        let _ = std::fs::remove_file(installation.paths.spool.join(name));
    }
    installation.start_daemon();
    let lost = wait_for_event(&events, "the event", |line| line["event"] == "state_lost");
    assert_eq!(lost["held"], 1);
    look_until(&installation, &events, "state_lost", &["raised"]);
    // The daemon answers a little before it has read all files again; until then there is nothing to remove.
    installation.wait_for_entry("the held message", |entry| entry["queue_name"] == "hold");
    installation.mailchute(&["remove", "ALL"]).succeeded();
    look_until(&installation, &events, "state_lost", &["raised", "cleared"]);
}
