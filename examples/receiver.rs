//! A mail server for trying things out, and for nothing else: it listens on loopback, takes every message, prints it, and says
//! whether its DKIM signatures verify. `./install.sh demo` sends to it.
//!
//! ```text
//! cargo run --example receiver -- --key demo._domainkey.demo.example="v=DKIM1; k=rsa; p=…" [--messages N] [--wait SECONDS]
//! ```
//! In: the TXT records that DNS would hold, one `--key NAME=RECORD` each; then SMTP (RFC 5321) on the port that the first line of
//! output names. Out: each message on stdout with a line `DKIM: pass`, `DKIM: fail` or `DKIM: none`. Exit code 0 when all N
//! messages came and each one's every signature verified, 1 when one did not, 2 when they did not come in time.
//!
//! It shares no code with mailchute: the protocol is written here a second time and the signatures are checked by mail-auth.

use std::borrow::Borrow;
use std::hash::Hash;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, Error, MessageAuthenticator, Parameters, ResolverCache, Txt};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The longest command line; RFC 5321 4.5.3.1.4 asks for 512.
const LINE_LIMIT: u64 = 4096;
/// The longest line of a message; RFC 5321 4.5.3.1.6 asks for 1000.
const TEXT_LINE_LIMIT: u64 = 1 << 20;
/// The largest message.
const MESSAGE_LIMIT: usize = 64 << 20;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "receiver: {e}");
            ExitCode::from(64)
        }
    }
}

/// Listens, collects the messages that were asked for, and judges them.
fn run() -> Result<ExitCode, Failure> {
    let asked = Asked::parse(std::env::args().skip(1))?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            // A connection that breaks is the client's business; it will come again.
            std::thread::spawn(move || serve(stream, &sender));
        }
    });
    collect(&asked, &messages)
}

/// The command line.
struct Asked {
    records: Records,
    messages: usize,
    wait: Duration,
}

impl Asked {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Asked, Failure> {
        let mut asked = Asked { records: Records(Vec::new()), messages: 1, wait: Duration::from_secs(60) };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--key" => {
                    let (name, record) = value.split_once('=').ok_or("--key NAME=RECORD")?;
                    asked.records.0.push((name.to_ascii_lowercase(), DomainKey::parse(record.as_bytes()).map(Arc::new)?));
                }
                "--messages" => asked.messages = value.parse()?,
                "--wait" => asked.wait = Duration::from_secs(value.parse()?),
                _ => return Err(format!("unknown option {word}; known are --key, --messages and --wait").into()),
            }
        }
        Ok(asked)
    }
}

/// The DNS of this little world: it has an answer for every question, so none ever leaves the process.
struct Records(Vec<(String, Arc<DomainKey>)>);

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let is_asked = |known: &str| Borrow::<Q>::borrow(&Box::<str>::from(format!("{known}."))) == name;
        let found = self.0.iter().find(|(known, _)| is_asked(known));
        let unknown = || Txt::Error(Error::Dns(mail_auth::DnsError::Resolver("no key was given for this selector".to_owned())));
        Some(found.map_or_else(unknown, |(_, key)| Txt::DomainKey(Arc::clone(key))))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// One accepted message.
struct Arrived {
    client: String,
    reverse_path: String,
    forward_paths: Vec<String>,
    data: Vec<u8>,
}

