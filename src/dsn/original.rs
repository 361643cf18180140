//! The original message, as quoted in a DSN.
//!
//! In: a spool file whose submitter may still be able to write to it. Out: its envelope, and bytes in wire form. Nothing here decides
//! about delivery, so changing the file can only falsify its own DSN.

use std::fs::File;

use mail::envelope::{Envelope, Ret};
use mail::header;
use mail::header::{Field, Section};
use mail::wire::{WireCheck, WireSummary};
use spool::file;
use spool::file::{FileError, Part};

/// The most bytes of a message or header section that a DSN quotes (RFC 3461 4.3 allows a limit).
pub(crate) const QUOTED: usize = 50 << 10;
/// The longest line (RFC 5322 2.1.1). A message with a longer line is not quoted whole, because it could not be sent unchanged.
const LINE: usize = 998;

/// The most message ids in References; the newest are kept.
const REFERENCES: usize = 10;

/// Fields in which programs put credentials. A DSN may go to an administrator who must not see them.
const SECRET: [&str; 6] = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token"];

/// The message that a DSN is about.
#[derive(Clone, Debug)]
pub struct Original {
    /// ENVID, ORCPT, RET.
    pub envelope: Envelope,
    /// The header section; empty if it is no longer in wire form.
    pub header: Vec<u8>,
    /// The whole message, if its sender asked for it and it can be quoted.
    pub whole: Option<Quoted>,
}

/// Bytes in wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Some bytes are above 127.
    pub eight_bit: bool,
}

/// The envelope line and the header section of a spool file, up to [`QUOTED`] bytes of the latter.
pub fn read_head(file: &File) -> Result<Vec<u8>, FileError> {
    let line = file::read_line(file)?;
    let (start, end) = file::range_of(file, &line, Part::Headers)?;
    let mut head = bytes(file, 0, start)?;
    let mut section = bytes(file, start, end)?;
    cut(&mut section);
    head.append(&mut section);
    Ok(head)
}

/// Reads the quotable parts of a spool file.
pub fn read(file: &File) -> Result<Original, FileError> {
    let line = file::read_line(file)?;
    let (start, end) = file::range_of(file, &line, Part::Headers)?;
    let header = bytes(file, start, end)?;
    let size = usize::try_from(line.envelope.size).unwrap_or(usize::MAX);
    let wants_all = line.envelope.ret == Some(Ret::Full) && size <= QUOTED;
    let whole = if wants_all { quotable(bytes(file, start, start.saturating_add(line.envelope.size))?) } else { None };
    Ok(Original { envelope: line.envelope, header: checked(header), whole })
}

/// Parses the result of [`read_head`].
///
/// Errors: those of the envelope line.
pub fn of_head(head: &[u8]) -> Result<Original, FileError> {
    let end = memchr::memchr(b'\n', head).map(|at| at + 1).ok_or(FileError::Line)?;
    let (line, header) = head.split_at_checked(end).ok_or(FileError::Line)?;
    let line = file::parse_line(line.to_vec())?;
    Ok(Original { envelope: line.envelope, header: checked(header.to_vec()), whole: None })
}

fn is_id(word: &str) -> bool {
    word.starts_with('<') && word.ends_with('>') && word.len() <= 250 && word.bytes().all(|b| b.is_ascii_graphic())
}

fn bytes(file: &File, start: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
    let read = file::read_full(file, &mut bytes, start)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn wire_summary(bytes: &[u8]) -> Option<WireSummary> {
    let mut check = WireCheck::default();
    check.feed(bytes).and_then(|()| check.finish()).ok()
}

fn checked(header: Vec<u8>) -> Vec<u8> {
    if wire_summary(&header).is_some() { header } else { Vec::new() }
}

fn quotable(bytes: Vec<u8>) -> Option<Quoted> {
    let summary = wire_summary(&bytes).filter(|summary| summary.longest_line <= LINE)?;
    Some(Quoted { bytes, eight_bit: summary.eight_bit })
}

/// Shortens a header section to [`QUOTED`] bytes, at the end of a line.
fn cut(header: &mut Vec<u8>) {
    if header.len() > QUOTED {
        let end = header.get(..QUOTED).and_then(|head| memchr::memrchr(b'\n', head)).map_or(0, |at| at + 1);
        header.truncate(end);
    }
}

impl Original {
    /// The quoted header section: at most [`QUOTED`] bytes, without credentials. Bcc is never in the spool.
    pub(crate) fn quoted_header(&self) -> Vec<u8> {
        let section = Section::scan(&self.header);
        let is_secret = |field: &&Field| SECRET.iter().any(|name| field.is(&self.header, name));
        let (mut header, mut at) = (Vec::with_capacity(self.header.len()), 0);
        for field in section.fields.iter().filter(is_secret).map(Field::whole) {
            header.extend_from_slice(self.header.get(at..field.start).unwrap_or_default());
            at = field.end;
        }
        header.extend_from_slice(self.header.get(at..).unwrap_or_default());
        cut(&mut header);
        header
    }

    /// True if a field has credentials. Then the message is not quoted whole, whatever its sender asked for.
    pub(crate) fn holds_credentials(&self) -> bool {
        Section::scan(&self.header).fields.iter().any(|field| SECRET.iter().any(|name| field.is(&self.header, name)))
    }

    /// The value of the first field `name`, without folds.
    pub fn value(&self, name: &str) -> Option<Vec<u8>> {
        let section = Section::scan(&self.header);
        section.named(&self.header, name).next().map(|field| header::unfold(field.value_in(&self.header)))
    }

    /// The Message-ID, if it is valid in a field (RFC 5322 3.6.4).
    pub fn message_id(&self) -> Option<String> {
        String::from_utf8(self.value("Message-ID")?).ok().filter(|id| is_id(id))
    }

    /// The References of a reply (RFC 5322 3.6.4): the last references of the message and its own id, one id per line. `None` if it
    /// has no Message-ID.
    pub fn references(&self) -> Option<String> {
        let id = self.message_id()?;
        let parent = self.value("References").or_else(|| self.value("In-Reply-To")).unwrap_or_default();
        let parent = String::from_utf8_lossy(&parent);
        let mut ids: Vec<&str> = parent.split_ascii_whitespace().filter(|word| is_id(word)).collect();
        ids.push(&id);
        let end = ids.split_off(ids.len().saturating_sub(REFERENCES));
        Some(end.join("\r\n "))
    }

    /// The Subject for people: encoded words decoded, without terminal control characters.
    pub fn subject(&self) -> Option<String> {
        let mut value = self.value("Subject")?;
        value.extend_from_slice(b"\r\n");
        let decoded = mail_parser::parsers::MessageStream::new(&value).parse_unstructured().into_text()?.into_owned();
        Some(mail::printable::text(&decoded).chars().take(200).collect())
    }
}
