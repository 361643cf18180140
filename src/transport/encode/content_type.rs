//! The two fields that describe a body: Content-Type and Content-Transfer-Encoding (RFC 2045 5 and 6). Pure.
//!
//! In: values of untrusted senders. Out: what the conversion needs to know. Lenient, like mail programs: an unreadable value has no
//! effect. A boundary in the form of RFC 2231 is not supported.

/// RFC 2046 5.1.1 allows 70 bytes of ASCII; a boundary that is longer than this, or holds other bytes, is none.
const BOUNDARY: usize = 256;

/// The kind of body according to the media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// text/*, or no media type at all (RFC 2045 5.2).
    Text,
    /// multipart/*.
    Multipart {
        /// Without the two hyphens.
        boundary: Option<Vec<u8>>,
        /// multipart/signed (RFC 1847).
        signed: bool,
        /// multipart/digest: parts are messages unless they say otherwise (RFC 2046 5.1.5).
        digest: bool,
    },
    /// message/rfc822.
    Message,
    /// Another message/*, which may not be encoded (RFC 2046 5.2), or a multipart in which nothing can be found.
    Opaque,
    /// Everything else.
    Other,
}

/// Content-Transfer-Encoding (RFC 2045 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, or none said.
    SevenBit,
    /// 8bit or binary.
    EightBit,
    /// base64.
    Base64,
    /// quoted-printable.
    QuotedPrintable,
    /// An unregistered or unknown word.
    Unknown,
}

impl Encoding {
    /// True if the bytes are the content itself.
    pub(crate) fn is_identity(self) -> bool {
        matches!(self, Encoding::SevenBit | Encoding::EightBit)
    }

    /// The encoding that a field's value names.
    pub fn parse(value: &[u8]) -> Encoding {
        let word = token(skip_blanks(value)).0.to_ascii_lowercase();
        match word.as_slice() {
            b"" | b"7bit" => Encoding::SevenBit,
            b"8bit" | b"binary" => Encoding::EightBit,
            b"base64" => Encoding::Base64,
            b"quoted-printable" => Encoding::QuotedPrintable,
            _ => Encoding::Unknown,
        }
    }
}

impl Media {
    /// The media type that a field's value names.
    pub(crate) fn parse(value: &[u8]) -> Media {
        let (kind, rest) = token(skip_blanks(value));
        let (subtype, rest) = token(skip_blanks(skip_blanks(rest).strip_prefix(b"/").unwrap_or_default()));
        let is = |word: &[u8]| subtype.eq_ignore_ascii_case(word);
        match kind.to_ascii_lowercase().as_slice() {
            b"text" | b"" => Media::Text,
            b"multipart" => Media::Multipart { boundary: boundary(rest), signed: is(b"signed"), digest: is(b"digest") },
            b"message" if is(b"rfc822") => Media::Message,
            // RFC 6532 3.7: the one message/* that may be encoded.
            b"message" if is(b"global") => Media::Other,
            b"message" => Media::Opaque,
            _ => Media::Other,
        }
    }
}

/// The boundary among the parameters that follow the media type.
fn boundary(parameters: &[u8]) -> Option<Vec<u8>> {
    let mut rest = parameters;
    while let Some(after) = next_parameter(rest) {
        let (name, tail) = token(skip_blanks(after));
        rest = tail;
        let Some(value) = skip_blanks(tail).strip_prefix(b"=") else { continue };
        let (value, tail) = parameter_value(skip_blanks(value));
        rest = tail;
        if name.eq_ignore_ascii_case(b"boundary") {
            return Some(value.trim_ascii_end().to_vec()).filter(|value| (1..=BOUNDARY).contains(&value.len()) && value.is_ascii());
        }
    }
    None
}

/// What follows the next semicolon outside of quotes and comments.
fn next_parameter(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return None,
            [b';', after @ ..] => return Some(after),
            [b'"', ..] => parameter_value(rest).1,
            [b'(', ..] => comment(rest),
            [_, after @ ..] => after,
        };
    }
}

