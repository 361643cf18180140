//! Races: a message whose attempt is under way is marked, and follows when the attempt has ended.

use super::{id_of, state_of};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::{Gate, Receiver, Reply, Script};

/// A daemon whose first attempt ends with `reply` once the gate is open, and the id of the message that it sends.
fn sending(reply: &str) -> (Receiver, Installation, String, Gate) {
    let gate = Gate::default();
    let (receiver, installation, id) = sending_to(gate.hold(reply));
    (receiver, installation, id, gate)
}

fn sending_to(first: Reply) -> (Receiver, Installation, String) {
    let receiver = Script::new().first(1, "RCPT TO:<a@", first).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"\n");
    installation.start_daemon();
    installation.sendmail(&["-f", "sender@y.example", "a@x.example"], MESSAGE).succeeded();
    let id = id_of(&installation.wait_for_entry("the attempt", |entry| entry["queue_name"] == "active"));
    (receiver, installation, id)
}

fn order(installation: &Installation, verb: &str, id: &str) {
    let said = installation.mailchute(&[verb, id]).succeeded().stderr;
    assert!(said.contains(&format!("{id}: delivery is in progress")), "{verb}: {said}");
    assert!(said.ends_with(": 0 messages, 1 after its delivery attempt\n"), "{verb}: {said}");
    assert_eq!(kept_orders(installation), 1, "{verb}");
}

