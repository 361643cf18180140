//! The spool file: one envelope line, then the message in wire form.
//!
//! In: an [`Envelope`] and bytes, or a file that any local user may have written. Out: a line to write, or an envelope whose size,
//! checksum and form were checked against the bytes. A rescue needs only `head -1 F | jq .` and `tail -n +2 F`.

use std::fs::File;
use std::os::unix::fs::FileExt;

use mail::envelope;
use mail::envelope::Envelope;
use mail::header::Section;
use mail::limits;
use mail::wire::{WireCheck, WireError, WireSummary};

/// Spaces reserved at the end of the line for values known only after streaming: size, body type, warnings.
const SPARE: usize = 400;

/// Why bytes are not a spool file.
#[derive(Debug)]
pub enum FileError {
    /// The file cannot be read.
    Io(std::io::Error),
    /// The envelope line is over the limit, or has no end.
    Line,
    /// The line is not an envelope: the message of the parser.
    Envelope(String),
    /// A newer version than this program knows.
    Newer(u32),
    /// The file is shorter or longer than the envelope says: it was torn.
    Size {
        /// The size in the envelope.
        promised: u64,
        /// The size of the file.
        found: u64,
    },
    /// The checksum is wrong: it was torn, or changed.
    Checksum,
    /// The message is not in wire form.
    Form(WireError),
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            FileError::Io(e) => write!(f, "cannot be read: {e}"),
            FileError::Line => f.write_str("no envelope line within 8 MiB"),
            FileError::Envelope(why) => write!(f, "envelope: {why}"),
            FileError::Newer(v) => write!(f, "written by a newer version (v {v}); this program reads v {}", envelope::VERSION),
            FileError::Size { promised, found } => write!(f, "torn: {found} bytes, but the envelope says {promised}"),
            FileError::Checksum => f.write_str("torn or changed: the checksum is wrong"),
            FileError::Form(why) => write!(f, "not in wire form: {why}"),
        }
    }
}

impl From<std::io::Error> for FileError {
    fn from(e: std::io::Error) -> Self {
        FileError::Io(e)
    }
}

/// The length of the envelope line to reserve for `envelope`, its line feed included.
///
/// Errors: [`FileError::Line`] where it would exceed the limit.
pub fn reserve(envelope: &Envelope) -> Result<usize, FileError> {
    let length = to_json(envelope)?.len() + SPARE;
    if length > limits::ENVELOPE_LINE { Err(FileError::Line) } else { Ok(length) }
}

/// The final envelope line, `reserved` bytes long. `body` is the checksum over the message, `envelope.size` its length.
pub fn encode_line(envelope: &mut Envelope, reserved: usize, body: &crc32fast::Hasher) -> Result<Vec<u8>, FileError> {
    envelope.crc32 = "00000000".to_owned();
    let mut whole = crc32fast::Hasher::new();
    whole.update(&padded(envelope, reserved)?);
    whole.combine(body);
    envelope.crc32 = format!("{:08x}", whole.finalize());
    padded(envelope, reserved)
}

fn to_json(envelope: &Envelope) -> Result<Vec<u8>, FileError> {
    serde_json::to_vec(envelope).map_err(|e| FileError::Envelope(e.to_string()))
}

fn padded(envelope: &Envelope, reserved: usize) -> Result<Vec<u8>, FileError> {
    let mut line = to_json(envelope)?;
    if line.len() >= reserved {
        return Err(FileError::Line);
    }
    line.resize(reserved - 1, b' ');
    line.push(b'\n');
    Ok(line)
}

/// An envelope line as it was read.
#[derive(Debug)]
pub struct Line {
    /// What it says; [`Envelope::check`] has passed.
    pub envelope: Envelope,
    /// The bytes, for the checksum.
    raw: Vec<u8>,
}

impl Line {
    /// The bytes that were parsed.
    pub fn bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The offset of the message in the file.
    pub fn length(&self) -> u64 {
        self.raw.len() as u64
    }
}

