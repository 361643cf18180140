//! The part of a DSN for programs: message/delivery-status (RFC 3464 2). Pure.
//!
//! Whatever the input, every byte of the output is printable ASCII, or the CRLF and space of a fold.

use super::content::Dsn;
use super::recipient::{DsnRecipient, Said};
use mail::{date, xtext};
use state::Action;

/// The column at which a line is folded.
const WIDTH: usize = 76;
/// The longest word in bytes, well below the 998 of a line; longer ones are split.
const WORD: usize = 900;
/// The most spaces in front of a word. An envelope id has at most 98.
const BLANKS: usize = 97;

/// The content of the part, without its MIME fields.
pub(crate) fn delivery_status(dsn: &Dsn<'_>) -> String {
    let mut out = String::new();
    // RFC 3461 6.3 (b): "dns" is for a name that is valid in DNS.
    let kind = if dsn.is_guess { "x-local-hostname" } else { "dns" };
    field(&mut out, "Reporting-MTA", &format!("{kind}; {}", dsn.mailname));
    if let Some(envid) = dsn.original.and_then(|original| original.envelope.envid.as_deref()) {
        field(&mut out, "Original-Envelope-Id", envid);
    }
    field(&mut out, "Arrival-Date", &date::rfc5322(dsn.accepted, dsn.zone));
    for recipient in dsn.recipients {
        out.push_str("\r\n");
        recipient_fields(&mut out, dsn, recipient);
    }
    out
}

fn recipient_fields(out: &mut String, dsn: &Dsn<'_>, recipient: &DsnRecipient) {
    if let Some((kind, address)) = recipient.orcpt.as_deref().and_then(xtext::orcpt) {
        field(out, "Original-Recipient", &format!("{kind};{}", original_recipient(kind, address)));
    }
    field(out, "Final-Recipient", &final_recipient(recipient));
    field(out, "Action", recipient.action.word());
    field(out, "Status", &recipient.status.to_string());
    match &recipient.said {
        Said::Reply { host, text } => {
            if let Some(host) = host {
                field(out, "Remote-MTA", &format!("dns; {host}"));
            }
            field(out, "Diagnostic-Code", &format!("smtp; {text}"));
        }
        // RFC 3464 2.3.6: "smtp" is for the reply of a server.
        Said::Reason(text) => field(out, "Diagnostic-Code", &format!("X-mailchute; {text}")),
    }
    if let Some(at) = recipient.at {
        field(out, "Last-Attempt-Date", &date::rfc5322(at, dsn.zone));
    }
    if recipient.action == Action::Delayed {
        field(out, "Will-Retry-Until", &date::rfc5322(dsn.expires, dsn.zone));
    }
}

/// RFC 3464 2.3.2; a non-ASCII address in the 7-bit form of RFC 6533 3.
fn final_recipient(recipient: &DsnRecipient) -> String {
    if recipient.has_ascii_address() {
        return format!("rfc822; {}", recipient.address);
    }
    let escape = |c: char| match c {
        '!'..='~' if c != '\\' && c != '+' && c != '=' => c.to_string(),
        c => format!("\\x{{{:X}}}", u32::from(c)),
    };
    format!("utf-8; {}", recipient.address.chars().map(escape).collect::<String>())
}

/// RFC 3461 6.3 (d): with xtext decoded. The type `utf-8` has no xtext; it needs its 7-bit form here (RFC 6533 3).
fn original_recipient(kind: &str, address: &str) -> String {
    if xtext::is_utf8(kind) {
        return xtext::to_ascii(address);
    }
    xtext::decode(address).map_or_else(|| address.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Appends one field, in ASCII, folded. Spaces within the value are kept: an envelope id and an address must be returned unchanged
/// (RFC 3464 2.2.1, 2.3.2).
fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    let value = ascii(value);
    let (mut blanks, mut is_first) = (0, true);
    for word in value.trim_matches(' ').split(' ') {
        blanks += 1;
        for piece in pieces(word) {
            if !is_first && column + blanks + piece.len() > WIDTH {
                out.push_str("\r\n");
                column = 0;
            }
            out.extend(std::iter::repeat_n(' ', blanks.clamp(1, BLANKS)));
            out.push_str(piece);
            column += blanks + piece.len();
            (blanks, is_first) = (0, false);
        }
    }
    out.push_str("\r\n");
}

/// Splits a word into pieces that fit on a line. It is ASCII, so every index is a character boundary.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    (0..word.len()).step_by(WORD).filter_map(move |at| word.get(at..word.len().min(at + WORD)))
}

/// Printable ASCII; any other character as `\u{fc}`.
fn ascii(text: &str) -> String {
    let show = |c: char| if matches!(c, ' '..='~') { c.to_string() } else { format!("\\u{{{:x}}}", u32::from(c)) };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3461 6.3 (d), RFC 6533 3
    #[test]
    fn the_original_recipient_is_decoded_but_for_the_type_utf_8() {
        assert_eq!(original_recipient("rfc822", "a+2Bb+3D@x.example"), "a+b=@x.example");
        assert_eq!(original_recipient("utf-8", "gr\u{fc}n\\x{2B}@x.example"), "gr\\x{FC}n\\x{2B}@x.example");
    }

    /// RFC 3464 2.1.1, 2.2.1, 2.3.2
    #[test]
    fn a_field_that_is_unfolded_is_as_it_was_given() {
        let quoted = format!("rfc822; \"{}\"@x.example", "two  blanks ".repeat(12));
        for value in ["order  7", "Case  SENSITIVE   ", &quoted, &"a b  ".repeat(80), &"x".repeat(900)] {
            let mut out = String::new();
            field(&mut out, "Original-Envelope-Id", value);
            assert_eq!(out.replace("\r\n ", " "), format!("Original-Envelope-Id: {}\r\n", value.trim_end()), "{out}");
            assert!(out.split("\r\n").skip(1).all(|line| line.is_empty() || !line.trim().is_empty()), "{out}");
        }
    }

    #[test]
    fn a_hostile_value_stays_in_its_field() {
        for value in
            ["a\r\nAction: relayed", "\r\n\r\n--b", &"x".repeat(5000), &"ü ".repeat(500), &format!("a{}b", " ".repeat(5000)), "", "  "]
        {
            let mut out = String::new();
            field(&mut out, "Diagnostic-Code", value);
            assert!(out.starts_with("Diagnostic-Code:") && out.ends_with("\r\n"));
            assert!(out.split("\r\n").skip(1).all(|line| line.is_empty() || line.starts_with(' ')), "{out:?}");
            assert!(out.split("\r\n").all(|line| line.len() < 998 && line.chars().all(|c| matches!(c, ' '..='~'))), "{out:?}");
            assert!(!out.contains("\r\n\r\n"), "{out:?}");
        }
    }
}
