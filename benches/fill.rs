//! Fills the spool of one user for benches/scale: files as the injector writes them, without its syncs, and rows as the daemon writes
//! them. The daemon must be stopped.
//!
//! ```text
//! fill waiting SPOOL N      N files in new/, every hundredth of them wrong in one of many ways; prints how many are right
//! fill queued SPOOL N DUE   N files in cur/ with rows, DUE of them due now and the others in an hour
//! fill history SPOOL N      N finished messages, rows only
//! fill trace SPOOL          looks for addresses and Message-IDs in the history; prints milliseconds: median and worst, of each
//! ```
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout)] // a tool for the bench: it may stop on an error

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use mail::address::{Address, ReversePath};
use mail::envelope::{Body, ClaimedMessage, Envelope, Notify, Recipient, VERSION};
use mail::queue_id::QueueId;
use spool::file;
use spool::layout;
use state::{Durability, Message, Origin, Progress, QueueDir, RecipientRow, RecipientUpdate, State, Transaction};

/// Bytes of each message.
const SIZE: usize = 1024;
/// Rows of one transaction.
const GROUP: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u32>().unwrap();
    match words.as_slice() {
        ["waiting", spool, n] => println!("{}", waiting(spool.as_ref(), number(n))),
        ["queued", spool, n, due] => queued(spool.as_ref(), number(n), number(due)),
        ["history", spool, n] => history(spool.as_ref(), number(n)),
        ["trace", spool] => trace(spool.as_ref()),
        _ => panic!("see the head of benches/fill.rs"),
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Message `n`, accepted ten minutes ago or before.
fn id(n: u32) -> QueueId {
    QueueId::new(u32::try_from(now()).unwrap() - 600 - n / 1000, n)
}

fn address(n: u32) -> String {
    format!("m{n}@receiver.example")
}

/// The bytes of a spool file.
fn encode(id: QueueId, n: u32) -> Vec<u8> {
    let mut message =
        format!("From: alice@sender.example\r\nTo: {}\r\nSubject: message {n}\r\nMessage-ID: <{id}@sender.example>\r\n\r\n", address(n))
            .into_bytes();
    while message.len() < SIZE {
        message.extend_from_slice(b"The quick brown fox jumps over the lazy dog, and does so once more.\r\n");
    }
    let exe = Some("/usr/bin/php8.4".to_owned());
    let claimed =
        ClaimedMessage { gid: Some(33), pid: Some(4711), exe, cwd: Some("/var/www".to_owned()), unit: Some("php-fpm.service".to_owned()) };
    let mut envelope = Envelope {
        v: VERSION,
        id,
        size: message.len() as u64,
        crc32: "00000000".to_owned(),
        time: "2026-11-22T14:43:49Z".to_owned(),
        reverse_path: ReversePath::try_from("alice@sender.example".to_owned()).unwrap(),
        recipients: vec![Recipient::new(Address::parse(&address(n)).unwrap())],
        ret: None,
        envid: None,
        body: Body::SevenBit,
        smtputf8: false,
        deliver_by: None,
        hold_until: None,
        priority: None,
        notices: vec![],
        claimed,
        peer: None,
    };
    let reserved = file::reserve(&envelope).unwrap();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&message);
    let mut bytes = file::encode_line(&mut envelope, reserved, &crc).unwrap();
    bytes.extend_from_slice(&message);
    bytes
}

