//! A message whose final dot was sent, and whose reply nobody saw, because the daemon was killed: whatever an operator does with it, a
//! second delivery is called possible, in the log and in the history.

use serde_json::Value;

use super::{id_of, state_of};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script};

/// A daemon that waits for the reply to the final dot, and the id of the message that it sends.
fn behind_the_dot() -> (Receiver, Installation, String) {
    let receiver = Script::new().first(1, ".", Reply::Silence).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"\n");
    installation.start_daemon();
    installation.sendmail(&["-f", "sender@y.example", "a@x.example"], MESSAGE).succeeded();
    let id = id_of(&installation.wait_for_entry("the attempt", |entry| entry["queue_name"] == "active"));
    wait_for("the mark", || number(&installation, "SELECT count(*) FROM message WHERE in_data = 1") == 1);
    (receiver, installation, id)
}

fn number(installation: &Installation, sql: &str) -> i64 {
    let database = rusqlite::Connection::open(installation.paths.spool.join("state.sqlite")).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The kinds of the lines of its history.
fn history(installation: &Installation, id: &str) -> Vec<String> {
    let shown: Value = serde_json::from_str(&installation.mailchute(&["show", "--json", id]).succeeded().stdout).unwrap();
    shown["history"].as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
}

/// Where a line of the log has both texts.
fn logged(installation: &Installation, event: &str, id: &str) -> Option<usize> {
    installation.daemon_log().lines().position(|line| line.contains(&format!("event=\"{event}\"")) && line.contains(id))
}

#[test]
fn what_is_done_with_it_while_the_daemon_is_stopped_hides_no_possible_duplicate() {
    for (offline, online) in [
        (&["hold"][..], &["release"][..]),
        (&["requeue"], &[]),
        (&["expire"], &["flush"]),
        (&["remove"], &["requeue"]),
        (&["remove", "requeue"], &[]),
    ] {
        let (receiver, mut installation, id) = behind_the_dot();
        installation.kill_daemon();
        for verb in offline {
            installation.mailchute(&[verb, &id]).succeeded();
        }
        installation.start_daemon();
        for verb in online {
            installation.mailchute(&[verb, &id]).succeeded();
        }
        assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@x.example>"], "{offline:?}");
        installation.wait_until_drained();
        assert!(logged(&installation, "possible_duplicate", &id).is_some(), "{offline:?}: {}", installation.daemon_log());
        let history = history(&installation, &id);
        let at = |kind: &str| history.iter().position(|line| line == kind);
        assert!(at("uncertain").is_some() && at("possible_duplicate") > at("uncertain"), "{offline:?}: {history:?}");
    }
}

#[test]
fn what_was_ordered_while_it_was_sent_hides_no_possible_duplicate() {
    for (verb, state, event) in [("hold", "hold", "held"), ("remove", "removed", "removed"), ("bounce", "failed", "failed")] {
        let (_receiver, mut installation, id) = behind_the_dot();
        let said = installation.mailchute(&[verb, &id]).succeeded().stderr;
        assert!(said.contains("delivery is in progress"), "{verb}: {said}");
        installation.kill_daemon();
        installation.start_daemon();
        assert_eq!(state_of(&installation, &id), state, "{verb}");
        let (suspected, done) = (logged(&installation, "possible_duplicate", &id), logged(&installation, event, &id));
        assert!(suspected.is_some() && suspected < done, "{verb}: {}", installation.daemon_log());
        let history = history(&installation, &id);
        assert!(history.contains(&"uncertain".to_owned()) && history.contains(&"completed".to_owned()), "{verb}: {history:?}");
        assert_eq!(number(&installation, "SELECT count(*) FROM intention"), 0, "{verb}");
    }
}
