//! Field values with raw 8-bit text, written so that they need 7 bits only (SENDMAIL.md H6). Pure.
//!
//! In: a value as it stands, folds included. Out: the same value where it is ASCII already; otherwise encoded words, or the form of
//! RFC 2231 in parameters. Octets that are not UTF-8 are labelled `unknown-8bit` (RFC 1428) and kept.

use super::encoded_word;

/// Fields of parameters: an encoded word has no place in them (RFC 2047 5).
pub const PARAMETERS: &[&str] = &["Content-Type", "Content-Disposition"];

/// Appends unstructured text (or a run of it) to `out`, which holds the field so far: 8-bit words become encoded words (RFC 2047).
pub fn unstructured(text: &[u8], out: &mut Vec<u8>) {
    let (words, end) = encoded_word::words(text);
    encoded_word::write(&words, out);
    out.extend_from_slice(end);
}

/// Appends the value of a field with parameters to `out`: `name="…"` with 8-bit text becomes `name*=utf-8''…` (RFC 2231 4). What
/// is not of that form becomes encoded words.
pub fn parameters(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        let (before, quoted) = rest.split_at(quote);
        let Some(end) = quoted_length(quoted) else { break };
        let (string, after) = quoted.split_at(end);
        match before.trim_ascii_end().strip_suffix(b"=") {
            _ if string.is_ascii() => {
                unstructured(before, out);
                out.extend_from_slice(string);
            }
            Some(name) => {
                unstructured(name.trim_ascii_end(), out);
                extended(string.get(1..end - 1).unwrap_or_default(), out);
            }
            None => {
                unstructured(before, out);
                unstructured(string, out);
            }
        }
        rest = after;
    }
    unstructured(rest, out);
}

/// Bytes of the quoted string at the start, quotes included.
fn quoted_length(quoted: &[u8]) -> Option<usize> {
    let mut bytes = quoted.iter().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

fn extended(inner: &[u8], out: &mut Vec<u8>) {
    let charset = if std::str::from_utf8(inner).is_ok() { "utf-8" } else { "unknown-8bit" };
    out.extend_from_slice(format!("*={charset}''").as_bytes());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => bytes.next().into_iter().for_each(|byte| percent(byte, out)),
            b'\r' | b'\n' => {}
            byte => percent(byte, out),
        }
    }
}

/// RFC 2231 7: attribute-char, or `%` and two digits.
fn percent(byte: u8, out: &mut Vec<u8>) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'!' | b'+') {
        out.push(byte);
    } else {
        out.extend_from_slice(format!("%{byte:02X}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_in_parameters_are_read_as_such() {
        let of = |value: &[u8]| {
            let mut out = Vec::new();
            parameters(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of("x; a=\"b\"; c=\"\u{fc}\"\r\n".as_bytes()), "x; a=\"b\"; c*=utf-8''%C3%BC\r\n");
        assert_eq!(of("x; c=\"\\\"\u{fc}\\\\.-_!+ \"; d\r\n".as_bytes()), "x; c*=utf-8''%22%C3%BC%5C.-_!+%20; d\r\n");
        assert_eq!(of(b"x; c=\"\xfc\r\n b\"\r\n"), "x; c*=unknown-8bit''%FC%20b\r\n");
        // A quote that does not close quotes nothing.
        assert_eq!(of(b"x; c=\"b\r\n"), "x; c=\"b\r\n");
        let unclosed = of("x; c=\"\u{fc}\r\n".as_bytes());
        assert!(unclosed.is_ascii() && !unclosed.contains("c*="), "{unclosed}");
    }

    #[test]
    fn h6_parameters_take_the_form_of_rfc_2231_and_text_that_of_rfc_2047() {
        for blanks in ["=", " =", "= ", " = \r\n\t"] {
            let mut out = Vec::new();
            parameters(format!("attachment; filename{blanks}\"gr\u{fc}n.pdf\"\r\n").as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), "attachment; filename*=utf-8''gr%C3%BCn.pdf\r\n");
        }
        let mut out = Vec::new();
        parameters("x; \"gr\u{fc}n\"; y=gr\u{fc}n\r\n".as_bytes(), &mut out);
        assert!(out.is_ascii(), "{}", out.escape_ascii());
        let mut out = Vec::new();
        unstructured(b" a \xfc b\r\n", &mut out);
        assert!(out.starts_with(b" a =?unknown-8bit?") && out.ends_with(b"?= b\r\n"), "{}", out.escape_ascii());
    }
}
