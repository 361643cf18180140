//! The header scanner: total, and a byte-exact partition of whatever it is given.
//!
//! Input: bytes, each `{` of them 400, scanned as they are. They are scanned once more as `sendmail` sees them (in wire form, piece by piece), and
//! once as the text of a well-formed header section.
//!
//! Asserts: the fields and nothing else make up the section; a plain second scanner agrees; so does the collector of the
//! injector, in any pieces; on well-formed sections mail-parser finds the same fields, values and From addresses.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::address_list::{AddressList, Spec};
use mail::header::{self, Section};
use mail_parser::MessageParser;
use mailchute_fuzz::{steered, widened};
use submit::body::{DotRule, Lines};
use submit::head::Collector;

fuzz_target!(|data: &[u8]| {
    let Some(([cut], text)) = steered(data) else { return };
    let text = &widened(text);
    partition(text);
    let wire = wire_form(text, usize::from(cut) + 1);
    partition(&wire);
    collected(&wire);
    second_opinion(text);
});

/// The ranges of a scan, checked against a scanner that works line by line.
fn partition(message: &[u8]) {
    let section = Section::scan(message);
    let mut at = 0;
    for field in &section.fields {
        let whole = field.whole();
        assert_eq!(whole.start, at, "a gap before a field");
        assert!(whole.end > at && whole.end <= message.len());
        let name = field.name_in(message);
        assert!(!name.is_empty() && name.iter().all(|byte| (33..=126).contains(byte) && *byte != b':'));
        let between = &message[field.name.end..field.value.start];
        let (colon, blanks) = between.split_last().unwrap();
        assert!(*colon == b':' && blanks.iter().all(|byte| matches!(byte, b' ' | b'\t')));
        assert!(message[..whole.end].ends_with(b"\r\n") || whole.end == message.len());
        assert!(!header::unfold(field.value_in(message)).iter().any(|byte| matches!(byte, b'\r' | b'\n')));
        at = whole.end;
    }
    assert_eq!(section.end, at, "the section is its fields");
    let blank = message[at..].starts_with(b"\r\n");
    assert_eq!(section.body, if blank { at + 2 } else { at });
    assert_eq!((section.end, section.fields.len()), plain_scan(message));
    let again = Section::scan(&message[..section.end]);
    assert_eq!(again.fields, section.fields, "what follows the section has no say in it");
}

/// The end of the section and the number of fields.
fn plain_scan(message: &[u8]) -> (usize, usize) {
    let (mut at, mut fields) = (0, 0);
    while at < message.len() {
        let end = message[at..].windows(2).position(|pair| pair == b"\r\n").map_or(message.len(), |found| at + found + 2);
        let line = &message[at..end];
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
        let name = line[..colon].trim_ascii_end();
        let blanks = &line[name.len()..colon];
        if matches!(line[0], b' ' | b'\t') {
            if fields == 0 {
                break;
            }
        } else if !name.is_empty()
            && colon < 998
            && name.iter().all(|byte| byte.is_ascii_graphic())
            && blanks.iter().all(|byte| matches!(byte, b' ' | b'\t'))
        {
            fields += 1;
        } else {
            break;
        }
        at = end;
    }
    (at, fields)
}

fn wire_form(text: &[u8], piece: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut out = |bytes: &[u8]| {
        wire.extend_from_slice(bytes);
        Ok::<(), ()>(())
    };
    let mut lines = Lines::new(DotRule::Data);
    text.chunks(piece).for_each(|chunk| lines.feed(chunk, &mut out).unwrap());
    lines.finish(&mut out).unwrap();
    mailchute_fuzz::judge::wire_form(&wire);
    wire
}

/// The injector's collector stops where the scanner does.
fn collected(wire: &[u8]) {
    let mut collector = Collector::default();
    let mut fed = 0;
    for line in wire.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\r\n").unwrap();
        if !text.is_empty() {
            collector.feed(text).unwrap();
        }
        fed += line.len();
        if collector.feed(b"\r\n").unwrap() {
            break;
        }
    }
    let collected = collector.finish();
    let head = collected.head();
    // SENDMAIL.md I5: lines that begin with `From ` are dropped before the first field.
    let is_from = |line: &&[u8]| line[line.iter().take_while(|&&byte| byte == b'>').count()..].starts_with(b"From ");
    let dropped: usize = wire
        .split_inclusive(|&byte| byte == b'\n')
        .take_while(|line| is_from(line) && header::name_of(line).is_none())
        .map(<[u8]>::len)
        .sum();
    let section = Section::scan(&wire[dropped..]);
    assert_eq!(head.bytes, &wire[dropped..dropped + section.end]);
    assert_eq!(head.fields.len(), section.fields.len());
    assert_eq!(collected.body(), &wire[dropped + section.body..fed.max(dropped + section.body)]);
}

