//! The receiver of the drain benchmarks: an SMTP server that keeps nothing and answers at once. `sink PORT`
//!
//! It must be faster than everybody who sends to it: one thread per connection, whole groups of pipelined commands answered in
//! one write, no disk. TCP_QUICKACK stays as the kernel has it, because real receivers do not set it either. Every recipient is
//! `mNUMBER@…`; the sink remembers which numbers came, so that a fast sender that loses or doubles mail does not win.
//!
//! On PORT + 1 it answers one line of JSON to each connection. `first` and `last` are unix times of the first connection and of
//! the last final dot.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)] // a tool for the bench: it may stop on an error

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

const NUMBERS: usize = 1 << 17;
const DOT: &[u8] = b"\r\n.\r\n";

static SEEN: [AtomicBool; NUMBERS] = [const { AtomicBool::new(false) }; NUMBERS];
static MESSAGES: AtomicU64 = AtomicU64::new(0);
static DISTINCT: AtomicU64 = AtomicU64::new(0);
static SIGNED: AtomicU64 = AtomicU64::new(0);
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
static OPEN: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
static FIRST: AtomicU64 = AtomicU64::new(u64::MAX);
static LAST: AtomicU64 = AtomicU64::new(0);

fn main() {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(2525);
    let statistics = TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    std::thread::spawn(move || statistics.incoming().flatten().for_each(|mut peer| drop(peer.write_all(report().as_bytes()))));
    for stream in TcpListener::bind(("127.0.0.1", port)).unwrap().incoming().flatten() {
        std::thread::Builder::new().stack_size(256 << 10).spawn(move || serve(stream)).unwrap();
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn report() -> String {
    let seconds = |at: &AtomicU64| at.load(Relaxed) as f64 / 1e6;
    format!(
        "{{\"messages\":{},\"distinct\":{},\"signed\":{},\"connections\":{},\"peak\":{},\"first\":{:.6},\"last\":{:.6}}}\n",
        MESSAGES.load(Relaxed),
        DISTINCT.load(Relaxed),
        SIGNED.load(Relaxed),
        CONNECTIONS.load(Relaxed),
        PEAK.load(Relaxed),
        seconds(&FIRST),
        seconds(&LAST)
    )
}

fn serve(mut stream: TcpStream) {
    CONNECTIONS.fetch_add(1, Relaxed);
    FIRST.fetch_min(now(), Relaxed);
    PEAK.fetch_max(OPEN.fetch_add(1, Relaxed) + 1, Relaxed);
    let _ = stream.set_nodelay(true);
    let _ = converse(&mut stream);
    OPEN.fetch_sub(1, Relaxed);
}

/// One conversation, to its end or the first error.
fn converse(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"220 sink.example ESMTP\r\n")?;
    let mut session = Session::default();
    let mut buffer = vec![0; 64 << 10];
    while !session.over {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        session.pending.extend_from_slice(&buffer[..length]);
        let mut replies = Vec::with_capacity(256);
        session.advance(&mut replies);
        stream.write_all(&replies)?;
    }
    Ok(())
}

#[derive(Default)]
struct Session {
    pending: Vec<u8>,
    /// Bytes of `pending` that were searched for the final dot.
    searched: usize,
    in_data: bool,
    recipients: Vec<usize>,
    over: bool,
}

impl Session {
    /// Takes everything complete out of `pending`.
    fn advance(&mut self, replies: &mut Vec<u8>) {
        while !self.over {
            let taken = if self.in_data { self.take_message(replies) } else { self.take_command(replies) };
            let Some(taken) = taken else { return };
            self.pending.drain(..taken);
            self.searched = 0;
        }
    }

    fn take_command(&mut self, replies: &mut Vec<u8>) -> Option<usize> {
        let end = self.pending.iter().position(|b| *b == b'\n')? + 1;
        let line = self.pending[..end].trim_ascii().to_ascii_uppercase();
        let reply: &[u8] = match line.get(..4).unwrap_or(&line) {
            b"EHLO" => b"250-sink.example\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250 8BITMIME\r\n",
            b"RCPT" => {
                self.recipients.extend(number(&line));
                b"250 2.1.5 ok\r\n"
            }
            b"DATA" => {
                self.in_data = true;
                b"354 go on\r\n"
            }
            b"QUIT" => {
                self.over = true;
                b"221 2.0.0 bye\r\n"
            }
            _ => {
                self.recipients.clear();
                b"250 2.0.0 ok\r\n"
            }
        };
        replies.extend_from_slice(reply);
        Some(end)
    }

    fn take_message(&mut self, replies: &mut Vec<u8>) -> Option<usize> {
        let from = self.searched.saturating_sub(DOT.len() - 1);
        let end = match find(&self.pending[from..], DOT) {
            // An empty message: the line end before the dot was that of DATA.
            _ if self.pending.starts_with(&DOT[2..]) => DOT.len() - 2,
            Some(dot) => from + dot + DOT.len(),
            None => {
                self.searched = self.pending.len();
                return None;
            }
        };
        let head = &self.pending[..end.min(2048)];
        SIGNED.fetch_add(u64::from(find(head, b"DKIM-Signature:").is_some()), Relaxed);
        for number in self.recipients.drain(..) {
            DISTINCT.fetch_add(u64::from(!SEEN[number].swap(true, Relaxed)), Relaxed);
        }
        MESSAGES.fetch_add(1, Relaxed);
        LAST.fetch_max(now(), Relaxed);
        self.in_data = false;
        replies.extend_from_slice(b"250 2.0.0 taken\r\n");
        Some(end)
    }
}

/// The NUMBER of `RCPT TO:<MNUMBER@…`.
fn number(line: &[u8]) -> Option<usize> {
    let at = find(line, b"<M")? + 2;
    let digits: Vec<u8> = line[at..].iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok().filter(|number| *number < NUMBERS)
}

/// Where `needle` starts. Looks for its first byte quickly and then compares.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(next) = text.get(from..)?.iter().position(|b| *b == needle[0]) {
        from += next;
        if text[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
    None
}
