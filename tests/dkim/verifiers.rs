//! Every verifier accepts every message, and DSNs a change.

use proptest::prelude::*;

use super::judges;
use super::messages::{BLANK_TAILS, MESSAGES, large};
use super::sender::Sender;
use crate::support::oracles;

fn all_messages() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let fixed = MESSAGES.iter().chain(BLANK_TAILS).map(|(name, message)| (*name, message.to_vec()));
    fixed.chain([("a large one", large())])
}

#[test]
fn t_dkim_1_mail_auth_accepts_both_signatures_of_every_message() {
    let sender = Sender::get();
    for (name, message) in all_messages() {
        assert_eq!(judges::mail_auth(&sender.sign(&message), &sender.records), ["pass", "pass"], "{name}");
    }
}

#[test]
fn t_dkim_1_dkimpy_accepts_both_signatures_of_every_message() {
    let sender = Sender::get();
    for (name, message) in all_messages() {
        assert_eq!(require!(oracles::dkimpy(&sender.sign(&message), &sender.txt())), ["pass", "pass"], "{name}");
    }
}

#[test]
fn t_dkim_1_opendkim_accepts_each_signature_of_every_message() {
    let sender = Sender::get();
    for (name, message) in all_messages() {
        for selector in ["rsa", "ed"] {
            let verdict = require!(oracles::opendkim(&sender.sign_as(selector, &message), &sender.txt()));
            assert!(verdict.ends_with("succeeded"), "{name}, {selector}: {verdict}");
        }
    }
}

#[test]
fn a_changed_body_or_field_is_noticed_and_a_new_received_field_is_not() {
    let sender = Sender::get();
    let signed = String::from_utf8(sender.sign(MESSAGES[0].1)).unwrap();
    let verdicts = |message: String| judges::mail_auth(message.as_bytes(), &sender.records);
    let all_pass = |message: String| verdicts(message).iter().all(|verdict| verdict == "pass");
    assert!(all_pass(signed.clone()));
    assert!(all_pass(format!("Received: by next.example\r\n{signed}")));
    assert!(all_pass(signed.replace("Hello.", "Hello. \t")), "relaxed");
    for changed in [signed.replace("Hello", "Hallo"), format!("{signed}more\r\n"), signed.replace("Subject: s", "Subject: t")] {
        assert!(verdicts(changed.clone()).iter().all(|verdict| verdict != "pass"), "{changed}");
    }
}

#[test]
fn a_signature_that_the_message_brings_is_left_alone() {
    let sender = Sender::get();
    let twice = sender.sign(&sender.sign(MESSAGES[0].1));
    assert_eq!(judges::mail_auth(&twice, &sender.records), ["pass"; 4]);
    assert_eq!(require!(oracles::dkimpy(&twice, &sender.txt())), ["pass"; 4]);
}

/// A field of a name that is signed or not, with bytes of every sort and folds in its value.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let name =
        prop::sample::select(vec!["To", "cc", "SUBJECT", "Date", "Message-ID", "References", "Received", "X-A", "List-Id", "Sender"]);
    let byte = prop_oneof![8 => 33u8..=126, 3 => Just(b' '), 2 => Just(b'\t'), 2 => 128u8..=255];
    let fold = prop::sample::select(vec!["", "", "\r\n ", "\r\n\t", " \r\n \t"]);
    let value = prop::collection::vec((prop::collection::vec(byte, 0..20), fold), 0..4);
    (name, value).prop_map(|(name, pieces)| {
        let mut field = format!("{name}:").into_bytes();
        for (bytes, fold) in pieces {
            field.extend(bytes);
            field.extend_from_slice(fold.as_bytes());
        }
        field.extend_from_slice(b"x\r\n");
        field
    })
}

/// Any bytes but NUL, CR and LF in lines that end in CRLF.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => 33u8..=126, 3 => Just(b' '), 1 => Just(b'\t'), 2 => 128u8..=255, 1 => 1u8..=8];
    prop::collection::vec(prop::collection::vec(byte, 0..12), 0..12)
        .prop_map(|lines| lines.into_iter().flat_map(|line| [line, b"\r\n".to_vec()].concat()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_in_wire_form_is_signed_so_that_mail_auth_accepts_it(
        above in prop::collection::vec(field(), 0..5),
        below in prop::collection::vec(field(), 0..5),
        body in body(),
    ) {
        let sender = Sender::get();
        let message = [above.concat(), b"From: a@example.org\r\n".to_vec(), below.concat(), b"\r\n".to_vec(), body].concat();
        prop_assert_eq!(judges::mail_auth(&sender.sign_as("ed", &message), &sender.records), ["pass"]);
    }
}