/// Fields that mail-parser and the scanner define alike, whatever their values.
const SIMPLE: [&str; 7] = ["From", "To", "Cc", "Sender", "Reply-To", "Subject", "Comments"];

/// A well-formed section made of `text`: each line a field, blanks in it the places of folds.
fn well_formed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split(|&byte| byte == b'\n').take(20) {
        let (name, value) = match line.iter().position(|&byte| byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (&b"Subject"[..], line),
        };
        let name: Vec<u8> = name.iter().copied().filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').take(60).collect();
        let mut words =
            value.split(|&byte| byte == b' ').map(|word| word.iter().copied().filter(u8::is_ascii_graphic).collect::<Vec<u8>>());
        // mail-parser reads past the end of a line in some structured fields whose value is broken (Date, Content-Type).
        if !SIMPLE.iter().any(|simple| name.eq_ignore_ascii_case(simple.as_bytes())) {
            out.extend_from_slice(b"X-");
        }
        out.extend_from_slice(&name);
        out.push(b':');
        out.extend_from_slice(&[b" ", words.next().unwrap_or_default().as_slice()].concat());
        for (number, word) in words.filter(|word| !word.is_empty()).enumerate() {
            out.extend_from_slice(if number % 3 == 2 { b"\r\n " } else { b" " });
            out.extend_from_slice(&word);
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn second_opinion(text: &[u8]) {
    let mut message = well_formed(text);
    message.extend_from_slice(b"\r\nbody\r\n");
    let section = Section::scan(&message);
    assert_eq!(section.body + 6, message.len(), "a well-formed section is whole");
    let parsed = MessageParser::default().parse(&message).expect("mail-parser takes a well-formed message");
    let headers = parsed.headers();
    let names: Vec<&str> = headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(headers.len(), section.fields.len(), "{names:?} in {}", String::from_utf8_lossy(&message));
    for (ours, theirs) in section.fields.iter().zip(headers) {
        assert!(theirs.name.as_str().eq_ignore_ascii_case(std::str::from_utf8(ours.name_in(&message)).unwrap()));
        assert_eq!(ours.value, theirs.offset_start as usize..theirs.offset_end as usize, "{}", String::from_utf8_lossy(&message));
    }
    // mail-parser gives the last From where there are several.
    let Some(from) = section.named(&message, "From").next_back() else { return };
    let value = from.value_in(&message);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'<' | b'>' | b'@' | b',' | b'.' | b'\r' | b'\n');
    let list = AddressList::parse(value);
    let ours: Option<Vec<String>> = list
        .mailboxes
        .iter()
        .map(|mailbox| match &mailbox.spec {
            Ok(Spec::Full(address)) => Some(format!("{}@{}", address.local(), address.domain())),
            _ => None,
        })
        .collect();
    // Both define the value only where every member is an address and nothing obsolete is in it.
    let Some(ours) = ours.filter(|ours| !ours.is_empty() && value.iter().all(is_plain)) else { return };
    let is_obsolete = list.mailboxes.iter().any(|mailbox| {
        let text = String::from_utf8_lossy(&value[mailbox.span.clone()]).into_owned();
        let (name, address) = text.rsplit_once('<').unwrap_or(("", &text));
        // An at sign in an unquoted display name is an error that everybody mends in another way.
        name.contains('@') || address.trim_end_matches('>').contains([' ', '\r', '\t'])
    });
    if is_obsolete {
        return;
    }
    // We drop the dot of the root.
    let canonical = |address: &str| address.strip_suffix('.').unwrap_or(address).to_owned();
    let theirs: Vec<String> =
        parsed.from().into_iter().flat_map(|from| from.iter()).filter_map(|one| one.address()).map(canonical).collect();
    assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&message));
}
