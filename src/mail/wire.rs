//! The wire form: every line ends in CRLF, and there is no other CR, no other LF, no NUL (RFC 5321 2.3.8).
//!
//! A message in this form cannot hold an end of data that one server sees and another does not (SMTP smuggling, THREATS
//! T-SMTP-1). Checked when a file is claimed and once more in the last stage before the socket.

/// A check over a message that arrives in pieces.
#[derive(Clone, Copy, Debug)]
pub struct WireCheck {
    after_cr: bool,
    at_line_start: bool,
    eight_bit: bool,
    line: usize,
    longest_line: usize,
}

/// A violation of the wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// A CR without LF.
    BareCr,
    /// A LF without CR.
    BareLf,
    /// A NUL.
    Nul,
    /// The last line has no CRLF.
    Unended,
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = crate::sentence::instead(f) {
            return nonsense;
        }
        f.write_str(match self {
            WireError::BareCr => "a CR without LF",
            WireError::BareLf => "a LF without CR",
            WireError::Nul => "a NUL byte",
            WireError::Unended => "a last line without CRLF",
        })
    }
}

impl Default for WireCheck {
    fn default() -> Self {
        WireCheck { after_cr: false, at_line_start: true, eight_bit: false, line: 0, longest_line: 0 }
    }
}

impl WireCheck {
    /// Looks at the next piece.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), WireError> {
        let mut start = 0;
        for at in memchr::memchr3_iter(b'\r', b'\n', 0, piece) {
            self.text(piece.get(start..at).unwrap_or_default())?;
            match piece.get(at) {
                Some(b'\n') if self.after_cr => {
                    self.longest_line = self.longest_line.max(self.line);
                    (self.after_cr, self.at_line_start, self.line) = (false, true, 0);
                }
                Some(b'\n') => return Err(WireError::BareLf),
                Some(b'\r') if !self.after_cr => self.after_cr = true,
                Some(b'\r') => return Err(WireError::BareCr),
                _ => return Err(WireError::Nul),
            }
            start = at + 1;
        }
        self.text(piece.get(start..).unwrap_or_default())
    }

    fn text(&mut self, text: &[u8]) -> Result<(), WireError> {
        if text.is_empty() {
            return Ok(());
        }
        if self.after_cr {
            return Err(WireError::BareCr);
        }
        self.eight_bit |= !text.is_ascii();
        self.line += text.len();
        self.at_line_start = false;
        Ok(())
    }

    /// The verdict at the end.
    pub fn finish(self) -> Result<WireSummary, WireError> {
        if self.after_cr || !self.at_line_start {
            return Err(WireError::Unended);
        }
        Ok(WireSummary { eight_bit: self.eight_bit, longest_line: self.longest_line })
    }
}

/// The results of the check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireSummary {
    /// There is a byte above 127.
    pub eight_bit: bool,
    /// Bytes of the longest line, without CRLF.
    pub longest_line: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_violation_has_its_name_and_a_line_its_length() {
        for (text, why, words) in [
            (b"a\rb\r\n".as_slice(), WireError::BareCr, "a CR without LF"),
            (b"a\r\r\n", WireError::BareCr, "a CR without LF"),
            (b"a\nb\r\n", WireError::BareLf, "a LF without CR"),
            (b"a\0\r\n", WireError::Nul, "a NUL byte"),
            (b"a", WireError::Unended, "a last line without CRLF"),
            (b"a\r\n\r", WireError::Unended, "a last line without CRLF"),
        ] {
            for piece in 1..=text.len() {
                assert_eq!(check(text, piece), Err(why), "{}", text.escape_ascii());
            }
            assert_eq!(why.to_string(), words);
        }
        for piece in 1..20 {
            let summary = |eight_bit, longest_line| Ok(WireSummary { eight_bit, longest_line });
            assert_eq!(check(b"ab\r\nabcd\r\n\r\na\r\n", piece), summary(false, 4));
            assert_eq!(check(b"a\xfc\r\n", piece), summary(true, 2));
            assert_eq!(check(b"", piece), summary(false, 0));
        }
    }

    fn check(text: &[u8], piece: usize) -> Result<WireSummary, WireError> {
        let mut check = WireCheck::default();
        text.chunks(piece).try_for_each(|chunk| check.feed(chunk))?;
        check.finish()
    }

    #[test]
    fn t_smtp_1_every_three_bytes_around_a_dot_are_judged_alike_in_any_pieces() {
        const SET: [u8; 5] = [b'\r', b'\n', b'.', 0, b'x'];
        for i in 0..125 {
            let mut text = b"a".to_vec();
            text.extend([SET[i / 25], SET[i / 5 % 5], SET[i % 5]]);
            text.extend_from_slice(b"\r\n");
            let lines_are_clean = text
                .split_inclusive(|&b| b == b'\n')
                .all(|line| line.strip_suffix(b"\r\n").is_some_and(|line| !line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))));
            for piece in 1..=text.len() {
                assert_eq!(check(&text, piece).is_ok(), lines_are_clean, "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn the_summary_of_a_body() {
        assert_eq!(check(b"abc\r\n\xfc\r\n", 2), Ok(WireSummary { eight_bit: true, longest_line: 3 }));
        assert_eq!(check(b"abc", 9), Err(WireError::Unended));
        assert_eq!(check(b"", 9), Ok(WireSummary { eight_bit: false, longest_line: 0 }));
    }
}
