//! What a reader decodes is what was there; and every line fits.

use proptest::prelude::*;

use super::*;
use mail::wire::WireCheck;

/// `content` written by `writer`, its lines in pieces of `piece` bytes.
fn write(mut writer: Writer, content: &[u8], piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut lines = content.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for text in line.chunks(piece.max(1)) {
            writer.text(text, text.len() == line.len(), &mut out);
        }
        if lines.peek().is_some() {
            writer.line_end(&mut out);
        }
    }
    writer.finish(&mut out);
    out
}

fn quoted(content: &[u8]) -> String {
    String::from_utf8(write(Writer::Quoted(Quoted::default()), content, usize::MAX)).unwrap()
}

/// RFC 2045 6.7, by its letter.
fn decode_quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = line.strip_suffix(b"\r\n").map_or((line, &b""[..]), |line| (line, b"\r\n"));
        let line = &line[..line.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |at| at + 1)];
        let mut at = 0;
        while at < line.len() {
            let digits = line.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
            match (line[at], digits) {
                (b'=', Some(byte)) => (at, _) = (at + 3, out.push(byte)),
                (b'=', None) if at + 1 == line.len() => at += 1,
                (byte, _) => (at, _) = (at + 1, out.push(byte)),
            }
        }
        if !line.ends_with(b"=") {
            out.extend_from_slice(end);
        }
    }
    out
}

fn decode_base64(text: &[u8]) -> Vec<u8> {
    mail_parser::decoders::base64::base64_decode(text).unwrap()
}

fn longest_line(text: &[u8]) -> usize {
    let mut check = WireCheck::default();
    check.feed(text).unwrap();
    check.feed(b"\r\n").unwrap();
    check.finish().unwrap().longest_line
}

#[test]
fn h8_quoted_printable_by_its_rules() {
    for (content, expected) in [
        ("plain text\r\n", "plain text\r\n"),
        ("a=b \u{fc}\r\n", "a=3Db =C3=BC\r\n"),
        ("blank \r\ntab\t\r\n \r\n", "blank=20\r\ntab=09\r\n=20\r\n"),
        ("two  \r\n", "two =20\r\n"),
        ("-- \r\n--b\r\n-x\r\n", "=2D-=20\r\n=2D-b\r\n-x\r\n"),
        (".\r\n..x\r\n", "=2E\r\n=2E.x\r\n"),
        ("From me\r\nFrom:\r\nx From me\r\n", "=46rom me\r\nFrom:\r\nx From me\r\n"),
        ("\x01\x7f", "=01=7F"),
        ("", ""),
    ] {
        assert_eq!(quoted(content.as_bytes()), expected);
    }
    assert_eq!(quoted(&[b'x'; 75]), "x".repeat(75));
    assert_eq!(quoted(&[b'x'; 76]), format!("{}=\r\nx", "x".repeat(75)));
    assert_eq!(quoted(&[&[b'x'; 73][..], b"="].concat()), format!("{}=\r\n=3D", "x".repeat(73)));
}

#[test]
fn h8_a_soft_break_makes_no_boundary_of_what_was_none() {
    let line = [&[b'x'; 75][..], b"--boundary"].concat();
    assert_eq!(quoted(&line), format!("{}=\r\n=2D-boundary", "x".repeat(75)));
    let line = [&[b'x'; 75][..], b"."].concat();
    assert_eq!(quoted(&line), format!("{}=\r\n=2E", "x".repeat(75)));
}

#[test]
fn h8_base64_has_lines_of_76_bytes_and_no_line_end_of_its_own() {
    let encode = |content: &[u8]| String::from_utf8(write(Writer::Base64(Base64::default()), content, 10)).unwrap();
    assert_eq!(encode(b""), "");
    assert_eq!(encode(b"a\r\n"), "YQ0K");
    assert_eq!(encode(&[0xff; 57]), "/".repeat(76));
    assert_eq!(encode(&[0xff; 58]), format!("{}\r\n/w==", "/".repeat(76)));
}

