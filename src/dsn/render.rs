//! A DSN as bytes: multipart/report (RFC 6522) with text for people, fields for programs, and the quoted message. Pure.
//!
//! In: the content of a DSN, partly chosen by the sender and partly by remote servers. Out: a message in wire form. Its header section
//! is ASCII, except for a non-ASCII address. mail-builder writes the MIME structure; it would encode message/rfc822 in base64, which
//! RFC 2046 5.2.1 forbids, so this file sets the transfer encodings.

use jiff::tz::TimeZone;
use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};

use super::content::Dsn;
use super::fields;
use super::original::Original;
use super::recipient::LOGIN_REFUSED;
use super::words;
use mail::{Address, date, printable};
use state::{Action, ReasonWaiting};

/// The DSN, in wire form.
pub fn build(dsn: &Dsn<'_>) -> Vec<u8> {
    // The same DSN always has the same Message-ID: if it comes twice, readers can tell.
    let message_id = format!("<{}.{}.dsn@{}>", date::compact(dsn.at), dsn.id, dsn.mailname);
    let head = Head { mailname: dsn.mailname, to: dsn.to, zone: dsn.zone, now: dsn.now, automatic: "auto-replied" };
    let mut message = head.start(words::subject(dsn), message_id);
    // RFC 3834 3.1.6
    if let Some(id) = dsn.original.and_then(Original::message_id) {
        message = message.header("In-Reply-To", Raw::new(id));
    }
    if let Some(ids) = dsn.original.and_then(Original::references) {
        message = message.header("References", Raw::new(ids));
    }
    let mut parts = vec![
        MimePart::new("text/plain", words::text(dsn)),
        MimePart::new("message/delivery-status", fields::delivery_status(dsn).into_bytes()).transfer_encoding("7bit"),
    ];
    let quoted = dsn.original.and_then(|original| quoted(dsn, original));
    let eight_bit = quoted.as_ref().is_some_and(|(_, eight_bit)| *eight_bit);
    parts.extend(quoted.map(|(part, _)| part));
    let report = ContentType::new("multipart/report")
        .attribute("report-type", "delivery-status")
        .attribute("boundary", format!("=_mailchute_{:016x}", dsn.random));
    let report = MimePart::new(report, parts);
    // RFC 2045 6.4: a multipart has the label of its content.
    write(message.body(if eight_bit { report.transfer_encoding("8bit") } else { report }))
}

/// The third part, and whether it is 8-bit: the header section, or the whole message if it failed and its sender asked for that
/// (RFC 3461 4.3, 6.2).
fn quoted<'a>(dsn: &Dsn<'_>, original: &Original) -> Option<(MimePart<'a>, bool)> {
    let failed = dsn.recipients.iter().any(|recipient| recipient.action == Action::Failed);
    if let Some(whole) = original.whole.as_ref().filter(|_| failed && !original.holds_credentials()) {
        if is_global(&original.header) {
            return Some((global("message/global", whole.bytes.clone()), false));
        }
        let encoding = if whole.eight_bit { "8bit" } else { "7bit" };
        return Some((MimePart::new("message/rfc822", whole.bytes.clone()).transfer_encoding(encoding), whole.eight_bit));
    }
    let header = original.quoted_header();
    if header.is_empty() {
        return None;
    }
    if is_global(&header) {
        return Some((global("message/global-headers", header), false));
    }
    // Non-ASCII text, long lines and characters that could control a terminal are encoded: this is a text type.
    let is_text = |b: &u8| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    let is_plain = header.iter().all(is_text) && header.split(|&b| b == b'\n').all(|line| line.len() < 998);
    let part = MimePart::new("text/rfc822-headers", header);
    Some((if is_plain { part.transfer_encoding("7bit") } else { part }, false))
}

/// True for a header section with UTF-8 (RFC 6532), which the types of RFC 822 do not allow.
fn is_global(header: &[u8]) -> bool {
    !header.is_ascii() && std::str::from_utf8(header).is_ok()
}

