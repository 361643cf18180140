//! Converts the caller's text into wire form, piece by piece (SENDMAIL.md I2 to I4).
//!
//! In: bytes in pieces of any size. Out: the text with CRLF at the end of every line, no other CR or LF, and no NUL; and the number of
//! changes. Pure. Memory does not grow with the message or the length of a line.

use config::Dot;

/// The meaning of a line with a single dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotRule {
    /// Data (`-i`).
    Data,
    /// The end of the message if it is the last line, data otherwise.
    EndIfLast,
    /// The end of the message, whatever follows.
    End,
}

impl DotRule {
    /// I2: the rule for this command line.
    pub fn of(ignore_dots: bool, configured: Dot) -> DotRule {
        match configured {
            _ if ignore_dots => DotRule::Data,
            Dot::Data => DotRule::Data,
            Dot::Strict => DotRule::End,
            Dot::Smart => DotRule::EndIfLast,
        }
    }
}

/// The number of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// NULs removed (I4).
    pub nuls: u64,
    /// CRs without LF, replaced by blanks (I3).
    pub bare_crs: u64,
    /// Lines with a single dot, kept as data without `-i` (I2).
    pub dots_kept: u64,
}

/// The state of the current line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// No byte yet.
    Empty,
    /// A single dot, not written yet.
    Dot,
    /// A complete line with a single dot, not written yet: it may be the last line.
    HeldDot,
    /// Part of the line was written.
    Text,
}

/// The state between two pieces.
#[derive(Clone, Debug)]
pub struct Lines {
    rule: DotRule,
    line: Line,
    /// Pending CRs: before LF they are dropped, otherwise each becomes a blank.
    crs: u64,
    ended: bool,
    changes: Changes,
}

const BLANKS: [u8; 64] = [b' '; 64];

impl Lines {
    /// Starts a message.
    pub fn new(rule: DotRule) -> Lines {
        Lines { rule, line: Line::Empty, crs: 0, ended: false, changes: Changes::default() }
    }

    /// True after a dot has ended the message; the rest of the input is not read.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// True if the last line so far is a single dot that may end the message. On a terminal it does.
    pub(crate) fn holds_dot(&self) -> bool {
        self.line == Line::HeldDot
    }

    /// Takes the next bytes. `out` gets the wire form in pieces; every CRLF is a piece of its own.
    ///
    /// Errors: those of `out`.
    pub fn feed<E>(&mut self, input: &[u8], mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut start = 0;
        for at in memchr::memchr3_iter(b'\r', b'\n', 0, input) {
            self.text(input.get(start..at).unwrap_or_default(), &mut out)?;
            match input.get(at) {
                _ if self.ended => return Ok(()),
                Some(b'\n') => self.end_line(&mut out)?,
                Some(b'\r') => self.crs += 1,
                _ => self.changes.nuls += 1,
            }
            start = at + 1;
        }
        self.text(input.get(start..).unwrap_or_default(), &mut out)
    }

    /// Ends the input and completes a last line without a line end.
    ///
    /// Errors: those of `out`.
    pub fn finish<E>(mut self, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<Changes, E> {
        match self.line {
            _ if self.ended => {}
            Line::HeldDot => {}
            Line::Empty if self.crs == 0 => {}
            Line::Dot if self.rule != DotRule::Data => {}
            _ => self.end_line(&mut out)?,
        }
        Ok(self.changes)
    }

    fn text<E>(&mut self, text: &[u8], out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if text.is_empty() || self.ended {
            return Ok(());
        }
        self.release_held(out)?;
        if self.line == Line::Empty && self.crs == 0 && text == b"." {
            self.line = Line::Dot;
            return Ok(());
        }
        self.release_dot(out)?;
        self.release_crs(out)?;
        self.line = Line::Text;
        out(text)
    }

    fn end_line<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        // CRs before this LF belong to the line end, but a pending dot line comes first.
        self.release_held(out)?;
        self.crs = 0;
        match (self.line, self.rule) {
            (Line::Dot, DotRule::End) => {
                self.ended = true;
                return Ok(());
            }
            (Line::Dot, DotRule::EndIfLast) => {
                self.line = Line::HeldDot;
                return Ok(());
            }
            _ => {}
        }
        self.release_dot(out)?;
        self.line = Line::Empty;
        out(b"\r\n")
    }

