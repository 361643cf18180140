//! A receiver of webhooks that does what it is told: answers, refuses, redirects, dawdles, never ends; and remembers every request.
//!
//! Plain threads over rustls, one request per connection. It reads as much HTTP as our client writes, and no more.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::certificates::Identity;
use super::command::wait_for;

/// What a request gets.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// This status, and no body.
    Status(u16),
    /// A redirect with this status.
    Redirect(u16, String),
    /// 200 and a body without an end.
    Endless,
    /// Nothing, for as long as the client waits.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `POST /path HTTP/1.1`
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The host's clock when it came, unix seconds.
    pub at: i64,
}

impl Request {
    /// The value of a header field.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The body.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    /// The answers to the next requests; then that of `always`.
    next: Mutex<Vec<Answer>>,
    always: Mutex<Option<Answer>>,
}

/// A running receiver, on a free port of 127.0.0.1 until the test ends.
pub(crate) struct Webhook {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    scheme: &'static str,
}

impl Webhook {
    /// With TLS.
    pub(crate) fn https(identity: &Identity) -> Webhook {
        Webhook::start(Some(identity.server_config()))
    }

    /// In clear.
    pub(crate) fn http() -> Webhook {
        Webhook::start(None)
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&accepting), tls.clone());
                // A client that gives up ends its connection: that is no failure of the receiver.
                std::thread::spawn(move || match tls {
                    Some(config) => serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &shared),
                    None => serve(stream, &shared),
                });
            }
        });
        Webhook { address, shared, scheme }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/hook", self.scheme, self.address.port())
    }

    /// The answers to the next requests.
    pub(crate) fn first(self, answers: &[Answer]) -> Webhook {
        *self.shared.next.lock().unwrap() = answers.to_vec();
        self
    }

    /// The answer to all others; without it, 204.
    pub(crate) fn always(&self, answer: Answer) {
        *self.shared.always.lock().unwrap() = Some(answer);
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits for `count` requests.
    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        wait_for(&format!("{count} requests"), || self.shared.requests.lock().unwrap().len() >= count);
        self.requests()
    }

    /// Waits for a request about this event.
    #[track_caller]
    pub(crate) fn wait_for_event(&self, event: &str) -> Request {
        let mut found = None;
        wait_for(&format!("a request about {event}"), || {
            found = self.requests().into_iter().find(|request| request.json()["type"] == event);
            found.is_some()
        });
        found.unwrap()
    }
}

fn serve(stream: impl Read + Write, shared: &Shared) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut next_line = || {
        let mut line = String::new();
        (stream.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let line = next_line()?;
    let mut headers = Vec::new();
    while let Some((name, value)) = next_line()?.split_once(": ") {
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut request = Request { line, headers, body: Vec::new(), at: sys::clock::now() };
    request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut request.body).ok()?;
    shared.requests.lock().unwrap().push(request);
    let first = {
        let mut next = shared.next.lock().unwrap();
        if next.is_empty() { None } else { Some(next.remove(0)) }
    };
    let answer = first.or_else(|| shared.always.lock().unwrap().clone()).unwrap_or(Answer::Status(204));
    respond(stream.get_mut(), &answer)
}

fn respond(stream: &mut impl Write, answer: &Answer) -> Option<()> {
    match answer {
        Answer::Status(status) => write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").ok()?,
        Answer::Redirect(status, to) => {
            write!(stream, "HTTP/1.1 {status} x\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").ok()?;
        }
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 x\r\nContent-Type: text/plain\r\n\r\n").ok()?;
            while stream.write_all(&[b'x'; 4096]).and_then(|()| stream.flush()).is_ok() {}
        }
        Answer::Silence => std::thread::sleep(Duration::from_secs(600)),
    }
    stream.flush().ok()
}

/// True if nobody connected to `listener` so far.
pub(crate) fn is_untouched(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    let touched: std::io::Result<(TcpStream, SocketAddr)> = listener.accept();
    touched.is_err()
}
