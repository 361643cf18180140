//! Repairs the value of a field: qualifies bare addresses (H5) and encodes raw 8-bit text (H6). Nothing else changes.

use std::ops::Range;

use crate::head::{Head, HeadField};
use mail::address_list;
use mail::address_list::{AddressList, Spec};
use mail::encoded_word;
use mail::seven_bit::{PARAMETERS, parameters, unstructured};

/// Appends the repaired value of `field` to `out`, which ends with the field's name and colon.
pub(crate) fn value(head: &Head, field: &HeadField, mailname: &str, out: &mut Vec<u8>) {
    let value = field.at.value_in(head.bytes);
    match &field.list {
        Some(list) => addresses(value, list, head.is_qualified(field).then_some(mailname), out),
        None if value.is_ascii() => out.extend_from_slice(value),
        None if PARAMETERS.iter().any(|name| field.at.is(head.bytes, name)) => parameters(value, out),
        None => unstructured(value, out),
    }
}

/// A change to a value.
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
    // A comment within a display name is part of it. Display names are in order and do not overlap.
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

/// Encodes the words within parentheses; the parentheses stay (RFC 2047 5 (2)).
fn comment(text: &[u8], out: &mut Vec<u8>) {
    for part in text.split_inclusive(|b| matches!(b, b'(' | b')')) {
        let (inner, paren) = part.split_at(part.len() - usize::from(matches!(part.last(), Some(b'(' | b')'))));
        unstructured(inner, out);
        out.extend_from_slice(paren);
    }
}