#[test]
fn h8_a_line_of_5000_bytes_of_base64_or_quoted_printable_is_the_same_content_in_short_lines() {
    let content: Vec<u8> = (0..3750u32).map(|i| (i * 7 % 256) as u8).collect();
    let one_line = base64::encode(&content);
    assert_eq!(one_line.len(), 5000);
    let wrapped = write(Writer::Rewrapped(Rewrapped::default()), one_line.as_bytes(), 100);
    assert_eq!(longest_line(&wrapped), 76);
    assert_eq!(decode_base64(&wrapped), content);
    let line = "a=C3=BC=".repeat(1000);
    let requoted = write(Writer::Requoted(Requoted::default()), line.as_bytes(), 3);
    assert!(longest_line(&requoted) <= limits::LINE);
    assert_eq!(decode_quoted(&requoted), decode_quoted(line.as_bytes()));
    // What was right stays.
    let right = format!("{}=\r\n{}\r\n", "x".repeat(75), "=C3=BC ".repeat(10));
    assert_eq!(write(Writer::Requoted(Requoted::default()), right.as_bytes(), 9), right.as_bytes());
}

#[test]
fn h8_a_line_that_cannot_be_encoded_is_broken_between_characters() {
    let plain = |text: &[u8], piece| write(Writer::Plain(Plain::new(false)), text, piece);
    let fits = vec![b'x'; 998];
    assert_eq!(plain(&fits, usize::MAX), fits);
    for character in ["x", "\u{fc}", "\u{20ac}", "\u{1f600}"] {
        for shift in 0..4 {
            let line = format!("{}{}", "y".repeat(shift), character.repeat(3000 / character.len()));
            for piece in [usize::MAX, 7, 100] {
                let broken = String::from_utf8(plain(line.as_bytes(), piece)).unwrap();
                assert!(broken.lines().all(|line| line.len() <= 998), "{character}");
                assert_eq!(broken.replace("\r\n ", ""), line);
            }
        }
    }
    let binary = plain(&[0x80; 5000], usize::MAX);
    assert_eq!(longest_line(&binary), 998);
    let masked = write(Writer::Plain(Plain::new(true)), "gr\u{fc}n\r\n".as_bytes(), usize::MAX);
    assert_eq!(masked, b"gr??n\r\n");
}

/// Lines of every sort of byte but CR, LF and NUL, some of them long, ended by CRLF.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => 33u8..=126, 2 => Just(b' '), 1 => Just(b'\t'), 2 => Just(b'='), 2 => Just(b'-'), 1 => Just(b'.'), 3 => 128u8..=255, 1 => 1u8..=8];
    let line = (prop::collection::vec(byte, 0..150), 0usize..8).prop_map(|(line, times)| line.repeat(times.max(1)));
    prop::collection::vec(line, 0..4).prop_map(|lines| lines.join(&b"\r\n"[..]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn h8_what_is_decoded_is_what_was_encoded(content in content(), piece in 1usize..300) {
        let quoted = write(Writer::Quoted(Quoted::default()), &content, piece);
        prop_assert_eq!(decode_quoted(&quoted), content.clone());
        prop_assert!(quoted.is_ascii() && longest_line(&quoted) <= 76);
        prop_assert!(quoted.split(|byte| *byte == b'\n').all(|line| !line.starts_with(b"--") && !line.starts_with(b".")));
        let base64 = write(Writer::Base64(Base64::default()), &content, piece);
        prop_assert!(base64.is_ascii() && longest_line(&base64) <= 76);
        prop_assert_eq!(decode_base64(&base64), content.clone());
        let requoted = write(Writer::Requoted(Requoted::default()), &content, piece);
        prop_assert_eq!(decode_quoted(&requoted), decode_quoted(&content));
        prop_assert!(requoted.is_ascii() && longest_line(&requoted) <= limits::LINE);
        let plain = write(Writer::Plain(Plain::new(false)), &content, piece);
        prop_assert!(longest_line(&plain) <= limits::LINE);
        let masked = write(Writer::Plain(Plain::new(true)), &content, usize::MAX);
        prop_assert!(masked.is_ascii());
    }
}
