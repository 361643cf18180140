//! The value of one field: bare addresses get a domain (H5), raw 8-bit text becomes 7-bit (H6), nothing else changes.

use std::ops::Range;

use crate::mail::address_list::{self, AddressList, Spec};
use crate::mail::encoded_word;
use crate::submit::head::{Head, HeadField};

/// Fields of parameters, whose 8-bit text is written in the form of RFC 2231 (an encoded word has no place there, RFC 2047 5).
const PARAMETERS: &[&str] = &["Content-Type", "Content-Disposition"];

/// Appends the repaired value of `field` to `out`, which ends in the field's name and colon.
pub fn value(head: &Head, field: &HeadField, mailname: &str, out: &mut Vec<u8>) {
    let value = field.at.value_in(head.bytes);
    match &field.list {
        Some(list) => addresses(value, list, head.is_qualified(field).then_some(mailname), out),
        None if value.is_ascii() => out.extend_from_slice(value),
        None if PARAMETERS.iter().any(|name| field.at.is(head.bytes, name)) => parameters(value, out),
        None => unstructured(value, out),
    }
}

/// One change to a value.
enum Edit {
    /// `@mailname` after a bare name.
    Qualify,
    /// A display name in 8-bit text.
    Phrase,
    /// A comment in 8-bit text.
    Comment,
}

fn addresses(value: &[u8], list: &AddressList, mailname: Option<&str>, out: &mut Vec<u8>) {
    let mut edits: Vec<(Range<usize>, Edit)> = Vec::new();
    for mailbox in &list.mailboxes {
        if let (Ok(Spec::Bare { end, .. }), Some(_)) = (&mailbox.spec, mailname) {
            edits.push((*end..*end, Edit::Qualify));
        }
    }
    let is_8bit = |span: &&Range<usize>| value.get((*span).clone()).is_some_and(|text| !text.is_ascii());
    edits.extend(list.phrases.iter().filter(is_8bit).map(|span| (span.clone(), Edit::Phrase)));
    // A comment within a display name goes with it. Display names are in order and do not overlap.
    let is_outside = |span: &&Range<usize>| {
        let after = list.phrases.partition_point(|phrase| phrase.start <= span.start);
        after.checked_sub(1).and_then(|at| list.phrases.get(at)).is_none_or(|phrase| span.end > phrase.end)
    };
    edits.extend(list.comments.iter().filter(is_8bit).filter(is_outside).map(|span| (span.clone(), Edit::Comment)));
    edits.sort_by_key(|(span, _)| span.start);
    let mut at = 0;
    for (span, edit) in edits {
        out.extend_from_slice(value.get(at..span.start).unwrap_or_default());
        let text = value.get(span.clone()).unwrap_or_default();
        match edit {
            Edit::Qualify => out.extend_from_slice(format!("@{}", mailname.unwrap_or_default()).as_bytes()),
            Edit::Phrase => encoded_word::write(&address_list::phrase_words(text), out),
            Edit::Comment => comment(text, out),
        }
        at = span.end;
    }
    out.extend_from_slice(value.get(at..).unwrap_or_default());
}

/// The words within parentheses, which stay as they are (RFC 2047 5 (2)).
fn comment(text: &[u8], out: &mut Vec<u8>) {
    for part in text.split_inclusive(|b| matches!(b, b'(' | b')')) {
        let (inner, paren) = part.split_at(part.len() - usize::from(matches!(part.last(), Some(b'(' | b')'))));
        unstructured(inner, out);
        out.extend_from_slice(paren);
    }
}

fn unstructured(text: &[u8], out: &mut Vec<u8>) {
    let (words, end) = encoded_word::words(text);
    encoded_word::write(&words, out);
    out.extend_from_slice(end);
}

/// `name="…"` with 8-bit text becomes `name*=utf-8''…` (RFC 2231 4). What is not of that form becomes encoded words.
fn parameters(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        let (before, quoted) = rest.split_at(quote);
        let Some(end) = quoted_length(quoted) else { break };
        let (string, after) = quoted.split_at(end);
        match before.strip_suffix(b"=") {
            Some(name) if !string.is_ascii() => {
                unstructured(name, out);
                extended(string.get(1..end - 1).unwrap_or_default(), out);
            }
            _ => {
                unstructured(before, out);
                out.extend_from_slice(string);
            }
        }
        rest = after;
    }
    unstructured(rest, out);
}

/// Octets of the quoted string at the start, quotes included.
fn quoted_length(quoted: &[u8]) -> Option<usize> {
    let mut octets = quoted.iter().enumerate().skip(1);
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'"' => return Some(at + 1),
            b'\\' => {
                octets.next();
            }
            _ => {}
        }
    }
    None
}

fn extended(inner: &[u8], out: &mut Vec<u8>) {
    let charset = if std::str::from_utf8(inner).is_ok() { "utf-8" } else { "unknown-8bit" };
    out.extend_from_slice(format!("*={charset}''").as_bytes());
    let mut octets = inner.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => octets.next().into_iter().for_each(|octet| percent(octet, out)),
            b'\r' | b'\n' => {}
            octet => percent(octet, out),
        }
    }
}

/// RFC 2231 7: attribute-char, or `%` and two digits.
fn percent(octet: u8, out: &mut Vec<u8>) {
    if octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b'!' | b'+') {
        out.push(octet);
    } else {
        out.extend_from_slice(format!("%{octet:02X}").as_bytes());
    }
}
