//! Whole messages: what comes out fits the server, and readers find the same content in it.

use std::io::{Seek, Write};
use std::sync::Arc;

use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use mail::header::Section;
use mail::wire::WireCheck;

fn summary(bytes: &[u8]) -> WireSummary {
    let mut check = WireCheck::default();
    check.feed(bytes).unwrap();
    check.finish().unwrap()
}

/// The bytes of a body.
fn bytes(body: &Bytes) -> Vec<u8> {
    let mut all = Vec::new();
    let mut separator: &[u8] = b"";
    lines::each(body, |fragment| {
        all.extend_from_slice(if fragment.starts { std::mem::take(&mut separator) } else { b"" });
        all.extend_from_slice(fragment.text);
        separator = if fragment.ends { b"\r\n" } else { b"" };
        Ok(())
    })
    .unwrap();
    all.extend_from_slice(separator);
    all
}

/// `message` as it is sent, from memory and from a file; and the note.
fn sent(message: &[u8], takes_8bit: bool) -> (Vec<u8>, Option<String>) {
    let section = Section::scan(message);
    let body = &message[section.body..];
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(body).unwrap();
    file.rewind().unwrap();
    let sources = [
        Bytes::Memory { bytes: Arc::new(message.to_vec()), range: section.body..message.len() },
        Bytes::File { file: Arc::new(file), offset: 0, length: body.len() as u64 },
    ];
    let results: Vec<(Vec<u8>, Option<String>)> = sources
        .iter()
        .zip([usize::MAX, 100])
        .map(|(body, in_memory)| {
            let original = Original { header: &message[..section.end], body, summary: summary(bytes(body).as_slice()) };
            let Some(converted) = convert(&original, takes_8bit, in_memory, tempfile::tempfile).unwrap() else {
                return (message.to_vec(), None);
            };
            let new = bytes(converted.body.as_ref().map_or(body, |body| &body.bytes));
            assert_eq!(converted.eight_bit, !new.is_ascii());
            if let Some(body) = &converted.body {
                let mut hasher = dkim::BodyHasher::default();
                hasher.update(&new);
                assert_eq!(hasher.finish(), body.body_hash);
            }
            ([converted.header.as_slice(), b"\r\n", &new].concat(), Some(converted.note))
        })
        .collect();
    assert!(results[0] == results[1], "memory and file differ");
    results.into_iter().next().unwrap()
}

/// As [`sent`], with what must hold of everything that is sent.
fn checked(message: &[u8], takes_8bit: bool) -> (Vec<u8>, Option<String>) {
    let (sent, note) = sent(message, takes_8bit);
    assert!(summary(&sent).longest_line <= limits::LINE, "{}", sent.escape_ascii());
    let body = &sent[Section::scan(&sent).body..];
    assert!(takes_8bit || body.is_ascii(), "{}", body.escape_ascii());
    (sent, note)
}

/// What a reader that is not ours finds: media type and decoded content of each leaf.
fn leaves(message: &[u8]) -> Vec<(String, Vec<u8>)> {
    fn walk(message: &mail_parser::Message, found: &mut Vec<(String, Vec<u8>)>) {
        for part in &message.parts {
            let kind = part
                .content_type()
                .map_or_else(|| "text/plain".to_owned(), |t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()));
            match &part.body {
                PartType::Multipart(_) => {}
                PartType::Message(inner) => walk(inner, found),
                _ => found.push((kind, part.contents().to_vec())),
            }
        }
    }
    let mut found = Vec::new();
    walk(&MessageParser::default().parse(message).unwrap(), &mut found);
    found
}

