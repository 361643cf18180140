//! Who sent what: callers under no_new_privs, and who sees whose mail.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::only_id;
use crate::delivery::MESSAGE;
use crate::support::installation::{CALLER_ID, DAEMON_ID, Installation, OTHER_ID};
use crate::support::message::Message;
use crate::support::scripted::{Reply, Script};

#[test]
fn a_caller_under_no_new_privs_sends_and_its_uid_is_attested() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    let sent = installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    assert!(sent.stdout.is_empty() && sent.stderr.is_empty(), "C8: a caller hears nothing of a success: {sent:?}");
    let file = installation.paths.spool.join("new").join(only_id(&installation)).metadata().unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (CALLER_ID, DAEMON_ID, 0o640));
    installation.start_daemon();
    let arrived = &receiver.wait_for_messages(1)[0];
    assert!(arrived.mail.starts_with(&format!("<uid{CALLER_ID}@sender.example>")), "S1, S5: {}", arrived.mail);
    let received = Message::parse(&arrived.data).field("Received").to_owned();
    assert!(received.contains(&format!("from userid {CALLER_ID}")), "H1: {received}");
}

#[test]
fn q4_a_user_sees_its_own_mail_and_root_sees_all() {
    isolated!();
    let receiver = Script::new().on("MAIL", Reply::Lines("451 4.3.0 later".into())).start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    for (uid, recipient) in [(CALLER_ID, "one@receiver.example"), (OTHER_ID, "two@receiver.example")] {
        installation.sendmail_as(uid, &[recipient], MESSAGE).succeeded();
    }
    installation.wait_for_entry("the first", |entry| entry.to_string().contains("one@"));
    installation.wait_for_entry("the second", |entry| entry.to_string().contains("two@"));
    let own = installation.mailchute_as(CALLER_ID, &["list"]).succeeded().stdout;
    assert!(own.contains("one@") && !own.contains("two@"), "{own}");
    // Q5
    installation.stop_daemon();
    assert_eq!(installation.queue().len(), 2);
    installation.mailchute_as(CALLER_ID, &["list"]).ended_with(69);
}

#[test]
fn bad_input_ends_in_the_code_and_the_line_that_the_manual_gives() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    let cases: &[(&[&str], &[u8], i32)] = &[
        (&["-t"], b"", 64),
        (&["-t"], b"Subject: nobody\n\nhello\n", 64),
        (&[], MESSAGE, 64),
        (&["bob@receiver.example", "not an address@@"], MESSAGE, 65),
        (&["bob@receiver.example", ""], MESSAGE, 65),
        (&["-Xlog", "bob@receiver.example"], MESSAGE, 64),
        (&["-C/etc/shadow", "bob@receiver.example"], MESSAGE, 64),
        (&["-bd"], b"", 69),
        (&["bob@receiver.example"], b"From: a@b.example\nFrom: c@d.example\n\n", 65),
    ];
    for (arguments, message, code) in cases {
        let ended = installation.sendmail_as(CALLER_ID, arguments, message).ended_with(*code);
        assert!(ended.stderr.starts_with("sendmail: ") && ended.stdout.is_empty(), "{arguments:?}: {ended:?}");
    }
    assert!(installation.spooled("new").is_empty(), "R5: all or nothing");
    for (toml, mode) in [("no_such_key = 1\n", 0o644), ("", 0o600)] {
        installation.configure(toml);
        std::fs::set_permissions(&installation.paths.config_file, std::fs::Permissions::from_mode(mode)).unwrap();
        let ended = installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).ended_with(78);
        assert!(ended.stderr.contains("mailchute.toml") && ended.stderr.lines().count() == 1, "{ended:?}");
    }
    std::fs::set_permissions(&installation.paths.config_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    // Empty stdin with operands is a message like any other.
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], b"").succeeded();
    installation.start_daemon();
    let message = Message::parse(&receiver.wait_for_messages(1)[0].data);
    assert_eq!((message.field("From"), message.body.as_str()), (format!("uid{CALLER_ID}@sender.example").as_str(), ""));
    assert!(!message.field("Date").is_empty() && message.field("Message-ID").ends_with("@sender.example>"));
}
