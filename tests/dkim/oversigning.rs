//! THREATS T-DKIM-2: whoever adds what a reader sees breaks the signature.

use dkim::fields::{Cover, SIGNED};
use mail::header::Section;

use super::judges;
use super::messages::MESSAGES;
use super::sender::Sender;
use crate::support::oracles;

/// `signed` with `field` on top, below its signatures, and at the end of the header section.
fn with_field_added(signed: &[u8], field: &str) -> Vec<Vec<u8>> {
    let section = Section::scan(signed);
    let below_signatures = section.fields[2].name.start;
    [0, below_signatures, section.end].into_iter().map(|at| [&signed[..at], field.as_bytes(), &signed[at..]].concat()).collect()
}

#[test]
fn t_dkim_2_each_oversigned_field_that_is_added_anywhere_breaks_both_signatures() {
    let sender = Sender::get();
    for (_, message) in [MESSAGES[0], MESSAGES[6], MESSAGES[9]] {
        let signed = sender.sign(message);
        for (name, _) in SIGNED.iter().filter(|(_, cover)| *cover == Cover::Oversigned) {
            for forged in with_field_added(&signed, &format!("{name}: forged <f@example.org>\r\n")) {
                let verdicts = judges::mail_auth(&forged, &sender.records);
                assert!(verdicts.len() == 2 && verdicts.iter().all(|verdict| verdict != "pass"), "{name}: {verdicts:?}");
            }
        }
    }
}

#[test]
fn t_dkim_2_dkimpy_and_opendkim_notice_a_second_from_subject_to_and_date() {
    let sender = Sender::get();
    for name in ["From", "Subject", "To", "Date"] {
        let field = format!("{name}: forged <f@example.org>\r\n");
        let forged = [field.as_bytes(), &sender.sign(MESSAGES[0].1)].concat();
        let verdicts = require!(oracles::dkimpy(&forged, &sender.txt()));
        assert!(verdicts.len() == 2 && verdicts.iter().all(|verdict| verdict != "pass"), "{name}: {verdicts:?}");
        let forged = [field.as_bytes(), &sender.sign_as("rsa", MESSAGES[0].1)].concat();
        let verdict = require!(oracles::opendkim(&forged, &sender.txt()));
        assert!(!verdict.ends_with("succeeded"), "{name}: {verdict}");
    }
}

#[test]
fn a_resent_block_on_top_and_a_new_sender_do_not_break_the_signature() {
    let sender = Sender::get();
    let signed = sender.sign(MESSAGES[9].1);
    let block = b"Resent-From: x@example.com\r\nResent-To: y@example.com\r\nResent-Date: Mon, 23 Nov 2026 14:43:49 +0000\r\n\
        Resent-Message-ID: <9@example.com>\r\nSender: list@example.com\r\n";
    let resent = [block.as_slice(), &signed].concat();
    assert_eq!(judges::mail_auth(&resent, &sender.records), ["pass", "pass"]);
}
