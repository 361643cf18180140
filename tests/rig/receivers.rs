//! The receivers, spoken to by a client that is not ours.

use std::io::Write;
use std::process::Command;

use crate::support::certificates::Authority;
use crate::support::command::{Ended, run};
use crate::support::dns::Dns;
use crate::support::foreign_root::ForeignRoot;
use crate::support::message::Message;
use crate::support::parts::{self, Missing};
use crate::support::postfix::{DEFERRED, HOST, PASSWORD, Postfix, REFUSED, USER};
use crate::support::scripted::{Reply, Script};

/// Runs lines of Python over smtplib; `s` is the connection to 127.0.0.1:`port`, `tls` a context that trusts `authority`.
fn smtplib(port: u16, authority: &Authority, lines: &str) -> Result<Ended, Missing> {
    let python = parts::python()?;
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(authority.pem.as_bytes()).unwrap();
    let script = format!(
        "import smtplib, ssl\ntls = ssl.create_default_context(cafile={:?})\ns = smtplib.SMTP({:?}, {port})\ns._host = {:?}\n{lines}",
        ca.path(),
        "127.0.0.1",
        HOST
    );
    Ok(run(Command::new(python).arg("-c").arg(script), b""))
}

#[test]
fn the_scripted_receiver_records_a_transaction_and_follows_its_script() {
    let authority = Authority::new();
    let script = Script::new().offer("SIZE 1000").starttls(&authority.identity(&[HOST])).login("me", "secret");
    let receiver = script.say("RCPT TO:<no@", "550 5.1.1 no").first(1, "MAIL", Reply::Lines("451 4.3.0 later".into())).start();
    let ended = require!(smtplib(
        receiver.address.port(),
        &authority,
        "s.starttls(context=tls); s.login('me', 'secret')
try: s.sendmail('a@b.example', 'x@y.example', '')
except smtplib.SMTPSenderRefused as e: assert e.smtp_code == 451
refused = s.sendmail('a@b.example', ['no@y.example', 'x@y.example'], 'A: b\\n\\n.dot\\n')
assert list(refused) == ['no@y.example']
s.quit()"
    ));
    ended.succeeded();
    let connection = &receiver.connections()[0];
    assert!(connection.tls && connection.ended && connection.user.as_deref() == Some("me"));
    let message = &receiver.messages()[0];
    assert_eq!((message.recipients.as_slice(), message.data.as_slice()), (&["<x@y.example>".to_owned()][..], &b"A: b\r\n\r\n.dot\r\n"[..]));
}

#[test]
fn the_scripted_receiver_resets_where_it_is_told() {
    let authority = Authority::new();
    for script in [Script::new().reset_after_receiving(3), Script::new().reset_after_sending(40), Script::new().on("EHLO", Reply::Reset)] {
        let receiver = script.start();
        let ended = require!(smtplib(receiver.address.port(), &authority, "s.ehlo('client.example')"));
        assert!(ended.stderr.contains("ConnectionResetError") || ended.stderr.contains("Disconnected"), "{}", ended.stderr);
    }
}

#[test]
fn postfix_takes_mail_under_tls_and_sorts_recipients_by_its_answers() {
    isolated!();
    let authority = Authority::new();
    let postfix = Postfix::start(require!(ForeignRoot::mount()), &authority.identity(&[HOST]));
    let lines = format!(
        "s.starttls(context=tls)
refused = s.sendmail('a@b.example', ['{REFUSED}', '{DEFERRED}', 'yes@receiver.example'], 'Subject: x\\n\\nhello\\n')
assert {{k: v[0] for k, v in refused.items()}} == {{'{REFUSED}': 550, '{DEFERRED}': 450}}, refused"
    );
    require!(smtplib(25, &authority, &lines)).succeeded();
    let message = Message::parse(&postfix.wait_for_messages(1)[0]);
    assert_eq!((message.field("Subject"), message.body.as_str()), ("x", "hello\n"));
}

#[test]
fn postfix_lets_in_the_right_password_and_no_other() {
    isolated!();
    let authority = Authority::new();
    let postfix = Postfix::start(require!(ForeignRoot::mount()), &authority.identity(&[HOST]));
    for mechanism in ["PLAIN", "LOGIN"] {
        let lines = format!(
            "s.starttls(context=tls); s.ehlo()
s.user, s.password = '{USER}@sasl.example', 'wrong'
method = s.auth_{}
try: s.auth('{mechanism}', method); raise SystemExit('the wrong password was taken')
except smtplib.SMTPAuthenticationError as e: assert e.smtp_code == 535
s.password = '{PASSWORD}'; s.auth('{mechanism}', method)
s.sendmail('a@b.example', 'yes@receiver.example', 'Subject: x\\n\\nhello\\n')",
            mechanism.to_lowercase()
        );
        require!(smtplib(587, &authority, &lines)).succeeded();
    }
    postfix.wait_for_messages(2);
    let unknown = require!(smtplib(587, &authority, "s.starttls(context=tls); s.sendmail('a@b.example', 'yes@receiver.example', '')"));
    assert_ne!(unknown.code, Some(0));
}

#[test]
fn the_dns_server_answers_mx_null_mx_and_nothing_else() {
    isolated!();
    let root = require!(ForeignRoot::mount());
    let _dns = Dns::start(&root, "two.example. MX 10 a.two.example.\ntwo.example. MX 5 b.two.example.\nnull.example. MX 0 .");
    let ask = |name: &str| {
        let config = "import sys, socket, struct\n\
            name = sys.argv[1].rstrip('.').split('.')\n\
            q = b'\\x12\\x34\\x01\\x00\\x00\\x01' + bytes(6) + b''.join(bytes([len(l)]) + l.encode() for l in name) + b'\\x00\\x00\\x0f\\x00\\x01'\n\
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(q, ('127.0.0.1', 53)); a = s.recv(4096)\n\
            print(a[3] & 15, struct.unpack('>H', a[6:8])[0])";
        run(Command::new("python3").args(["-c", config, name]), b"").succeeded().stdout.trim().to_owned()
    };
    assert_eq!((ask("two.example"), ask("null.example"), ask("other.example")), ("0 2".into(), "0 1".into(), "3 0".into()));
}