/// Reads and checks only the envelope line, for listings.
pub fn read_line(file: &File) -> Result<Line, FileError> {
    let mut raw = Vec::new();
    loop {
        let old = raw.len();
        if old >= limits::ENVELOPE_LINE {
            return Err(FileError::Line);
        }
        raw.resize((old + (4 << 10).max(old)).min(limits::ENVELOPE_LINE), 0);
        let read = read_full(file, raw.get_mut(old..).unwrap_or_default(), old as u64)?;
        raw.truncate(old + read);
        if let Some(end) = memchr::memchr(b'\n', raw.get(old..).unwrap_or_default()) {
            raw.truncate(old + end + 1);
            break;
        }
        if read == 0 {
            return Err(FileError::Line);
        }
    }
    parse_line(raw)
}

/// Checks an envelope line. The version is checked first, to distinguish a newer line from a broken one.
pub fn parse_line(raw: Vec<u8>) -> Result<Line, FileError> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u32,
    }
    let bad = |e: serde_json::Error| FileError::Envelope(mail::printable::text(&e.to_string()));
    let version: Version = serde_json::from_slice(&raw).map_err(bad)?;
    if version.v > envelope::VERSION {
        return Err(FileError::Newer(version.v));
    }
    let envelope: Envelope = serde_json::from_slice(&raw).map_err(bad)?;
    envelope.check().map_err(|why| FileError::Envelope(why.to_owned()))?;
    Ok(Line { envelope, raw })
}

/// Reads the whole file once: size, checksum and wire form against the envelope. Every piece, the envelope line first, also goes
/// to `also` (a digest, a copy).
pub fn verify(file: &File, line: &Line, mut also: impl FnMut(&[u8])) -> Result<WireSummary, FileError> {
    const CRC_KEY: &[u8] = b"\"crc32\":\"";
    let mut crc = crc32fast::Hasher::new();
    let mut zeroed = line.raw.clone();
    // Only the key can match: inside a JSON string every quote is escaped.
    let digits = memchr::memmem::find(&zeroed, CRC_KEY).map(|at| at + CRC_KEY.len()).ok_or(FileError::Checksum)?;
    zeroed.get_mut(digits..digits + 8).ok_or(FileError::Checksum)?.fill(b'0');
    crc.update(&zeroed);
    also(&line.raw);
    let mut wire = WireCheck::default();
    let mut found = 0u64;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = read_full(file, &mut buffer, line.length() + found)?;
        if read == 0 {
            break;
        }
        let piece = buffer.get(..read).unwrap_or_default();
        crc.update(piece);
        also(piece);
        // Checked at once: a sparse file of a terabyte costs its creator nothing and must not cost us a full read (THREATS T-SPOOL-1).
        wire.feed(piece).map_err(FileError::Form)?;
        found += read as u64;
        if found > line.envelope.size {
            break;
        }
    }
    if found != line.envelope.size {
        return Err(FileError::Size { promised: line.envelope.size, found });
    }
    if format!("{:08x}", crc.finalize()) != line.envelope.crc32 {
        return Err(FileError::Checksum);
    }
    wire.finish().map_err(FileError::Form)
}

/// The range of a part of the message in its file: start and end.
pub fn range_of(file: &File, line: &Line, part: Part) -> std::io::Result<(u64, u64)> {
    let (start, end) = (line.length(), line.length().saturating_add(line.envelope.size));
    if matches!(part, Part::Raw | Part::Message) {
        return Ok((if part == Part::Raw { 0 } else { start }, end));
    }
    let mut head = vec![0; limits::HEADER_SECTION + 2];
    let read = read_full(file, &mut head, start)?;
    head.truncate(read);
    let section = Section::scan(&head);
    Ok(match part {
        Part::Headers => (start, start + section.end as u64),
        _ => (start + section.body as u64, end),
    })
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Header section and body.
    Message,
    /// The header section.
    Headers,
    /// The body.
    Body,
    /// The whole spool file, envelope line first.
    Raw,
}

