//! What the daemon changes in a message for the server at hand: hostile MIME, 8-bit text, endless lines.
//!
//! Input: whether the server takes 8-bit content, where bodies are kept, and which header section stands before the rest; the
//! rest is made wire form, and each `{` of it 400 bytes, so that long lines cost the fuzzer nothing.
//!
//! Asserts: what is sent is in wire form, no line over 998 bytes, 7-bit for a server that takes nothing else; memory and file give
//! the same; what was converted needs no conversion; a single part, decoded by plain code, holds exactly what it held.

#![no_main]

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mail::header::{self, Section};
use mail::wire::WireCheck;
use transport::encode::{self, Original};
use transport::smtp::Bytes;
use submit::body::{DotRule, Lines};
use mailchute_fuzz::{is_printable, judge, process, steered, widened};

/// Header sections of one part that may be encoded. With none of them, the input has its own.
const SINGLE: [&str; 5] = [
    "Subject: x\r\n",
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
    "Content-Type: text/html\r\nContent-Transfer-Encoding: 7bit\r\n",
    "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n",
    "Content-Type: image/png; name=x\r\n",
];

fuzz_target!(|data: &[u8]| {
    let Some(([steer], text)) = steered(data) else { return };
    let takes_8bit = steer & 1 == 0;
    let single = SINGLE.get(usize::from(steer >> 4));
    let wire = wire_form(text);
    let message = match single {
        Some(header) => [header.as_bytes(), b"\r\n", &wire].concat(),
        None => wire,
    };
    let in_memory = [usize::MAX, 0, 100][usize::from(steer >> 1 & 7) % 3];
    let (sent, note) = converted(&message, takes_8bit, in_memory);
    if let Some(note) = &note {
        assert!(is_printable(note) && !note.contains('\n'), "{note:?}");
    }
    judge::wire_form(&sent);
    assert!(sent.split(|&byte| byte == b'\n').all(|line| line.len() <= 998 + 1), "a line over 998 bytes");
    let section = Section::scan(&sent);
    let body = &sent[section.body..];
    assert!(takes_8bit || body.is_ascii(), "8-bit content for a server that takes none");
    let (again, note) = converted(&sent, takes_8bit, usize::MAX);
    assert!(again == sent, "converted twice: {note:?}");
    if single.is_some() {
        assert_eq!(section.body, section.end + 2);
        let original = &message[Section::scan(&message).body..];
        assert_eq!(decoded(&sent[..section.end], body).escape_ascii().to_string(), original.escape_ascii().to_string());
    }
});

fn wire_form(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut out = |bytes: &[u8]| {
        wire.extend_from_slice(bytes);
        Ok::<(), ()>(())
    };
    let mut lines = Lines::new(DotRule::Data);
    lines.feed(&widened(text), &mut out).unwrap();
    lines.finish(&mut out).unwrap();
    wire
}

/// What is sent of `message`, and what the history is told.
fn converted(message: &[u8], takes_8bit: bool, in_memory: usize) -> (Vec<u8>, Option<String>) {
    let section = Section::scan(message);
    let body = &message[section.body..];
    let mut check = WireCheck::default();
    check.feed(body).unwrap();
    let bytes = if in_memory == 0 {
        let mut file = process::memory("body");
        file.write_all(body).unwrap();
        Bytes::File { file: Arc::new(file), offset: 0, length: body.len() as u64 }
    } else {
        Bytes::Memory { bytes: Arc::new(message.to_vec()), range: section.body..message.len() }
    };
    let original = Original { header: &message[..section.end], body: &bytes, summary: check.finish().unwrap() };
    let Some(converted) = encode::convert(&original, takes_8bit, in_memory, || Ok(process::memory("spill"))).unwrap() else {
        return (message.to_vec(), None);
    };
    let body = converted.body.as_ref().map_or_else(|| body.to_vec(), |body| read(&body.bytes));
    assert_eq!(converted.eight_bit, !body.is_ascii());
    ([converted.header.as_slice(), b"\r\n", &body].concat(), Some(converted.note))
}

fn read(bytes: &Bytes) -> Vec<u8> {
    match bytes {
        Bytes::Memory { bytes, range } => bytes[range.clone()].to_vec(),
        Bytes::File { file, offset, length } => read_file(file, *offset, *length),
    }
}

fn read_file(file: &File, offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, offset).unwrap();
    bytes
}

/// The content of a single part, by its label.
fn decoded(section: &[u8], body: &[u8]) -> Vec<u8> {
    let scan = Section::scan(section);
    let mut labels = scan.named(section, "Content-Transfer-Encoding");
    let label = labels.next().map(|field| header::unfold(field.value_in(section)).to_ascii_lowercase()).unwrap_or_default();
    assert!(labels.next().is_none(), "one label");
    match label.as_slice() {
        b"quoted-printable" => unquoted(body),
        b"base64" => unbased(body),
        b"" | b"7bit" | b"8bit" => body.to_vec(),
        other => panic!("{}", other.escape_ascii()),
    }
}

/// RFC 2045 6.7, with nothing forgiven.
fn unquoted(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\r\n").unwrap();
        assert!(text.len() <= 76, "a line of quoted-printable of {} bytes", text.len());
        assert!(!matches!(text.last(), Some(b' ' | b'\t')), "white space at the end of a line");
        let mut bytes = text.iter();
        let mut soft = false;
        while let Some(&byte) = bytes.next() {
            if byte != b'=' {
                assert!(matches!(byte, b'\t' | b' '..=b'~'));
                out.push(byte);
                continue;
            }
            match bytes.next() {
                Some(&high) => out.push(hex(high) << 4 | hex(*bytes.next().unwrap())),
                None => soft = true,
            }
        }
        if !soft {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!("{digit} is no hex digit"),
    }
}

/// RFC 2045 6.8, with nothing forgiven but line ends.
fn unbased(body: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert!(body.split(|&byte| byte == b'\n').all(|line| line.len() <= 77));
    let digits: Vec<u8> = body.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    assert!(digits.len().is_multiple_of(4));
    let padding = digits.iter().rev().take_while(|&&digit| digit == b'=').count();
    assert!(padding <= 2);
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for digit in &digits[..digits.len() - padding] {
        bits = bits << 6 | DIGITS.iter().position(|other| other == digit).expect("a digit of base64") as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}
