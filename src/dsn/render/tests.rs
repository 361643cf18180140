use jiff::tz::TimeZone;
use mail::Diagnosis;
use mail::code::{Cause, Subject};
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::super::original::Quoted;
use super::super::recipient::DsnRecipient;
use super::super::recipient::tests::row;
use super::*;
use mail::envelope::Envelope;
use mail::header;
use mail::header::Section;
use mail::queue_id::QueueId;
use mail::wire::WireCheck;

static UTC: TimeZone = TimeZone::UTC;

const HEADER: &[u8] = b"From: me@h.example\r\nTo: bob@x.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@h.example>\r\n";

fn original(header: &[u8]) -> Original {
    let envelope = Envelope { id: QueueId::new(1, 1), size: 1, envid: Some("order 7".into()), ..testing::envelope(&["bob@x.example"]) };
    Original { envelope, header: header.to_vec(), whole: None }
}

fn failed(reply: &str) -> DsnRecipient {
    DsnRecipient::new(&row(reply, "5.1.1"), Action::Failed, Some("rfc822;b+2Bb@x.example".into()))
}

fn bytes(recipients: &[DsnRecipient], original: Option<&Original>) -> Vec<u8> {
    bytes_to("me@h.example", recipients, original, 7)
}

fn bytes_to(to: &str, recipients: &[DsnRecipient], original: Option<&Original>, random: u64) -> Vec<u8> {
    build(&dsn(&Address::parse(to).unwrap(), recipients, original, random))
}

fn dsn<'a>(to: &'a Address, recipients: &'a [DsnRecipient], original: Option<&'a Original>, random: u64) -> Dsn<'a> {
    Dsn {
        mailname: "h.example",
        is_guess: false,
        zone: &UTC,
        to,
        id: QueueId::new(0x6921_CE05, 0xAB),
        accepted: 1_795_358_629,
        expires: 1_795_790_629,
        recipients,
        original,
        at: 1_795_358_630,
        now: 1_795_358_631,
        random,
    }
}

fn field(message: &[u8], name: &str) -> String {
    let section = Section::scan(message);
    let values: Vec<&[u8]> = section.named(message, name).map(|field| field.value_in(message)).collect();
    assert_eq!(values.len(), 1, "{name}");
    String::from_utf8(header::unfold(values[0])).unwrap()
}

/// Type, decoded content and transfer encoding of each part; the whole is in wire form with lines that can be sent.
fn parts(message: &[u8]) -> Vec<(String, Vec<u8>, String)> {
    let mut check = WireCheck::default();
    check.feed(message).unwrap();
    assert!(check.finish().unwrap().longest_line <= 998);
    let parsed = MessageParser::new().parse(message).unwrap();
    let kind = |part: &mail_parser::MessagePart<'_>| {
        let kind = part.content_type().unwrap();
        format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default())
    };
    assert_eq!(kind(&parsed.parts[0]), "multipart/report");
    let top = parsed.parts[0].sub_parts().unwrap();
    top.iter()
        .map(|&id| {
            let part = &parsed.parts[id as usize];
            (kind(part), part.contents().to_vec(), part.content_transfer_encoding().unwrap_or("7bit").to_owned())
        })
        .collect()
}

fn kinds(message: &[u8]) -> Vec<String> {
    parts(message).into_iter().map(|(kind, ..)| kind).collect()
}

const THREE: [&str; 3] = ["text/plain", "message/delivery-status", "text/rfc822-headers"];

/// RFC 6522 3, RFC 3464 2.2 and 2.3: three parts in their order, every field in its group.
#[test]
fn a_bounce_has_words_fields_and_the_header_section() {
    let message = bytes(&[failed("550 5.1.1 no such user")], Some(&original(HEADER)));
    let parts = parts(&message);
    assert_eq!(parts.iter().map(|(kind, ..)| kind.as_str()).collect::<Vec<_>>(), THREE);
    let words = String::from_utf8(parts[0].1.clone()).unwrap();
    for text in ["<bob@x.example>", "mx.x.example said: 550 5.1.1 no such user", "typing error", "Grüße", "mailchute show 6921CE05000000AB"]
    {
        assert!(words.contains(text), "{text} in {words}");
    }
    assert_eq!(
        String::from_utf8(parts[1].1.clone()).unwrap().trim_end(),
        "Reporting-MTA: dns; h.example\r\nOriginal-Envelope-Id: order 7\r\nArrival-Date: Sun, 22 Nov 2026 14:43:49 +0000\r\n\r\n\
         Original-Recipient: rfc822;b+b@x.example\r\nFinal-Recipient: rfc822; bob@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Remote-MTA: dns; mx.x.example\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n\
         Last-Attempt-Date: Sun, 22 Nov 2026 14:43:49 +0000"
    );
    assert_eq!(parts[2].1, HEADER);
}

