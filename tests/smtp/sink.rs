//! A server that knows the protocol and can be told to break it at one place: a wrong answer, an end after so many bytes,
//! bytes behind the reply to STARTTLS. It keeps what it was sent, byte by byte.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
    /// Nothing more is said; the connection stays.
    Silence,
}

/// What is answered where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    FinalDot,
    Rset,
}

/// One wrong answer.
#[derive(Clone)]
pub(crate) struct Wrong {
    at: At,
    /// The how-manieth time, from 0; None: each time.
    nth: Option<usize>,
    bytes: Vec<u8>,
    then: Option<End>,
}

/// The wrong answers and the limits of one server.
#[derive(Clone, Default)]
pub(crate) struct Sink {
    /// Keywords of EHLO.
    pub offers: Vec<String>,
    /// Instead of the good answers.
    pub wrong: Vec<Wrong>,
    /// Ends when this many bytes were sent.
    pub out_limit: Option<(usize, End)>,
    /// Ends when this many bytes were received.
    pub in_limit: Option<(usize, End)>,
    /// For STARTTLS, or from the first byte.
    pub tls: Option<Arc<ServerConfig>>,
    pub implicit_tls: bool,
    pub lmtp: bool,
}

/// What a server saw, over all its connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub connections: usize,
    /// Reads that brought something.
    pub reads: usize,
    pub commands: Vec<String>,
    /// Contents whose end of data came and was answered with 2yz, as they stood on the wire, with their recipients.
    pub messages: Vec<(Vec<String>, Vec<u8>)>,
    /// `out` bytes at the end of each final reply.
    pub final_offsets: Vec<usize>,
    pub bytes_in: usize,
    pub bytes_out: usize,
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A running server.
pub(crate) struct Running {
    pub address: std::net::SocketAddr,
    pub path: std::path::PathBuf,
    seen: Arc<Mutex<Seen>>,
    _directory: tempfile::TempDir,
}

impl Running {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Sink {
    pub(crate) fn new(offers: &[&str]) -> Self {
        Sink { offers: offers.iter().map(|offer| (*offer).to_owned()).collect(), ..Sink::default() }
    }

    /// The server with one wrong answer.
    pub(crate) fn wrong(mut self, at: At, nth: Option<usize>, bytes: impl AsRef<[u8]>, then: Option<End>) -> Self {
        self.wrong.push(Wrong { at, nth, bytes: bytes.as_ref().to_vec(), then });
        self
    }

    /// Starts it on a loopback port and on a unix socket.
    pub(crate) async fn start(self) -> Running {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lmtp");
        let unix = UnixListener::bind(&path).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (sink, seen) = (self.clone(), Arc::clone(&shared));
                tokio::select! {
                    tcp = tcp.accept() => { tokio::spawn(sink.serve_tcp(tcp.unwrap().0, seen)); }
                    unix = unix.accept() => { tokio::spawn(Conversation::new(sink, Box::new(unix.unwrap().0), seen).serve()); }
                }
                shared.lock().unwrap().connections += 1;
            }
        });
        Running { address, path, seen, _directory: directory }
    }

    async fn serve_tcp(self, stream: TcpStream, seen: Arc<Mutex<Seen>>) {
        let resets = self.wrong.iter().any(|wrong| wrong.then == Some(End::Reset));
        if resets || [self.out_limit, self.in_limit].into_iter().flatten().any(|limit| limit.1 == End::Reset) {
            stream.set_zero_linger().unwrap();
        }
        stream.set_nodelay(true).unwrap();
        let mut stream: Box<dyn Io> = Box::new(stream);
        if self.implicit_tls {
            match TlsAcceptor::from(self.tls.clone().unwrap()).accept(stream).await {
                Ok(tls) => stream = Box::new(tls),
                Err(_) => return,
            }
        }
        Conversation::new(self, stream, seen).serve().await;
    }
}

