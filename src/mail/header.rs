//! The header section, byte-exact: where fields start and end.
//!
//! In: the message in wire form (every line ends in CRLF). Out: ranges into it. Never fails: the section ends at the first line
//! that is neither a field nor a continuation (SENDMAIL.md R10), so body text can never be read as a header. mail-parser decodes
//! the values for display; it is not asked where a field ends (it takes header-looking body lines for fields).

use std::ops::Range;

use super::limits;

/// One field, as ranges of bytes in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, without blanks before the colon.
    pub name: Range<usize>,
    /// What follows the colon, folds and last CRLF included.
    pub value: Range<usize>,
}

impl Field {
    /// The whole field, from the name to the CRLF that ends it.
    pub fn whole(&self) -> Range<usize> {
        self.name.start..self.value.end
    }

    /// The bytes of the name.
    pub fn name_in<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        message.get(self.name.clone()).unwrap_or_default()
    }

    /// The bytes of the value, folds and last CRLF included.
    pub fn value_in<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        message.get(self.value.clone()).unwrap_or_default()
    }

    /// True if the field has this name, in any case.
    pub fn is(&self, message: &[u8], name: &str) -> bool {
        self.name_in(message).eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The header section of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The fields from the top.
    pub fields: Vec<Field>,
    /// Where the section ends: the offset of the first byte that belongs to no field.
    pub end: usize,
    /// The start of the body: after the blank line, or `end` if there is no blank line.
    pub body: usize,
}

impl Section {
    /// Scans the header section at the start of `message`.
    pub fn scan(message: &[u8]) -> Section {
        let mut section = Section::default();
        let mut at = 0;
        while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
            let line_end = at + line_length(rest);
            if is_continuation(rest) {
                match section.fields.last_mut() {
                    Some(field) => field.value.end = line_end,
                    None => break,
                }
            } else if let Some((name, value)) = name_of(rest) {
                section.fields.push(Field { name: at..at + name, value: at + value..line_end });
            } else {
                break;
            }
            at = line_end;
        }
        section.end = at;
        let blank = message.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n"));
        section.body = if blank { at + 2 } else { at };
        section
    }

    /// The fields of this name, from the top.
    pub fn named<'a>(&'a self, message: &'a [u8], name: &'a str) -> impl DoubleEndedIterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.is(message, name))
    }
}

/// The bytes of the first line, its CRLF included; all of them where the last line has none.
fn line_length(rest: &[u8]) -> usize {
    memchr::memmem::find(rest, b"\r\n").map_or(rest.len(), |at| at + 2)
}

/// True for a line that continues the field before it. A line of blanks only does (obs-FWS), so it never ends the section.
pub fn is_continuation(rest: &[u8]) -> bool {
    matches!(rest.first(), Some(b' ' | b'\t'))
}

/// For a line that starts a field: the length of the name, and the offset just after the colon. Names are printable ASCII
/// without colon (RFC 5322 2.2); blanks before the colon are obsolete syntax (RFC 5322 4.5) and tolerated. A line whose colon
/// stands beyond its limit is no field (RFC 5322 2.1.1): the name would have to be broken, and would end the section there.
pub fn name_of(rest: &[u8]) -> Option<(usize, usize)> {
    let name = rest.iter().take_while(|&&b| (33..=126).contains(&b) && b != b':').count();
    let blanks = rest.iter().skip(name).take_while(|&&b| b == b' ' || b == b'\t').count();
    let colon = name + blanks;
    (name > 0 && colon < limits::LINE && rest.get(colon) == Some(&b':')).then_some((name, colon + 1))
}

