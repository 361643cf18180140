//! An SMTP receiver that does what a script says: refuses, delays, lies, closes, resets; and remembers every byte.
//!
//! It is a test's opponent, not a mail server: plain threads, one per connection, no limits.

mod session;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::certificates::Identity;
use super::command::wait_for;

/// What the receiver does when a command begins with the words of a rule.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These lines, without CRLF.
    Lines(String),
    /// These bytes.
    Raw(Vec<u8>),
    /// The reply, late.
    Late(Duration, Box<Reply>),
    /// The reply, once the gate is open: what a test does before is done while the client waits, however long it takes.
    Behind(Gate, Box<Reply>),
    /// The end of the connection.
    Close,
    /// RST.
    Reset,
    /// Nothing, for ever.
    Silence,
}

/// What holds replies back until the test opens it. Whoever forgets to leaves the client waiting, as with [`Reply::Silence`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// This line, behind the gate.
    pub(crate) fn hold(&self, line: &str) -> Reply {
        Reply::Behind(self.clone(), Box::new(Reply::Lines(line.to_owned())))
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

#[derive(Clone, Debug)]
struct Rule {
    command: String,
    reply: Reply,
    /// How often it still applies; `None` is always.
    times: Option<usize>,
}

/// How a receiver behaves. Without any rule it accepts everything and offers nothing.
#[derive(Clone, Default)]
pub(crate) struct Script {
    capabilities: Vec<String>,
    rules: Vec<Rule>,
    tls: Option<Arc<rustls::ServerConfig>>,
    implicit_tls: bool,
    injected: Vec<u8>,
    login: Option<(String, String)>,
    cut_input: Option<usize>,
    cut_output: Option<usize>,
    growing: bool,
}

impl Script {
    pub(crate) fn new() -> Script {
        Script::default()
    }

    /// One more EHLO capability.
    pub(crate) fn offer(mut self, capability: &str) -> Script {
        self.capabilities.push(capability.to_owned());
        self
    }

    /// Commands that begin with `command` (upper case; "" is the connection itself, "." the end of data) get `reply`.
    /// The first rule that fits wins.
    pub(crate) fn on(mut self, command: &str, reply: Reply) -> Script {
        self.rules.push(Rule { command: command.to_owned(), reply, times: None });
        self
    }

    /// As [`Script::on`], for the first `times` such commands of all connections.
    pub(crate) fn first(mut self, times: usize, command: &str, reply: Reply) -> Script {
        self.rules.push(Rule { command: command.to_owned(), reply, times: Some(times) });
        self
    }

    /// As [`Script::on`], with one line.
    pub(crate) fn say(self, command: &str, line: &str) -> Script {
        self.on(command, Reply::Lines(line.to_owned()))
    }

    /// Offers STARTTLS.
    pub(crate) fn starttls(mut self, identity: &Identity) -> Script {
        self.tls = Some(identity.server_config());
        self
    }

    /// TLS from the first byte.
    pub(crate) fn implicit_tls(mut self, identity: &Identity) -> Script {
        self.implicit_tls = true;
        self.starttls(identity)
    }

    /// Sends these bytes in clear behind the reply to STARTTLS: what an attacker in the middle does.
    pub(crate) fn inject_after_starttls(mut self, bytes: &[u8]) -> Script {
        self.injected = bytes.to_vec();
        self
    }

    /// Offers AUTH PLAIN LOGIN, once TLS is on, and takes mail only from this user.
    pub(crate) fn login(mut self, user: &str, password: &str) -> Script {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Resets each connection when this many bytes have been received.
    pub(crate) fn reset_after_receiving(mut self, bytes: usize) -> Script {
        self.cut_input = Some(bytes);
        self
    }

    /// Resets each connection when this many bytes have been sent.
    pub(crate) fn reset_after_sending(mut self, bytes: usize) -> Script {
        self.cut_output = Some(bytes);
        self
    }

    /// Makes each cut grow: the second connection lives twice as long as the first, the third three times.
    pub(crate) fn growing_cut(mut self) -> Script {
        self.growing = true;
        self
    }

    /// Runs it on a free port of 127.0.0.1.
    pub(crate) fn start(self) -> Receiver {
        self.start_at("127.0.0.1:0")
    }

    /// Runs it at `address`.
    pub(crate) fn start_at(self, address: &str) -> Receiver {
        let mut listener = TcpListener::bind(address);
        // One that was there before lets its port go a moment after its end.
        wait_for("the port", || {
            let is_taken = listener.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::AddrInUse);
            if is_taken {
                listener = TcpListener::bind(address);
            }
            !is_taken
        });
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { script: self, used: Mutex::default(), log: Mutex::default() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Receiver { address, shared }
    }
}

/// One mail transaction, as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// The argument of MAIL FROM: path and parameters.
    pub mail: String,
    /// The arguments of the RCPT TO that were accepted.
    pub recipients: Vec<String>,
    /// The mail data, dots unstuffed, CRLF line ends; the final dot is not part of it.
    pub data: Vec<u8>,
    /// True if the end of data got a positive reply.
    pub accepted: bool,
}

/// One connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    /// The bytes received, in clear.
    pub received: Vec<u8>,
    /// Each command line, without CRLF. Mail data are not in it.
    pub commands: Vec<String>,
    pub tls: bool,
    /// The user that logged in.
    pub user: Option<String>,
    pub transactions: Vec<Transaction>,
    /// True when the peer or the script ended it.
    pub ended: bool,
}

