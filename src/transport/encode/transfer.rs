//! The encoders for a body: quoted-printable and base64 (RFC 2045 6.7 and 6.8), the repair of a body that is
//! in one of them already, and broken lines. Pure; each keeps a few bytes between two fragments, whatever the length of a line.
//!
//! Every writer gets text and line ends apart and gives lines of at most 998 bytes. For the encodings, what a reader decodes is
//! what it would have decoded before; only [`Plain`] changes the content, where nothing else can be done.

use mail::base64;
use mail::limits;

/// Octets of a quoted-printable line before its soft break, which is one more (RFC 2045 6.7 (5)).
const QUOTED_LINE: usize = 75;
/// Octets of a base64 line (RFC 2045 6.8), and of what it holds.
const BASE64_LINE: usize = 76;
const BASE64_GROUP: usize = 57;
/// A line that was quoted-printable before keeps its length up to here.
const REPAIRED_LINE: usize = 900;

/// What writes the body of one entity.
#[derive(Debug)]
pub enum Writer {
    /// As it is, but for lines over 998 bytes.
    Plain(Plain),
    /// Quoted-printable.
    Quoted(Quoted),
    /// Base64.
    Base64(Base64),
    /// Quoted-printable already.
    Requoted(Requoted),
    /// Base64 already.
    Rewrapped(Rewrapped),
}

impl Writer {
    /// The next bytes of the line. `whole` is true if they are all of it.
    pub fn text(&mut self, text: &[u8], whole: bool, out: &mut Vec<u8>) {
        match self {
            Writer::Plain(writer) => writer.text(text, whole, out),
            Writer::Quoted(writer) => writer.text(text, out),
            Writer::Base64(writer) => writer.text(text, out),
            Writer::Requoted(writer) => writer.text(text, out),
            Writer::Rewrapped(writer) => writer.text(text, out),
        }
    }

    /// A line end that belongs to the content.
    pub fn line_end(&mut self, out: &mut Vec<u8>) {
        match self {
            Writer::Quoted(writer) => writer.finish(out),
            Writer::Base64(writer) => return writer.text(b"\r\n", out),
            Writer::Plain(Plain { column, .. }) | Writer::Rewrapped(Rewrapped { column }) => *column = 0,
            Writer::Requoted(writer) => *writer = Requoted::default(),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The end of the content. No line end is written.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Writer::Quoted(writer) => writer.finish(out),
            Writer::Base64(writer) => writer.finish(out),
            Writer::Plain(_) | Writer::Requoted(_) | Writer::Rewrapped(_) => {}
        }
    }
}

/// Text as it is. Lines over 998 bytes are broken by CRLF SPACE, between characters of UTF-8.
#[derive(Debug, Default)]
pub struct Plain {
    /// 8-bit bytes become `?`.
    pub masks: bool,
    column: usize,
}

impl Plain {
    /// Text for a server that takes 8-bit bytes, or not (`masks`).
    pub fn new(masks: bool) -> Plain {
        Plain { masks, column: 0 }
    }

    fn text(&mut self, text: &[u8], whole: bool, out: &mut Vec<u8>) {
        let is_short = whole && text.len() <= limits::LINE;
        if is_short && (!self.masks || text.is_ascii()) {
            return out.extend_from_slice(text);
        }
        for &byte in text {
            if !is_short && self.column + character(byte) > limits::LINE {
                out.extend_from_slice(b"\r\n ");
                self.column = 1;
            }
            out.push(if self.masks && !byte.is_ascii() { b'?' } else { byte });
            self.column += 1;
        }
    }
}

/// Bytes of the character of UTF-8 that begins with this one: all of them fit in the line, or none.
fn character(first: u8) -> usize {
    match first {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xFF => 4,
        _ => 1,
    }
}

/// Quoted-printable. A line never starts as a boundary, a lone dot or mbox's `From ` would: readers and servers on the way that look
/// for these see none.
#[derive(Debug, Default)]
pub struct Quoted {
    column: usize,
    /// A blank that is encoded if the line ends behind it (RFC 2045 6.7 (3)).
    blank: Option<u8>,
}

impl Quoted {
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for (at, &byte) in text.iter().enumerate() {
            if let Some(blank) = self.blank.take() {
                self.literal(blank, out);
            }
            let starts_line = self.column == 0 || self.column >= QUOTED_LINE;
            match byte {
                b' ' | b'\t' => self.blank = Some(byte),
                b'-' | b'.' | b'F' if starts_line && looks_special(text.get(at..).unwrap_or_default()) => self.escaped(byte, out),
                b'!'..=b'~' if byte != b'=' => self.literal(byte, out),
                _ => self.escaped(byte, out),
            }
        }
    }

    fn literal(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.make_room(1, out);
        out.push(byte);
    }

    fn escaped(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.make_room(3, out);
        escape(byte, out);
    }

    fn make_room(&mut self, bytes: usize, out: &mut Vec<u8>) {
        if self.column + bytes > QUOTED_LINE {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        self.column += bytes;
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(blank) = self.blank.take() {
            self.escaped(blank, out);
        }
        self.column = 0;
    }
}

fn looks_special(rest: &[u8]) -> bool {
    matches!(rest, [b'-'] | [b'-', b'-', ..] | [b'.', ..]) || rest.starts_with(b"From ")
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte)]);
}

/// Base64. Line ends are content.
#[derive(Debug, Default)]
pub struct Base64 {
    carry: Vec<u8>,
    has_lines: bool,
}

impl Base64 {
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let missing = BASE64_GROUP - self.carry.len();
        let Some((first, rest)) = text.split_at_checked(missing) else { return self.carry.extend_from_slice(text) };
        self.carry.extend_from_slice(first);
        self.line(out);
        let mut groups = rest.chunks_exact(BASE64_GROUP);
        for group in &mut groups {
            self.carry.extend_from_slice(group);
            self.line(out);
        }
        self.carry.extend_from_slice(groups.remainder());
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_lines, true) {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(base64::encode(&self.carry).as_bytes());
        self.carry.clear();
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.carry.is_empty() {
            self.line(out);
        }
    }
}

/// Quoted-printable that breaks its rules: long lines get soft breaks, never within an escape; 8-bit bytes are escaped.
#[derive(Debug, Default)]
pub struct Requoted {
    column: usize,
    /// Bytes of an escape that may follow.
    escape: usize,
}

impl Requoted {
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for &byte in text {
            let is_in_escape = self.escape > 0 && byte.is_ascii_hexdigit();
            // Readers drop blanks before a line end, but not before a soft break.
            let may_break = !is_in_escape && !matches!(byte, b' ' | b'\t');
            if self.column >= REPAIRED_LINE && (may_break || self.column >= limits::LINE - 3) {
                out.extend_from_slice(b"=\r\n");
                self.column = 0;
            }
            self.escape = match byte {
                b'=' => 2,
                _ if is_in_escape => self.escape - 1,
                _ => 0,
            };
            let before = out.len();
            if byte.is_ascii() {
                out.push(byte);
            } else {
                escape(byte, out);
            }
            self.column += out.len() - before;
        }
    }
}

/// Base64 with long lines or foreign bytes: no reader minds where its lines end, or sees 8-bit bytes (RFC 2045 6.8).
#[derive(Debug, Default)]
pub struct Rewrapped {
    column: usize,
}

impl Rewrapped {
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for &byte in text.iter().filter(|byte| byte.is_ascii()) {
            if self.column >= BASE64_LINE {
                out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
            out.push(byte);
            self.column += 1;
        }
    }
}

#[cfg(test)]
mod tests;
