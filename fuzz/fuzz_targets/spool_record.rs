//! A spool file that any local user may have written (THREATS T-SPOOL-6, PF26-1, PF26-3).
//!
//! Input: what is done to it; the rest is the file. Size and checksum can be put right, or the fuzzer would never get past them.
//!
//! Asserts: the claim never panics and always ends in a message or in quarantine, with one printable line; what it accepts keeps
//! every promise; the parts of a message lie within it; an envelope that was read can be written and read again.

#![no_main]

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use libfuzzer_sys::fuzz_target;
use mail::envelope::Envelope;
use mail::header::Section;
use mailchute_fuzz::installation::{Installation, names};
use mailchute_fuzz::{is_printable, judge, steered};
use serde_json::Value;
use spool::file::{self, Part};
use spool::layout;
use store::Claim;

/// The file's name. Seeds have it in their envelope.
const NAME: &str = "6921CE0500000007";

thread_local! {
    static SPOOL: RefCell<Installation> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let Some(([steer], bytes)) = steered(data) else { return };
    let bytes = if steer & 1 == 0 { bytes.to_vec() } else { mended(bytes) };
    SPOOL.with_borrow(|installation| {
        let store = &installation.store;
        let path = store.path(layout::NEW).join(NAME);
        fs::write(&path, &bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(layout::FILE_MODE)).unwrap();
        match store.claim(NAME).unwrap() {
            Claim::Message(claimed) => {
                accepted(&bytes, &claimed.envelope);
                fs::remove_file(store.path(layout::CUR).join(NAME)).unwrap();
            }
            Claim::Corrupt(why) => {
                assert!(is_printable(&why) && !why.contains('\n') && !why.is_empty(), "{why:?}");
                let quarantine = store.path(layout::CORRUPT);
                assert_eq!(names(&quarantine), [NAME.to_owned(), format!("{NAME}.why")]);
                assert_eq!(fs::read(quarantine.join(NAME)).unwrap(), bytes, "kept as it was");
                names(&quarantine).iter().for_each(|name| fs::remove_file(quarantine.join(name)).unwrap());
            }
            Claim::Newer(v) => {
                assert!(v > mail::envelope::VERSION);
                fs::remove_file(store.path(layout::CUR).join(NAME)).unwrap();
            }
            other => panic!("{other:?}"),
        }
        for directory in [layout::NEW, layout::CUR, layout::CORRUPT] {
            assert!(names(&store.path(directory)).is_empty(), "left in {directory}");
        }
    });
});

fn accepted(bytes: &[u8], envelope: &Envelope) {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let (line, message) = bytes.split_at(end);
    judge::wire_form(message);
    assert_eq!((envelope.id.to_string().as_str(), envelope.size), (NAME, message.len() as u64));
    envelope.recipients.iter().for_each(|recipient| judge::same_again(&recipient.address));
    assert!(!envelope.recipients.is_empty());
    let texts = envelope.warnings.iter().chain(envelope.envid.iter()).chain(envelope.caller.exe.iter());
    texts.for_each(|text| assert!(!text.chars().any(char::is_control), "{text:?}"));
    assert_eq!(serde_json::from_slice::<Envelope>(&serde_json::to_vec(envelope).unwrap()).unwrap(), *envelope);
    assert_eq!(file::parse_line(line.to_vec()).unwrap().envelope, *envelope);
    assert_eq!(format!("{:08x}", crc32(bytes)), envelope.crc32);
    let section = Section::scan(message);
    assert_eq!(section.named(message, "From").count(), 1);
    parts(bytes, line.len());
    let json: Value = serde_json::from_slice(line).unwrap();
    spoiled(&json, &|json| json);
}

/// PF26-1, PF26-2: an envelope that was accepted is not, with a control character in any of its texts or another key in any of its
/// objects. `whole` puts a part of it back where it came from.
fn spoiled(part: &Value, whole: &dyn Fn(Value) -> Value) {
    let refused = |part: Value| {
        let line = format!("{}\n", whole(part));
        assert!(file::parse_line(line.clone().into_bytes()).is_err(), "accepted: {line}");
    };
    match part {
        Value::String(text) => {
            ["\0", "\n", "\u{1b}", "\u{85}"].iter().for_each(|control| refused(Value::String(format!("{text}{control}"))))
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate().take(4) {
                spoiled(value, &|part| {
                    let mut values = values.clone();
                    values[at] = part;
                    whole(Value::Array(values))
                });
            }
        }
        Value::Object(members) => {
            let with = |key: &str, part: Value| {
                let mut members = members.clone();
                members.insert(key.to_owned(), part);
                Value::Object(members)
            };
            refused(with("relay", Value::Null));
            members.iter().for_each(|(key, value)| spoiled(value, &|part| whole(with(key, part))));
        }
        _ => {}
    }
}

fn parts(bytes: &[u8], line: usize) {
    let file = fs::File::open(format!("{}/var/spool/mailchute/{}/{NAME}", config::paths::PREFIX, layout::CUR)).unwrap();
    let read = file::read_line(&file).unwrap();
    let range = |part| file::range_of(&file, &read, part).unwrap();
    let (start, end) = (line as u64, bytes.len() as u64);
    assert_eq!((range(Part::Raw), range(Part::Message)), ((0, end), (start, end)));
    let (headers, body) = (range(Part::Headers), range(Part::Body));
    assert!(headers.0 == start && headers.1 <= body.0 && body.0 <= headers.1 + 2 && body.1 == end);
}

/// The checksum over the file with its own digits as zeros: CRC-32 (IEEE), a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let mut zeroed = bytes.to_vec();
    let digits = key(&zeroed, b"\"crc32\":\"").unwrap();
    zeroed[digits..digits + 8].fill(b'0');
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !zeroed.iter().fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| bit(crc)))
}

/// The offset after the first `key`.
fn key(bytes: &[u8], key: &[u8]) -> Option<usize> {
    bytes.windows(key.len()).position(|window| window == key).map(|at| at + key.len())
}

/// The file with the size and the checksum that its envelope should have.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let Some(end) = out.iter().position(|&byte| byte == b'\n') else { return out };
    let size = out.len() - end - 1;
    if let Some(at) = key(&out[..end], b"\"size\":") {
        let digits = out[at..end].iter().take_while(|byte| byte.is_ascii_digit()).count();
        out.splice(at..at + digits, size.to_string().into_bytes());
    }
    if let Some(at) = key(&out, b"\"crc32\":\"").filter(|at| at + 8 <= out.len()) {
        let crc = format!("{:08x}", crc32(&out));
        out[at..at + 8].copy_from_slice(crc.as_bytes());
    }
    out
}
