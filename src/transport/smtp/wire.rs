//! The last stage before the socket: content in, dot-stuffed bytes and one end of data out (RFC 5321 4.5.2).
//!
//! Whatever other stages did to the content, the output has only CRLF line ends, no other CR or LF, and no NUL (RFC 5321 2.3.8), so all
//! servers see the same end of data (THREATS T-SMTP-1, PF26-6). Pure.

use memchr::memmem;

use mail::wire::{WireCheck, WireError};

/// The end of data, after content whose last line is ended.
const END_OF_DATA: &[u8] = b".\r\n";

/// One content on its way out, in pieces of any size.
pub(crate) struct Encoder {
    check: WireCheck,
    at_line_start: bool,
    line_dot: memmem::Finder<'static>,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { check: WireCheck::default(), at_line_start: true, line_dot: memmem::Finder::new(b"\n.") }
    }
}

impl Encoder {
    /// Appends `piece` to `out`, every dot at the start of a line doubled.
    ///
    /// Errors: the piece breaks the wire form. Nothing of it is in `out` then, and the end of data must not be sent.
    pub(crate) fn encode(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        self.check.feed(piece)?;
        if self.at_line_start && piece.first() == Some(&b'.') {
            out.push(b'.');
        }
        let mut start = 0;
        // Every LF ends a CRLF here: the check above has seen the whole piece.
        for at in self.line_dot.find_iter(piece) {
            out.extend_from_slice(piece.get(start..=at).unwrap_or_default());
            out.push(b'.');
            start = at + 1;
        }
        out.extend_from_slice(piece.get(start..).unwrap_or_default());
        if let Some(last) = piece.last() {
            self.at_line_start = *last == b'\n';
        }
        Ok(())
    }

    /// Appends the end of data.
    ///
    /// Errors: the last line has no CRLF; nothing was appended.
    pub(crate) fn finish(self, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.check.finish()?;
        out.extend_from_slice(END_OF_DATA);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(content: &[u8], piece: usize) -> Result<Vec<u8>, WireError> {
        let (mut encoder, mut out) = (Encoder::default(), Vec::new());
        content.chunks(piece).try_for_each(|chunk| encoder.encode(chunk, &mut out))?;
        encoder.finish(&mut out).map(|()| out)
    }

    /// How many messages a server sees that ends data at `end`, and the first of them with the dots removed.
    fn receive(wire: &[u8], ends: &[&[u8]]) -> (usize, Vec<u8>) {
        let mut count = 0;
        let mut line_start = 0;
        let mut content = Vec::new();
        while line_start < wire.len() {
            let rest = &wire[line_start..];
            if let Some(end) = ends.iter().find(|end| rest.starts_with(end)) {
                count += 1;
                line_start += end.len();
                continue;
            }
            let length = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |at| at + 1);
            if count == 0 {
                content.extend_from_slice(rest[..length].strip_prefix(b".").unwrap_or(&rest[..length]));
            }
            line_start += length;
        }
        (count, content)
    }

    #[test]
    fn t_smtp_1_no_smuggling_form_ever_leaves() {
        for end in [
            "\n.\n",
            "\n.\r",
            "\r.\n",
            "\r.\r",
            "\n.\r\n",
            "\r.\r\n",
            "\r\n.\n",
            "\r\n.\r",
            "\r\n\0.\r\n",
            "\r\n.\0\r\n",
            "\r\n.\r\r\n",
            "\r\r\n.\r\n",
        ] {
            let content = format!("a{end}b\r\n");
            for piece in 1..=content.len() {
                assert!(encode(content.as_bytes(), piece).is_err(), "{content:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn t_smtp_1_all_three_bytes_around_a_dot_end_in_one_message_for_strict_and_lax_servers() {
        const SET: [u8; 5] = [b'\r', b'\n', b'.', 0, b'x'];
        let (mut sent, mut refused) = (0, 0);
        for i in 0..125 * 125 {
            let byte = |at: u32| SET[i / 5usize.pow(at) % 5];
            let content = [b"a", &[byte(0), byte(1), byte(2)][..], b".", &[byte(3), byte(4), byte(5)], b"b\r\n"].concat();
            let Ok(wire) = encode(&content, 4) else {
                refused += 1;
                continue;
            };
            sent += 1;
            for ends in [&[&b".\r\n"[..]][..], &[b".\r\n", b".\n"]] {
                assert_eq!(receive(&wire, ends), (1, content.clone()), "{content:?}");
            }
        }
        assert!(sent > 100 && refused > 10_000, "{sent} sent, {refused} refused");
    }

    #[test]
    fn content_without_a_last_line_end_gets_no_end_of_data() {
        assert_eq!(encode(b"abc", 9), Err(WireError::Unended));
        assert_eq!(encode(b"abc\r", 9), Err(WireError::Unended));
        assert_eq!(encode(b"", 9), Ok(b".\r\n".to_vec()));
        assert_eq!(encode(b".\r\n..\r\n", 1), Ok(b"..\r\n...\r\n.\r\n".to_vec()));
    }

    proptest! {
        #[test]
        fn what_is_received_is_what_was_given(lines in proptest::collection::vec("\\.{0,3}[a-z.\\xe4]{0,9}", 0..40), piece in 1usize..60) {
            let content: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
            let wire = encode(&content, piece).unwrap();
            prop_assert_eq!(receive(&wire, &[b".\r\n"]), (1, content));
        }

        #[test]
        fn no_bytes_can_do_harm(content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..200), piece in 1usize..60) {
            if let Ok(wire) = encode(&content, piece) {
                prop_assert_eq!(receive(&wire, &[b".\r\n", b".\n"]), (1, content));
            }
        }
    }
}
