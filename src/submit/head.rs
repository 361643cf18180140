//! Finds and parses the header section of a submitted message.
//!
//! In: the message in wire form, in pieces. Out: the bytes of the section, its fields, and their address lists. The whole section is
//! buffered, up to 1 MiB; the body never is (SENDMAIL.md R10, I5 to I8).

use exit::{Exit, Failure};
use mail::address_list::AddressList;
use mail::header;
use mail::header::{Field, Section};
use mail::limits;

/// Collects the header section.
#[derive(Debug, Default)]
pub struct Collector {
    bytes: Vec<u8>,
    /// The offset of the current line.
    line: usize,
}

/// The header section and the first bytes of the body.
#[derive(Debug)]
pub struct Collected {
    bytes: Vec<u8>,
    /// The offset of the end of the section.
    end: usize,
    /// The offset of the body, after the blank line if there is one.
    body: usize,
}

impl Collector {
    /// Takes a piece; every CRLF must be a piece of its own. Returns true when the body has started.
    ///
    /// Errors: EX_DATAERR for more than 1 MiB of header.
    pub fn feed(&mut self, piece: &[u8]) -> Result<bool, Failure> {
        self.bytes.extend_from_slice(piece);
        let line = self.bytes.get(self.line..).unwrap_or_default();
        if piece == b"\r\n" {
            let is_field = header::name_of(line).is_some();
            if !is_field && self.line == 0 && is_from_line(line) {
                // I5: the separator line of mbox files and UUCP. Its date and sender are ignored.
                self.bytes.clear();
                return Ok(false);
            }
            if !is_field && !self.continues(line) {
                return Ok(true);
            }
            self.line = self.bytes.len();
            return Ok(false);
        }
        if self.bytes.len() <= limits::HEADER_SECTION {
            return Ok(false);
        }
        if header::name_of(line).is_none() && !self.continues(line) {
            return Ok(true);
        }
        Err(Failure::new(Exit::DataErr, "the header section is larger than 1 MiB"))
    }

    /// True if `line` continues a field. A blank line directly after a field does too (RFC 5322 4.2 obs-FWS).
    fn continues(&self, line: &[u8]) -> bool {
        self.line > 0 && header::is_continuation(line)
    }

    /// Ends the section, after [`Collector::feed`] returned true or at the end of the input.
    pub fn finish(self) -> Collected {
        let line = self.bytes.get(self.line..).unwrap_or_default();
        // I6: a line that ended the section without a blank line belongs to the body.
        let body = if line == b"\r\n" { self.bytes.len() } else { self.line };
        Collected { end: self.line, body, bytes: self.bytes }
    }
}

/// `^>*From `
fn is_from_line(line: &[u8]) -> bool {
    line.get(line.iter().take_while(|&&b| b == b'>').count()..).is_some_and(|rest| rest.starts_with(b"From "))
}

impl Collected {
    /// The first bytes of the body.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }

    /// The fields.
    pub fn head(&self) -> Head<'_> {
        Head::new(self.bytes.get(..self.end).unwrap_or_default())
    }
}

/// The fields of a header section.
#[derive(Debug)]
pub struct Head<'a> {
    /// The bytes of the section.
    pub bytes: &'a [u8],
    /// The fields from the top, with their addresses.
    pub fields: Vec<HeadField>,
}

/// One field.
#[derive(Debug)]
pub struct HeadField {
    /// Its position.
    pub at: Field,
    /// Its addresses, if it is an address field; ranges are relative to its value.
    pub list: Option<AddressList>,
}

/// Fields whose bare addresses are qualified (H5); Bcc is one of them for its recipients.
const QUALIFIED: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
];

/// Further address fields. Only their 8-bit text is changed.
const ADDRESSES: &[&str] = &[
    "Errors-To",
    "Return-Receipt-To",
    "Disposition-Notification-To",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Approved",
    "X-Original-To",
    "Delivered-To",
];

/// Fields that RFC 5322 3.6 allows once. A duplicate is a warning; a duplicate From is an error.
const SINGLE: &[&str] = &["Date", "Sender", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "References", "Subject"];

fn is_one_of(field: &Field, bytes: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| field.is(bytes, name))
}

impl<'a> Head<'a> {
    fn new(bytes: &'a [u8]) -> Head<'a> {
        let read = |at: Field| {
            let has_addresses = is_one_of(&at, bytes, QUALIFIED) || (is_one_of(&at, bytes, ADDRESSES) && !at.value_in(bytes).is_ascii());
            let list = has_addresses.then(|| AddressList::parse(at.value_in(bytes)));
            HeadField { at, list }
        };
        Head { bytes, fields: Section::scan(bytes).fields.into_iter().map(read).collect() }
    }

    /// True if a field has this name.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.at.is(self.bytes, name))
    }