fn message(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// A line of `length` bytes of words.
fn long(length: usize) -> String {
    "word = \u{fc} ".repeat(length / 10 + 1).chars().take(length).collect()
}

#[test]
fn h7_an_8_bit_body_without_any_mime_field_is_labelled_and_not_changed() {
    let (utf8, note) = checked(&message("From: a@b.example\nSubject: s\n\ngr\u{fc}n\n"), true);
    assert_eq!(
        String::from_utf8(utf8).unwrap(),
        "From: a@b.example\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\ngr\u{fc}n\r\n"
    );
    assert_eq!(note.as_deref(), Some("content converted: labelled as text in utf-8"));
    let (latin1, _) = checked(b"From: a@b.example\r\n\r\ngr\xfcn\r\n", true);
    assert!(latin1.ends_with(b"charset=unknown-8bit\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\xfcn\r\n"), "{}", latin1.escape_ascii());
}

#[test]
fn h7_existing_mime_fields_and_ascii_stay_as_they_are() {
    for header in ["", "MIME-Version: 1.0\n", "Content-Type: text/html\n", "content-transfer-encoding: 8BIT\n"] {
        let original = message(&format!("From: a@b.example\n{header}\n{}\n", if header.is_empty() { "ascii" } else { "gr\u{fc}n" }));
        assert_eq!(checked(&original, true), (original.clone(), None), "{header}");
    }
    assert_eq!(checked(b"", false), (Vec::new(), None));
    assert_eq!(checked(b"From: a@b.example\r\n", false).1, None);
}

#[test]
fn h7_a_message_without_blank_line_gets_one_before_its_body() {
    let (sent, _) = checked("From: a@b.example\r\nno field \u{fc}\r\n".as_bytes(), true);
    assert!(
        sent.ends_with("encoding: 8bit\r\n\r\nno field \u{fc}\r\n".as_bytes())
            || sent.ends_with("Encoding: 8bit\r\n\r\nno field \u{fc}\r\n".as_bytes())
    );
}

#[test]
fn h8_single_part_text_with_a_long_line_becomes_quoted_printable() {
    for (header, expected) in [
        ("", "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
        (
            "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
            "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
        ),
    ] {
        let original = message(&format!("From: a@b.example\n{header}\n{}\n", long(2000)));
        for takes_8bit in [true, false] {
            let (sent, note) = checked(&original, takes_8bit);
            assert!(String::from_utf8(sent.clone()).unwrap().contains(expected), "{}", sent.escape_ascii());
            assert!(note.unwrap().contains("1 part as quoted-printable"));
            assert_eq!(leaves(&sent).last().unwrap().1, long(2000).into_bytes().into_iter().chain(*b"\r\n").collect::<Vec<u8>>());
        }
    }
    let (ascii, _) = checked(&message(&format!("From: a@b.example\n\n{}\n", "x".repeat(999))), true);
    assert!(String::from_utf8(ascii).unwrap().contains("charset=us-ascii\r\n"));
    let fits = message(&format!("From: a@b.example\n\n{}\n", "x".repeat(998)));
    assert_eq!(checked(&fits, true), (fits.clone(), None));
}

#[test]
fn h8_bytes_that_are_no_text_become_base64() {
    let original = message(&format!("MIME-Version: 1.0\nContent-Type: application/octet-stream\n\n{}\n", "\u{1}\u{fc}".repeat(900)));
    let (sent, note) = checked(&original, true);
    assert!(note.unwrap().contains("1 part as base64"));
    assert_eq!(leaves(&sent), [("application/octet-stream".to_owned(), format!("{}\r\n", "\u{1}\u{fc}".repeat(900)).into_bytes())]);
}

/// Outer, inner and an attached message, every leaf with 8-bit bytes.
const NESTED: &str = "From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"out er\"\n\
    Content-Transfer-Encoding: 8bit\n\npreamble\n--out er\nContent-Type: multipart/alternative; boundary=in\n\n\
    --in\nContent-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit\n\nflowed gr\u{fc}n \nnext\n-- \nme\n\
    --in\nContent-Type: text/html; charset=utf-8\n\n<p>gr\u{fc}n</p>\n--in--\nepilogue\n\
    --out er  \nContent-Type: application/x-thing\nContent-Transfer-Encoding: binary\n\nbin\u{fc}\n\nary\n\
    --out er\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nFrom: x@y.example\nSubject: gr\u{fc}n\n\ninner gr\u{fc}n\n\
    --out er\n\nunlabelled gr\u{fc}n\n--out er\nContent-Type: text/plain\n\nascii\n--out er--\n";

#[test]
fn h8_a_server_without_8bitmime_gets_every_leaf_in_7_bits_and_labels_that_say_so() {
    let original = message(NESTED);
    assert_eq!(checked(&original, true), (original.clone(), None), "with 8BITMIME nothing changes");
    let (sent, note) = checked(&original, false);
    assert_eq!(leaves(&sent), leaves(&original));
    let text = String::from_utf8(sent).unwrap();
    assert!(text.is_ascii(), "{text}");
    for expected in [
        "boundary=\"out er\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\npreamble\r\n--out er\r\n",
        "format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nflowed gr=C3=BCn=20\r\nnext\r\n=2D-=20\r\nme\r\n--in\r\n",
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>gr=C3=BCn</p>\r\n--in--\r\nepilogue\r\n--out er  \r\n",
        "Content-Type: application/x-thing\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nFrom: x@y.example\r\nSubject: =?utf-8?",
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ninner gr=C3=BCn\r\n--out er\r\n",
        "--out er\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nunlabelled gr=C3=BCn\r\n",
        "--out er\r\nContent-Type: text/plain\r\n\r\nascii\r\n--out er--\r\n",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
    assert_eq!(note.as_deref(), Some("content converted: 4 parts as quoted-printable, 1 part as base64"));
}

#[test]
fn h8_only_the_part_with_the_long_line_is_encoded() {
    let original = message(&NESTED.replace("flowed gr\u{fc}n \n", &format!("{}\n", long(1500))));
    let (sent, note) = checked(&original, true);
    assert_eq!(leaves(&sent), leaves(&original));
    assert_eq!(note.as_deref(), Some("content converted: 1 part as quoted-printable"));
    let text = String::from_utf8(sent).unwrap();
    assert!(
        text.contains("<p>gr\u{fc}n</p>")
            && text.contains("Subject: gr\u{fc}n")
            && text.contains("boundary=\"out er\"\r\nContent-Transfer-Encoding: 8bit")
    );
}

#[test]
fn h8_an_encoding_that_is_there_is_kept_and_written_properly() {
    let base64 = "QUJD".repeat(1250);
    let quoted = "a=C3=BC=3D".repeat(500);
    let original = message(&format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n\
         {base64}\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: Quoted-Printable\n\n{quoted}\n--b--\n"
    ));
    let (sent, note) = checked(&original, true);
    assert_eq!(leaves(&sent), leaves(&original));
    assert_eq!(note.as_deref(), Some("content converted: 2 parts encoded properly"));
    // Encodings that lie: 8-bit bytes where there can be none.
    let original = message("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr\u{fc}n =C3=BC\n");
    assert_eq!(checked(&original, true), (original.clone(), None));
    let (sent, _) = checked(&original, false);
    assert!(sent.ends_with(b"gr=C3=BCn =C3=BC\r\n"), "{}", sent.escape_ascii());
    let original = message("Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nQU\u{fc}JD\n");
    assert!(checked(&original, false).0.ends_with(b"QUJD\r\n"));
    // An encoding that only others know.
    let original = message("Content-Type: text/plain\nContent-Transfer-Encoding: x-own\n\ngr\u{fc}n\n");
    assert!(
        checked(&original, false).0.ends_with(b"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\ngr=C3=BCn\r\n")
    );
    let original = message(&format!("Content-Type: text/plain\nContent-Transfer-Encoding: x-own\n\n{}\n", "x".repeat(1200)));
    let broken = format!("x-own\r\n\r\n{}\r\n {}\r\n", "x".repeat(998), "x".repeat(202));
    assert!(checked(&original, true).0.ends_with(broken.as_bytes()));
}

#[test]
fn h8_a_multipart_without_its_boundary_is_text_that_cannot_be_encoded_unless_it_must() {
    for kind in ["multipart/mixed; boundary=never", "multipart/mixed", "multipart/mixed; boundary=\"\""] {
        let original = message(&format!("MIME-Version: 1.0\nContent-Type: {kind}\n\ntext\n--other\n{}\n", "x".repeat(1100)));
        let (sent, note) = checked(&original, true);
        assert_eq!(note.as_deref(), Some("content converted: lines over 998 bytes broken"), "{kind}");
        assert_eq!(String::from_utf8(sent).unwrap().replace("\r\n x", "x"), String::from_utf8(original).unwrap());
        let original = message(&format!("MIME-Version: 1.0\nContent-Type: {kind}\n\ngr\u{fc}n\n--other\n"));
        let (sent, _) = checked(&original, false);
        assert!(
            sent.ends_with(b"Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn\r\n=2D-other\r\n"),
            "{}",
            sent.escape_ascii()
        );
    }
    // Within another multipart it ends at the boundary of that.
    let original = message(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=never\n\ngr\u{fc}n\n--o\n\nascii\n--o--\n",
    );
    let (sent, _) = checked(&original, false);
    let expected = "boundary=never\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn\r\n--o\r\n\r\nascii\r\n--o--\r\n";
    assert!(String::from_utf8(sent).unwrap().ends_with(expected));
}

#[test]
fn h8_a_missing_closing_boundary_harms_nothing() {
    let original = message(NESTED.strip_suffix("--out er--\n").unwrap());
    let (sent, _) = checked(&original, false);
    assert_eq!(leaves(&sent), leaves(&original));
    // mail-parser, unlike other readers, does not let the outer boundary end the inner multipart.
    let (sent, _) = checked(&message(&NESTED.replace("--in--\nepilogue\n", "")), false);
    let text = String::from_utf8(sent).unwrap();
    assert!(text.contains("<p>gr=C3=BCn</p>\r\n--out er  \r\nContent-Type: application/x-thing\r\n"), "{text}");
}

#[test]
fn h8_text_between_parts_is_masked_and_boundaries_end_what_is_within() {
    let original = message(
        "Content-Type: multipart/mixed; boundary=o\n\ngr\u{fc}n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\ninner \u{fc}\n--o\n\nlast\n--o--\n\u{fc}\n",
    );
    let (sent, _) = checked(&original, false);
    let text = String::from_utf8(sent).unwrap();
    assert!(text.contains("\r\n\r\ngr??n\r\n--o\r\n") && text.ends_with("--o--\r\n??\r\n"), "{text}");
    assert!(text.contains("inner =C3=BC\r\n--o\r\n\r\nlast\r\n"), "{text}");
}

#[test]
fn h8_multipart_signed_is_left_alone_until_it_cannot_be_sent_so() {
    let signed = |text: &str| {
        message(&format!(
            "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"\n\n--s\n\
             Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}\n--s\nContent-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\n\
             x\n--s--\n"
        ))
    };
    let eight_bit = signed("gr\u{fc}n");
    assert_eq!(checked(&eight_bit, true).1, None);
    let (sent, note) = checked(&eight_bit, false);
    assert_eq!(note.as_deref(), Some("content converted: 1 part as quoted-printable, its multipart/signed signature is no longer valid"));
    assert_eq!(leaves(&sent), leaves(&eight_bit));
    // Beside an attachment that has to be converted, the signed part stays byte for byte, its label too.
    let beside = message(&format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\n{}--o\n\ngr\u{fc}n\n--o--\n",
        String::from_utf8(signed("ascii")).unwrap().replace("\r\n", "\n")
    ));
    let (sent, note) = checked(&beside, false);
    let inner = String::from_utf8(signed("ascii")).unwrap();
    assert!(String::from_utf8(sent).unwrap().contains(inner.trim_end()));
    assert!(!note.unwrap().contains("signature"));
}