/// Fills `buffer` from `offset` up to the end of the file, and retries after interruptions.
pub fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::address::{Address, ReversePath};
    use mail::envelope::{Body, CallerInfo, Recipient, VERSION};
    use mail::queue_id::QueueId;

    pub(crate) fn sample() -> Envelope {
        Envelope {
            v: VERSION,
            id: QueueId::new(0x6921_CE05, 7),
            size: 0,
            crc32: "00000000".into(),
            time: "2026-11-22T14:43:49Z".into(),
            reverse_path: ReversePath::Null,
            recipients: vec![Recipient::new(Address::parse("a@b.example").unwrap())],
            ret: None,
            envid: None,
            body: Body::SevenBit,
            smtputf8: false,
            deliver_by: None,
            hold_until: None,
            priority: None,
            warnings: vec![],
            caller: CallerInfo::default(),
            peer: None,
        }
    }

    fn encode(message: &[u8]) -> Vec<u8> {
        let mut envelope = sample();
        let reserved = reserve(&envelope).unwrap();
        let mut crc = crc32fast::Hasher::new();
        crc.update(message);
        envelope.size = message.len() as u64;
        let mut bytes = encode_line(&mut envelope, reserved, &crc).unwrap();
        bytes.extend_from_slice(message);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Envelope, FileError> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let line = read_line(&file)?;
        let mut seen = Vec::new();
        verify(&file, &line, |piece| seen.extend_from_slice(piece))?;
        assert_eq!(seen, bytes);
        Ok(line.envelope)
    }

    #[test]
    fn what_was_encoded_is_read_back() {
        let envelope = read(&encode(b"A: b\r\n\r\nbody\r\n")).unwrap();
        assert_eq!((envelope.size, envelope.id), (14, sample().id));
    }

    #[test]
    fn an_envelope_line_ends_within_eight_mebibytes_or_is_none() {
        for (over, is_line) in [(0, true), (1, false), (1 << 20, false)] {
            let line = [vec![b' '; limits::ENVELOPE_LINE + over - 1], b"\n".to_vec()].concat();
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&line, 0).unwrap();
            let is_too_long = matches!(read_line(&file), Err(FileError::Line));
            assert_eq!(!is_too_long, is_line, "{over} bytes over the limit");
        }
    }

    #[test]
    fn t_spool_6_any_changed_or_missing_byte_is_found() {
        let good = encode(b"A: b\r\n\r\nbody\r\n");
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 0x20;
            assert!(read(&changed).is_err(), "byte {at}");
            assert!(read(&good[..at]).is_err(), "cut at {at}");
        }
        let mut longer = good.clone();
        longer.push(b'x');
        assert!(matches!(read(&longer), Err(FileError::Size { .. })));
    }

    #[test]
    fn pf26_1_and_2_unknown_keys_and_line_breaks_are_refused() {
        let line = String::from_utf8(encode(b"")).unwrap();
        for (from, to) in [
            ("\"v\":1", "\"v\":1,\"relay\":\"evil\""),
            ("\"reverse_path\":\"\"", "\"reverse_path\":\"a@b\\r\\nRCPT TO:<x@y>\""),
            ("a@b.example", "root"),
            ("\"a@b.example\"", "\"a@b.example\",\"notify\":\"never\\n\""),
            ("\"a@b.example\"", "\"a@b.example\",\"notify\":\"success, delay\""),
            ("\"v\":1", "\"v\":0"),
        ] {
            assert!(line.contains(from), "{from}");
            assert!(matches!(parse_line(line.replace(from, to).into_bytes()), Err(FileError::Envelope(_))), "{to}");
        }
        assert!(matches!(parse_line(line.replace("\"v\":1", "\"v\":2").into_bytes()), Err(FileError::Newer(2))));
    }
}
