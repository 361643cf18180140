//! Connections that end, and connections that never do.

use dkim::{Kind, PrivateKey, Selector, SigningDomain, file};

use crate::delivery::MESSAGE;
use crate::support::installation::Installation;
use crate::support::message::Message;
use crate::support::scripted::{Gate, Reply, Script};

/// A configuration with one connection, and an hour between two attempts of a message.
fn toml(next_hop: &str, more: &str) -> String {
    format!(
        "mailname = \"sender.example\"\nnext_hop = \"{next_hop}\"\nroute_connections = 1\nretry_min = \"1h\"\nretry_max = \"1h\"\n{more}"
    )
}

#[test]
fn a_server_that_ends_each_connection_after_one_message_delays_none() {
    // What one transaction takes; the reply to the second MAIL is cut.
    const ONE: &str =
        "220 receiver.example ESMTP scripted\r\n250 receiver.example\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go ahead\r\n250 2.0.0 kept\r\n";
    let receiver = Script::new().reset_after_sending(ONE.len() + 5).start();
    let mut installation = Installation::rootless();
    installation.configure(&toml(&receiver.url("smtp", "tls=none"), ""));
    installation.start_daemon();
    for _ in 0..5 {
        installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    }
    receiver.wait_for_messages(5);
    installation.wait_until_drained();
    assert_eq!(receiver.messages().len(), 5);
}

#[test]
fn a_reload_reaches_a_connection_that_is_always_busy() {
    const COUNT: usize = 40;
    // The connection is busy with the second message until the configuration has been read.
    let gate = Gate::default();
    let first = Reply::Lines("250 2.0.0 kept".into());
    let receiver = Script::new().first(1, ".", first).first(1, ".", gate.hold("250 2.0.0 kept")).start();
    let mut installation = Installation::rootless();
    let next_hop = receiver.url("smtp", "tls=none");
    installation.configure(&toml(&next_hop, ""));
    installation.start_daemon();
    for _ in 0..COUNT {
        installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    }
    receiver.wait_for_messages(1);
    let key = PrivateKey::generate(Kind::Ed25519).unwrap();
    let (domain, selector) = (SigningDomain::parse("sender.example").unwrap(), Selector::parse("s1").unwrap());
    file::write(&installation.paths.keys, &domain, &selector, &key).unwrap();
    installation.configure(&toml(&next_hop, "[domain.\"sender.example\"]\nselectors = [\"s1\"]\n"));
    installation.reload_daemon();
    installation.wait_for_log("configuration reloaded");
    gate.open();
    let messages = receiver.wait_for_messages(COUNT);
    installation.wait_until_drained();
    let signed = |message: &crate::support::scripted::Transaction| !Message::parse(&message.data).all("DKIM-Signature").is_empty();
    assert!(!signed(&messages[0]), "it began without a key");
    assert!(signed(&messages[COUNT - 1]), "the key of the reload was never used");
}
