//! The daemon's life: killed, stopped, reloaded, misconfigured.

use std::time::{Duration, Instant};

use super::MESSAGE;
use crate::support::command::{self, wait_for};
use crate::support::installation::Installation;
use crate::support::scripted::{Reply, Script};

#[test]
fn mail_sent_while_the_daemon_is_stopped_is_delivered_when_it_starts() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    let missing = installation.sendmail(&["bob@receiver.example"], MESSAGE).ended_with(73);
    assert!(missing.stderr.contains(&installation.paths.spool.display().to_string()), "{}", missing.stderr);
    assert_eq!(missing.stderr.lines().count(), 1, "{}", missing.stderr);
    installation.start_daemon();
    installation.stop_daemon();
    for _ in 0..3 {
        installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    }
    assert_eq!(installation.spooled("new").len(), 3);
    installation.start_daemon();
    receiver.wait_for_messages(3);
    installation.wait_until_drained();
}

#[test]
fn a_daemon_killed_at_work_delivers_everything_after_its_restart() {
    let receiver = Script::new().first(4, "RCPT", Reply::Silence).start();
    let mut installation = Installation::rootless();
    // The second daemon may meet what is left of the silence.
    installation.relay_to(&receiver.url("smtp", "tls=none"), "reply_timeout = \"2s\"");
    installation.start_daemon();
    for number in 0..10 {
        installation.sendmail(&[&format!("r{number}@receiver.example")], MESSAGE).succeeded();
    }
    receiver.wait_for_connections(1);
    installation.kill_daemon();
    installation.start_daemon();
    let mut recipients = Vec::new();
    wait_for("all ten recipients", || {
        installation.mailchute(&["flush"]);
        recipients = receiver.messages().into_iter().flat_map(|message| message.recipients).collect();
        recipients.sort();
        recipients.dedup();
        recipients.len() == 10
    });
    installation.wait_until_drained();
}

#[test]
fn a_message_killed_after_its_final_dot_is_uncertain_and_not_forgotten() {
    let receiver = Script::new().first(1, ".", Reply::Silence).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    wait_for("the mail data", || receiver.connections().iter().any(|one| one.received.ends_with(b"\r\n.\r\n")));
    installation.kill_daemon();
    installation.start_daemon();
    let entry = installation.wait_for_entry("the message", |entry| super::has(entry, "bob@receiver.example", "uncertain", ""));
    let wait = entry["next_attempt"].as_i64().unwrap() - entry["last_attempt"].as_i64().unwrap_or(entry["arrival_time"].as_i64().unwrap());
    assert!((300..=1200).contains(&wait), "an uncertain message waits about ten minutes: {entry}");
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(1);
}

#[test]
fn sigterm_ends_the_daemon_in_ten_seconds_whatever_the_next_hop_does() {
    let receiver = Script::new().on(".", Reply::Silence).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    wait_for("the mail data", || receiver.connections().iter().any(|one| one.received.ends_with(b"\r\n.\r\n")));
    let start = Instant::now();
    installation.stop_daemon();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(installation.spooled("cur").len() + installation.spooled("new").len(), 1);
}

#[test]
fn a_reload_takes_a_good_configuration_and_keeps_the_old_one_for_a_bad_one() {
    let (first, second) = (Script::new().start(), Script::new().start());
    let mut installation = Installation::rootless();
    installation.relay_to(&first.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.configure("next_hop = \"smtp://127.0.0.1:1?tls=none\"\nno_such_key = 1\n");
    installation.reload_daemon();
    installation.wait_for_log("mailchute.toml:2: unknown field `no_such_key`");
    // The injector refuses a configuration that it cannot read; mail from before goes on.
    installation.sendmail(&["bob@receiver.example"], MESSAGE).ended_with(78);
    installation.relay_to(&first.url("smtp", "tls=none"), "");
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    first.wait_for_messages(1);
    installation.relay_to(&second.url("smtp", "tls=none"), "");
    installation.reload_daemon();
    wait_for("a message at the second next hop", || {
        installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
        std::thread::sleep(Duration::from_millis(200));
        !second.messages().is_empty()
    });
}

#[test]
fn a_daemon_with_a_bad_configuration_ends_with_78_and_one_line() {
    let mut installation = Installation::rootless();
    installation.configure("next_hop = \"relay.example\"\n");
    let status = command::wait(installation.spawn_daemon(), Duration::from_secs(10));
    assert_eq!(status.and_then(|status| status.code()), Some(78), "{}", installation.daemon_log());
    let log = installation.daemon_log();
    assert!(log.lines().count() == 1 && log.contains("mailchute.toml:1:"), "{log}");
}
