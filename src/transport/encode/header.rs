//! The header section of an entity whose body was converted: its labels (RFC 2045 4 to 6), and lines that fit. Pure.
//!
//! In: a section as [`Section::scan`] understands it. Out: the same fields in the same order; only labels that would be wrong are
//! replaced, and those that are missing are added at the end. Nothing is looked up twice and nothing is removed, but a second
//! Content-Transfer-Encoding beside a new one.

use super::plan::Decision;
use super::structure::Role;
use super::transfer::{Plain, Writer};
use mail::header::{Field, Section};
use mail::{limits, seven_bit};

const VERSION: &str = "MIME-Version";
const TYPE: &str = "Content-Type";
const ENCODING: &str = "Content-Transfer-Encoding";

/// True if no field says how the body is to be read: H7 labels it then.
pub(crate) fn lacks_mime(section: &[u8]) -> bool {
    let scanned = Section::scan(section);
    ![VERSION, TYPE, ENCODING].iter().any(|name| scanned.named(section, name).next().is_some())
}

/// The section with the labels of `decision`. For a server that takes no 8-bit content (`seven_bit`) the fields of an entity within
/// the message are 7-bit too; what the message's own fields hold is decided by SMTPUTF8 (RFC 6531).
pub fn rewrite(section: &[u8], decision: &Decision, role: Role, seven_bit: bool) -> Vec<u8> {
    let scanned = Section::scan(section);
    let has = |name: &str| scanned.named(section, name).next().is_some();
    let mut label = decision.label();
    let mut out = Vec::with_capacity(section.len() + 128);
    for field in &scanned.fields {
        if decision.label().is_some() && field.is(section, ENCODING) {
            // The first one counts for readers.
            label.take().into_iter().for_each(|label| add(ENCODING, label, &mut out));
        } else {
            let whole = section.get(field.whole()).unwrap_or_default();
            let stays = !seven_bit || role == Role::Top || whole.is_ascii();
            out.extend(if stays { whole.to_vec() } else { in_7_bits(section, field) });
        }
    }
    out.extend_from_slice(section.get(scanned.end..).unwrap_or_default());
    if (decision.label().is_some() || decision.charset.is_some()) && role != Role::Part && !has(VERSION) {
        add(VERSION, "1.0", &mut out);
    }
    if let Some(charset) = decision.charset {
        add(TYPE, &format!("text/plain; charset={}", charset.name()), &mut out);
    }
    label.into_iter().for_each(|label| add(ENCODING, label, &mut out));
    out
}

fn add(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
}

/// H6 for a field of an attached message or part.
fn in_7_bits(section: &[u8], field: &Field) -> Vec<u8> {
    let mut out = [field.name_in(section), b":"].concat();
    let value = field.value_in(section);
    if seven_bit::PARAMETERS.iter().any(|name| field.is(section, name)) {
        seven_bit::parameters(value, &mut out);
    } else {
        seven_bit::unstructured(value, &mut out);
    }
    out
}

/// The section with its lines over 998 bytes broken, which folds the field (H9); `None` where there are none.
pub(crate) fn with_short_lines(section: &[u8]) -> Option<Vec<u8>> {
    let lines = || section.split_inclusive(|byte| *byte == b'\n');
    if !lines().any(|line| line.len() > limits::LINE + 2) {
        return None;
    }
    let mut out = Vec::with_capacity(section.len() + section.len() / 400);
    for line in lines() {
        let mut writer = Writer::Plain(Plain::new(false));
        writer.text(line.strip_suffix(b"\r\n").unwrap_or(line), true, &mut out);
        writer.line_end(&mut out);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::plan::{Charset, Treatment};

    fn text(section: &str, decision: Decision, role: Role, seven_bit: bool) -> String {
        String::from_utf8(rewrite(section.as_bytes(), &decision, role, seven_bit)).unwrap()
    }

    #[test]
    fn h8_a_wrong_label_is_replaced_where_it_stands_and_a_second_one_goes() {
        let quoted = Decision { treatment: Treatment::Quote, ..Decision::default() };
        let section = "A: 1\r\ncontent-transfer-encoding: 8bit\r\nMime-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\nB: 2\r\n";
        let expected = "A: 1\r\nContent-Transfer-Encoding: quoted-printable\r\nMime-Version: 1.0\r\nB: 2\r\n";
        assert_eq!(text(section, quoted, Role::Top, true), expected);
        assert_eq!(text("A: 1\r\n", quoted, Role::Part, true), "A: 1\r\nContent-Transfer-Encoding: quoted-printable\r\n");
        assert_eq!(
            text("Content-Type: text/html\r\n", quoted, Role::Attached, true),
            "Content-Type: text/html\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"
        );
        assert_eq!(text(section, Decision::default(), Role::Top, false), section);
    }

    #[test]
    fn h7_all_three_fields_are_added_where_none_was() {
        let labelled = Decision { charset: Some(Charset::Utf8), ..Decision::default() };
        let fields = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
        assert_eq!(text("A: 1\r\n", labelled, Role::Top, false), format!("A: 1\r\n{fields}"));
        assert!(lacks_mime(b"A: 1\r\n"));
        for line in fields.lines() {
            assert!(!lacks_mime(format!("A: 1\r\n{line}\r\n").as_bytes()), "{line}");
        }
    }

    #[test]
    fn h6_fields_within_the_message_are_7_bit_for_a_server_that_needs_it() {
        let section = "Subject: gr\u{fc}n\r\nContent-Disposition: attachment; filename=\"\u{fc}\"; x=\u{fc}\r\n";
        let kept = Decision::default();
        assert_eq!(text(section, kept, Role::Part, false), section);
        assert_eq!(text(section, kept, Role::Top, true), section);
        let stripped = text(section, kept, Role::Attached, true);
        assert!(
            stripped.is_ascii() && stripped.contains("filename*=utf-8''%C3%BC") && stripped.contains("Subject: =?utf-8?"),
            "{stripped}"
        );
    }

    #[test]
    fn h9_long_lines_of_a_field_are_folded_and_others_stay() {
        assert_eq!(with_short_lines(format!("A: {}\r\n", "x".repeat(995)).as_bytes()), None);
        let long = format!("A: 1\r\nB: {}\r\n C\r\n", "\u{fc}".repeat(1500));
        let folded = String::from_utf8(with_short_lines(long.as_bytes()).unwrap()).unwrap();
        assert!(folded.lines().all(|line| line.len() <= limits::LINE), "{folded}");
        let fields = |text: &str| Section::scan(text.as_bytes()).fields.len();
        assert_eq!((fields(&long), fields(&folded)), (2, 2));
        assert_eq!(folded.replace("\r\n ", ""), long.replace("\r\n ", ""));
    }
}