struct Conversation {
    sink: Sink,
    stream: Box<dyn Io>,
    seen: Arc<Mutex<Seen>>,
    bytes: Vec<u8>,
    out: Vec<u8>,
    answered: Vec<At>,
    recipients: Vec<String>,
    mail_is_open: bool,
    in_data: bool,
    under_tls: bool,
    sent: usize,
    received: usize,
    end: Option<End>,
    challenges: usize,
}

impl Conversation {
    fn new(sink: Sink, stream: Box<dyn Io>, seen: Arc<Mutex<Seen>>) -> Self {
        Conversation {
            under_tls: sink.implicit_tls,
            sink,
            stream,
            seen,
            bytes: Vec::new(),
            out: Vec::new(),
            answered: Vec::new(),
            recipients: Vec::new(),
            mail_is_open: false,
            in_data: false,
            sent: 0,
            received: 0,
            end: None,
            challenges: 0,
        }
    }

    async fn serve(mut self) {
        self.answer(At::Greeting, b"220 sink.example ESMTP\r\n");
        loop {
            while self.end.is_none() && self.step().await {}
            if !self.flush().await {
                break;
            }
            let mut space = [0u8; 1 << 17];
            let room = self.sink.in_limit.map_or(space.len(), |(limit, _)| limit.saturating_sub(self.received).clamp(1, space.len()));
            match self.stream.read(&mut space[..room]).await {
                Ok(n @ 1..) => {
                    self.bytes.extend_from_slice(&space[..n]);
                    self.received += n;
                    let mut seen = self.seen.lock().unwrap();
                    (seen.reads, seen.bytes_in) = (seen.reads + 1, seen.bytes_in + n);
                }
                _ => break,
            }
            if let Some((limit, end)) = self.sink.in_limit
                && self.received >= limit
            {
                self.end = Some(end);
            }
        }
        if self.end == Some(End::Silence) {
            // Until the client has had enough.
            let mut rest = Vec::new();
            let _ = self.stream.read_to_end(&mut rest).await;
        }
    }

    /// Sends what is due; false if that was the end.
    async fn flush(&mut self) -> bool {
        if let Some((limit, end)) = self.sink.out_limit
            && self.sent + self.out.len() >= limit
        {
            self.out.truncate(limit.saturating_sub(self.sent));
            self.end = Some(end);
        }
        self.sent += self.out.len();
        self.seen.lock().unwrap().bytes_out = self.sent;
        let written = self.stream.write_all(&std::mem::take(&mut self.out)).await.is_ok() && self.stream.flush().await.is_ok();
        written && self.end.is_none()
    }

    /// One command or one content from what was read; false if it is not there yet.
    async fn step(&mut self) -> bool {
        if self.in_data {
            return self.take_content();
        }
        let Some(at) = self.bytes.iter().position(|b| *b == b'\n') else { return false };
        let line: Vec<u8> = self.bytes.drain(..=at).collect();
        let line = String::from_utf8(line).unwrap().trim_end_matches("\r\n").to_owned();
        self.seen.lock().unwrap().commands.push(line.clone());
        self.command(&line).await;
        true
    }

