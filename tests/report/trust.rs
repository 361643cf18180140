//! In a system installation a DSN is the daemon's own file, and says so in its envelope.

use super::{notices, wait_for_dsns};
use crate::delivery::MESSAGE;
use crate::support::installation::{CALLER_ID, DAEMON_ID, Installation};
use crate::support::message::Message;
use crate::support::scripted::Script;

#[test]
fn a_dsn_of_a_system_installation_is_the_daemons_own_message() {
    isolated!();
    let receiver = Script::new().say("RCPT TO:<gone@", "550 5.1.1 no such user").say("RCPT TO:<alice@", "550 5.1.1 nor she").start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail_as(CALLER_ID, &["-f", "carol@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    let notice = Message::parse(&wait_for_dsns(&receiver, 1)[0].data);
    assert!(notice.field("Received").contains(&format!("from userid {DAEMON_ID}")), "{}", notice.field("Received"));
    // One that fails stays, to be looked at.
    installation.sendmail_as(CALLER_ID, &["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("the failed notice", |entry| entry["queue_name"] == "failed" && entry["sender"] == "");
    let path = installation.paths.spool.join("failed").join(entry["queue_id"].as_str().unwrap());
    let line = std::fs::read(path).unwrap();
    let envelope: serde_json::Value = serde_json::from_slice(line.split(|&b| b == b'\n').next().unwrap()).unwrap();
    assert_eq!(envelope["peer"]["uid"], DAEMON_ID, "{envelope}");
    assert_eq!((notices(&receiver).len(), installation.spooled("corrupt").len()), (1, 0));
}
