//! The daemon's life: killed, stopped, reloaded, misconfigured.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::MESSAGE;
use crate::support::command::{self, PATIENCE, wait_for};
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
    // The second daemon may meet what is left of the silence, and give up on it. Where the machine is so slow that a limit ends what
    // is no silence, it only tries again.
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

/// The daemon has ten seconds by its own clock. The bound here is one that no slow machine misses, and that a daemon which waited for
/// the next hop (ten minutes for this reply) would.
#[test]
fn sigterm_ends_the_daemon_soon_whatever_the_next_hop_does() {
    let receiver = Script::new().on(".", Reply::Silence).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    wait_for("the mail data", || receiver.connections().iter().any(|one| one.received.ends_with(b"\r\n.\r\n")));
    let start = Instant::now();
    installation.stop_daemon();
    assert!(start.elapsed() < Duration::from_secs(240), "{:?}", start.elapsed());
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
    installation.wait_for_log("mailchute.toml:2: unknown key no_such_key; see mailchute.toml(5)");
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
    let status = command::wait(installation.spawn_daemon(), PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(78), "{}", installation.daemon_log());
    let log = installation.daemon_log();
    assert!(log.lines().count() == 1 && log.contains("mailchute.toml:1:"), "{log}");
}

#[test]
fn a_signal_that_comes_as_soon_as_the_daemon_answers_ends_it_in_order() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    for _ in 0..20 {
        installation.start_daemon();
        installation.stop_daemon();
    }
}

#[test]
fn a_second_daemon_on_the_same_spool_ends_with_one_line() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    installation.start_daemon();
    let second = command::run(&mut installation.program(env!("CARGO_BIN_EXE_mailchuted")), b"");
    assert!(second.code.is_some_and(|code| code != 0), "{second:?}");
    assert_eq!(second.stderr.lines().count(), 1, "{}", second.stderr);
    installation.mailchute(&["list"]).succeeded();
}

#[test]
fn systemd_is_told_of_the_start_of_life_of_a_reload_and_of_the_end() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    let path = installation.paths.config_file.with_file_name("notify.sock");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = |word: &str| {
        let mut bytes = [0; 4096];
        while let Ok(length) = systemd.recv(&mut bytes) {
            if String::from_utf8_lossy(&bytes[..length]).lines().any(|line| line == word) {
                return;
            }
        }
        panic!("systemd was never told {word}");
    };
    installation.spawn_daemon_with(&[("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", "400000".as_ref())]);
    told("READY=1");
    told("WATCHDOG=1");
    installation.reload_daemon();
    told("RELOADING=1");
    told("READY=1");
    installation.stop_daemon();
    told("STOPPING=1");
}

#[test]
fn without_its_database_the_daemon_sends_nothing_twice_and_asks_a_person() {
    let receiver = Script::new().first(1, "RCPT", Reply::Lines("451 4.3.0 later".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"");
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    installation.wait_for_entry("the first attempt", |entry| entry.to_string().contains("451"));
    installation.kill_daemon();
    for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        let _ = std::fs::remove_file(installation.paths.spool.join(name));
    }
    installation.start_daemon();
    let entry = installation.wait_for_entry("the message", |entry| entry["queue_name"] == "hold");
    assert!(super::has(&entry, "bob@receiver.example", "uncertain", ""), "{entry}");
    assert!(receiver.messages().is_empty());
    installation.mailchute(&["requeue", entry["queue_id"].as_str().unwrap()]).succeeded();
    receiver.wait_for_messages(1);
}

#[test]
fn killed_again_and_again_the_daemon_loses_no_message() {
    const MESSAGES: usize = 60;
    let slow = Reply::Late(Duration::from_millis(20), Box::new(Reply::Lines("250 2.0.0 kept".into())));
    let receiver = Script::new().offer("PIPELINING").on(".", slow).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "route_connections = 3");
    installation.start_daemon();
    for number in 0..MESSAGES {
        installation.sendmail(&[&format!("r{number}@receiver.example")], MESSAGE).succeeded();
        if number % 6 == 5 {
            installation.kill_daemon();
            installation.start_daemon();
        }
    }
    let mut arrived = BTreeSet::new();
    wait_for("every message", || {
        // What was on the wire at a kill is uncertain and would wait ten minutes.
        installation.mailchute(&["flush"]);
        arrived = receiver.messages().into_iter().flat_map(|message| message.recipients).collect();
        arrived.len() == MESSAGES
    });
    installation.wait_until_drained();
    assert!(installation.spooled("failed").is_empty() && installation.spooled("corrupt").is_empty());
    // A kill can double what was between the final dot and its reply, on each of three connections, and nothing else.
    let doubles = receiver.accepted() - MESSAGES;
    assert!(doubles <= 3 * MESSAGES / 6, "{doubles} messages arrived twice");
}

#[test]
fn q5_with_the_daemon_stopped_its_owner_lists_what_nobody_has_claimed_yet() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:9?tls=none", "");
    installation.start_daemon();
    installation.stop_daemon();
    installation.sendmail(&["a@receiver.example"], MESSAGE).succeeded();
    let queue = installation.queue();
    assert_eq!(queue.len(), 1, "{queue:?}");
    assert_eq!((&queue[0]["queue_name"], &queue[0]["recipients"][0]["address"]), (&"incoming".into(), &"a@receiver.example".into()));
}
