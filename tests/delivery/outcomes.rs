//! What the replies of the next hop mean for a message and for each of its recipients.

use std::time::Duration;

use super::{MESSAGE, has};
use crate::support::installation::Installation;
use crate::support::message::Message;
use crate::support::scripted::{Gate, Reply, Script};

#[test]
fn a_message_arrives_as_it_was_written_and_leaves_only_history() {
    let receiver = Script::new().offer("PIPELINING").offer("SIZE 1000000").offer("8BITMIME").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["-i", "-f", "alice@sender.example", "bob@receiver.example"], MESSAGE).succeeded();
    let arrived = &receiver.wait_for_messages(1)[0];
    installation.wait_until_drained();
    assert!(arrived.mail.starts_with("<alice@sender.example>"), "{}", arrived.mail);
    assert_eq!(arrived.recipients, ["<bob@receiver.example>"]);
    let message = Message::parse(&arrived.data);
    assert_eq!(message.body, "Hello\n.leading dot\n");
    assert_eq!(message.field("Subject"), "hello");
    assert!(message.field("Received").contains("sender.example"));
    assert!(installation.queue().is_empty() && installation.spooled("failed").is_empty());
    installation.stop_daemon();
}

#[test]
fn recipients_that_are_taken_deferred_and_refused_end_each_in_their_own_way() {
    let script = Script::new().offer("PIPELINING").say("RCPT TO:<gone@", "550 5.1.1 no such user");
    let receiver = script.first(1, "RCPT TO:<later@", Reply::Lines("450 4.2.1 mailbox busy".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    // DSNs have tests of their own.
    let arguments = ["-N", "never", "now@receiver.example", "later@receiver.example", "gone@receiver.example"];
    installation.sendmail(&arguments, MESSAGE).succeeded();
    let arrived = receiver.wait_for_messages(2);
    installation.wait_until_drained();
    assert_eq!(arrived[0].recipients, ["<now@receiver.example>"]);
    assert_eq!(arrived[1].recipients, ["<later@receiver.example>"]);
    assert_eq!(receiver.messages().len(), 2, "each recipient got it once");
    let entry = installation.wait_for_entry("the failed message", |entry| entry["queue_name"] == "failed");
    assert!(has(&entry, "gone@receiver.example", "failed", "550 5.1.1 no such user"), "{entry}");
    assert_eq!(installation.spooled("failed").len(), 1);
}

#[test]
fn a_reply_to_the_end_of_data_counts_for_every_recipient() {
    let script = Script::new().first(1, ".", Reply::Lines("451 4.3.0 later".into()));
    let receiver = script.first(1, ".", Reply::Lines("554-5.7.1 spam\r\n554 5.7.1 go away".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "a@receiver.example", "b@receiver.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("the failed message", |entry| entry["queue_name"] == "failed");
    for recipient in ["a@receiver.example", "b@receiver.example"] {
        assert!(has(&entry, recipient, "failed", "554") && has(&entry, recipient, "failed", "go away"), "{entry}");
    }
    assert!(receiver.messages().is_empty());
}

#[test]
fn one_bad_message_does_not_hold_up_the_others() {
    let receiver = Script::new().say("RCPT TO:<never@", "451 4.3.0 not today").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["never@receiver.example"], MESSAGE).succeeded();
    for number in 0..20 {
        installation.sendmail(&[&format!("r{number}@receiver.example")], MESSAGE).succeeded();
    }
    assert_eq!(receiver.wait_for_messages(20).len(), 20);
    let entry =
        installation.wait_for_entry("the deferred one", |entry| has(entry, "never@receiver.example", "deferred", "451 4.3.0 not today"));
    assert_eq!(entry["queue_name"], "deferred");
}

#[test]
fn no_more_connections_are_open_to_one_next_hop_than_configured() {
    let gate = Gate::default();
    let receiver = Script::new().on(".", gate.hold("250 2.0.0 kept")).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "route_connections = 2");
    // All are there when it begins; the spool is made by a first start.
    installation.start_daemon();
    installation.stop_daemon();
    for number in 0..20 {
        installation.sendmail(&[&format!("r{number}@receiver.example")], MESSAGE).succeeded();
    }
    installation.start_daemon();
    // All that the daemon opens stay open, since none gets on: there is time to look for a third one.
    receiver.wait_for_connections(2);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(receiver.connections().len(), 2);
    gate.open();
    receiver.wait_for_messages(20);
}

#[test]
fn large_messages_arrive_byte_for_byte_in_bounded_memory() {
    require!(crate::support::parts::time());
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let body = (0..200_000).map(|line| format!("{line} 0123456789 abcdefghijklmnopqrstuvwxyz .\n")).collect::<String>();
    let message = format!("From: alice@sender.example\nSubject: large\n\n{body}");
    for number in 0..9 {
        installation.sendmail(&["-i", &format!("r{number}@receiver.example")], message.as_bytes()).succeeded();
    }
    let expected = format!("\r\n\r\n{}", body.replace('\n', "\r\n"));
    for arrived in receiver.wait_for_messages(9) {
        assert!(arrived.data.ends_with(expected.as_bytes()), "the body for {:?} changed", arrived.recipients);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", installation.daemon_pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    let peak: u64 = peak.parse().unwrap();
    // 9 messages of 9 MiB: at most 64 MiB of bodies are in flight, whatever their number.
    assert!(peak < 100 << 10, "{peak} KiB");
}
