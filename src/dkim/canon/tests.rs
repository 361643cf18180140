//! The examples of RFC 6376, the corner cases that implementations differ in, and independence of the pieces.

use proptest::prelude::*;

use super::*;
use mail::base64;

fn hash_in_pieces(body: &[u8], piece: usize) -> String {
    let mut hasher = BodyHasher::default();
    body.chunks(piece.max(1)).for_each(|chunk| hasher.update(chunk));
    base64::encode(&hasher.finish())
}

fn hash(body: &[u8]) -> String {
    hash_in_pieces(body, usize::MAX)
}

/// SHA-256 of text that is canonical already.
fn plain(text: &[u8]) -> String {
    base64::encode(aws_lc_rs::digest::digest(&SHA256, text).as_ref())
}

fn canonical_field(field_text: &[u8]) -> Vec<u8> {
    let colon = memchr::memchr(b':', field_text).expect("a colon");
    let (name, value) = (field_text[..colon].trim_ascii_end(), &field_text[colon + 1..]);
    let mut out = Vec::new();
    field(name, value, &mut out);
    out
}

#[test]
fn the_examples_of_rfc_6376_3_4_5() {
    assert_eq!(canonical_field(b"A: X\r\n"), b"a:X");
    assert_eq!(canonical_field(b"B : Y\t\r\n\tZ  \r\n"), b"b:Y Z");
    assert_eq!(hash(b" C \r\nD \t E\r\n\r\n\r\n"), plain(b" C\r\nD E\r\n"));
}

#[test]
fn a_field_of_blanks_is_empty() {
    assert_eq!(canonical_field(b"X: \t\r\n \r\n"), b"x:");
    assert_eq!(canonical_field(b"X:\r\n"), b"x:");
}

#[test]
fn the_body_of_rfc_8463_a_3_has_the_hash_printed_there() {
    let body = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
    assert_eq!(hash(body), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
}

#[test]
fn a_body_without_text_is_hashed_as_nothing() {
    // RFC 6376 3.4.4 prints this hash for the empty body.
    let nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for body in ["", "\r\n", "\r\n\r\n", " \r\n\t\r\n", " ", "\t\r\n "] {
        assert_eq!(hash(body.as_bytes()), nothing, "{body:?}");
    }
}

#[test]
fn lines_of_blanks_at_the_end_are_empty_lines() {
    // The trap of an older verifier: dkimpy and OpenDKIM agree with us.
    assert_eq!(hash(b"hi\r\n  \r\n\t\r\n"), plain(b"hi\r\n"));
    assert_eq!(hash(b"hi\r\n  \r\n\tx\r\n \r\n"), plain(b"hi\r\n\r\n x\r\n"));
}

#[test]
fn a_missing_last_line_end_is_added() {
    assert_eq!(hash(b"hi"), plain(b"hi\r\n"));
    assert_eq!(hash(b"hi \t"), plain(b"hi\r\n"));
}

#[test]
fn a_bare_cr_is_text() {
    assert_eq!(hash(b"a\rb\r\r\n\r"), plain(b"a\rb\r\r\n\r\r\n"));
}

#[test]
fn t_hdr_4_a_body_of_line_ends_takes_constant_memory() {
    let mut hasher = BodyHasher::default();
    let lines = b"\r\n".repeat(1 << 15);
    for _ in 0..64 {
        hasher.update(&lines);
    }
    hasher.update(b"x");
    assert!(hasher.text.capacity() <= BUFFER);
    hasher.finish();
}

/// The canonical body as RFC 6376 3.4.4 puts it, line by line, without a thought for speed.
fn by_the_book(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(body.to_vec()).expect("ASCII");
    let mut lines: Vec<String> = text
        .split("\r\n")
        .map(|line| {
            let mut reduced = String::new();
            for c in line.chars().map(|c| if c == '\t' { ' ' } else { c }) {
                if c != ' ' || !reduced.ends_with(' ') {
                    reduced.push(c);
                }
            }
            reduced.trim_end_matches(' ').to_owned()
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.into_iter().map(|line| line + "\r\n").collect::<String>().into_bytes()
}

proptest! {
    #[test]
    fn any_body_in_any_pieces_has_the_hash_of_the_plain_definition(
        body in "([ab]|[ \t]|\r\n|\r\n|  ){0,60}",
        cuts in proptest::collection::vec(0usize..120, 0..8),
    ) {
        let body = body.as_bytes();
        let expected = plain(&by_the_book(body));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.sort_unstable();
        let mut hasher = BodyHasher::default();
        let mut at = 0;
        for cut in cuts {
            hasher.update(&body[at..cut]);
            at = cut;
        }
        hasher.update(&body[at..]);
        prop_assert_eq!(base64::encode(&hasher.finish()), expected.clone());
        for piece in 1..4 {
            prop_assert_eq!(hash_in_pieces(body, piece), expected.clone());
        }
    }
}

#[test]
fn text_larger_than_the_buffer_keeps_its_place_behind_what_was_collected() {
    for (before, large) in [(1, BUFFER + 1), (3, 3 * BUFFER), (BUFFER - 1, BUFFER + 1), (BUFFER, BUFFER), (0, BUFFER + 1)] {
        let body = [b"a".repeat(before), b"\r\n".to_vec(), b"b".repeat(large), b"\r\nend\r\n".to_vec()].concat();
        assert_eq!(hash(&body), plain(&body), "{before} {large}");
    }
}
