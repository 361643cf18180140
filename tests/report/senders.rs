//! What senders ask for (RFC 3461), and which of them are told at all.

use std::time::Duration;

use super::{judge, notices, subject, wait_for_dsns};
use crate::delivery::MESSAGE;
use crate::support::installation::Installation;
use crate::support::message::Message;
use crate::support::scripted::{Receiver, Script};

fn refusing() -> Receiver {
    Script::new().say("RCPT TO:<gone", "550 5.1.1 no such user").start()
}

fn started(receiver: &Receiver, more: &str) -> Installation {
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), more);
    installation.start_daemon();
    installation
}

#[test]
fn s8_never_and_the_null_sender_are_told_nothing() {
    let receiver = refusing();
    let installation = started(&receiver, "admin_address = \"admin@x.example\"");
    installation.sendmail(&["-N", "never", "gone@receiver.example"], MESSAGE).succeeded();
    installation.sendmail(&["-N", "success,delay", "gone@receiver.example"], MESSAGE).succeeded();
    installation.sendmail(&["-f", "", "gone@receiver.example"], MESSAGE).succeeded();
    installation.wait_until_drained();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((installation.spooled("failed").len(), receiver.messages().len()), (3, 0), "{}", installation.daemon_log());
}

#[test]
fn s8_success_is_told_where_the_next_hop_does_not_report() {
    let receiver = refusing();
    let installation = started(&receiver, "");
    installation.sendmail(&["-f", "alice@author.example", "-N", "success", "bob@receiver.example"], MESSAGE).succeeded();
    let notice = &wait_for_dsns(&receiver, 1)[0];
    assert_eq!(subject(notice), "Your mail was relayed");
    installation.wait_until_drained();
    assert_eq!(receiver.messages().len(), 2);
    let judged = require!(judge(notice));
    assert_eq!(judged["status"][1]["Action"], "relayed", "{judged}");
    assert_eq!((&judged["permanent"], &judged["temporary"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn s8_success_is_left_to_a_next_hop_that_reports() {
    let receiver = Script::new().offer("DSN").start();
    let installation = started(&receiver, "");
    installation.sendmail(&["-f", "alice@author.example", "-N", "success", "bob@receiver.example"], MESSAGE).succeeded();
    let arrived = &receiver.wait_for_messages(1)[0];
    assert_eq!(arrived.recipients, ["<bob@receiver.example> NOTIFY=SUCCESS"]);
    installation.wait_until_drained();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(receiver.messages().len(), 1);
}

#[test]
fn ret_full_brings_the_message_back_and_the_default_its_header_section() {
    let receiver = refusing();
    let installation = started(&receiver, "");
    installation.sendmail(&["-f", "alice@author.example", "-R", "full", "gone@receiver.example"], MESSAGE).succeeded();
    let notice = &wait_for_dsns(&receiver, 1)[0];
    assert!(Message::parse(&notice.data).body.contains(".leading dot"));
    let judged = require!(judge(notice));
    assert_eq!(judged["parts"][2], "message/rfc822");
}

#[test]
fn u03_a_local_sender_is_told_through_the_administrator() {
    let receiver = refusing();
    let installation = started(&receiver, "admin_address = \"admin@x.example\"");
    installation.sendmail(&["-f", "cron@sender.example", "gone@receiver.example"], MESSAGE).succeeded();
    installation.sendmail(&["-f", "cron@localhost", "gone@receiver.example"], MESSAGE).succeeded();
    for notice in wait_for_dsns(&receiver, 2) {
        assert_eq!(notice.recipients, ["<admin@x.example>"]);
    }
}

#[test]
fn t_dsn_1_automatic_mail_is_told_to_the_administrator_alone() {
    let receiver = refusing();
    let installation = started(&receiver, "");
    let automatic = [b"Auto-Submitted: auto-generated\nPrecedence: bulk\n", MESSAGE].concat();
    installation.sendmail(&["-f", "list@author.example", "gone@receiver.example"], &automatic).succeeded();
    installation.wait_for_log("no admin_address is configured");
    installation.configure(&format!(
        "mailname = \"sender.example\"\nnext_hop = \"{}\"\nadmin_address = \"admin@x.example\"\n",
        receiver.url("smtp", "tls=none")
    ));
    installation.reload_daemon();
    installation.wait_for_log("configuration reloaded");
    installation.sendmail(&["-f", "list@author.example", "gone@receiver.example"], &automatic).succeeded();
    assert_eq!(wait_for_dsns(&receiver, 1)[0].recipients, ["<admin@x.example>"]);
    assert_eq!(notices(&receiver).len(), 1);
}
