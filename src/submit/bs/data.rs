//! The mail data of `-bs`: finds its end and removes dot-stuffing (RFC 5321 4.5.2). Pure.
//!
//! The first command line decides the line end of the session. Only CRLF.CRLF ends the data of a CRLF session, and only LF.LF ends the
//! data of a LF session. No other sequence ends data (THREATS T-SMTP-1).

/// The line end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// CR LF
    CrLf,
    /// LF
    Lf,
}

/// The position of the next byte in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    /// After a dot at the start of a line; it was not written.
    Dot,
    /// After a dot and a CR, in a CRLF session.
    DotCr,
    Text,
    /// After a CR that was written.
    Cr,
}

/// The state between two pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    ends: LineEnd,
    at: At,
    bare_lf: bool,
}

impl Data {
    /// Starts mail data.
    pub(crate) fn new(ends: LineEnd) -> Data {
        Data { ends, at: At::Start, bare_lf: false }
    }

    /// True if a LF without CR was seen in a CRLF session.
    pub(crate) fn has_bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Takes the next bytes. `out` gets the text without dot-stuffing. Returns the number of bytes that belong to the data, its end
    /// included, or `None` before the end.
    pub(crate) fn feed(&mut self, input: &[u8], mut out: impl FnMut(&[u8])) -> Option<usize> {
        // The start of the bytes that were not written yet.
        let mut begin = 0;
        for (at, &byte) in input.iter().enumerate() {
            match (self.at, byte) {
                (At::Start, b'.') => {
                    out(input.get(begin..at).unwrap_or_default());
                    (self.at, begin) = (At::Dot, at + 1);
                }
                (At::Dot, b'\n') if self.ends == LineEnd::Lf => return Some(at + 1),
                (At::Dot, b'\r') if self.ends == LineEnd::CrLf => {
                    (self.at, begin) = (At::DotCr, at + 1);
                }
                (At::DotCr, b'\n') => return Some(at + 1),
                (At::DotCr, _) => {
                    // The CR was text.
                    out(b"\r");
                    self.step(byte, true);
                }
                (state, byte) => self.step(byte, state == At::Cr),
            }
        }
        out(input.get(begin..).unwrap_or_default());
        None
    }

    /// A byte of text.
    fn step(&mut self, byte: u8, after_cr: bool) {
        self.at = match byte {
            b'\n' if self.ends == LineEnd::Lf || after_cr => At::Start,
            b'\n' => {
                self.bare_lf = true;
                At::Text
            }
            b'\r' => At::Cr,
            _ => At::Text,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, what follows its end (`None`: no end), and whether there was a bare LF.
    fn data(ends: LineEnd, input: &str) -> (String, Option<String>, bool) {
        let run = |piece: usize| {
            let (mut data, mut text, mut used) = (Data::new(ends), Vec::new(), 0);
            for chunk in input.as_bytes().chunks(piece) {
                match data.feed(chunk, |bytes| text.extend_from_slice(bytes)) {
                    Some(count) => {
                        return (String::from_utf8(text).unwrap(), Some(input[used + count..].to_owned()), data.has_bare_lf());
                    }
                    None => used += chunk.len(),
                }
            }
            (String::from_utf8(text).unwrap(), None, data.has_bare_lf())
        };
        let whole = run(usize::MAX);
        for piece in 1..=input.len() {
            assert_eq!(run(piece), whole, "{input:?} in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn t_smtp_1_in_a_crlf_session_only_crlf_dot_crlf_ends() {
        let ended = |text: &str, rest: &str| (text.to_owned(), Some(rest.to_owned()), false);
        assert_eq!(data(LineEnd::CrLf, "a\r\n.\r\nQUIT\r\n"), ended("a\r\n", "QUIT\r\n"));
        assert_eq!(data(LineEnd::CrLf, ".\r\n"), ended("", ""));
        assert_eq!(data(LineEnd::CrLf, "..a\r\n...\r\n.b\r\n.\r\n"), ended(".a\r\n..\r\nb\r\n", ""));
        for form in ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n\n.\r\n"] {
            let (_, rest, bare_lf) = data(LineEnd::CrLf, &format!("a{form}MAIL FROM:<evil@x>\r\n.\r\nQUIT\r\n"));
            assert_eq!(rest.as_deref(), Some("QUIT\r\n"), "{form:?}");
            assert_eq!(bare_lf, form.replace("\r\n", "").contains('\n'), "{form:?}");
        }
        assert_eq!(data(LineEnd::CrLf, "a\r\n.\rb\r\n.\r\n").0, "a\r\n\rb\r\n");
    }

    #[test]
    fn t_smtp_1_in_a_lf_session_only_lf_dot_lf_ends() {
        assert_eq!(data(LineEnd::Lf, "a\n..b\n.\nQUIT\n"), ("a\n.b\n".to_owned(), Some("QUIT\n".to_owned()), false));
        assert_eq!(data(LineEnd::Lf, "a\r\n.\r\nb\n"), ("a\r\n\r\nb\n".to_owned(), None, false));
        assert_eq!(data(LineEnd::Lf, "a\n").1, None);
    }
}