fn write(path: &Path, mode: u32, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn waiting(spool: &Path, n: u32) -> u32 {
    let mut right = 0;
    for n in 0..n {
        let id = id(n);
        let mut bytes = encode(id, n);
        let mut mode = layout::FILE_MODE;
        if n % 100 == 99 {
            spoil(&mut bytes, &mut mode, n / 100);
        } else {
            right += 1;
        }
        write(&spool.join(layout::NEW).join(id.to_string()), mode, &bytes);
    }
    right
}

/// Makes a file wrong, each time in another way: a bit anywhere, a cut anywhere, more at its end, zeros, another's envelope.
fn spoil(bytes: &mut Vec<u8>, mode: &mut u32, way: u32) {
    let at = (way as usize).wrapping_mul(2_654_435_761) % bytes.len();
    match way % 8 {
        0..3 => bytes[at] ^= 1 << (way % 7),
        3 => bytes.truncate(at),
        4 => bytes.extend_from_slice(b"more\r\n"),
        5 => bytes[at..].fill(0),
        6 => *mode = 0o600,
        _ => *bytes = encode(QueueId::new(7, way), way),
    }
}

fn row(n: u32, bytes: &[u8]) -> (Message, RecipientRow) {
    let id = id(n);
    let message = Message {
        id,
        uid: nix::unistd::geteuid().as_raw(),
        digest: digest::digest(&digest::SHA256, bytes).as_ref().to_vec(),
        // What is behind the envelope's line.
        size: bytes.iter().position(|byte| *byte == b'\n').map_or(0, |line| bytes.len() - line - 1) as u64,
        accepted: i64::from(id.seconds()),
        expires: now() + 400_000,
        reverse_path: "alice@sender.example".to_owned(),
        message_id: format!("<{id}@sender.example>"),
        place: QueueDir::Cur,
        reason: String::new(),
        attempts: 1,
        last_attempt: Some(now() - 300),
        next_attempt: Some(now() + 3600),
        in_data: false,
        finished: None,
    };
    let recipient = RecipientRow {
        n: 0,
        address: address(n),
        original: String::new(),
        notify: Notify::UNSAID,
        progress: Progress::Deferred,
        status: "4.2.1".to_owned(),
        reply: "450 4.2.1 mailbox busy, try again later".to_owned(),
        relay: "127.0.0.1:2525".to_owned(),
        at: Some(now() - 300),
    };
    (message, recipient)
}

fn origin() -> Origin {
    let text = |text: &str| Some(text.to_owned());
    let claimed = ClaimedMessage {
        gid: Some(33),
        pid: Some(4711),
        exe: text("/usr/bin/php8.4"),
        cwd: text("/var/www"),
        unit: text("php-fpm.service"),
    };
    Origin { attested: false, claimed, notices: Vec::new() }
}

fn transaction() -> Transaction {
    let tls = "TLSv1.3 TLS13_AES_256_GCM_SHA384 verified".to_owned();
    Transaction { reached: true, tls, notes: String::new(), connect_ms: None, transaction_ms: Some(12) }
}

fn open(spool: &Path) -> State {
    let state = State::open(&spool.join("state.sqlite")).unwrap();
    // As after a clean stop in this boot.
    state.set("boot_id", &std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap()).unwrap();
    state.set("clean_stop", "1").unwrap();
    state
}

fn queued(spool: &Path, n: u32, due: u32) {
    let mut state = open(spool);
    for first in (0..n).step_by(GROUP) {
        let insert = |state: &State| {
            (first..n.min(first + GROUP as u32)).try_for_each(|n| {
                let bytes = encode(id(n), n);
                write(&spool.join(layout::CUR).join(id(n).to_string()), layout::FILE_MODE, &bytes);
                let (mut message, recipient) = row(n, &bytes);
                if n < due {
                    message.next_attempt = Some(now() - 1);
                }
                state.insert(&message, &[recipient], &origin())
            })
        };
        state.transaction(Durability::Ordered, insert).unwrap();
    }
}

fn history(spool: &Path, n: u32) {
    let mut state = open(spool);
    let update = |n: u32| RecipientUpdate {
        n: 0,
        progress: Progress::Relayed,
        status: "2.0.0".to_owned(),
        reply: format!("250 2.0.0 Ok: queued as 4XyZ{n:08X}"),
        relay: "mx.receiver.example[192.0.2.25]:25".to_owned(),
    };
    for first in (0..n).step_by(GROUP) {
        let insert = |state: &State| {
            (first..n.min(first + GROUP as u32)).try_for_each(|n| {
                let (mut message, recipient) = row(n, b"");
                // The ids of busy hosts are not in the order of their messages' addresses and Message-IDs.
                let mixed = n.wrapping_mul(2_654_435_761);
                message.id = QueueId::new(1_700_000_000 + n / 100, n);
                message.message_id = format!("<{mixed:08x}@sender.example>");
                message.reverse_path = format!("user{}@sender.example", n % 100);
                state.insert(
                    &message,
                    &[RecipientRow { address: format!("c{}@receiver.example", mixed % 5_000_000), ..recipient }],
                    &origin(),
                )?;
                state.update_recipient(message.id, &update(n), now())?;
                state.record_attempt(message.id, &update(n), &transaction(), now())?;
                (message.place, message.finished, message.next_attempt) = (QueueDir::Ended, Some(now() - 7200), None);
                state.update(&message)
            })
        };
        state.transaction(Durability::Ordered, insert).unwrap();
    }
}

fn trace(spool: &Path) {
    let mut found = 0;
    // A connection for each question, as the control socket does.
    let mut ask = |question: &dyn Fn(&State, u32) -> usize| {
        let mut times: Vec<f64> = (0..101u32)
            .map(|n| {
                let begun = Instant::now();
                found += question(&State::open_to_read(&spool.join("state.sqlite")).unwrap(), n.wrapping_mul(40_503));
                begun.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        (times[50], times[100])
    };
    let recipient = ask(&|state, n| state.trace_by_address(&format!("C{}@receiver.example", n % 5_000_000), "", None, 100).unwrap().len());
    let sender = ask(&|state, n| state.trace_by_address(&format!("user{}@sender.example", n % 100), "", None, 100).unwrap().len());
    let message_id = ask(&|state, n| {
        let rows = state.trace_by_message_id(&format!("<{:08x}@sender.example>", n.wrapping_mul(2_654_435_761)), None, 100).unwrap();
        rows.iter().map(|row| state.attempts_of(row.id).unwrap().len() + state.events(row.id).unwrap().len()).sum()
    });
    for (name, (median, worst)) in [("recipient", recipient), ("sender", sender), ("message_id", message_id)] {
        println!("{name} {median:.2} {worst:.2}");
    }
    println!("found {found}");
}
