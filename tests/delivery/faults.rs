//! Next hops that are not there, lie, or break: the message waits, nothing fails, nothing is lost, and the daemon goes on.

use std::time::Duration;

use super::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script};

/// An installation that relays to `receiver` in clear, its daemon running, one message sent.
fn sent_to(receiver: &Receiver, more: &str) -> Installation {
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), more);
    installation.start_daemon();
    installation.sendmail(&["-i", "bob@receiver.example"], MESSAGE).succeeded();
    installation
}

/// Asserts that the message arrives once the fault is over, and that no recipient failed.
#[track_caller]
fn arrives_after(fault: &str, script: Script, more: &str) {
    let receiver = script.start();
    let installation = sent_to(&receiver, more);
    wait_for(&format!("the message after {fault}: {}", installation.daemon_log()), || {
        // Hurries what would wait for its next attempt.
        installation.mailchute(&["flush"]);
        receiver.messages().len() == 1
    });
    installation.wait_until_drained();
    assert!(installation.queue().is_empty(), "{fault}: {:?}", installation.queue());
}

#[test]
fn t_smtp_a_hostile_first_connection_only_delays_the_message() {
    let faults = [
        ("a reset at the greeting", "", Reply::Reset),
        ("garbage for a greeting", "", Reply::Raw(b"\xff\xfe\x00garbage\r\n".to_vec())),
        ("a refusing greeting", "", Reply::Lines("554 5.3.2 no service here".into())),
        ("an endless line", "EHLO", Reply::Raw(vec![b'2'; 1 << 20])),
        ("endless lines", "EHLO", Reply::Raw(b"250-more\r\n".repeat(1 << 16))),
        ("a broken number", "EHLO", Reply::Lines("2x0 ok".into())),
        ("a close at EHLO", "EHLO", Reply::Close),
        ("a shutdown", "MAIL", Reply::Lines("421 4.3.2 shutting down".into())),
        ("a reset at RCPT", "RCPT", Reply::Reset),
        ("a close at DATA", "DATA", Reply::Close),
        ("a late and then lost reply to the end of data", ".", Reply::Late(Duration::from_millis(200), Box::new(Reply::Reset))),
    ];
    for (fault, command, reply) in faults {
        arrives_after(fault, Script::new().first(1, command, reply), "");
    }
}

/// Only silence ends by the clock. The limit is long for a receiver that answers, however slow its machine: a message that was taken
/// and whose reply came too late would come twice.
#[test]
fn t_smtp_a_silent_first_connection_only_delays_the_message() {
    for (fault, command) in [("a silent greeting", ""), ("silence at MAIL", "MAIL")] {
        arrives_after(fault, Script::new().first(1, command, Reply::Silence), "reply_timeout = \"10s\"");
    }
}

#[test]
fn t_smtp_a_connection_reset_at_any_byte_loses_nothing() {
    // Connection n is reset after n * STEP bytes, until one lives long enough.
    for direction in [Script::reset_after_sending as fn(Script, usize) -> Script, Script::reset_after_receiving] {
        let receiver = direction(Script::new().offer("PIPELINING").growing_cut(), 11).start();
        let installation = sent_to(&receiver, "");
        wait_for("a connection that lives", || {
            installation.mailchute(&["flush"]);
            receiver.messages().len() == 1
        });
        installation.wait_until_drained();
        assert!(receiver.connections().len() > 10, "{}", receiver.connections().len());
        assert!(installation.queue().is_empty(), "{:?}", installation.queue());
    }
}

#[test]
fn a_message_for_a_next_hop_that_does_not_answer_waits_and_says_why() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let mut installation = Installation::rootless();
    installation.relay_to(&format!("smtp://127.0.0.1:{port}?tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("a reason", |entry| entry.to_string().contains("refused"));
    assert_eq!(entry["queue_name"], "deferred");
    let listing = installation.mailchute(&["list"]).succeeded().stdout;
    assert!(listing.contains("refused") && listing.trim_end().ends_with("in 1 Request."), "{listing}");
    let receiver = Script::new().start_at(&format!("127.0.0.1:{port}"));
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(1);
}
