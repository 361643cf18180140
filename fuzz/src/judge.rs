//! What a spool file promises, checked twice: by the daemon's own reader, and by plain code that shares nothing with it.

use std::collections::BTreeSet;

use mail::envelope::{Body, Envelope};
use mail::{Address, QueueId};
use spool::layout;
use store::Store;

/// Fields that never leave this host (SENDMAIL.md R9, I9).
const NEVER: [&str; 4] = ["bcc", "resent-bcc", "return-path", "content-length"];
/// Octets of a line (RFC 5322 2.1.1).
const LINE: usize = 998;

/// Judges the file `name` of the drop directory, whose bytes are `bytes`. Returns the message.
pub fn spool_file(store: &Store, name: &str, bytes: &[u8]) -> Vec<u8> {
    let id = QueueId::parse(name.as_bytes()).expect("the name of a spool file is a queue id");
    let claimed = store.inspect(layout::NEW, id).unwrap_or_else(|why| panic!("the daemon refuses what was injected: {why}"));
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let (line, message) = bytes.split_at(end);
    envelope(&claimed.envelope, line, message);
    wire_form(message);
    header(message, &claimed.envelope);
    assert_eq!(claimed.summary.eight_bit, !message.is_ascii());
    message.to_vec()
}

fn envelope(envelope: &Envelope, line: &[u8], message: &[u8]) {
    assert_eq!(envelope.size, message.len() as u64);
    assert_eq!(envelope.body == Body::EightBitMime, !message.is_ascii(), "the body type is what the content is");
    // JSON writes control characters as \u00xx; none may stand there in any dress.
    let json: serde_json::Value = serde_json::from_slice(line).unwrap();
    texts(&json, &mut |text| assert!(!text.chars().any(char::is_control), "a control character in the envelope: {text:?}"));
    let mut seen = BTreeSet::new();
    for recipient in &envelope.recipients {
        same_again(&recipient.address);
        let key = (recipient.address.local().to_owned(), recipient.address.domain().to_ascii_lowercase());
        assert!(seen.insert(key), "{} twice", recipient.address);
    }
    if let Some(address) = envelope.reverse_path.address() {
        same_again(address);
    }
}

fn texts(value: &serde_json::Value, each: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => each(text),
        serde_json::Value::Array(values) => values.iter().for_each(|value| texts(value, each)),
        serde_json::Value::Object(members) => members.iter().for_each(|(key, value)| {
            each(key);
            texts(value, each);
        }),
        _ => {}
    }
}

/// parse(print(address)) is the same, and what is printed cannot end a command or a path.
pub fn same_again(address: &Address) {
    let printed = address.to_string();
    let again = Address::parse(&printed).unwrap_or_else(|why| panic!("{printed:?}: {why}"));
    assert_eq!((again.local(), again.domain()), (address.local(), address.domain()), "{printed:?}");
    assert_eq!(again.to_string(), printed);
    assert!(!printed.chars().any(char::is_control), "{printed:?}");
    assert!(printed.len() <= 64 * 2 + 2 + 1 + 255, "{printed:?}");
}

/// RFC 5321 2.3.8: CRLF at the end of each line, no other CR or LF; no NUL.
pub fn wire_form(message: &[u8]) {
    let mut before = 0;
    for (at, &byte) in message.iter().enumerate() {
        assert!(byte != 0, "a NUL at {at}");
        assert!(byte != b'\n' || before == b'\r', "a bare LF at {at}");
        assert!(before != b'\r' || byte == b'\n', "a bare CR at {}", at - 1);
        before = byte;
    }
    assert!(message.is_empty() || message.ends_with(b"\r\n"), "the last line is not ended");
}

/// The lines of the header section, each without its CRLF. The section is everything up to the first blank line.
fn lines(message: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = message;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        if at == 0 {
            return lines;
        }
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    panic!("no blank line after the header section");
}

fn header(message: &[u8], envelope: &Envelope) {
    let mut names = Vec::new();
    let lines = lines(message);
    // Octets of an address that are not UTF-8 can neither be encoded nor sent under RFC 6531.
    let section = lines.join(&b'\n');
    let needs_smtputf8 = !section.is_ascii() && std::str::from_utf8(&section).is_ok();
    assert!(envelope.smtputf8 || !needs_smtputf8, "8-bit text in a header without SMTPUTF8");
    for line in lines {
        assert!(line.len() <= LINE, "a header line of {} bytes", line.len());
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            assert!(!names.is_empty(), "the section begins with a continuation");
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or_else(|| panic!("no field: {:?}", String::from_utf8_lossy(line)));
        let name = &line[..colon];
        assert!(
            !name.is_empty() && name.iter().all(|byte| (33..=126).contains(byte)),
            "a field name: {:?}",
            String::from_utf8_lossy(name)
        );
        names.push(String::from_utf8_lossy(name).to_ascii_lowercase());
    }
    let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
    for name in NEVER {
        assert_eq!(count(name), 0, "{name} in the spool");
    }
    assert_eq!(count("from"), 1, "one From: {names:?}");
    assert!(count("date") >= 1, "a Date: {names:?}");
    let is_resent = ["resent-to", "resent-cc"].iter().any(|name| count(name) > 0);
    assert!(count("message-id") >= 1 || is_resent || count("resent-message-id") > 0, "a Message-ID: {names:?}");
    assert!(!is_resent || count("resent-date") >= 1 && count("resent-from") >= 1, "the fields of a resent message: {names:?}");
}
