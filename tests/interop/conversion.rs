//! Content that the next hop cannot take as it is: what arrives fits, is signed, and reads the same to other people's programs
//! (SENDMAIL.md H7 and H8, THREATS T-DKIM-1 and T-SMTP-1).

use mail_parser::{MessageParser, PartType};

use super::{SIGNED, Signing, assert_signed};
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::message::Message;
use crate::support::oracles;
use crate::support::scripted::{Receiver, Script};

/// A name for failures, and a message.
type Sample = (&'static str, Vec<u8>);

const HEAD: &str = "From: alice@sender.example\nSubject: hello\n";

fn mime(kind: &str, rest: &str) -> Vec<u8> {
    format!("{HEAD}MIME-Version: 1.0\nContent-Type: {kind}\n{rest}").into_bytes()
}

/// Bytes of every value but NUL, CR and LF, in lines of up to 5000.
fn binary() -> Vec<u8> {
    let bytes = (0..60_000u32).map(|n| (n * n % 251 + n % 5) as u8).filter(|byte| !matches!(byte, 0 | b'\r' | b'\n'));
    bytes.collect::<Vec<u8>>().chunks(5000).flat_map(|line| [line, b"\n"].concat()).collect()
}

fn unlabelled() -> Vec<Sample> {
    vec![
        ("utf-8 without a label", format!("{HEAD}\ngr\u{fc}n \u{20ac}\n.\n..dots\n--\nFrom here\ntab\t\n").into_bytes()),
        ("latin-1 without a label", [HEAD.as_bytes(), b"\ngr\xfcn\n"].concat()),
        ("a long line without a label", format!("{HEAD}\n{}\n", "words = and\tblanks \u{e4} ".repeat(300)).into_bytes()),
    ]
}

fn labelled() -> Vec<Sample> {
    let attachment = [
        mime("multipart/mixed; boundary=\"a b\"", "\n--a b\nContent-Type: application/octet-stream; name=\"gr\u{fc}n\"\n\n").as_slice(),
        &binary(),
        b"--a b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\ngr\xfcn\n--a b--\n",
    ]
    .concat();
    let signed = "\n--s\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngr\u{fc}n\n\
                  --s\nContent-Type: application/pgp-signature\n\nx\n--s--\n";
    vec![
        ("latin-1", [&mime("text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit\n\n")[..], b"gr\xfcn\n"].concat()),
        ("html with a long line", mime("text/html; charset=utf-8", &format!("\n<p>{}</p>\n", "gr\u{fc}n ".repeat(400)))),
        ("a binary attachment with long lines", attachment),
        (
            "multiparts within multiparts",
            mime(
                "multipart/mixed; boundary=o",
                "Content-Transfer-Encoding: 8bit\n\nnobody reads this \u{fc}\n--o\nContent-Type: multipart/alternative; boundary=i\n\n--i\n\
                 Content-Type: text/plain; charset=utf-8\n\ngr\u{fc}n\n--i\nContent-Type: text/html; charset=utf-8\n\n<b>gr\u{fc}n</b>\n--i--\n\n\
                 --o\nContent-Type: application/json\n\n{\"\u{fc}\": 1}\n--o--\nnor this \u{fc}\n",
            ),
        ),
        (
            "an attached message",
            mime(
                "multipart/mixed; boundary=o",
                "\n--o\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: gr\u{fc}n\nContent-Type: text/plain; charset=utf-8\n\n\
                 gr\u{fc}n\n--o--\n",
            ),
        ),
        ("no closing boundary", mime("multipart/mixed; boundary=o", "\n--o\nContent-Type: text/plain; charset=utf-8\n\ngr\u{fc}n\n")),
        (
            "an inner multipart without a closing boundary",
            mime(
                "multipart/mixed; boundary=o",
                "\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: text/plain; charset=utf-8\n\ngr\u{fc}n\n--o\n\nlast\n--o--\n",
            ),
        ),
        ("a boundary that is nowhere", mime("multipart/mixed; boundary=never", "\ngr\u{fc}n\n--other\n\nx\n")),
        ("7bit that is not", mime("text/plain; charset=utf-8", "Content-Transfer-Encoding: 7bit\n\ngr\u{fc}n\n")),
        (
            "quoted-printable with raw bytes",
            mime("text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable\n\ngr\u{fc}n =3D soft=\n break\n"),
        ),
        (
            "base64 in a line of 5000 bytes",
            mime(
                "multipart/mixed; boundary=o",
                &format!("\n--o\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n{}\n--o--\n", "QUJD".repeat(1250)),
            ),
        ),
        (
            "format=flowed",
            mime("text/plain; charset=utf-8; format=flowed", "Content-Transfer-Encoding: 8bit\n\ngr\u{fc}n \nflows \non\n\n-- \nme\n"),
        ),
        ("multipart/signed", mime("multipart/signed; boundary=s; protocol=\"application/pgp-signature\"", signed)),
        // Over 1 MiB: it is copied, and what it becomes as well.
        ("a large one", mime("text/plain; charset=utf-8", &format!("\n{}", "a line of text that is gr\u{fc}n \n".repeat(60_000)))),
    ]
}

/// As the spool has it.
fn wire(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() * 2);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        wire.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

/// The decoded leaves, as mail-parser sees them.
fn leaves(message: &[u8]) -> Vec<Vec<u8>> {
    fn walk(message: &mail_parser::Message, found: &mut Vec<Vec<u8>>) {
        for part in &message.parts {
            match &part.body {
                PartType::Multipart(_) => {}
                PartType::Message(inner) => walk(inner, found),
                _ => found.push(part.contents().to_vec()),
            }
        }
    }
    let mut found = Vec::new();
    walk(&MessageParser::default().parse(message).unwrap(), &mut found);
    found
}

fn longest_line(message: &[u8]) -> usize {
    message.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line).len()).max().unwrap()
}

