//! A directory of the spool that is deleted or moved away while the daemon runs: nothing is concluded from files that are not found,
//! somebody is told, and what comes back is delivered.

use spool::layout;

use crate::delivery::MESSAGE;
use crate::support::command;
use crate::support::installation::Installation;
use crate::support::scripted::{Reply, Script};

#[test]
fn a_queue_that_was_moved_away_ends_the_daemon_and_nothing_is_lost() {
    let receiver = Script::new().first(1, "RCPT TO:", Reply::Lines("450 4.2.1 busy".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"\n");
    installation.start_daemon();
    installation.sendmail(&["first@x.example"], MESSAGE).succeeded();
    installation.wait_for_entry("the first attempt", |entry| entry["queue_name"] == "deferred");
    let (cur, away) = (installation.paths.spool.join("cur"), installation.paths.spool.join("away"));
    std::fs::rename(&cur, &away).unwrap();
    assert_eq!(installation.ended_daemon(), Some(78), "{}", installation.daemon_log());
    let told = "/cur was removed or replaced";
    let log = installation.daemon_log();
    assert!(log.contains("event=\"storage_failed\"") && log.contains("event=\"alarm_raised\" alarm=\"storage_failed\""), "{log}");
    assert!(log.lines().last().unwrap().contains(told), "{log}");
    let alarms = std::fs::read_to_string(installation.paths.spool.join("alarms.json")).unwrap();
    assert!(alarms.contains("storage_failed") && alarms.contains(told), "{alarms}");
    // New mail is kept, and everybody says what is wrong.
    installation.sendmail(&["second@x.example"], MESSAGE).succeeded();
    assert_eq!(installation.spooled("new").len(), 1);
    for verb in ["status", "list"] {
        let ended = installation.mailchute(&[verb]).ended_with(69);
        assert!(ended.stderr.contains("/cur: ") && !ended.stdout.contains("empty"), "{verb}: {ended:?}");
    }
    let found = installation.mailchute(&["check"]).ended_with(78).stdout;
    assert!(found.contains("/cur: ") && found.contains("run `mailchute setup` or reinstall"), "{found}");
    // It is not made anew in silence, with its messages taken for lost.
    installation.spawn_daemon();
    assert_eq!(installation.ended_daemon(), Some(78));
    assert!(!cur.exists());
    std::fs::rename(&away, &cur).unwrap();
    installation.start_daemon();
    installation.mailchute(&["flush"]).succeeded();
    let mut arrived: Vec<String> = receiver.wait_for_messages(2).iter().map(|message| message.recipients.concat()).collect();
    arrived.sort();
    assert_eq!(arrived, ["<first@x.example>", "<second@x.example>"]);
    command::wait_for("the end of the alarm or its age", || installation.mailchute(&["status"]).succeeded().stdout.contains("0 queued"));
}

#[test]
fn every_directory_is_missed_and_a_new_one_in_its_place_is_another() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    for name in [layout::NEW, layout::HOLD, layout::FAILED, layout::CORRUPT, layout::TRASH] {
        installation.start_daemon();
        let path = installation.paths.spool.join(name);
        std::fs::remove_dir(&path).unwrap();
        // As quickly as a script would.
        installation.mailchute(&["setup"]).succeeded();
        assert_eq!(installation.ended_daemon(), Some(78), "{name}: {}", installation.daemon_log());
        assert!(installation.daemon_log().contains(&format!("/{name} was removed or replaced")), "{name}");
    }
    installation.start_daemon();
}