#[derive(Default)]
struct Log {
    connections: Vec<Connection>,
    /// To end the connection from outside; taken away at its end, because a socket lives as long as its last descriptor.
    streams: Vec<Option<TcpStream>>,
    stopped: bool,
}

struct Shared {
    script: Script,
    /// How often each rule was used.
    used: Mutex<Vec<usize>>,
    log: Mutex<Log>,
}

/// A running receiver.
pub(crate) struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    /// It as a next hop, with the words behind `?`.
    pub(crate) fn url(&self, scheme: &str, query: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{}{query}", self.address.port(), if query.is_empty() { "" } else { "?" })
    }

    /// Every connection so far.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.log().connections.clone()
    }

    /// Every accepted message so far.
    pub(crate) fn messages(&self) -> Vec<Transaction> {
        self.connections().into_iter().flat_map(|connection| connection.transactions).filter(|one| one.accepted).collect()
    }

    /// The number of accepted messages so far.
    pub(crate) fn accepted(&self) -> usize {
        self.log().connections.iter().flat_map(|connection| &connection.transactions).filter(|one| one.accepted).count()
    }

    /// Waits for `count` accepted messages.
    #[track_caller]
    pub(crate) fn wait_for_messages(&self, count: usize) -> Vec<Transaction> {
        wait_for(&format!("{count} messages"), || self.accepted() >= count);
        self.messages()
    }

    /// Waits for `count` connections.
    #[track_caller]
    pub(crate) fn wait_for_connections(&self, count: usize) {
        wait_for(&format!("{count} connections"), || self.log().connections.len() >= count);
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut log = self.log();
        log.stopped = true;
        for stream in log.streams.iter().flatten() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        drop(log);
        // Wakes the accepting thread, which then lets the port go.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        let index = {
            let mut log = shared.log.lock().unwrap();
            if log.stopped {
                return;
            }
            log.streams.push(stream.try_clone().ok());
            log.connections.push(Connection::default());
            log.connections.len() - 1
        };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || session::run(&shared, stream, index));
    }
}

impl Shared {
    fn with_connection<T>(&self, index: usize, act: impl FnOnce(&mut Connection) -> T) -> T {
        act(&mut self.log.lock().unwrap().connections[index])
    }

    fn end(&self, index: usize) {
        let mut log = self.log.lock().unwrap();
        log.streams[index] = None;
        log.connections[index].ended = true;
    }

    /// Where connection `index` is cut.
    fn cut(&self, cut: Option<usize>, index: usize) -> Option<usize> {
        cut.map(|bytes| if self.script.growing { bytes * (index + 1) } else { bytes })
    }

    /// The reply that a rule gives to `command`.
    fn rule(&self, command: &str) -> Option<Reply> {
        let mut used = self.used.lock().unwrap();
        used.resize(self.script.rules.len(), 0);
        let fits = |rule: &Rule| match rule.command.as_str() {
            "" | "." => command == rule.command,
            words => {
                command.len() >= words.len() && command.is_char_boundary(words.len()) && command[..words.len()].eq_ignore_ascii_case(words)
            }
        };
        let index = (0..used.len()).find(|&i| {
            let rule = &self.script.rules[i];
            fits(rule) && rule.times.is_none_or(|times| used[i] < times)
        })?;
        used[index] += 1;
        Some(self.script.rules[index].reply.clone())
    }
}