/// The orders that the next start would carry out.
fn kept_orders(installation: &Installation) -> i64 {
    let database = rusqlite::Connection::open(installation.paths.spool.join("state.sqlite")).unwrap();
    database.query_row("SELECT count(*) FROM intention", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_message_that_is_being_sent_is_held_after_its_attempt() {
    let (receiver, installation, id, gate) = sending("450 4.2.1 busy");
    order(&installation, "hold", &id);
    gate.open();
    wait_for("the hold", || installation.spooled("hold") == [id.clone()]);
    assert_eq!(kept_orders(&installation), 0);
    installation.mailchute(&["release", &id]).succeeded();
    assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@x.example>"]);
}

#[test]
fn a_message_that_was_being_sent_when_the_daemon_ended_is_held_or_removed_by_the_next_start() {
    for (verb, place, state, by_signal) in [
        ("hold", "hold", "hold", true),
        ("hold", "hold", "hold", false),
        ("remove", "trash", "removed", true),
        ("remove", "trash", "removed", false),
    ] {
        let (receiver, mut installation, id) = sending_to(Reply::Silence);
        order(&installation, verb, &id);
        if by_signal {
            installation.stop_daemon()
        } else {
            installation.kill_daemon()
        }
        assert_eq!(installation.spooled("cur"), std::slice::from_ref(&id), "{verb}: the attempt has not ended");
        installation.start_daemon();
        wait_for(verb, || installation.spooled(place) == [id.clone()]);
        assert_eq!(state_of(&installation, &id), state);
        assert_eq!(kept_orders(&installation), 0, "{verb}");
        let history = installation.mailchute(&["show", &id]).succeeded().stdout;
        assert!(history.matches("(uid ").count() >= 2, "{verb}: {history}");
        // The order was carried out once: what is decided later counts.
        installation.mailchute(&["requeue", &id]).succeeded();
        assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@x.example>"], "{verb}");
    }
}

#[test]
fn what_is_decided_while_the_daemon_is_stopped_counts_more_than_what_was_to_follow() {
    let (receiver, mut installation, id) = sending_to(Reply::Silence);
    order(&installation, "remove", &id);
    installation.kill_daemon();
    installation.mailchute(&["requeue", &id]).succeeded();
    installation.start_daemon();
    assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@x.example>"]);
}

#[test]
fn a_message_that_is_delivered_meanwhile_is_neither_held_nor_removed() {
    for verb in ["hold", "remove", "expire", "bounce"] {
        let (receiver, installation, id, gate) = sending("250 2.1.5 ok");
        order(&installation, verb, &id);
        gate.open();
        receiver.wait_for_messages(1);
        installation.wait_until_drained();
        assert_eq!(kept_orders(&installation), 0, "{verb}");
        assert!(["hold", "trash", "failed"].iter().all(|place| installation.spooled(place).is_empty()), "{verb}");
        assert_eq!(receiver.messages().len(), 1, "{verb}: nobody is told of a failure");
    }
}

#[test]
fn a_message_that_is_being_sent_is_given_up_after_its_attempt() {
    for verb in ["expire", "bounce"] {
        let (receiver, installation, id, gate) = sending("450 4.2.1 busy");
        order(&installation, verb, &id);
        gate.open();
        assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<sender@y.example>"], "{verb}");
        assert_eq!(installation.spooled("failed"), std::slice::from_ref(&id), "{verb}");
        let shown: serde_json::Value = serde_json::from_str(&installation.mailchute(&["show", "--json", &id]).succeeded().stdout).unwrap();
        let (end, named) = if verb == "expire" { ("expired", "expired") } else { ("bounced", "bounced") };
        assert_eq!(shown["end"], end, "{verb}: {shown}");
        assert!(shown["history"].as_array().unwrap().iter().any(|line| line["kind"] == named && line["uid"].is_number()), "{shown}");
    }
}

#[test]
fn the_last_word_of_a_dry_run_is_nothing() {
    let (receiver, installation, id, gate) = sending("250 2.1.5 ok");
    for verb in ["hold", "remove", "expire", "bounce", "release", "requeue", "flush"] {
        let said = installation.mailchute(&[verb, "--dry-run", &id]).succeeded().stderr;
        assert!(said.contains("in progress") && said.contains("mailchute: Would "), "{verb}: {said}");
        assert!(!said.contains("this follows") && !said.contains("the message bounces"), "{verb}: {said}");
    }
    gate.open();
    receiver.wait_for_messages(1);
    installation.wait_until_drained();
    assert!(installation.spooled("hold").is_empty() && installation.spooled("trash").is_empty());
}

/// Of two messages that are in memory, the second waits for the one connection that there may be.
fn waiting_behind_another() -> (Receiver, Installation, String, Gate) {
    let gate = Gate::default();
    let receiver = Script::new().first(1, "RCPT TO:<a@", gate.hold("250 2.1.5 ok")).start();
    let mut installation = Installation::rootless();
    let one = "retry_min = \"1h\"\nretry_max = \"1h\"\nroute_connections = 1\n";
    installation.relay_to(&receiver.url("smtp", "tls=none"), one);
    installation.start_daemon();
    installation.sendmail(&["-f", "sender@y.example", "a@x.example"], MESSAGE).succeeded();
    installation.wait_for_entry("the attempt", |entry| entry["queue_name"] == "active");
    installation.sendmail(&["-f", "sender@y.example", "b@x.example"], MESSAGE).succeeded();
    let is_b = |entry: &serde_json::Value| entry["recipients"][0]["address"] == "b@x.example";
    let id = id_of(&installation.wait_for_entry("the other one in memory", |entry| is_b(entry) && entry["queue_name"] == "active"));
    (receiver, installation, id, gate)
}

#[test]
fn what_was_to_follow_an_attempt_is_done_where_a_pause_lets_none_begin() {
    for (verb, place, state) in [("remove", "trash", "removed"), ("hold", "hold", "hold"), ("expire", "failed", "failed")] {
        let (receiver, installation, id, gate) = waiting_behind_another();
        order(&installation, verb, &id);
        installation.mailchute(&["pause"]).succeeded();
        assert_eq!(installation.spooled(place), std::slice::from_ref(&id), "{verb}: done before it is answered");
        assert_eq!((state_of(&installation, &id).as_str(), kept_orders(&installation)), (state, 0), "{verb}");
        gate.open();
        assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@x.example>"]);
        installation.mailchute(&["resume"]).succeeded();
        installation.wait_until_drained();
        let to_b = receiver.messages().iter().filter(|message| message.recipients == ["<b@x.example>"]).count();
        assert_eq!(to_b, 0, "{verb}");
    }
}

#[test]
fn a_pause_lets_what_is_being_sent_go_on_to_its_end() {
    let (receiver, installation, _, gate) = sending("250 2.1.5 ok");
    installation.mailchute(&["pause"]).succeeded();
    installation.sendmail(&["b@x.example"], MESSAGE).succeeded();
    gate.open();
    assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@x.example>"]);
    wait_for("the other message alone", || installation.spooled("cur").len() == 1);
    installation.mailchute(&["resume"]).succeeded();
    assert_eq!(receiver.wait_for_messages(2)[1].recipients, ["<b@x.example>"]);
}