    async fn command(&mut self, line: &str) {
        let verb = line.split(' ').next().unwrap_or("");
        match verb {
            _ if self.challenges > 0 => self.challenge(),
            "EHLO" | "LHLO" | "HELO" => {
                let offers = std::iter::once("sink.example").chain(self.sink.offers.iter().map(String::as_str));
                let offers: Vec<&str> = offers.filter(|offer| !(self.under_tls && *offer == "STARTTLS")).collect();
                let (last, first) = offers.split_last().unwrap();
                let text: String = first.iter().map(|offer| format!("250-{offer}\r\n")).chain([format!("250 {last}\r\n")]).collect();
                self.answer(At::Ehlo, text.as_bytes());
            }
            "STARTTLS" => self.start_tls().await,
            "AUTH" => {
                self.challenges = if line == "AUTH LOGIN" { 2 } else { 0 };
                let good: &[u8] = if self.challenges > 0 { b"334 VXNlcm5hbWU6\r\n" } else { b"235 2.7.0 welcome\r\n" };
                self.answer(At::Auth, good);
            }
            "MAIL" => self.mail_is_open = self.answer(At::Mail, b"250 2.1.0 sender ok\r\n"),
            "RCPT" if !self.mail_is_open && !self.has_wrong(At::Rcpt) => self.out.extend_from_slice(b"503 5.5.1 no sender\r\n"),
            "RCPT" => {
                if self.answer(At::Rcpt, b"250 2.1.5 recipient ok\r\n") && self.mail_is_open {
                    self.recipients.push(line.to_owned());
                }
            }
            "DATA" if self.recipients.is_empty() && !self.has_wrong(At::Data) => self.out.extend_from_slice(b"503 5.5.1 no recipients\r\n"),
            "DATA" => {
                self.answer(At::Data, b"354 go on\r\n");
                self.in_data = self.out.ends_with(b"354 go on\r\n");
            }
            "RSET" => {
                (self.mail_is_open, self.recipients) = (false, Vec::new());
                self.answer(At::Rset, b"250 2.0.0 reset\r\n");
            }
            "QUIT" => {
                self.out.extend_from_slice(b"221 2.0.0 bye\r\n");
                self.end = Some(End::Close);
            }
            _ => self.out.extend_from_slice(b"500 5.5.2 what?\r\n"),
        }
    }

    fn challenge(&mut self) {
        self.challenges -= 1;
        let good: &[u8] = if self.challenges > 0 { b"334 UGFzc3dvcmQ6\r\n" } else { b"235 2.7.0 welcome\r\n" };
        self.answer(At::Auth, good);
    }

    async fn start_tls(&mut self) {
        if !self.answer(At::StartTls, b"220 2.0.0 go ahead\r\n") || !self.flush().await {
            return;
        }
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        match TlsAcceptor::from(self.sink.tls.clone().unwrap()).accept(plain).await {
            Ok(stream) => (self.stream, self.under_tls) = (Box::new(stream), true),
            Err(_) => self.end = Some(End::Close),
        }
    }

    fn take_content(&mut self) -> bool {
        let end = match self.bytes.starts_with(b".\r\n") {
            true => 0,
            false => match self.bytes.windows(5).position(|window| window == b"\r\n.\r\n") {
                Some(at) => at + 2,
                None => return false,
            },
        };
        let content: Vec<u8> = self.bytes.drain(..end).collect();
        self.bytes.drain(..3);
        let recipients = std::mem::take(&mut self.recipients);
        (self.in_data, self.mail_is_open) = (false, false);
        let replies = if self.sink.lmtp { recipients.len() } else { 1 };
        let mut accepted = false;
        for _ in 0..replies {
            accepted |= self.answer(At::FinalDot, b"250 2.0.0 taken\r\n");
        }
        let mut seen = self.seen.lock().unwrap();
        seen.final_offsets.push(self.sent + self.out.len());
        if accepted {
            seen.messages.push((recipients, content));
        }
        true
    }

    fn has_wrong(&self, at: At) -> bool {
        self.sink.wrong.iter().any(|wrong| wrong.at == at)
    }

    /// Queues the good answer, or the wrong one; true if the answer is 2yz, or good.
    fn answer(&mut self, at: At, good: &[u8]) -> bool {
        if self.end.is_some() {
            return false;
        }
        let nth = self.answered.iter().filter(|answered| **answered == at).count();
        self.answered.push(at);
        let wrong = self.sink.wrong.iter().find(|wrong| wrong.at == at && wrong.nth.is_none_or(|n| n == nth)).cloned();
        match wrong {
            None => {
                self.out.extend_from_slice(good);
                true
            }
            Some(wrong) => {
                self.out.extend_from_slice(&wrong.bytes);
                self.end = wrong.then;
                wrong.bytes.starts_with(b"2")
            }
        }
    }
}
