//! A DSN as bytes: multipart/report (RFC 6522) around words for people, fields for programs, and what is quoted. Pure.
//!
//! In: facts, of which the sender chose some and remote servers others. Out: a message in wire form; its header section is ASCII
//! but for an address that is not. mail-builder writes the MIME around the parts; it would put message/rfc822 into base64, which
//! RFC 2046 5.2.1 forbids, so the transfer encodings stand here.

use jiff::tz::TimeZone;
use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};

use super::content::Dsn;
use super::fields;
use super::original::Original;
use super::recipient::{LOGIN_REFUSED, is_about_login};
use super::words;
use mail::{Address, date, printable};
use state::Action;

/// The DSN, in wire form.
pub fn build(notice: &Dsn<'_>) -> Vec<u8> {
    // The same news have the same Message-ID: where a crash makes us say them twice, readers can tell.
    let message_id = format!("<{}.{}.notice@{}>", date::compact(notice.at), notice.id, notice.mailname);
    let head = Head { mailname: notice.mailname, to: notice.to, zone: notice.zone, now: notice.now, automatic: "auto-replied" };
    let mut message = head.begin(words::subject(notice), message_id);
    // RFC 3834 3.1.6
    if let Some(id) = notice.original.and_then(Original::message_id) {
        message = message.header("In-Reply-To", Raw::new(id));
    }
    if let Some(ids) = notice.original.and_then(Original::references) {
        message = message.header("References", Raw::new(ids));
    }
    let mut parts = vec![
        MimePart::new("text/plain", words::text(notice)),
        MimePart::new("message/delivery-status", fields::delivery_status(notice).into_bytes()).transfer_encoding("7bit"),
    ];
    let quoted = notice.original.and_then(|original| quoted(notice, original));
    let eight_bit = quoted.as_ref().is_some_and(|(_, eight_bit)| *eight_bit);
    parts.extend(quoted.map(|(part, _)| part));
    let report = ContentType::new("multipart/report")
        .attribute("report-type", "delivery-status")
        .attribute("boundary", format!("=_mailchute_{:016x}", notice.random));
    let report = MimePart::new(report, parts);
    // RFC 2045 6.4: a multipart is labelled for what is in it.
    write(message.body(if eight_bit { report.transfer_encoding("8bit") } else { report }))
}

/// The third part, and whether it is 8-bit: the header section, or all of a message that failed where its sender asked for that
/// (RFC 3461 4.3, 6.2).
fn quoted<'a>(notice: &Dsn<'_>, original: &Original) -> Option<(MimePart<'a>, bool)> {
    let failed = notice.recipients.iter().any(|told| told.action == Action::Failed);
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
    // What is not ASCII, too long for a line, or could steer the terminal that shows it, is encoded: this is a text type.
    let is_text = |b: &u8| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    let is_plain = header.iter().all(is_text) && header.split(|&b| b == b'\n').all(|line| line.len() < 998);
    let part = MimePart::new("text/rfc822-headers", header);
    Some((if is_plain { part.transfer_encoding("7bit") } else { part }, false))
}

/// True for a header section with UTF-8 in it (RFC 6532), which the types of RFC 822 cannot hold.
fn is_global(header: &[u8]) -> bool {
    !header.is_ascii() && std::str::from_utf8(header).is_ok()
}

/// A part of a type of RFC 6533. It may be encoded, and is: nobody knows yet what the server takes that the DSN goes to
/// (RFC 6533 4.5).
fn global<'a>(kind: &'static str, bytes: Vec<u8>) -> MimePart<'a> {
    let contents = String::from_utf8(bytes).map_or_else(|e| e.into_bytes().into(), BodyPart::from);
    // Put in afterwards: to a part that is made of a text the crate gives a charset, which these types do not have.
    MimePart { contents, ..MimePart::new(kind, Vec::<u8>::new()) }
}

/// Characters of a reply in the digest.
const REPLY: usize = 66;

/// What tells the administrator that DSNs wait.
#[derive(Clone, Copy, Debug)]
pub struct Digest<'a> {
    /// The host that reports.
    pub mailname: &'a str,
    /// For dates.
    pub zone: &'a TimeZone,
    /// The administrator.
    pub to: &'a Address,
    /// How many wait.
    pub waiting: u64,
    /// The commonest replies that they are about, with how many recipients each has.
    pub reasons: &'a [(String, u64)],
    /// How many may leave in an hour.
    pub limit: u32,
    /// When the next ones leave.
    pub until: i64,
    /// When it is written.
    pub now: i64,
    /// Any number.
    pub random: u64,
}

/// The digest, in wire form.
pub fn build_digest(digest: &Digest<'_>) -> Vec<u8> {
    let message_id = format!("<{}.{:016x}.digest@{}>", date::compact(digest.now), digest.random, digest.mailname);
    let head = Head { mailname: digest.mailname, to: digest.to, zone: digest.zone, now: digest.now, automatic: "auto-generated" };
    let text = format!(
        "Many messages have failed or are late on {}.\r\n\r\n\
         {} notices about them wait, because no more than {} may leave within\r\n\
         an hour (dsn_limit in mailchute.toml). The next ones leave after\r\n\
         {}.\r\n\r\n\
         {}\
         Nothing is lost: `mailq` shows what failed, `mailchute show ID` tells why.\r\n",
        digest.mailname,
        digest.waiting,
        digest.limit,
        date::rfc5322(digest.until, digest.zone),
        commonest(digest.reasons)
    );
    let subject = format!("{} notices of failed mail are waiting", digest.waiting);
    write(head.begin(&subject, message_id).body(MimePart::new("text/plain", text)))
}

/// What most of them are about: one cause, as a rule, which is what the administrator wants to know.
fn commonest(reasons: &[(String, u64)]) -> String {
    let line = |(reply, count): &(String, u64)| {
        let reply = if is_about_login(reply) { LOGIN_REFUSED } else { reply };
        let reply: String = printable::text(reply).chars().take(REPLY).collect();
        format!("{count:>8}  {reply}\r\n")
    };
    let lines: String = reasons.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("The commonest reasons, by recipients:\r\n\r\n{lines}\r\n") }
}

/// The fields that every message of the daemon itself has.
struct Head<'a> {
    mailname: &'a str,
    to: &'a Address,
    zone: &'a TimeZone,
    now: i64,
    automatic: &'static str,
}

impl Head<'_> {
    /// The fields are written as they are: each value was made here, or is an address, which holds nothing that could end a field.
    fn begin<'x>(&self, subject: &str, message_id: String) -> MessageBuilder<'x> {
        MessageBuilder::new()
            .header("Date", Raw::new(date::rfc5322(self.now, self.zone)))
            .header("From", Raw::new(format!("Mail Delivery System <MAILER-DAEMON@{}>", self.mailname)))
            .header("To", Raw::new(format!("<{}>", self.to)))
            .header("Subject", Raw::new(subject.to_owned()))
            .header("Message-ID", Raw::new(message_id))
            // RFC 3834 5: so that no machine answers.
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
