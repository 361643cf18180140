//! Address lists, as people and attackers write them.
//!
//! Asserts: every range lies in the text, in order; what is an address prints, and parses back to itself alone and in a list of
//! all of them; a bare name can be completed where the parser says; words of a phrase are the phrase.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::Address;
use mail::address_list::{self, AddressList, Spec};
use mailchute_fuzz::judge::same_again;

fuzz_target!(|text: &[u8]| {
    let list = AddressList::parse(text);
    let mut at = 0;
    let mut printed = Vec::new();
    for mailbox in &list.mailboxes {
        assert!(mailbox.span.start >= at && mailbox.span.end > mailbox.span.start && mailbox.span.end <= text.len());
        at = mailbox.span.end;
        assert!(mailbox.spec.as_ref().err().is_none_or(|why| !why.to_string().is_empty()));
        match &mailbox.spec {
            Ok(Spec::Full(address)) => {
                same_again(address);
                assert!(!address.local().starts_with('-'), "an option in the guise of an address");
                printed.push(address.to_string());
            }
            Ok(Spec::Bare { local, end }) => bare(text, local, *end),
            Ok(Spec::Null) | Err(_) => {}
        }
    }
    for range in list.phrases.iter().chain(&list.comments) {
        assert!(range.start < range.end && range.end <= text.len());
    }
    for phrase in &list.phrases {
        let text = &text[phrase.clone()];
        let words = address_list::phrase_words(text);
        let whole: Vec<u8> = words.iter().flat_map(|word| [word.blanks, word.raw].concat()).collect();
        assert!(text.starts_with(&whole) && text[whole.len()..].iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')));
    }
    again(&printed);
});

/// The list of what was printed is the list of the same addresses.
fn again(printed: &[String]) {
    for separator in [", ", ",\r\n ", ";"] {
        let list = AddressList::parse(printed.join(separator).as_bytes());
        let found: Vec<String> = list
            .mailboxes
            .iter()
            .map(|mailbox| match &mailbox.spec {
                Ok(Spec::Full(address)) => address.to_string(),
                other => panic!("{other:?} in {printed:?}"),
            })
            .collect();
        assert_eq!(found, printed);
        assert!(list.phrases.is_empty() && list.comments.is_empty() && list.mailboxes.iter().all(|mailbox| mailbox.plain));
    }
}

/// SENDMAIL.md H5: `@domain` written after the name makes it a whole address.
fn bare(text: &[u8], local: &str, end: usize) {
    let completed = [&text[..end], b"@m.example", &text[end..]].concat();
    let wanted = Address::new(local, "m.example").expect("a bare name is a local part");
    same_again(&wanted);
    let found = AddressList::parse(&completed).mailboxes.into_iter().any(|mailbox| mailbox.spec == Ok(Spec::Full(wanted.clone())));
    assert!(found, "{:?}", String::from_utf8_lossy(&completed));
}
