//! Header fix-ups: drops, fixes and adds header fields at submission (SENDMAIL.md I9, R9, H2 to H6, H9).
//!
//! In: the submitted header section. Out: the header section to send, without its blank line. Fields without problems are copied byte
//! for byte. Pure: the clock, the zone and the names are arguments.

mod fold;
mod repair;

use super::head::Head;
use mail::Address;
use mail::encoded_word;
use mail::encoded_word::Word;

/// Fields that are always dropped: Bcc and Resent-Bcc with or without `-t` (R9), the others because a submitter must not set them
/// (I9).
const DROPPED: &[&str] = &["Bcc", "Resent-Bcc", "Return-Path", "Content-Length"];

/// Missing fields (H2, H4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Resent-Date, of a resent message.
    pub resent_date: bool,
    /// Resent-Message-ID, of a resent message.
    pub resent_message_id: bool,
    /// Resent-From, of a resent message.
    pub resent_from: bool,
    /// Date
    pub date: bool,
    /// Message-ID; never added to a resent message.
    pub message_id: bool,
    /// From
    pub from: bool,
    /// To and Cc: no recipient is visible.
    pub to: bool,
}

impl Missing {
    /// The missing fields of `head`.
    pub(crate) fn of(head: &Head) -> Missing {
        let resent = head.is_resent();
        Missing {
            resent_date: resent && !head.has("Resent-Date"),
            resent_message_id: resent && !head.has("Resent-Message-ID"),
            resent_from: resent && !head.has("Resent-From"),
            date: !head.has("Date"),
            message_id: !resent && !head.has("Message-ID"),
            from: !head.has("From"),
            to: !head.has("To") && !head.has("Cc"),
        }
    }
}

/// The values of added fields.
#[derive(Clone, Debug)]
pub(crate) struct Additions<'a> {
    /// RFC 5322 3.3; used only if a date is missing.
    pub date: String,
    /// `<…@…>`; used only if an id is missing.
    pub message_id: String,
    /// The display name of the author, not quoted yet; control characters become blanks.
    pub display_name: Option<&'a [u8]>,
    /// The address of the author.
    pub author: &'a Address,
    /// Add `To: undisclosed-recipients:;` if no recipient is visible.
    pub undisclosed: bool,
}

/// The fixed header section. `mailname` qualifies bare addresses.
pub(crate) fn fix(head: &Head, mailname: &str, missing: Missing, additions: &Additions) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.bytes.len() + 512);
    for field in &head.fields {
        if DROPPED.iter().any(|name| field.at.is(head.bytes, name)) {
            continue;
        }
        let begin = out.len();
        // R10: `To :` becomes `To:`.
        out.extend_from_slice(field.at.name_in(head.bytes));
        out.push(b':');
        repair::value(head, field, mailname, &mut out);
        fold::lines(&mut out, begin);
    }
    add(missing, additions, &mut out);
    out
}

fn add(missing: Missing, additions: &Additions, out: &mut Vec<u8>) {
    let id = |name: &str| format!("{name}: {}\r\n", additions.message_id);
    let date = |name: &str| format!("{name}: {}\r\n", additions.date);
    let author = |name: &str| from_field(name, additions.display_name, additions.author);
    let fields: [(bool, &dyn Fn() -> Vec<u8>); 7] = [
        (missing.resent_date, &|| date("Resent-Date").into_bytes()),
        (missing.resent_message_id, &|| id("Resent-Message-ID").into_bytes()),
        (missing.resent_from, &|| author("Resent-From")),
        (missing.date, &|| date("Date").into_bytes()),
        (missing.message_id, &|| id("Message-ID").into_bytes()),
        (missing.from, &|| author("From")),
        (missing.to && additions.undisclosed, &|| b"To: undisclosed-recipients:;\r\n".to_vec()),
    ];
    for (_, field) in fields.iter().filter(|(wanted, _)| *wanted) {
        let begin = out.len();
        out.extend_from_slice(&field());
        fold::lines(out, begin);
    }
}

/// H3: `From: Name <address>`, the name as atoms, as a quoted string, or encoded.
fn from_field(name: &str, display_name: Option<&[u8]>, address: &Address) -> Vec<u8> {
    let mut out = format!("{name}:").into_bytes();
    let display: Vec<u8> = display_name.unwrap_or_default().iter().map(|&b| if b.is_ascii_control() { b' ' } else { b }).collect();
    let display = display.trim_ascii();
    if display.is_empty() {
        out.extend_from_slice(format!(" {address}\r\n").as_bytes());
        return out;
    }
    if !display.is_ascii() {
        encoded_word::write(&[Word { blanks: b" ", raw: display, text: display.to_vec() }], &mut out);
    } else if display.iter().all(|&b| b == b' ' || is_atext(b)) {
        out.push(b' ');
        out.extend_from_slice(display);
    } else {
        out.extend_from_slice(b" \"");
        for &byte in display {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    out.extend_from_slice(format!(" <{address}>\r\n").as_bytes());
    out
}

/// RFC 5322 3.2.3
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests;
