//! Parses bytes of a server into replies (RFC 5321 4.2), with hard limits. Pure: the caller reads the socket.
//!
//! In: any bytes of a hostile server, in any pieces. Out: one [`Reply`] at a time; further bytes stay for the next one, since pipelined
//! replies arrive together. Liberal where servers differ (bare `250`, LF alone, any second digit, bytes that are not
//! UTF-8), strict where a doubt could pair a reply with the wrong command (mixed codes, something that is no reply).
//! Memory use is limited to one line, one read and the lines of one reply; discarded bytes use none (THREATS PF26-5).

use std::fmt;

use mail::{Reply, printable};

/// Octets of one line with its end. RFC 5321 4.5.3.1.5 says 512; real servers send longer ones.
pub const LINE: usize = 2048;
/// Lines of one reply.
pub const LINES: usize = 100;
/// Bytes of one reply.
pub const TOTAL: usize = 64 << 10;
/// Bytes asked of the socket at a time.
pub const READ: usize = 4096;
/// Bytes of a line that an error message repeats.
const SHOWN: usize = 80;

/// Why bytes are not a reply. The connection is out of step after any of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A line longer than [`LINE`].
    LongLine,
    /// More than [`LINES`] lines or [`TOTAL`] bytes.
    TooLong,
    /// A line that does not start with a reply code; the line, shortened and printable.
    NoReply(String),
    /// Lines of one reply with different codes.
    MixedCodes(u16, u16),
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            ReplyError::LongLine => write!(f, "the server sent a line of more than {LINE} bytes"),
            ReplyError::TooLong => write!(f, "the server sent a reply of more than {LINES} lines or {TOTAL} bytes"),
            ReplyError::NoReply(line) => write!(f, "the server sent `{line}`, which is not an SMTP reply"),
            ReplyError::MixedCodes(one, other) => write!(f, "the server mixed the codes {one} and {other} in one reply"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// Bytes that have arrived, and the lines of the reply that is not complete yet.
#[derive(Debug, Default)]
pub struct ReplyReader {
    bytes: Vec<u8>,
    /// Bytes at the front that are done with.
    used: usize,
    /// Bytes after `used` that are known to hold no LF.
    scanned: usize,
    code: Option<u16>,
    lines: Vec<String>,
    total: usize,
}

impl ReplyReader {
    /// The buffer that a read appends to, with room for [`READ`] bytes.
    pub fn space(&mut self) -> &mut Vec<u8> {
        if self.used > 0 {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        self.bytes.reserve(READ);
        &mut self.bytes
    }

    /// Bytes that no reply has taken yet.
    pub fn buffered(&self) -> usize {
        self.bytes.len().saturating_sub(self.used)
    }

    /// True if nothing has arrived since the last complete reply.
    pub fn is_empty(&self) -> bool {
        self.buffered() == 0 && self.code.is_none()
    }

    /// The next reply, or None until more bytes arrive.
    pub fn take(&mut self) -> Result<Option<Reply>, ReplyError> {
        while let Some(line) = self.next_line()? {
            let (code, is_last, text) = parse_line(&line)?;
            match self.code {
                Some(first) if first != code => return Err(ReplyError::MixedCodes(first, code)),
                _ => self.code = Some(code),
            }
            self.total += line.len();
            self.lines.push(text);
            if self.lines.len() > LINES || self.total > TOTAL {
                return Err(ReplyError::TooLong);
            }
            if is_last {
                (self.code, self.total) = (None, 0);
                return Ok(Some(Reply::new(code, std::mem::take(&mut self.lines))));
            }
        }
        Ok(None)
    }

    /// The next whole line, without its end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ReplyError> {
        let rest = self.bytes.get(self.used..).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', rest.get(self.scanned..).unwrap_or_default()) else {
            self.scanned = rest.len();
            return if rest.len() >= LINE { Err(ReplyError::LongLine) } else { Ok(None) };
        };
        let end = self.scanned + at;
        if end >= LINE {
            return Err(ReplyError::LongLine);
        }
        let line = rest.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.used += end + 1;
        self.scanned = 0;
        Ok(Some(line))
    }
}