/// RFC 3464 2, RFC 3834 3.1 and 5, RFC 6522 3 (report-type)
#[test]
fn the_header_section_is_that_of_an_automatic_answer() {
    let message = bytes(&[failed("550 no")], Some(&original(HEADER)));
    assert_eq!(field(&message, "From"), "Mail Delivery System <MAILER-DAEMON@h.example>");
    assert_eq!(field(&message, "To"), "<me@h.example>");
    assert_eq!(field(&message, "Auto-Submitted"), "auto-replied");
    assert_eq!(field(&message, "MIME-Version"), "1.0");
    assert_eq!(field(&message, "Date"), "Sun, 22 Nov 2026 14:43:51 +0000");
    assert_eq!((field(&message, "In-Reply-To"), field(&message, "References")), ("<1@h.example>".into(), "<1@h.example>".into()));
    assert_eq!(field(&message, "Message-ID"), "<20261122144350.6921CE05000000AB.dsn@h.example>");
    assert!(field(&message, "Content-Type").contains("report-type=\"delivery-status\""), "{}", field(&message, "Content-Type"));
}

/// RFC 3464 2.3.3, 2.3.9
#[test]
fn one_dsn_tells_of_failed_late_and_relayed_recipients() {
    let delayed = DsnRecipient::new(&row("450 4.2.1 busy", "4.2.1"), Action::Delayed, None);
    let relayed = DsnRecipient::new(&row("250 ok", "2.0.0"), Action::Relayed, None);
    let message = bytes(&[delayed.clone(), failed("550 no"), relayed], None);
    assert_eq!(field(&message, "Subject"), "Your mail could not be delivered");
    let parts = parts(&message);
    let status = String::from_utf8_lossy(&parts[1].1).into_owned();
    let actions: Vec<&str> = status.lines().filter_map(|line| line.strip_prefix("Action: ")).collect();
    assert_eq!(actions, ["delayed", "failed", "relayed"]);
    assert!(status.contains("Will-Retry-Until: Fri, 27 Nov 2026 14:43:49 +0000"), "{status}");
    assert_eq!(parts.len(), 2, "a missing message cannot be quoted");
    assert_eq!(field(&bytes(&[delayed], None), "Subject"), "Your mail is delayed");
}