/// The daemon with both keys, in front of a receiver with these capabilities.
fn installation(receiver: &Receiver) -> (Installation, Signing) {
    let mut installation = Installation::rootless();
    let signing = Signing::install(&installation);
    installation.relay_to(&receiver.url("smtp", "tls=none"), SIGNED);
    installation.start_daemon();
    (installation, signing)
}

/// The value of a parameter of MAIL.
fn parameter<'a>(mail: &'a str, name: &str) -> Option<&'a str> {
    mail.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn h8_t_dkim_1_a_server_without_8bitmime_gets_signed_7_bit_mail_that_reads_the_same() {
    let receiver = Script::new().offer("PIPELINING").offer("SIZE 100000000").start();
    let (installation, signing) = installation(&receiver);
    for (count, (name, message)) in labelled().into_iter().chain(unlabelled()).enumerate() {
        installation.sendmail(&["-i", "-f", "alice@sender.example", "bob@receiver.example"], &message).succeeded();
        let arrived = receiver.wait_for_messages(count + 1).pop().unwrap();
        assert!(arrived.data.is_ascii(), "{name}: {}", arrived.data.escape_ascii());
        assert!(longest_line(&arrived.data) <= 998, "{name}");
        assert_eq!(parameter(&arrived.mail, "BODY"), None, "{name}");
        assert_eq!(parameter(&arrived.mail, "SIZE"), Some(arrived.data.len().to_string().as_str()), "{name}");
        assert_signed!(arrived.data, signing);
        let (before, after) = (require!(oracles::python_email(&wire(&message))), require!(oracles::python_email(&arrived.data)));
        assert_eq!(before.leaves, after.leaves, "{name}");
        // mail-parser wants every boundary in its place before it decodes, and does not say what it takes unlabelled text for.
        if !["closing boundary", "without a label", "nowhere"].iter().any(|odd| name.contains(odd)) {
            assert!(leaves(&wire(&message)) == leaves(&arrived.data), "{name}: {}", arrived.data.escape_ascii());
        }
    }
}

#[test]
fn h8_a_server_with_8bitmime_gets_only_what_is_too_long_or_without_a_label_changed() {
    let receiver = Script::new().offer("PIPELINING").offer("8BITMIME").start();
    let (installation, signing) = installation(&receiver);
    for (count, (name, message)) in labelled().into_iter().enumerate() {
        installation.sendmail(&["-i", "-f", "alice@sender.example", "bob@receiver.example"], &message).succeeded();
        let arrived = receiver.wait_for_messages(count + 1).pop().unwrap();
        let body = |bytes: &[u8]| bytes[mail::header::Section::scan(bytes).body..].to_vec();
        let is_8bit = !arrived.data.is_ascii();
        assert_eq!(parameter(&arrived.mail, "BODY"), is_8bit.then_some("8BITMIME"), "{name}");
        assert!(longest_line(&arrived.data) <= 998, "{name}");
        if longest_line(&wire(&message)) <= 998 {
            assert!(body(&arrived.data) == body(&wire(&message)), "{name}");
        }
        assert_eq!(require!(oracles::dkimpy(&arrived.data, &signing.records())), ["pass", "pass"], "{name}");
        assert_eq!(
            require!(oracles::python_email(&wire(&message))).leaves,
            require!(oracles::python_email(&arrived.data)).leaves,
            "{name}"
        );
    }
}

#[test]
fn h7_8_bit_text_without_a_label_arrives_with_one_and_the_history_says_so() {
    let receiver = Script::new().offer("8BITMIME").start();
    let (installation, _) = installation(&receiver);
    for (count, (charset, text)) in [("utf-8", &b"gr\xc3\xbcn"[..]), ("unknown-8bit", b"gr\xfcn")].into_iter().enumerate() {
        let message = [HEAD.as_bytes(), b"\n", text, b"\n"].concat();
        let sent = installation.sendmail(&["-v", "-i", "bob@receiver.example"], &message).succeeded();
        let arrived = receiver.wait_for_messages(count + 1).pop().unwrap();
        let read = Message::parse(&arrived.data);
        assert_eq!(read.field("MIME-Version"), "1.0");
        assert_eq!(read.field("Content-Type"), format!("text/plain; charset={charset}"));
        assert_eq!(read.field("Content-Transfer-Encoding"), "8bit");
        assert!(arrived.data.ends_with(&[b"\r\n\r\n", text, b"\r\n"].concat()), "{sent:?}");
        let id = read.field("Received").split("\tid ").nth(1).unwrap().split(';').next().unwrap().to_owned();
        wait_for("the history", || {
            installation.mailchute(&["show", &id]).stdout.contains(&format!("content converted: labelled as text in {charset}"))
        });
    }
}

#[test]
fn a_message_whose_deadline_has_passed_is_not_attempted() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.stop_daemon();
    installation.sendmail(&["-O", "DeliverBy=1s", "-N", "never", "late@receiver.example"], HEAD.as_bytes()).succeeded();
    installation.sendmail(&["-O", "DeliverBy=1h", "intime@receiver.example"], HEAD.as_bytes()).succeeded();
    std::thread::sleep(std::time::Duration::from_secs(2));
    installation.start_daemon();
    let entry = installation.wait_for_entry("the failed message", |entry| entry["queue_name"] == "failed");
    let text = entry.to_string();
    assert!(text.contains("5.4.7") || text.contains("wants it delivered by"), "{text}");
    let arrived = receiver.wait_for_messages(1);
    assert_eq!(arrived[0].recipients, ["<intime@receiver.example>"]);
    assert!(receiver.connections().iter().flat_map(|connection| &connection.commands).all(|command| !command.contains("late@")));
}
