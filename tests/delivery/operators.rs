//! What operators do to messages: hold, release, remove, requeue (SENDMAIL.md section 11).

use serde_json::Value;

use super::{MESSAGE, has};
use crate::support::installation::Installation;
use crate::support::scripted::{Gate, Receiver, Reply, Script};

/// A daemon with one message that waits for its next attempt.
fn with_a_waiting_message(receiver: &Receiver) -> (Installation, String) {
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "a@receiver.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("a reason to wait", |entry| entry["queue_name"] == "deferred");
    let id = id_of(&entry);
    (installation, id)
}

fn id_of(entry: &Value) -> String {
    entry["queue_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_held_message_waits_through_a_flush_and_a_restart_until_it_is_released() {
    let receiver = Script::new().first(1, "RCPT TO:", Reply::Lines("450 4.2.1 busy".into())).start();
    let (mut installation, id) = with_a_waiting_message(&receiver);
    let said = installation.mailchute(&["hold", &id]).succeeded().stderr;
    assert!(said.contains(&format!("{id}: placed on hold")) && said.contains("Placed on hold: 1 message"), "{said}");
    installation.mailchute(&["flush"]).succeeded();
    installation.stop_daemon();
    installation.start_daemon();
    let entry = installation.wait_for_entry("the held message", |entry| entry["queue_name"] == "hold");
    assert!(entry["reason"].as_str().unwrap().starts_with("by "), "{entry}");
    assert_eq!((installation.spooled("hold").len(), receiver.messages().len()), (1, 0));
    installation.mailchute(&["release", "ALL"]).succeeded();
    assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@receiver.example>"]);
    installation.wait_until_drained();
}

#[test]
fn a_removed_message_is_kept_in_trash_and_an_unknown_id_is_1() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (installation, id) = with_a_waiting_message(&receiver);
    installation.mailchute(&["remove", "--dry-run", &id]).succeeded();
    assert_eq!(installation.queue().len(), 1, "a dry run changes nothing");
    let said = installation.mailchute(&["remove", &id, "0000000000000000"]).ended_with(1).stderr;
    assert!(said.contains("Deleted: 1 message") && said.contains("0000000000000000: no such message"), "{said}");
    assert!(installation.queue().is_empty());
    assert_eq!(installation.spooled("trash"), [id.as_str()]);
    assert!(installation.mailchute(&["show", &id]).succeeded().stdout.contains("removed"));
}

#[test]
fn a_message_that_is_being_sent_is_removed_after_its_attempt() {
    let gate = Gate::default();
    let receiver = Script::new().first(1, "RCPT TO:", gate.hold("550 5.1.1 no such user")).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "a@receiver.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("the attempt", |entry| entry["queue_name"] == "active");
    let said = installation.mailchute(&["remove", &id_of(&entry)]).succeeded().stderr;
    assert!(said.contains("delivery is in progress"), "{said}");
    gate.open();
    installation.wait_until_drained();
    assert_eq!((installation.spooled("trash").len(), installation.spooled("failed").len()), (1, 0));
}

#[test]
fn a_failed_message_is_requeued_for_the_recipients_that_did_not_get_it() {
    let receiver = Script::new().first(1, "RCPT TO:<b@", Reply::Lines("550 5.1.1 no such user".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "a@receiver.example", "b@receiver.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("the failed message", |entry| entry["queue_name"] == "failed");
    assert!(has(&entry, "b@receiver.example", "failed", "550"), "{entry}");
    installation.mailchute(&["requeue", &id_of(&entry)]).succeeded();
    let arrived = receiver.wait_for_messages(2);
    assert_eq!(arrived[1].recipients, ["<b@receiver.example>"]);
    installation.wait_until_drained();
    assert!(installation.spooled("failed").is_empty() && installation.spooled("cur").is_empty());
}