/// Code, whether it is the last line, text. RFC 5321 4.2: `250-text`, `250 text`, `250`.
fn parse_line(line: &[u8]) -> Result<(u16, bool, String), ReplyError> {
    let no_reply = || ReplyError::NoReply(printable::bytes(line.get(..SHOWN).unwrap_or(line)));
    let (code, rest) = line.split_at_checked(3).ok_or_else(no_reply)?;
    // RFC 5321 4.2.1 knows the first digits 2 to 5; the second and third may be any (571 and 481 exist).
    let code = match code {
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] => code.iter().fold(0u16, |code, digit| code * 10 + u16::from(digit.saturating_sub(b'0'))),
        _ => return Err(no_reply()),
    };
    let (is_last, text) = match rest.split_first() {
        None => (true, rest),
        // Some servers send a tab instead of the space.
        Some((b' ' | b'\t', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return Err(no_reply()),
    };
    Ok((code, is_last, String::from_utf8_lossy(text).into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Reply>, ReplyError> {
        let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
        for chunk in bytes.chunks(piece) {
            reader.space().extend_from_slice(chunk);
            while let Some(reply) = reader.take()? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    #[test]
    fn replies_that_arrive_together_are_told_apart_in_any_pieces() {
        let bytes = b"250-one\r\n250 two\r\n354\r\n550 5.1.1 no\r\n";
        for piece in 1..=bytes.len() {
            let replies = read(bytes, piece).unwrap();
            assert_eq!(replies.iter().map(Reply::code).collect::<Vec<_>>(), [250, 354, 550]);
            assert_eq!(replies[0].lines(), ["one", "two"]);
            assert_eq!(replies[1].lines(), [""]);
        }
    }

    #[test]
    fn what_servers_really_send_is_accepted() {
        for (bytes, code, text) in [
            (&b"250\r\n"[..], 250, ""),
            (b"250 \r\n", 250, ""),
            (b"250\n", 250, ""),
            (b"571 5.7.1 policy\r\n", 571, "5.7.1 policy"),
            (b"481 odd\n", 481, "odd"),
            (b"550\tno\r\n", 550, "no"),
            (b"550 gr\xfc\xdf\r\n", 550, "gr\u{fffd}\u{fffd}"),
            (b"550 \x1b[2J\r\n", 550, "\\x1b[2J"),
            (b"550 5.7.515 denied\r\n", 550, "5.7.515 denied"),
        ] {
            let replies = read(bytes, 99).unwrap();
            assert_eq!((replies[0].code(), replies[0].lines()[0].as_str()), (code, text));
        }
    }

    #[test]
    fn t_smtp_4_what_is_no_reply_is_refused() {
        for bytes in [
            &b"\r\n"[..],
            b"ok\r\n",
            b"25\r\n",
            b"2500 x\r\n",
            b"250x\r\n",
            b"150 wait\r\n",
            b"650 no\r\n",
            b"HTTP/1.1 400 Bad\r\n",
            b"250-a\r\n\r\n",
            b"\xff\xff\xff\xff\r\n",
            b" 250 ok\r\n",
        ] {
            assert!(matches!(read(bytes, 99), Err(ReplyError::NoReply(_))), "{bytes:?}");
        }
        assert_eq!(read(b"250-a\r\n550 b\r\n", 99), Err(ReplyError::MixedCodes(250, 550)));
    }

    #[test]
    fn pf26_5_lines_and_replies_have_an_end() {
        assert_eq!(read(&[b'2'; 5000], 1000), Err(ReplyError::LongLine));
        let exact = [b"250 ".to_vec(), vec![b'x'; LINE - 5], b"\n".to_vec()].concat();
        assert!(read(&exact, 4096).is_ok());
        let over = [b"250 ".to_vec(), vec![b'x'; LINE - 4], b"\n".to_vec()].concat();
        assert_eq!(read(&over, 4096), Err(ReplyError::LongLine));
        assert_eq!(read(&b"250-x\r\n".repeat(LINES + 1), 4096), Err(ReplyError::TooLong));
        let wide = [b"250-".to_vec(), vec![b'x'; 1990], b"\r\n".to_vec()].concat();
        assert_eq!(read(&wide.repeat(40), 4096), Err(ReplyError::TooLong));
    }

    #[test]
    fn pf26_5_an_endless_line_costs_no_memory() {
        let mut reader = ReplyReader::default();
        for _ in 0..1000 {
            reader.space().extend_from_slice(&[b'x'; READ]);
            if reader.take().is_err() {
                break;
            }
        }
        assert!(reader.bytes.capacity() <= 4 * READ, "{}", reader.bytes.capacity());
    }

    proptest! {
        #[test]
        fn no_bytes_can_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..3000), piece in 1usize..200) {
            let _ = read(&bytes, piece);
        }

        #[test]
        fn pieces_change_nothing(bytes in "(250[- ][a-z]{0,5}\r?\n){0,20}", piece in 1usize..50) {
            prop_assert_eq!(read(bytes.as_bytes(), piece), read(bytes.as_bytes(), 9999));
        }
    }
}