/// RFC 3461 4.3, 6.2; RFC 2046 5.2.1
#[test]
fn ret_full_quotes_the_message_and_never_in_base64() {
    for (body, eight_bit, encoding) in [("hello\r\n", false, "7bit"), ("gr\u{fc}n\r\n", true, "8bit")] {
        let whole = [HEADER, b"\r\n", body.as_bytes()].concat();
        let original = Original { whole: Some(Quoted { bytes: whole.clone(), eight_bit }), ..original(HEADER) };
        let message = bytes(&[failed("550 no")], Some(&original));
        // RFC 2045 6.4
        let label = Section::scan(&message).named(&message, "Content-Transfer-Encoding").count();
        assert_eq!(label, usize::from(eight_bit), "8bit in a multipart that does not say so");
        let text = String::from_utf8(message.clone()).unwrap();
        assert!(
            text.contains(&format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {encoding}\r\n\r\nFrom: me@")),
            "{text}"
        );
        assert!(memchr::memmem::find(&message, &whole).is_some());
        let delayed = DsnRecipient::new(&row("450 busy", "4.0.0"), Action::Delayed, None);
        assert_eq!(kinds(&bytes(&[delayed], Some(&original))), THREE, "RET=FULL is about failures");
    }
}

/// RFC 6533 4.2 to 4.5
#[test]
fn a_header_section_beyond_ascii_is_quoted_as_global_in_7_bits() {
    let header = "From: j\u{f6}rg@h.example\r\nSubject: Gr\u{fc}\u{df}e\r\n".as_bytes();
    let message = bytes(&[failed("550 no")], Some(&original(header)));
    let part = &parts(&message)[2];
    assert_eq!((part.0.as_str(), part.1.as_slice()), ("message/global-headers", header));
    assert!(message.is_ascii(), "{}", message.escape_ascii());
    for body in ["gr\u{fc}n\r\n".as_bytes(), b"latin \xfc\r\n"] {
        let whole = [header, b"\r\n", body].concat();
        let original = Original { whole: Some(Quoted { bytes: whole, eight_bit: true }), ..original(header) };
        let message = bytes(&[failed("550 no")], Some(&original));
        assert_eq!(kinds(&message)[2], "message/global");
        assert!(message.is_ascii(), "{}", message.escape_ascii());
    }
    // What is not UTF-8 is of no type but text.
    assert_eq!(kinds(&bytes(&[failed("550 no")], Some(&original(b"Subject: latin \xfc\r\n")))), THREE);
}

/// RFC 3461 6.3 (b)
#[test]
fn the_reporting_mta_is_of_the_type_dns_only_where_its_name_is_known() {
    let to = Address::parse("me@h.example").unwrap();
    let recipients = [failed("550 no")];
    let report = |is_guess| fields::delivery_status(&Dsn { mailname: "web1.localdomain", is_guess, ..dsn(&to, &recipients, None, 7) });
    assert!(report(false).starts_with("Reporting-MTA: dns; web1.localdomain\r\n"));
    assert!(report(true).starts_with("Reporting-MTA: x-local-hostname; web1.localdomain\r\n"));
}

/// RFC 6533 3, RFC 3464 2.1
#[test]
fn non_ascii_addresses_are_written_in_ascii() {
    let mut row = row("550 no", "5.1.1");
    row.address = "bj\u{f6}rn@x.example".into();
    let message = bytes_to("j\u{f6}rg@h.example", &[DsnRecipient::new(&row, Action::Failed, None)], None, 7);
    let parts = parts(&message);
    assert!(parts[1].1.is_ascii());
    assert!(String::from_utf8_lossy(&parts[1].1).contains("Final-Recipient: utf-8; bj\\x{F6}rn@x.example\r\n"));
    assert!(String::from_utf8_lossy(&parts[0].1).contains("<bj\u{f6}rn@x.example>"));
    assert_eq!(field(&message, "To"), "<j\u{f6}rg@h.example>");
}

#[test]
fn t_hdr_1_hostile_replies_subjects_and_ids_break_out_of_nothing() {
    // Nobody can know it; but if somebody did:
    let boundary = "--=_mailchute_0000000000000009";
    let hostile = [
        "550 a\r\n\r\n--=_mailchute_0000000000000009\r\nContent-Type: text/html\r\n\r\n<script>",
        "550 \u{1b}[2J\u{202e}evil\u{0}",
        &format!("550 {}", "x".repeat(30_000)),
        &format!("550 {}", "\u{1f4a9} ".repeat(9000)),
        boundary,
        "",
    ];
    for text in hostile {
        let header = format!("Subject: {}\r\nMessage-ID: <a b>\r\n", text.replace(['\r', '\n', '\0'], " "));
        let mut recipient = failed(text);
        recipient.written = text.to_owned();
        recipient.orcpt = Some(format!("rfc822;{text}"));
        let original = original(header.as_bytes());
        let known = String::from_utf8(bytes_to("me@h.example", std::slice::from_ref(&recipient), Some(&original), 9)).unwrap();
        assert_eq!(known.lines().filter(|line| line.starts_with(boundary)).count(), 4, "{known}");
        let message = bytes(&[recipient], Some(&original));
        let parts = parts(&message);
        assert_eq!(parts.len(), 3, "{text:?}");
        let status = String::from_utf8_lossy(&parts[1].1).into_owned();
        assert!(status.lines().all(|line| line.chars().all(|c| matches!(c, ' '..='~'))), "{status}");
        assert_eq!(status.trim_end().split("\r\n\r\n").count(), 2, "{status}");
        assert!(!String::from_utf8_lossy(&parts[0].1).contains(['\u{1b}', '\u{202e}']));
        assert!(Section::scan(&message).named(&message, "In-Reply-To").next().is_none());
    }
}

#[test]
fn the_digest_has_the_number_of_dsns_on_hold() {
    let to = Address::parse("admin@x.example").unwrap();
    let waiting = |reply: &str, code, recipients| {
        let diagnosis = Diagnosis { code, ..Diagnosis::of(Cause::Reply, Subject::Message) };
        ReasonWaiting { reply: reply.to_owned(), diagnosis, recipients }
    };
    let reasons = [
        waiting("550 5.1.1 no\x1b[2J such user", Some(550), 99_000),
        waiting("535 5.7.8 secret", Some(535), 7),
        waiting(&"x".repeat(2000), None, 1),
    ];
    let digest = Digest {
        mailname: "h.example",
        zone: &TimeZone::UTC,
        to: &to,
        waiting: 99_900,
        reasons: &reasons,
        limit: 100,
        until: 0,
        now: 0,
        random: 1,
    };
    let message = build_digest(&digest);
    let text = String::from_utf8(message.clone()).unwrap();
    assert!(text.contains("\r\n   99000  550 5.1.1 no\\x1b[2J such user\r\n       7  the next hop does not"), "{text}");
    assert!(!text.contains("secret") && text.lines().all(|line| line.len() <= 78), "{text}");
    assert!(!String::from_utf8(build_digest(&Digest { reasons: &[], ..digest })).unwrap().contains("most frequent"));
    assert_eq!(field(&message, "Subject"), "99900 delivery status notifications are on hold");
    assert_eq!(field(&message, "Auto-Submitted"), "auto-generated");
    assert!(String::from_utf8(message).unwrap().contains("no more than\r\n100 are sent"));
}

proptest! {
    #[test]
    fn any_texts_make_a_message_in_wire_form_with_three_parts(reply in "\\PC{0,300}", written in any::<String>(), status in "\\PC{0,9}", header in "[^\r\n\0]{0,2000}") {
        let mut row = row(&reply, &status);
        row.original = written;
        let original = original(format!("Subject: {header}\r\n").as_bytes());
        let third = if header.is_ascii() { THREE[2] } else { "message/global-headers" };
        prop_assert_eq!(kinds(&bytes(&[DsnRecipient::new(&row, Action::Failed, None)], Some(&original))), [THREE[0], THREE[1], third]);
    }
}

#[test]
fn t_out_4_credentials_in_a_field_are_not_quoted() {
    let header = b"Subject: x\r\nAUTHORIZATION : Basic\r\n c2VjcmV0\r\nTo: bob@x.example\r\ncookie: c2VjcmV0\r\n";
    let quoted = original(header).quoted_header();
    assert_eq!(String::from_utf8(quoted).unwrap(), "Subject: x\r\nTo: bob@x.example\r\n");
    assert!(!String::from_utf8(bytes(&[failed("550 no")], Some(&original(header)))).unwrap().contains("c2VjcmV0"));
    // Nor where all of it was asked for.
    let whole = [&header[..], b"\r\nhello\r\n"].concat();
    let original = Original { whole: Some(Quoted { bytes: whole, eight_bit: false }), ..original(header) };
    let message = bytes(&[failed("550 no")], Some(&original));
    assert!(!String::from_utf8_lossy(&message).contains("c2VjcmV0"));
    assert_eq!(kinds(&message), THREE);
}

/// RFC 3834 3.1.6, RFC 5322 3.6.4
#[test]
fn a_dsn_refers_to_the_message_and_to_what_that_referred_to() {
    let references = |fields: &str| {
        let header = format!("{fields}Message-ID: <me@h.example>\r\n");
        let message = bytes(&[failed("550 no")], Some(&original(header.as_bytes())));
        assert_eq!(field(&message, "In-Reply-To"), "<me@h.example>");
        parts(&message);
        field(&message, "References")
    };
    assert_eq!(references(""), "<me@h.example>");
    assert_eq!(references("References: <1@x>\r\n\t<2@x> evil\u{202e} <3@x\r\n"), "<1@x> <2@x> <me@h.example>");
    assert_eq!(references("In-Reply-To: <1@x>\r\n"), "<1@x> <me@h.example>");
    let many: String = (0..500).map(|n| format!(" <{n}@{}>", "x".repeat(200))).collect();
    assert_eq!(references(&format!("References:{many}\r\n")).split(' ').count(), 10);
}