/// A part of a type of RFC 6533. It is encoded, as RFC 6533 4.5 allows: the abilities of the server that gets the DSN are not known
/// yet.
fn global<'a>(kind: &'static str, bytes: Vec<u8>) -> MimePart<'a> {
    let contents = String::from_utf8(bytes).map_or_else(|e| e.into_bytes().into(), BodyPart::from);
    // Set afterwards: the crate gives a charset to a part that is made of text, and these types have none.
    MimePart { contents, ..MimePart::new(kind, Vec::<u8>::new()) }
}

/// The most characters of a reply in the digest.
const REPLY: usize = 66;

/// The message to the administrator when DSNs are held back by `dsn_limit`.
#[derive(Clone, Copy, Debug)]
pub struct Digest<'a> {
    /// The host that reports.
    pub mailname: &'a str,
    /// For dates.
    pub zone: &'a TimeZone,
    /// The administrator.
    pub to: &'a Address,
    /// The number of DSNs held back.
    pub waiting: u64,
    /// The most frequent replies that caused them, with the number of recipients.
    pub reasons: &'a [ReasonWaiting],
    /// `dsn_limit`.
    pub limit: u32,
    /// When the next DSNs are sent.
    pub until: i64,
    /// The time of the message.
    pub now: i64,
    /// Any number.
    pub random: u64,
}

/// The digest, in wire form.
pub fn build_digest(digest: &Digest<'_>) -> Vec<u8> {
    let message_id = format!("<{}.{:016x}.digest@{}>", date::compact(digest.now), digest.random, digest.mailname);
    let head = Head { mailname: digest.mailname, to: digest.to, zone: digest.zone, now: digest.now, automatic: "auto-generated" };
    let text = format!(
        "Many messages on {} have failed or are delayed.\r\n\r\n\
         {} delivery status notifications about them are on hold: no more than\r\n\
         {} are sent within an hour (dsn_limit in mailchute.toml). The next ones\r\n\
         will be sent after\r\n\
         {}.\r\n\r\n\
         {}\
         Nothing is lost: `mailq` lists the failed messages, and `mailchute show ID`\r\n\
         prints the reason.\r\n",
        digest.mailname,
        digest.waiting,
        digest.limit,
        date::rfc5322(digest.until, digest.zone),
        most_frequent(digest.reasons)
    );
    let subject = format!("{} delivery status notifications are on hold", digest.waiting);
    write(head.start(&subject, message_id).body(MimePart::new("text/plain", text)))
}

/// The most frequent reasons. Usually there is one cause, which the administrator needs to know.
fn most_frequent(reasons: &[ReasonWaiting]) -> String {
    let line = |ReasonWaiting { reply, diagnosis, recipients: count }: &ReasonWaiting| {
        let said = if diagnosis.is_about_login() { LOGIN_REFUSED.to_owned() } else { mail::words::of_recipient(diagnosis, reply) };
        let reply: String = printable::text(&said).chars().take(REPLY).collect();
        format!("{count:>8}  {reply}\r\n")
    };
    let lines: String = reasons.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("The most frequent reasons, with the number of recipients:\r\n\r\n{lines}\r\n") }
}

/// The header fields of every message of the daemon.
struct Head<'a> {
    mailname: &'a str,
    to: &'a Address,
    zone: &'a TimeZone,
    now: i64,
    automatic: &'static str,
}

impl Head<'_> {
    /// Writes the fields unescaped: each value was made here, or is an address, which contains nothing that could end a field.
    fn start<'x>(&self, subject: &str, message_id: String) -> MessageBuilder<'x> {
        MessageBuilder::new()
            .header("Date", Raw::new(date::rfc5322(self.now, self.zone)))
            .header("From", Raw::new(format!("Mail Delivery System <MAILER-DAEMON@{}>", self.mailname)))
            .header("To", Raw::new(format!("<{}>", self.to)))
            .header("Subject", Raw::new(subject.to_owned()))
            .header("Message-ID", Raw::new(message_id))
            // RFC 3834 5: prevents automatic replies.
            .header("Auto-Submitted", Raw::new(self.automatic))
            .header("MIME-Version", Raw::new("1.0"))
    }
}

fn write(message: MessageBuilder<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.serialize(&mut bytes);
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests;
