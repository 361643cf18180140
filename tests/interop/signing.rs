//! DKIM from the administrator's commands to the verifier, and what happens while a key cannot be used: mail is held, never sent
//! unsigned.

use std::os::unix::fs::PermissionsExt;

use crate::delivery::MESSAGE;
use crate::support::installation::Installation;
use crate::support::keys;
use crate::support::message::Message;
use crate::support::oracles;
use crate::support::scripted::Script;

/// The record that `mailchute dkim` printed for a form.
fn published(text: &str) -> (String, String) {
    let value = |word: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("; ")?.trim_start().strip_prefix(word));
        line.unwrap_or_else(|| panic!("no {word} in {text}")).trim().to_owned()
    };
    (value("name "), value("value "))
}

#[test]
fn a_key_made_by_the_administrator_signs_mail_that_the_published_record_verifies() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    let made = installation.mailchute(&["dkim", "keygen", "sender.example", "s1"]).succeeded().stdout;
    installation.mailchute(&["dkim", "keygen", "--ed25519", "sender.example", "s2"]).succeeded();
    let signed = "[domain.\"sender.example\"]\nselectors = [\"s1\", \"s2\"]\n";
    installation.relay_to(&receiver.url("smtp", "tls=none"), signed);
    let repeated = installation.mailchute(&["dkim", "dns", "sender.example"]).succeeded().stdout;
    let (first, second) = repeated.split_at(repeated.rfind("; for a web form").unwrap());
    let (first, second) = (published(first), published(second));
    assert_eq!(published(&made), first);
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    let arrived = &receiver.wait_for_messages(1)[0];
    let records = [(first.0.as_str(), first.1.as_str()), (second.0.as_str(), second.1.as_str())];
    assert_eq!(require!(oracles::dkimpy(&arrived.data, &records)), ["pass", "pass"]);
    // Another From, put on top by somebody on the way, must break both (oversigning).
    let forged = [b"From: boss@sender.example\r\n".as_slice(), &arrived.data].concat();
    assert!(require!(oracles::dkimpy(&forged, &records)).iter().all(|verdict| verdict != "pass"));
}

#[test]
fn mail_is_held_while_its_key_is_missing_or_open_to_others_and_goes_signed_when_it_is_right() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "[domain.\"sender.example\"]\nselectors = [\"e1\"]\n");
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    let held = installation.wait_for_entry("the held message", |entry| entry["queue_name"] == "hold");
    assert!(held["reason"].as_str().unwrap().contains("e1"), "{held}");
    // Mail from other domains goes on.
    installation.sendmail(&["carol@receiver.example"], b"From: a@other.example\n\nx\n").succeeded();
    receiver.wait_for_messages(1);

    let key = keys::ed25519();
    let path = installation.paths.keys.join("sender.example/e1.pem");
    installation.write_secret(&path, &key.private_pem);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    installation.reload_daemon();
    installation.sendmail(&["dave@receiver.example"], MESSAGE).succeeded();
    crate::support::command::wait_for("two held messages", || {
        let queue = installation.queue();
        queue.len() == 2 && queue.iter().all(|entry| entry["queue_name"] == "hold")
    });
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    installation.reload_daemon();
    let arrived = receiver.wait_for_messages(3);
    for message in &arrived[1..] {
        assert_eq!(require!(oracles::dkimpy(&message.data, &[("e1._domainkey.sender.example", &key.txt)])), ["pass"]);
    }
    assert!(Message::parse(&arrived[0].data).all("DKIM-Signature").is_empty());
}