/// A quoted string without its quotes, or everything up to a blank or semicolon: unquoted boundaries hold more than a token may.
fn parameter_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| is_blank(*byte) || *byte == b';').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_vec(), rest);
    };
    let (mut value, mut rest) = (Vec::new(), quoted);
    loop {
        rest = match rest {
            [] => return (value, rest),
            [b'"', after @ ..] => return (value, after),
            [b'\r' | b'\n', after @ ..] => after,
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                after
            }
        };
    }
}

/// The token at the start, and the rest.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let is_end = |byte: &u8| !byte.is_ascii_graphic() || b"()<>@,;:\\\"/[]?=".contains(byte);
    text.split_at(text.iter().position(is_end).unwrap_or(text.len()))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without the blanks and comments at its start.
fn skip_blanks(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match rest {
            [byte, after @ ..] if is_blank(*byte) => after,
            [b'(', ..] => comment(rest),
            _ => return rest,
        };
    }
}

/// What follows the comment at the start; nothing, where it has no end.
fn comment(text: &[u8]) -> &[u8] {
    let (mut depth, mut rest) = (0usize, text);
    loop {
        rest = match rest {
            [] | [_] => return &[],
            [b'\\', _, after @ ..] => after,
            [b'(', after @ ..] => {
                depth += 1;
                after
            }
            [b')', after @ ..] if depth <= 1 => return after,
            [b')', after @ ..] => {
                depth -= 1;
                after
            }
            [_, after @ ..] => after,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multipart(value: &str) -> Option<String> {
        match Media::parse(value.as_bytes()) {
            Media::Multipart { boundary, .. } => boundary.map(|b| String::from_utf8(b).unwrap()),
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn h8_the_boundary_is_found_in_every_form_that_mailers_write() {
        for (value, boundary) in [
            (" multipart/mixed; boundary=abc\r\n", Some("abc")),
            (" Multipart/MIXED;\r\n\tBOUNDARY=\"a b\\\"c\"\r\n", Some("a b\"c")),
            (" multipart / (x;boundary=no) mixed ; charset=\"; boundary=no\" ; boundary (c) = =_1/2?: ;x=y\r\n", Some("=_1/2?:")),
            (" multipart/mixed; x; =; ;boundary=\"q  \"", Some("q")),
            (" multipart/mixed; boundary=\"fold\r\n ed\"", Some("fold ed")),
            (" multipart/mixed\r\n", None),
            (" multipart/mixed; boundary=\r\n", None),
            (" multipart/mixed; boundary=\"\"\r\n", None),
            (" multipart/mixed; boundary=\"unended", Some("unended")),
            (" multipart/mixed; (unended boundary=x", None),
        ] {
            assert_eq!(multipart(value).as_deref(), boundary, "{value}");
        }
        assert_eq!(multipart(&format!("multipart/x; boundary={}", "b".repeat(BOUNDARY + 1))), None);
    }

    #[test]
    fn h8_media_types_and_encodings_count_in_any_case() {
        for (value, media) in [
            ("", Media::Text),
            (" TEXT/Html; charset=x", Media::Text),
            ("(c) message/Rfc822", Media::Message),
            ("message/delivery-status", Media::Opaque),
            ("message/global", Media::Other),
            ("application/json", Media::Other),
            ("garbage", Media::Other),
            ("multipart/signed; boundary=x", Media::Multipart { boundary: Some(b"x".to_vec()), signed: true, digest: false }),
            ("multipart/digest; boundary=x", Media::Multipart { boundary: Some(b"x".to_vec()), signed: false, digest: true }),
        ] {
            assert_eq!(Media::parse(value.as_bytes()), media, "{value}");
        }
        for (value, encoding) in [
            (" 8BIT (really)\r\n", Encoding::EightBit),
            ("(x) Base64;", Encoding::Base64),
            ("binary", Encoding::EightBit),
            ("Quoted-Printable\r\n", Encoding::QuotedPrintable),
            ("", Encoding::SevenBit),
            ("x-uuencode", Encoding::Unknown),
        ] {
            assert_eq!(Encoding::parse(value.as_bytes()), encoding, "{value}");
        }
    }
}