    /// Writes a pending dot line: more input follows, so it was data.
    fn release_held<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.line == Line::HeldDot {
            self.changes.dots_kept += 1;
            self.line = Line::Empty;
            out(b".")?;
            out(b"\r\n")?;
        }
        Ok(())
    }

    fn release_dot<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.line == Line::Dot {
            self.line = Line::Text;
            out(b".")?;
        }
        Ok(())
    }

    /// Writes pending CRs as blanks: no LF followed them.
    fn release_crs<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.changes.bare_crs += self.crs;
        while self.crs > 0 {
            let count = self.crs.min(BLANKS.len() as u64);
            self.crs -= count;
            out(BLANKS.get(..count as usize).unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wire form of `input`, fed in pieces of `piece` bytes.
    fn wire(rule: DotRule, input: &[u8], piece: usize) -> (Vec<u8>, Changes) {
        let mut out = Vec::new();
        let mut take = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), ()>(())
        };
        let mut lines = Lines::new(rule);
        for chunk in input.chunks(piece) {
            lines.feed(chunk, &mut take).unwrap();
        }
        let changes = lines.finish(&mut take).unwrap();
        (out, changes)
    }

    fn check(rule: DotRule, input: &str, expected: &str) -> Changes {
        let whole = wire(rule, input.as_bytes(), usize::MAX);
        assert_eq!(String::from_utf8_lossy(&whole.0), expected, "{rule:?} {input:?}");
        for piece in 1..=input.len() {
            assert_eq!(wire(rule, input.as_bytes(), piece), whole, "{rule:?} {input:?} in pieces of {piece}");
        }
        whole.1
    }

    #[test]
    fn i3_every_line_end_becomes_crlf_and_a_bare_cr_a_blank() {
        for (input, expected) in [
            ("a\nb\n", "a\r\nb\r\n"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\r\nb\nc", "a\r\nb\r\nc\r\n"),
            ("a\r\r\r\nb", "a\r\nb\r\n"),
            ("a\rb\n", "a b\r\n"),
            ("a\r\rb\n", "a  b\r\n"),
            ("\rb\n", " b\r\n"),
            ("a\r", "a\r\n"),
            ("\r", "\r\n"),
            ("\n\r\n\r", "\r\n\r\n\r\n"),
            ("", ""),
            ("a\n\r.\n", "a\r\n .\r\n"),
        ] {
            check(DotRule::Data, input, expected);
        }
        assert_eq!(check(DotRule::Data, "\r\r.\r\n", "  .\r\n").bare_crs, 2);
    }

    #[test]
    fn i4_nul_is_removed_everywhere_and_counted() {
        assert_eq!(check(DotRule::Data, "a\0b\0\n\0", "ab\r\n").nuls, 3);
        check(DotRule::Data, "a\r\0\nb", "a\r\nb\r\n");
        check(DotRule::EndIfLast, "a\n\0.\0\n", "a\r\n");
    }

    #[test]
    fn i2_smart_a_dot_ends_the_message_only_as_its_last_line() {
        for (input, expected, kept) in [
            ("a\n.\n", "a\r\n", 0),
            ("a\n.\r\n", "a\r\n", 0),
            ("a\n.", "a\r\n", 0),
            ("a\n.\r", "a\r\n", 0),
            ("a\n.\nb\n", "a\r\n.\r\nb\r\n", 1),
            ("a\n.\n.\n", "a\r\n.\r\n", 1),
            ("a\n.\n\n", "a\r\n.\r\n\r\n", 1),
            ("a\n..\n", "a\r\n..\r\n", 0),
            ("a\n.x\n", "a\r\n.x\r\n", 0),
            ("a\n. \n", "a\r\n. \r\n", 0),
            (" .\n", " .\r\n", 0),
            ("..", "..\r\n", 0),
            (".\n", "", 0),
            ("x.\n", "x.\r\n", 0),
            (".\rx\n", ". x\r\n", 0),
        ] {
            assert_eq!(check(DotRule::EndIfLast, input, expected).dots_kept, kept, "{input:?}");
        }
    }

    #[test]
    fn i2_strict_ends_at_a_dot_and_data_never_does() {
        check(DotRule::End, "a\n.\nb\n.\n", "a\r\n");
        check(DotRule::End, "a\n.\r\nb", "a\r\n");
        check(DotRule::End, "a\n..\nb", "a\r\n..\r\nb\r\n");
        check(DotRule::Data, "a\n.\nb\n.\n", "a\r\n.\r\nb\r\n.\r\n");
        check(DotRule::Data, "a\n.", "a\r\n.\r\n");
    }

    #[test]
    fn i2_the_rule_of_a_call() {
        assert_eq!(DotRule::of(true, Dot::Strict), DotRule::Data);
        assert_eq!(DotRule::of(false, Dot::Smart), DotRule::EndIfLast);
        assert_eq!(DotRule::of(false, Dot::Strict), DotRule::End);
        assert_eq!(DotRule::of(false, Dot::Data), DotRule::Data);
        let mut lines = Lines::new(DotRule::EndIfLast);
        lines.feed(b"a\n.\n", |_| Ok::<(), ()>(())).unwrap();
        assert!(lines.holds_dot());
    }

    #[test]
    fn t_smtp_1_every_short_text_over_the_dangerous_bytes_comes_out_in_wire_form() {
        const SET: [u8; 5] = [b'\r', b'\n', b'.', 0, b'x'];
        for number in 0..5usize.pow(6) {
            let input: Vec<u8> = (0..6).map(|digit| SET[number / 5usize.pow(digit) % 5]).collect();
            for rule in [DotRule::Data, DotRule::EndIfLast, DotRule::End] {
                let mut check = mail::wire::WireCheck::default();
                assert!(check.feed(&wire(rule, &input, 2).0).is_ok() && check.finish().is_ok(), "{input:?}");
            }
        }
    }
}
