//! Applications that send mail, as they are: they find `sendmail` at its place and know nothing of us.

use std::path::Path;

use super::{SIGNED, Signing, assert_signed};
use crate::support::certificates::Authority;
use crate::support::command::run;
use crate::support::foreign_root::ForeignRoot;
use crate::support::installation::{CALLER_ID, Installation};
use crate::support::isolation::mount;
use crate::support::message::Message;
use crate::support::parts::Missing;
use crate::support::postfix::{HOST, Postfix};
use crate::support::scripted::Script;

/// Lays our `sendmail` over /usr/sbin/sendmail, in this test's world.
fn install_as_system_sendmail() {
    let upper = tempfile::tempdir().unwrap().keep();
    mount(&["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), "mode=755".as_ref(), "none".as_ref(), &upper]);
    let (layer, work) = (upper.join("layer"), upper.join("work"));
    for directory in [&layer, &work] {
        std::fs::create_dir(directory).unwrap();
    }
    std::fs::copy(env!("CARGO_BIN_EXE_sendmail"), layer.join("sendmail")).unwrap();
    let options = format!("lowerdir=/usr/sbin,upperdir={},workdir={}", layer.display(), work.display());
    mount(&["-t".as_ref(), "overlay".as_ref(), "-o".as_ref(), options.as_ref(), "none".as_ref(), "/usr/sbin".as_ref()]);
}

/// A Python that every uid can run: the virtual environment may lie on one below /root.
fn public_python() -> Result<&'static Path, Missing> {
    let python = Path::new("/usr/bin/python3");
    python.exists().then_some(python).ok_or_else(|| Missing("there is no /usr/bin/python3".to_owned()))
}

#[test]
fn a_python_application_without_rights_sends_through_postfix_signed_and_unchanged() {
    isolated!();
    let python = require!(public_python());
    let authority = Authority::new();
    let postfix = Postfix::start(require!(ForeignRoot::mount()), &authority.identity(&[HOST, "127.0.0.1"]));
    install_as_system_sendmail();
    let mut installation = Installation::system();
    let signing = Signing::install(&installation);
    let ca = installation.write_public("ca.pem", &authority.pem);
    installation.relay_to("smtp://127.0.0.1:25?tls=verified", &format!("ca_file = {ca:?}\n{SIGNED}"));
    installation.start_daemon();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/seed_caller.py");
    let given = run(installation.program_as(CALLER_ID, python).arg(script), b"").succeeded().stdout;

    let bytes = &postfix.wait_for_messages(1)[0];
    assert_signed!(bytes, signing);
    let (given, arrived) = (Message::parse(given.as_bytes()), Message::parse(bytes));
    let sent = arrived.without_trace();
    assert_eq!(sent.body, given.body);
    assert_eq!(sent.fields[..given.fields.len()], given.fields, "what the caller wrote is first and unchanged");
    let added: Vec<&str> = sent.fields[given.fields.len()..].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(added, ["Date", "Message-ID"]);
    assert!(arrived.all("Received").iter().any(|value| value.contains(&format!("userid {CALLER_ID}"))), "{:?}", arrived.fields);
    assert!(arrived.all("Received").iter().any(|value| value.contains("with ESMTPS")), "{:?}", arrived.fields);
    installation.wait_until_drained();
}

#[test]
fn a_rust_application_sends_with_lettre() {
    use lettre::{SendmailTransport, Transport};
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let message = lettre::Message::builder()
        .from("Alice <alice@sender.example>".parse().unwrap())
        .to("bob@receiver.example".parse().unwrap())
        .bcc("hidden@receiver.example".parse().unwrap())
        .subject("Grüße")
        .body("eins\n.zwei\n".to_owned())
        .unwrap();
    SendmailTransport::new_with_command(env!("CARGO_BIN_EXE_sendmail")).send(&message).unwrap();
    let arrived = &receiver.wait_for_messages(1)[0];
    assert!(arrived.mail.starts_with("<alice@sender.example>"), "{}", arrived.mail);
    assert_eq!(arrived.recipients, ["<bob@receiver.example>", "<hidden@receiver.example>"]);
    let message = Message::parse(&arrived.data);
    assert!(message.all("Bcc").is_empty() && message.body.contains("\n.zwei\n"), "{message:?}");
}
