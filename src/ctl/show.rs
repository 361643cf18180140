//! `show`, `trace` and `cat`: print messages and their history.

use mail::code::Code;
use std::io::Write;
use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use mail_parser::{HeaderValue, MessageParser};

use super::json;
use super::offline::Offline;
use super::output::print;
use config::Config;
use control::client;
use control::client::ClientError;
use control::listing::Recipient;
use control::printer::written;
use control::protocol::{Detail, Part, Request, Text};
use exit::Failure;
use mail::{date, printable};

/// Header fields that are shown, decoded.
const SHOWN: [&str; 5] = ["From", "To", "Cc", "Subject", "Date"];
/// The source of what the caller's `sendmail` wrote into the envelope.
const AS_REPORTED: &str = "as reported by the caller";
/// Bytes of the header section that are decoded.
const HEADER: usize = 64 << 10;

/// Prints the envelope, recipients and history of one message.
pub(super) fn show(config: &Config, id: &str, as_json: bool) -> Result<(), Failure> {
    let mut header = Vec::new();
    let detail = match client::ask_one::<Detail>(&config.paths, &Request::Show { id: id.to_owned() }) {
        Ok(detail) => {
            // A delivered message has no file any more; then only the history is shown.
            let _ = pieces_of_daemon(config, id, Part::Headers, |piece| {
                header.extend_from_slice(piece);
                Ok(())
            });
            detail
        }
        Err(ClientError::Down(down)) => {
            let offline = Offline::open(config, down)?;
            let detail = offline.detail(id)?;
            let _ = offline.cat(id, Part::Headers, |piece| {
                header.extend_from_slice(piece);
                Ok(())
            });
            detail
        }
        Err(failure) => return Err(failure.into()),
    };
    if as_json {
        return json::print(&detail);
    }
    header.truncate(HEADER);
    print(&text_of(&detail, &header, &sys::clock::local_zone()))
}

/// Prints the latest messages with this queue id, address or Message-ID, and their history.
pub(super) fn trace(config: &Config, subject: &str, limit: usize, as_json: bool) -> Result<(), Failure> {
    let zone = sys::clock::local_zone();
    let mut count = 0;
    let mut each = |detail: &Detail| {
        count += 1;
        let gap = if count > 1 { "\n" } else { "" };
        if as_json { json::print(detail) } else { print(&format!("{gap}{}", text_of(detail, &[], &zone))) }
    };
    let request = Request::Trace { subject: subject.to_owned(), limit };
    let answered = client::ask_lines(&config.paths, &request, |line| each(&client::parse(line)?).map(ControlFlow::Continue));
    match answered {
        Err(ClientError::Down(down)) => Offline::open(config, down)?.trace(subject, limit)?.iter().try_for_each(each),
        result => Ok(result.map(drop)?),
    }
}

/// All details of one message, one per line. The texts are untrusted, so every line is made printable.
fn text_of(detail: &Detail, header: &[u8], zone: &TimeZone) -> String {
    let entry = &detail.entry;
    let time = |at: i64| date::rfc5322(at, zone);
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{name:>13}: {}\n", printable::text(value)));
        }
    };
    line("queue id", &entry.queue_id);
    line("state", entry.queue_name.word());
    line("end", entry.end.map_or("", Code::word));
    line("reason", &entry.reason);
    line("accepted", &time(entry.arrival_time));
    line("sender", if entry.sender.is_empty() { "<>" } else { &entry.sender });
    line("user", &format!("{} (uid {})", sys::process::user_name(entry.uid), entry.uid));
    let caller = &detail.caller;
    let id = |name: &str, id: Option<String>| id.map(|id| format!("{name} {id}"));
    let ids = [id("gid", caller.gid.map(|gid| gid.to_string())), id("pid", caller.pid.map(|pid| pid.to_string()))];
    let ids = ids.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let program = [caller.exe.as_deref(), caller.unit.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    line("caller", &reported(&ids, if detail.attested { "as reported by the kernel" } else { AS_REPORTED }));
    line("program", &reported(&program, AS_REPORTED));
    line("size", &format!("{} bytes", entry.message_size));
    line("Message-ID", &entry.message_id);
    for (name, value) in decoded(header) {
        line(&name, &value);
    }
    line("attempts", &entry.attempts.to_string());
    line("next attempt", &entry.next_attempt.map(time).unwrap_or_default());
    let is_open = entry.queue_name.is_open();
    line("expires", &entry.expires.filter(|_| is_open).map(time).unwrap_or_default());
    for warning in &detail.warnings {
        line("warning", warning);
    }
    for recipient in &entry.recipients {
        line("recipient", &recipient_line(recipient));
    }
    for happening in &detail.history {
        line(&happening.kind, &format!("{}  {}", time(happening.at), happening.text));
    }
    text
}

/// `text` with its source; empty if there is no text.
fn reported(text: &str, source: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text} ({source})") }
}

fn recipient_line(recipient: &Recipient) -> String {
    let was = &recipient.orig_address;
    let was = if was.is_empty() { String::new() } else { format!(" (was {was})") };
    let mut line = format!("{}{was}  {}", recipient.address, recipient.status.word());
    for part in [recipient.relay.as_str(), recipient.said()] {
        if !part.is_empty() {
            line = format!("{line}  {part}");
        }
    }
    line
}

/// The fields that identify a message for a person, decoded (RFC 2047), for display only.
pub(super) fn decoded(header: &[u8]) -> Vec<(String, String)> {
    let Some(message) = MessageParser::new().parse_headers(header) else { return Vec::new() };
    let value = |name: &str| match message.header(name)? {
        HeaderValue::Text(text) => Some(text.to_string()),
        HeaderValue::Address(addresses) => {
            let one = |a: &mail_parser::Addr<'_>| match (a.name(), a.address()) {
                (Some(name), Some(address)) => format!("{name} <{address}>"),
                (name, address) => name.or(address).unwrap_or_default().to_owned(),
            };
            Some(addresses.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        HeaderValue::DateTime(time) => Some(time.to_rfc822()),
        _ => None,
    };
    SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect()
}

/// Prints one message, byte for byte.
pub(super) fn cat(config: &Config, id: &str, part: Part) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut each = |piece: &[u8]| written(out.write_all(piece));
    match pieces_of_daemon(config, id, part, &mut each) {
        Err(ClientError::Down(down)) => Offline::open(config, down)?.cat(id, part, each),
        result => Ok(result?),
    }
}

/// Calls `each` with the bytes of a part, piece by piece.
///
/// Errors: EX_UNAVAILABLE if no daemon answers; the daemon's own errors; that of `each`.
pub(super) fn pieces_of_daemon(
    config: &Config,
    id: &str,
    part: Part,
    mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), ClientError> {
    let request = Request::Cat { id: id.to_owned(), part };
    client::ask_lines(&config.paths, &request, |line| {
        let text: Text = client::parse(line)?;
        each(&text.bytes()).map(ControlFlow::Continue)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_are_written() {
        let header = b"From: =?utf-8?q?J=C3=BCrgen?= <j@x.example>\r\nTo: plain@x.example, Bob <b@x.example>\r\nSubject: hello\r\n\r\n";
        let shown: Vec<String> = decoded(header).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(shown, ["From: J\u{fc}rgen <j@x.example>", "To: plain@x.example, Bob <b@x.example>", "Subject: hello"]);
    }
}
