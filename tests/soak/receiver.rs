//! A receiver that keeps nothing but counts: how often each message came, whether it was whole, and under which queue id it came
//! again.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::inject::{self, Fate};
use super::world::Shared;

/// What arrived.
pub(crate) struct Arrived {
    copies: Vec<AtomicU8>,
    total: AtomicU64,
    /// Queue ids of what came again, one for each further copy.
    pub again: Mutex<Vec<String>>,
    /// What was no whole message of ours.
    pub half: Mutex<Vec<String>>,
    /// By message: the DSNs about it that its sender got, by their queue ids.
    dsns: Mutex<HashMap<u64, HashSet<String>>>,
}

impl Arrived {
    pub(crate) fn new(room: usize) -> Arrived {
        let copies = (0..room).map(|_| AtomicU8::new(0)).collect();
        Arrived { copies, total: AtomicU64::new(0), again: Mutex::default(), half: Mutex::default(), dsns: Mutex::default() }
    }

    /// Messages that arrived, each counted once.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// How often message `number` arrived.
    pub(crate) fn copies(&self, number: usize) -> u8 {
        self.copies[number].load(Ordering::SeqCst)
    }

    /// How many DSNs there are about message `number`, however often each arrived.
    pub(crate) fn dsns(&self, number: u64) -> usize {
        self.dsns.lock().unwrap().get(&number).map_or(0, HashSet::len)
    }

    /// Messages with more than one DSN.
    pub(crate) fn reported_again(&self) -> usize {
        self.dsns.lock().unwrap().values().filter(|ids| ids.len() > 1).count()
    }

    /// Counts one DSN, which has the header section of its message.
    fn note_dsn(&self, data: &str) {
        let subjects = data.split("\r\nSubject: ").skip(1).filter_map(|rest| rest.split("\r\n").next()?.parse().ok());
        let Some(number) = subjects.last() else { return self.half.lock().unwrap().push(data.to_owned()) };
        let mut dsns = self.dsns.lock().unwrap();
        let ids = dsns.entry(number).or_default();
        if ids.is_empty() {
            self.total.fetch_add(1, Ordering::Relaxed);
        }
        let id = id_of(data);
        if !ids.insert(id.clone()) {
            self.again.lock().unwrap().push(id);
        }
    }

    /// Counts one message, before it is acknowledged.
    fn note(&self, data: &str) {
        let id = id_of(data);
        let body = data.split_once("\r\n\r\n").map_or("", |(_, body)| body).replace("\r\n", "\n");
        let number = body.split(' ').nth(1).and_then(|word| word.parse::<u64>().ok());
        let whole = number.filter(|number| (*number as usize) < self.copies.len() && body == inject::body(*number));
        let Some(number) = whole else { return self.half.lock().unwrap().push(data.to_owned()) };
        if self.copies[number as usize].fetch_add(1, Ordering::SeqCst) == 0 {
            self.total.fetch_add(1, Ordering::Relaxed);
        } else {
            self.again.lock().unwrap().push(id);
        }
    }
}

/// The queue id in the Received field of ours.
fn id_of(data: &str) -> String {
    data.split_once("\tid ").map_or("", |(_, rest)| rest).chars().take_while(char::is_ascii_hexdigit).collect()
}

/// Runs it on a free port of 127.0.0.1, which it returns.
pub(crate) fn start(shared: &Arc<Shared>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || serve(&shared.arrived, stream));
        }
    });
    port
}

/// One connection; it ends as it ends.
fn serve(arrived: &Arrived, stream: TcpStream) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    writer.write_all(b"220 receiver.example ESMTP\r\n").ok()?;
    let (mut is_dsn, mut is_refused) = (false, false);
    loop {
        let line = line_of(&mut reader)?;
        let reply: &[u8] = match line.get(..4)?.to_ascii_uppercase().as_str() {
            "EHLO" => b"250-receiver.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            "MAIL" => {
                is_dsn = line.contains("<>");
                b"250 2.0.0 ok\r\n"
            }
            "RCPT" if line.contains(Fate::Failed.recipient()) => b"550 5.1.1 no such user\r\n",
            "RCPT" if [Fate::Removed, Fate::Bounced].iter().any(|fate| line.contains(fate.recipient())) => b"450 4.2.1 busy\r\n",
            "DATA" if is_refused => b"503 5.5.1 no recipient\r\n",
            "DATA" => {
                writer.write_all(b"354 go ahead\r\n").ok()?;
                let data = data(&mut reader)?;
                if is_dsn {
                    arrived.note_dsn(&data)
                } else {
                    arrived.note(&data)
                }
                b"250 2.0.0 kept\r\n"
            }
            "QUIT" => {
                let _ = writer.write_all(b"221 2.0.0 bye\r\n");
                return None;
            }
            _ => b"250 2.0.0 ok\r\n",
        };
        is_refused = if line.starts_with("RCPT") { !reply.starts_with(b"2") } else { is_refused };
        writer.write_all(reply).ok()?;
    }
}

/// The mail data; nothing where the connection ends before them.
fn data(reader: &mut impl BufRead) -> Option<String> {
    let mut data = String::new();
    loop {
        let line = line_of(reader)?;
        if line == ".\r\n" {
            return Some(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

fn line_of(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0 && line.ends_with('\n')).then_some(line)
}