/// Waits for the messages, prints and judges each.
fn collect(asked: &Asked, messages: &Receiver<Arrived>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let authenticator = MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default())?;
    let deadline = Instant::now() + asked.wait;
    let mut all_pass = true;
    for _ in 0..asked.messages {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(arrived) = messages.recv_timeout(left) else {
            writeln!(std::io::stderr(), "receiver: nothing more came within {} s", asked.wait.as_secs())?;
            return Ok(ExitCode::from(2));
        };
        let (pass, verdict) = runtime.block_on(judge(&authenticator, &asked.records, &arrived.data));
        all_pass &= pass;
        print(&arrived, &verdict)?;
    }
    Ok(if all_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Verifies every signature; a message without one does not pass.
async fn judge(authenticator: &MessageAuthenticator, records: &Records, data: &[u8]) -> (bool, String) {
    let Some(message) = AuthenticatedMessage::parse(data) else {
        return (false, "DKIM: fail (not a message)".to_owned());
    };
    let outputs = authenticator.verify_dkim(Parameters::new(&message).with_txt_cache(records)).await;
    let lines = outputs.iter().map(|output| {
        let of = output.signature().map_or_else(|| "unreadable".to_owned(), |s| format!("{:?}, d={} s={}", s.a, s.d, s.s));
        match output.result() {
            DkimResult::Pass => format!("DKIM: pass ({of})"),
            other => format!("DKIM: fail ({of}): {other}"),
        }
    });
    let text = if outputs.is_empty() { "DKIM: none".to_owned() } else { lines.collect::<Vec<_>>().join("\n") };
    (!outputs.is_empty() && outputs.iter().all(|output| *output.result() == DkimResult::Pass), text)
}

/// What a person sees. Control characters of the sender never reach the terminal.
fn print(arrived: &Arrived, verdict: &str) -> std::io::Result<()> {
    let clean = |text: &str| text.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect::<String>();
    let mut out = std::io::stdout().lock();
    writeln!(out, "a message from {}", clean(&arrived.client))?;
    writeln!(out, "  envelope: {} -> {}", clean(&arrived.reverse_path), clean(&arrived.forward_paths.join(" ")))?;
    for line in String::from_utf8_lossy(&arrived.data).lines() {
        writeln!(out, "  | {}", clean(line))?;
    }
    writeln!(out, "{verdict}")?;
    out.flush()
}

/// One connection: commands are answered in their order, so a pipelined group (RFC 2920) needs nothing of its own.
fn serve(stream: TcpStream, messages: &Sender<Arrived>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    let (mut client, mut reverse_path, mut forward_paths) = (String::new(), None, Vec::new());
    out.write_all(b"220 receiver.example ESMTP for demonstrations\r\n")?;
    while let Some(line) = read_line(&mut input, LINE_LIMIT)? {
        let line = String::from_utf8_lossy(&line).into_owned();
        let reply = match line.split_whitespace().next().unwrap_or("").to_ascii_uppercase().as_str() {
            "EHLO" => {
                client = after(&line, "EHLO");
                "250-receiver.example\r\n250-PIPELINING\r\n250-SIZE 67108864\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n"
            }
            "HELO" => {
                client = after(&line, "HELO");
                "250 receiver.example\r\n"
            }
            "MAIL" => {
                (reverse_path, forward_paths) = (Some(after(&line, "MAIL FROM:")), Vec::new());
                "250 2.1.0 Ok\r\n"
            }
            "RCPT" if reverse_path.is_none() => "503 5.5.1 MAIL first\r\n",
            "RCPT" => {
                forward_paths.push(after(&line, "RCPT TO:"));
                "250 2.1.5 Ok\r\n"
            }
            "DATA" if forward_paths.is_empty() => "554 5.5.1 no valid recipients\r\n",
            "DATA" => {
                out.write_all(b"354 End data with <CR><LF>.<CR><LF>\r\n")?;
                let Some(data) = read_data(&mut input)? else { return Ok(()) };
                let reverse_path = reverse_path.take().unwrap_or_default();
                let forward_paths = std::mem::take(&mut forward_paths);
                // The reply first: the other thread ends the process when it has seen enough.
                out.write_all(b"250 2.0.0 Ok: taken\r\n")?;
                let _ = messages.send(Arrived { client: client.clone(), reverse_path, forward_paths, data });
                continue;
            }
            "RSET" => {
                (reverse_path, forward_paths) = (None, Vec::new());
                "250 2.0.0 Ok\r\n"
            }
            "NOOP" => "250 2.0.0 Ok\r\n",
            "QUIT" => return out.write_all(b"221 2.0.0 Bye\r\n"),
            _ => "500 5.5.2 unknown command\r\n",
        };
        out.write_all(reply.as_bytes())?;
    }
    Ok(())
}

/// What follows the verb, without parameters after the path.
fn after(line: &str, verb: &str) -> String {
    let rest = line.get(verb.len()..).unwrap_or("").trim();
    rest.find("> ").map_or(rest, |at| rest.get(..=at).unwrap_or(rest)).to_owned()
}

/// A line without its CRLF; `None` at the end of the connection. Only CRLF ends a line (RFC 5321 2.3.8).
fn read_line(input: &mut impl BufRead, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let left = limit.saturating_sub(line.len() as u64);
        if left == 0 {
            return Err(std::io::Error::other("a line is too long"));
        }
        if input.by_ref().take(left).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
    }
    line.truncate(line.len() - 2);
    Ok(Some(line))
}

/// The message up to the lone dot, dots unstuffed (RFC 5321 4.5.2); `None` when the connection ends before.
fn read_data(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    while let Some(line) = read_line(input, TEXT_LINE_LIMIT)? {
        if line == b"." {
            return Ok(Some(data));
        }
        data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        data.extend_from_slice(b"\r\n");
        if data.len() > MESSAGE_LIMIT {
            return Err(std::io::Error::other("a message is too large"));
        }
    }
    Ok(None)
}