/// The value of a field, without folds (RFC 5322 2.2.3) and surrounding blanks.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let flat: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    flat.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_folds_and_the_blank_line() {
        let message = b"From: a@b\r\nSubject : one\r\n two\r\n\t \r\nX:\r\n\r\nTo: not@header\r\n";
        let section = Section::scan(message);
        let names: Vec<&[u8]> = section.fields.iter().map(|f| f.name_in(message)).collect();
        assert_eq!(names, [b"From".as_slice(), b"Subject", b"X"]);
        assert_eq!(unfold(section.fields[1].value_in(message)), b"one two");
        assert_eq!(&message[section.body..], b"To: not@header\r\n");
        assert_eq!(section.end + 2, section.body);
    }

    #[test]
    fn a_field_is_found_by_its_name_in_any_case_and_is_whole_with_its_folds() {
        let message = b"To: a\r\n b\r\nCc: c\r\nTO : d\r\n\r\nTo: body";
        let section = Section::scan(message);
        let named: Vec<&[u8]> = section.named(message, "to").map(|field| &message[field.whole()]).collect();
        assert_eq!(named, [b"To: a\r\n b\r\n".as_slice(), b"TO : d\r\n"]);
        assert!(section.fields[1].is(message, "cC") && !section.fields[1].is(message, "To"));
        assert_eq!(section.named(message, "Bcc").count(), 0);
    }

    #[test]
    fn the_name_and_the_colon_of_a_field() {
        for (line, found) in [
            ("A:", Some((1, 2))),
            ("Ab \t: x", Some((2, 5))),
            ("!~: x", Some((2, 3))),
            (":", None),
            ("A", None),
            ("A b: x", None),
            ("A\u{7f}: x", None),
            (" A: x", None),
        ] {
            assert_eq!(name_of(line.as_bytes()), found, "{line:?}");
        }
    }

    #[test]
    fn r10_the_section_ends_at_the_first_line_that_is_no_field() {
        for body in ["no colon here\r\nTo: x@y\r\n", ": empty name\r\n", "B cc: x\r\n", "N\u{fc}: 8-bit name\r\n"] {
            let message = format!("A: 1\r\n{body}");
            let section = Section::scan(message.as_bytes());
            assert_eq!((section.fields.len(), section.end, section.body), (1, 6, 6), "{body}");
        }
        let name = "N".repeat(limits::LINE);
        assert_eq!(Section::scan(format!("A: 1\r\n{name}: no room for the colon\r\nTo: x@y\r\n").as_bytes()).fields.len(), 1);
        assert_eq!(Section::scan(format!("{}: room\r\n", &name[1..]).as_bytes()).fields.len(), 1);
        assert_eq!(Section::scan(format!("A{}: blanks\r\n", " ".repeat(limits::LINE)).as_bytes()).fields.len(), 0);
        assert_eq!(Section::scan(b" folded first\r\nA: 1\r\n").fields.len(), 0);
        assert_eq!(Section::scan(b"A: no line end").fields.len(), 1);
        assert_eq!(Section::scan(b""), Section::default());
    }

    proptest::proptest! {
        /// Total and byte-exact: the fields follow each other without a gap from the first byte to the end of the section, each
        /// begins with its name, and nothing after the end looks like a field or a continuation of one.
        #[test]
        fn t_hdr_5_any_bytes_are_divided_into_fields_and_the_rest(
            pieces in proptest::collection::vec(
                proptest::prop_oneof![
                    "[A-Za-z-]{1,8}[ \t]{0,2}:[ -~]{0,12}".prop_map(String::into_bytes),
                    Just(b"\r\n".to_vec()),
                    Just(b"\r\n ".to_vec()),
                    Just(b"\n".to_vec()),
                    Just(b"\r".to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..6),
                ],
                0..24,
            ),
        ) {
            let message = pieces.concat();
            let section = Section::scan(&message);
            let mut at = 0;
            for field in &section.fields {
                prop_assert_eq!(field.whole().start, at);
                prop_assert!(name_of(&message[at..]).is_some() && !field.name_in(&message).is_empty());
                prop_assert_eq!(&message[field.name.end..field.value.start], [&message[field.name.end..field.value.start - 1], b":"].concat());
                at = field.whole().end;
            }
            prop_assert_eq!(section.end, at);
            let rest = &message[at..];
            prop_assert!(name_of(rest).is_none() && (section.fields.is_empty() || !is_continuation(rest)));
            prop_assert_eq!(section.body, at + if rest.starts_with(b"\r\n") { 2 } else { 0 });
        }
    }
}
