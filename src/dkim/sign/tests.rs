//! The vectors of RFC 8463 and the form of the field. That others accept our signatures is tested in tests/dkim.

use proptest::prelude::*;

use super::*;
use crate::Kind;
use mail::wire::WireCheck;

const HEADER: &[u8] = b"From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";

/// The key of RFC 8463 A.2 in PKCS#8.
const ED25519: &[u8] = b"-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
-----END PRIVATE KEY-----\n";

fn signer(selector: &str, key: PrivateKey) -> Signer {
    let domain = SigningDomain::parse("football.example.com").expect("a domain");
    Signer { domain, selector: Selector::parse(selector).expect("a selector"), key }
}

fn ed25519() -> Signer {
    signer("brisbane", PrivateKey::from_pem(ED25519).expect("a key"))
}

#[test]
fn the_signature_of_rfc_8463_a_3_comes_out_byte_for_byte() {
    // The field as the RFC prints it, up to b=; the signature below is the RFC's, and Ed25519 is deterministic.
    let value = " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
                 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
                 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
    let section = Section::scan(HEADER);
    let mut canonical = Vec::new();
    for field in &section.fields {
        canon::field(field.name_in(HEADER), field.value_in(HEADER), &mut canonical);
        canonical.extend_from_slice(b"\r\n");
    }
    let mut hash = Context::new(&SHA256);
    hash.update(&canonical);
    assert_eq!(
        signature(&ed25519(), hash, value).as_deref(),
        Ok("/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==")
    );
}

#[test]
fn the_field_is_folded_in_wire_form_and_carries_the_tags() {
    let signers = [signer("s1", PrivateKey::generate(Kind::Rsa2048).expect("a key")), ed25519()];
    let fields = sign(&signers, HEADER, &[7; 32], 1_528_637_909).expect("signatures");
    let mut check = WireCheck::default();
    check.feed(&fields).expect("wire form");
    assert!(check.finish().expect("wire form").longest_line <= 78);

    let text = String::from_utf8(fields.clone()).expect("ASCII");
    assert!(text.starts_with(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=football.example.com;\r\n\ts=s1; t=1528637909;\r\n\th="
    ));
    assert_eq!(Section::scan(&fields).fields.len(), 2);
    assert!(text.contains("a=ed25519-sha256"));
    assert!(!text.contains("l=") && !text.contains("x="));
    assert!(text.replace("\r\n\t", "").contains("h=from:from:to:to:cc:subject:subject:date:date:message-id:message-id:reply-to:"));
}

#[test]
fn the_same_input_gives_the_same_bytes_with_and_without_the_blank_line() {
    let signers = [ed25519()];
    let once = sign(&signers, HEADER, &[7; 32], 1).expect("a signature");
    let with_blank_line = [HEADER, b"\r\n"].concat();
    assert_eq!(sign(&signers, &with_blank_line, &[7; 32], 1).as_ref(), Ok(&once));
    assert_ne!(sign(&signers, HEADER, &[7; 32], 2).as_ref(), Ok(&once));
    assert_eq!(sign(&[], HEADER, &[7; 32], 1), Ok(Vec::new()));
}

#[test]
fn what_verifiers_would_read_differently_is_not_signed() {
    let sign = |header: &[u8]| sign(&[ed25519()], header, &[0; 32], 1).err();
    assert_eq!(sign(b"To: a@b\r\n"), Some(SignError::From(0)));
    assert_eq!(sign(b"From: a@b\r\nFROM : a@b\r\n"), Some(SignError::From(2)));
    assert_eq!(sign(b"From: a@b\r\nnot a field\r\nTo: a@b\r\n"), Some(SignError::NotAField));
    assert_eq!(sign(b"From: a@b\r\n\r\nbody\r\n"), Some(SignError::NotAField));
}

#[test]
fn a_long_domain_and_many_fields_keep_every_line_under_998_bytes() {
    let domain = SigningDomain::parse(&(format!("{}.", "x".repeat(61)).repeat(3) + "example.org")).expect("a domain");
    let signers = [Signer { domain, ..ed25519() }];
    let header = [HEADER, b"References: <a@b>\r\n".repeat(500).as_slice()].concat();
    let mut check = WireCheck::default();
    check.feed(&sign(&signers, &header, &[0; 32], i64::MIN).expect("a signature")).expect("wire form");
    assert!(check.finish().expect("wire form").longest_line < 998);
}

#[test]
fn names_and_digits_are_folded_where_the_next_one_would_not_fit() {
    for length in [1, 3, 7, 10, 23, 24, 30, 36, 80] {
        let name = "x".repeat(length);
        let names = vec![name.as_str(); 30];
        let folded = fold_names(&names);
        assert_eq!(folded.replace("\r\n\t", ""), format!("h={}", names.join(":")));
        let lines: Vec<&str> = folded.split("\r\n\t").collect();
        // A tab before each line; the name and the colon after it must fit.
        assert!(lines.iter().all(|line| length >= LINE - 3 || line.len() < LINE), "{folded}");
        assert!(lines.iter().rev().skip(1).all(|line| 1 + line.len() + length + 1 > LINE), "{length}: {folded}");
    }
    for length in [0, 1, DIGITS, DIGITS + 1, 2 * DIGITS, 3 * DIGITS - 1] {
        let folded = fold_digits(&"x".repeat(length));
        assert_eq!(folded.split("\r\n\t").map(str::len).sum::<usize>(), length);
        assert!(folded.split("\r\n\t").take(length.saturating_sub(1) / DIGITS).all(|line| line.len() == DIGITS), "{folded}");
        assert_eq!(folded.matches("\r\n\t").count(), length.saturating_sub(1) / DIGITS, "{length}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_signed_or_refused(bytes in "[ab:<>@,;()\\[\\]\"\\\\ \t\r\n\u{0}\u{fc}]{0,40}", from in any::<bool>()) {
        let header = [if from { b"From:".as_slice() } else { b"" }, bytes.as_bytes(), b"\r\n"].concat();
        if let Ok(fields) = sign(&[ed25519()], &header, &[0; 32], 1) {
            prop_assert_eq!(Section::scan(&fields).end, fields.len());
        }
        if let Ok(domain) = super::super::from::domain(&header) {
            prop_assert!(!domain.is_empty() && !domain.contains([' ', '\r', '\n', '\t', '@']));
        }
    }
}
