//! `show` and `cat`: one message, for a person who wants to know what happened to it.

use std::io::Write;

use jiff::tz::TimeZone;
use mail_parser::{HeaderValue, MessageParser};

use super::offline::Offline;
use super::print;
use crate::config::Config;
use crate::control::client;
use crate::control::listing::Recipient;
use crate::control::printer::written;
use crate::control::protocol::{Detail, Part, Request, Text};
use crate::exit::{Exit, Failure};
use crate::mail::{date, printable};
use crate::sys;

/// Fields that are shown decoded.
const SHOWN: [&str; 5] = ["From", "To", "Cc", "Subject", "Date"];
/// Octets of header section that are decoded for display.
const HEADER: usize = 64 << 10;

/// Prints one message's envelope, recipients and history.
pub(super) fn show(config: &Config, id: &str, json: bool) -> Result<(), Failure> {
    let mut header = Vec::new();
    let detail = match client::ask::<Detail>(&config.paths, &Request::Show { id: id.to_owned() }) {
        Ok(details) => {
            let detail = details.into_iter().next().ok_or_else(|| Failure::new(Exit::Software, "the daemon gave no answer"))?;
            // The file is gone where the message was delivered: then the history is all there is.
            let _ = pieces_of_daemon(config, id, Part::Headers, |piece| {
                header.extend_from_slice(piece);
                Ok(())
            });
            detail
        }
        Err(down) if down.exit == Exit::Unavailable => {
            let offline = Offline::open(config, down)?;
            let detail = offline.detail(id)?;
            let _ = offline.cat(id, Part::Headers, |piece| {
                header.extend_from_slice(piece);
                Ok(())
            });
            detail
        }
        Err(failure) => return Err(failure),
    };
    if json {
        let text = serde_json::to_string(&detail).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
        return print(&format!("{text}\n"));
    }
    header.truncate(HEADER);
    print(&text_of(&detail, &header, &sys::clock::local_zone()))
}

/// Everything about one message, one fact per line. All of it is somebody's text, so all of it is made printable.
fn text_of(detail: &Detail, header: &[u8], zone: &TimeZone) -> String {
    let entry = &detail.entry;
    let time = |at: i64| date::rfc5322(at, zone);
    let mut text = String::new();
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{name:>13}: {}\n", printable::text(value)));
        }
    };
    fact("queue id", &entry.queue_id);
    fact("state", &entry.queue_name);
    fact("reason", &entry.reason);
    fact("accepted", &time(entry.arrival_time));
    fact("sender", if entry.sender.is_empty() { "<>" } else { &entry.sender });
    fact("user", &format!("{} (uid {})", sys::process::user_name(entry.uid), entry.uid));
    let claimed = &detail.claimed;
    let claims = [claimed.exe.as_deref(), claimed.unit.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    fact("by its claim", &claims);
    fact("size", &format!("{} octets", entry.message_size));
    fact("Message-ID", &entry.message_id);
    for (name, value) in decoded(header) {
        fact(&name, &value);
    }
    fact("attempts", &entry.attempts.to_string());
    fact("next attempt", &entry.next_attempt.map(time).unwrap_or_default());
    fact("given up", &entry.expires.filter(|_| entry.queue_name != "finished").map(time).unwrap_or_default());
    for notice in &detail.notices {
        fact("notice", notice);
    }
    for recipient in &entry.recipients {
        fact("recipient", &recipient_line(recipient));
    }
    for happening in &detail.history {
        fact(&happening.kind, &format!("{}  {}", time(happening.at), happening.text));
    }
    text
}

fn recipient_line(recipient: &Recipient) -> String {
    let mut line = format!("{}  {}", recipient.address, recipient.status);
    for part in [&recipient.relay, &recipient.remote_reply] {
        if !part.is_empty() {
            line = format!("{line}  {part}");
        }
    }
    line
}

/// The fields that people know a message by, decoded (RFC 2047), for display only.
fn decoded(header: &[u8]) -> Vec<(String, String)> {
    let Some(message) = MessageParser::new().parse_headers(header) else { return Vec::new() };
    let value = |name: &str| match message.header(name)? {
        HeaderValue::Text(text) => Some(text.to_string()),
        HeaderValue::Address(addresses) => {
            let one = |a: &mail_parser::Addr<'_>| [a.name(), a.address()].into_iter().flatten().collect::<Vec<_>>().join(" ");
            Some(addresses.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        HeaderValue::DateTime(time) => Some(time.to_rfc822()),
        _ => None,
    };
    SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect()
}

/// Prints the octets of one message as they are.
pub(super) fn cat(config: &Config, id: &str, part: Part) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut each = |piece: &[u8]| written(out.write_all(piece));
    match pieces_of_daemon(config, id, part, &mut each) {
        Err(down) if down.exit == Exit::Unavailable => Offline::open(config, down)?.cat(id, part, each),
        result => result,
    }
}

fn pieces_of_daemon(config: &Config, id: &str, part: Part, mut each: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut failure = None;
    client::ask_lines(&config.paths, &Request::Cat { id: id.to_owned(), part }, |line| {
        let piece = serde_json::from_str::<Text>(line).map_err(|e| Failure::new(Exit::Software, e.to_string()));
        failure = piece.and_then(|text| each(&text.octets())).err();
        failure.is_none()
    })?;
    failure.map_or(Ok(()), Err)
}