    /// The fields with one of these names.
    pub fn named(&self, names: &'static [&'static str]) -> impl Iterator<Item = &HeadField> {
        self.fields.iter().filter(move |field| is_one_of(&field.at, self.bytes, names))
    }

    /// True if bare addresses of the field are qualified (H5).
    pub(crate) fn is_qualified(&self, field: &HeadField) -> bool {
        is_one_of(&field.at, self.bytes, QUALIFIED)
    }

    /// R2, H4: true if a field has recipients of a resent message.
    pub fn is_resent(&self) -> bool {
        self.named(&["Resent-To", "Resent-Cc", "Resent-Bcc"]).next().is_some()
    }

    fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|field| field.at.is(self.bytes, name)).count()
    }

    /// Checks for fields that make a message unacceptable (I7, I8).
    ///
    /// Errors: EX_DATAERR.
    pub fn check(&self) -> Result<(), Failure> {
        if self.count("From") > 1 {
            // Mailbox providers reject such mail, and header injection adds a second From.
            return Err(Failure::new(Exit::DataErr, "more than one From field (RFC 5322 3.6)"));
        }
        // RFC 5321 6.3
        if self.count("Received") > limits::RECEIVED {
            return Err(Failure::new(Exit::DataErr, format!("too many hops: more than {} Received fields", limits::RECEIVED)));
        }
        Ok(())
    }

    /// I8: a warning about accepted duplicates.
    pub fn duplicates(&self) -> Option<String> {
        let twice: Vec<&str> = SINGLE.iter().copied().filter(|name| self.count(name) > 1).collect();
        if twice.is_empty() { None } else { Some(format!("more than one {} field", twice.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section and body of `text`, whose lines end in CRLF.
    fn collect(text: &str) -> Result<(String, String), Failure> {
        let mut collector = Collector::default();
        let mut rest = String::new();
        let mut in_body = false;
        for line in text.split_inclusive("\r\n") {
            for piece in [line.trim_end_matches("\r\n"), if line.ends_with("\r\n") { "\r\n" } else { "" }] {
                if in_body {
                    rest.push_str(piece);
                } else if !piece.is_empty() {
                    in_body = collector.feed(piece.as_bytes())?;
                }
            }
        }
        let collected = collector.finish();
        let body = String::from_utf8_lossy(collected.body()).into_owned() + &rest;
        Ok((String::from_utf8_lossy(collected.head().bytes).into_owned(), body))
    }

    #[test]
    fn r10_i5_i6_where_the_header_section_ends() {
        for (text, head, body) in [
            ("A: 1\r\n\r\nbody\r\n", "A: 1\r\n", "body\r\n"),
            ("A: 1\r\n b\r\nbody\r\nTo: x\r\n", "A: 1\r\n b\r\n", "body\r\nTo: x\r\n"),
            ("\r\nTo: x\r\n", "", "To: x\r\n"),
            ("just text\r\nmore\r\n", "", "just text\r\nmore\r\n"),
            ("A: 1\r\n", "A: 1\r\n", ""),
            ("", "", ""),
            ("From a@b Sun Nov 22\r\n>>From c\r\nA: 1\r\n\r\nFrom d\r\n", "A: 1\r\n", "From d\r\n"),
            ("From : a@b\r\n\r\n", "From : a@b\r\n", ""),
            ("A: 1\r\nFrom x\r\n", "A: 1\r\n", "From x\r\n"),
            (" indented\r\nA: 1\r\n", "", " indented\r\nA: 1\r\n"),
            ("A: 1\r\n \t\r\nB: 2\r\n\r\n", "A: 1\r\n \t\r\nB: 2\r\n", ""),
        ] {
            assert_eq!(collect(text).unwrap(), (head.to_owned(), body.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn r4_more_than_one_mebibyte_of_header_is_refused_but_a_long_body_line_is_none() {
        let failure = collect(&format!("A: {}", "x".repeat(2 << 20))).unwrap_err();
        assert_eq!((failure.exit, failure.text.as_str()), (Exit::DataErr, "the header section is larger than 1 MiB"));
        assert!(collect(&"A: 1\r\n".repeat(200_000)).is_err());
        let text = "no field ".repeat(200_000);
        assert_eq!(collect(&text).unwrap().1, text);
        let text = "x".repeat(2 << 20);
        assert_eq!(collect(&format!("A: 1\r\n{text}")).unwrap().1, text);
    }

    #[test]
    fn i7_i8_errors_and_warnings() {
        let check = |text: &str| Head::new(text.as_bytes()).check().map_err(|failure| failure.text);
        assert!(check("From: a@b\r\nFROM : c@d\r\n").is_err_and(|text| text.starts_with("more than one From")));
        assert!(check(&"Received: x\r\n".repeat(101)).is_err_and(|text| text.starts_with("too many hops")));
        assert_eq!(check(&"Received: x\r\n".repeat(100)), Ok(()));
        let head = Head::new(b"To: a\r\nto: b\r\nSubject: x\r\n");
        assert_eq!(head.duplicates().as_deref(), Some("more than one To field"));
    }
}