#[test]
fn h8_parts_of_a_digest_are_messages() {
    let original = message("Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\ngr\u{fc}n\n--d--\n");
    let (sent, _) = checked(&original, false);
    let text = String::from_utf8(sent).unwrap();
    assert!(text.contains("--d\r\n\r\nSubject: one\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{text}");
}

#[test]
fn t_hdr_4_deep_nesting_many_parts_and_odd_boundaries_cost_linear_time_and_bounded_memory() {
    let deep = |levels: usize| {
        let level = |n: usize| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n");
        message(&format!("{}\ngr\u{fc}n\n", (0..levels).map(level).collect::<String>()))
    };
    let attached = |levels: usize| message(&format!("{}\ngr\u{fc}n\n", "Content-Type: message/rfc822\n\n".repeat(levels)));
    let many =
        |parts: usize| message(&format!("Content-Type: multipart/mixed; boundary=b\n\n{}\u{fc}\n--b--\n", "--b\n\nx\n".repeat(parts)));
    let near = |lines: usize| {
        message(&format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\u{fc}\n{}", "--bb\n--b-\n--\n".repeat(lines)))
    };
    let header = |lines: usize| message(&format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{}\n\u{fc}\n", "A: b\n".repeat(lines)));
    for original in [deep(2_000), attached(10_000), many(10_000), near(10_000), header(20_000), deep(DEPTH - 1), attached(DEPTH)] {
        checked(&original, false);
    }
    // Within the limit, the innermost part is found.
    assert!(checked(&deep(DEPTH - 1), false).0.ends_with(b"Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn\r\n"));
}

const DEPTH: usize = structure::DEPTH;

/// Lines that could make a structure, in any order, with 8-bit text and lines over the limit among them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "--a",
        "--a--",
        "--b",
        "--b--",
        "--c ",
        "--a-- x",
        "--",
        "",
        "",
        "",
        "text",
        "gr\u{fc}n ",
        "-- ",
        "x=3D=",
        " folded",
        "Content-Type: multipart/mixed; boundary=a",
        "Content-Type: multipart/signed; boundary=\"b\"",
        "Content-Type: multipart/digest; boundary=c",
        "Content-Type: message/rfc822",
        "Content-Type: message/delivery-status",
        "Content-Type: text/plain; name=\"\u{fc}\"",
        "Content-Type: image/png",
        "Content-Transfer-Encoding: 8bit",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Transfer-Encoding: x-y",
        "MIME-Version: 1.0",
        "Subject: \u{20ac}",
        "LONG",
        "LONG8",
    ]);
    prop::collection::vec(line, 0..40).prop_map(|lines| {
        let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        text.replace("LONG8", &"\u{fc}".repeat(800)).replace("LONG", &"y".repeat(1200)).into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn h8_no_structure_makes_a_line_too_long_or_lets_an_8_bit_byte_through(body in hostile(), top in 0usize..4) {
        let top = ["", "Content-Type: multipart/mixed; boundary=a\r\n", "Content-Type: message/rfc822\r\n", "Content-Type: multipart/signed; boundary=b\r\n"][top];
        let original = [b"From: a@b.example\r\n", top.as_bytes(), b"\r\n", &body].concat();
        for takes_8bit in [true, false] {
            let (once, _) = checked(&original, takes_8bit);
            prop_assert_eq!(checked(&once, takes_8bit), (once.clone(), None), "what was sent needs nothing any more");
        }
    }
}
