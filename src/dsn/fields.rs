//! The part of a DSN that programs read: message/delivery-status (RFC 3464 2). Pure.
//!
//! Every byte that comes out is ASCII and printable, or the CRLF and blank of a fold, whatever went in.

use super::content::Dsn;
use super::recipient::{DsnRecipient, Said};
use mail::{date, xtext};
use state::Action;

/// Columns of a line before it is folded.
const WIDTH: usize = 76;
/// Bytes of a word before it is cut, well below the 998 of a line.
const WORD: usize = 900;
/// Blanks in front of a word, of which an envelope id has 98 at most.
const BLANKS: usize = 97;

/// The content of the part, without its MIME fields.
pub(crate) fn delivery_status(notice: &Dsn<'_>) -> String {
    let mut out = String::new();
    // RFC 3461 6.3 (b): "dns" is for a name that others know.
    let kind = if notice.is_guess { "x-local-hostname" } else { "dns" };
    field(&mut out, "Reporting-MTA", &format!("{kind}; {}", notice.mailname));
    if let Some(envid) = notice.original.and_then(|original| original.envelope.envid.as_deref()) {
        field(&mut out, "Original-Envelope-Id", envid);
    }
    field(&mut out, "Arrival-Date", &date::rfc5322(notice.accepted, notice.zone));
    for told in notice.recipients {
        out.push_str("\r\n");
        recipient(&mut out, notice, told);
    }
    out
}

fn recipient(out: &mut String, notice: &Dsn<'_>, told: &DsnRecipient) {
    if let Some((kind, address)) = told.orcpt.as_deref().and_then(xtext::orcpt) {
        field(out, "Original-Recipient", &format!("{kind};{}", original_recipient(kind, address)));
    }
    field(out, "Final-Recipient", &final_recipient(told));
    field(out, "Action", told.action.word());
    field(out, "Status", &told.status.to_string());
    match &told.said {
        Said::Reply { host, text } => {
            if let Some(host) = host {
                field(out, "Remote-MTA", &format!("dns; {host}"));
            }
            field(out, "Diagnostic-Code", &format!("smtp; {text}"));
        }
        // RFC 3464 2.3.6: "smtp" is for what a server said.
        Said::Reason(text) => field(out, "Diagnostic-Code", &format!("X-mailchute; {text}")),
    }
    if let Some(at) = told.at {
        field(out, "Last-Attempt-Date", &date::rfc5322(at, notice.zone));
    }
    if told.action == Action::Delayed {
        field(out, "Will-Retry-Until", &date::rfc5322(notice.expires, notice.zone));
    }
}

/// RFC 3464 2.3.2; an address beyond ASCII in the 7-bit form of RFC 6533 3.
fn final_recipient(told: &DsnRecipient) -> String {
    if told.has_ascii_address() {
        return format!("rfc822; {}", told.address);
    }
    let escape = |c: char| match c {
        '!'..='~' if c != '\\' && c != '+' && c != '=' => c.to_string(),
        c => format!("\\x{{{:X}}}", u32::from(c)),
    };
    format!("utf-8; {}", told.address.chars().map(escape).collect::<String>())
}

/// RFC 3461 6.3 (d): without its xtext. The type `utf-8` has none, but a 7-bit form that has to stand here (RFC 6533 3).
fn original_recipient(kind: &str, address: &str) -> String {
    if xtext::is_utf8(kind) {
        return xtext::to_ascii(address);
    }
    xtext::decode(address).map_or_else(|| address.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Appends one field, in ASCII, folded. Blanks within the value stay as many as they are: an envelope id and an address have to
/// come back as they were given (RFC 3464 2.2.1, 2.3.2).
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

/// A word in pieces that fit into a line. It is ASCII, so every index is between characters.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    (0..word.len()).step_by(WORD).filter_map(move |at| word.get(at..word.len().min(at + WORD)))
}

/// Printable ASCII: everything else as `\u{fc}`.
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
