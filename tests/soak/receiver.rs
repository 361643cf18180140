//! A receiver that keeps nothing but counts: how often each message came, whether it was whole, and under which queue id it came
//! again.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::inject;
use super::world::Shared;

/// What arrived.
pub(crate) struct Arrived {
    copies: Vec<AtomicU8>,
    total: AtomicU64,
    /// Queue ids of what came again, one for each further copy.
    pub again: Mutex<Vec<String>>,
    /// What was no whole message of ours.
    pub half: Mutex<Vec<String>>,
}

impl Arrived {
    pub(crate) fn new(room: usize) -> Arrived {
        let copies = (0..room).map(|_| AtomicU8::new(0)).collect();
        Arrived { copies, total: AtomicU64::new(0), again: Mutex::default(), half: Mutex::default() }
    }

    /// Messages that arrived, each counted once.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// How often message `number` arrived.
    pub(crate) fn copies(&self, number: usize) -> u8 {
        self.copies[number].load(Ordering::SeqCst)
    }

    /// Counts one message, before it is acknowledged.
    fn note(&self, data: &str) {
        let id: String = data.split_once("\tid ").map_or("", |(_, rest)| rest).chars().take_while(char::is_ascii_hexdigit).collect();
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
    loop {
        let line = line_of(&mut reader)?;
        let reply: &[u8] = match line.get(..4)?.to_ascii_uppercase().as_str() {
            "EHLO" => b"250-receiver.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            "DATA" => {
                writer.write_all(b"354 go ahead\r\n").ok()?;
                arrived.note(&data(&mut reader)?);
                b"250 2.0.0 kept\r\n"
            }
            "QUIT" => {
                let _ = writer.write_all(b"221 2.0.0 bye\r\n");
                return None;
            }
            _ => b"250 2.0.0 ok\r\n",
        };
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
