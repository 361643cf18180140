//! The asking side of the control socket.
//!
//! In: a request. Out: the lines of the reply, one at a time, so that a listing of any length needs no memory. The daemon is
//! trusted no more than needed: a line that is no JSON ends the program with EX_SOFTWARE.
//!
//! An error says whether the daemon can have seen the request ([`ClientError`]): whoever carries it out without the daemon asks that
//! first, else one request is carried out twice.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{self, End, Request};
use config::Paths;
use exit::{Exit, Failure};
use mail::printable;

/// Silence after which a daemon counts as hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no whole answer.
#[derive(Debug)]
pub enum ClientError {
    /// No daemon has the whole request: nothing was done.
    Down(Failure),
    /// The daemon has the request, but ended or fell silent before its answer was complete: it may be done.
    Broken(Failure),
    /// The daemon's own refusal, or an answer that cannot be used.
    Failed(Failure),
}

impl ClientError {
    /// What the program ends with.
    pub fn exit(&self) -> Exit {
        let (ClientError::Down(failure) | ClientError::Broken(failure) | ClientError::Failed(failure)) = self;
        failure.exit
    }

    /// The error of a request that changes something: where it may be done already, the command that tells.
    pub fn of_change(self, told_by: &str) -> Failure {
        let is_broken = matches!(self, ClientError::Broken(_));
        let mut failure = Failure::from(self);
        if is_broken {
            failure.text.push_str(&format!("; `{told_by}` tells whether it was done"));
        }
        failure
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let (ClientError::Down(failure) | ClientError::Broken(failure) | ClientError::Failed(failure)) = error;
        failure
    }
}

/// True if a daemon listens on the control socket.
pub fn daemon_is_running(paths: &Paths) -> bool {
    UnixStream::connect(paths.control_socket()).is_ok()
}

/// Asks, and calls `each` with every line of the reply but the last. `each` returns false to stop early. Returns what the daemon
/// has to say besides, one printable line, or nothing.
///
/// Errors: EX_UNAVAILABLE `mail system is down` where no daemon takes the request, and for an answer without an end; the daemon's own
/// refusal with its code.
pub fn ask_lines(paths: &Paths, request: &Request, each: impl FnMut(&str) -> bool) -> Result<String, ClientError> {
    let socket = paths.control_socket();
    let down = |e: std::io::Error| {
        let next = paths.mode.systemctl("status");
        let text = format!("mail system is down: {}: {e}; is mailchuted running? try {next}", socket.display());
        ClientError::Down(Failure::new(Exit::Unavailable, text))
    };
    let mut stream = UnixStream::connect(&socket).map_err(down)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(down)?;
    let line = serde_json::to_string(request).map_err(|e| ClientError::Failed(Failure::new(Exit::Software, e.to_string())))?;
    // The daemon does nothing before it has the line's end, which is the last byte.
    stream.write_all(format!("{line}\n").as_bytes()).map_err(down)?;
    read_answer(BufReader::with_capacity(protocol::BUFFER, stream), each)
}

/// Reads an answer: calls `each` with every line but the last, and returns what that has to say besides.
///
/// Errors: EX_UNAVAILABLE for an answer without an end; the daemon's own refusal with its code.
pub fn read_answer(mut reader: impl BufRead, mut each: impl FnMut(&str) -> bool) -> Result<String, ClientError> {
    let broken = |text: String| ClientError::Broken(Failure::new(Exit::Unavailable, text));
    let mut line = String::new();
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            // A last line without its end is cut off.
            Ok(_) if line.ends_with('\n') => {}
            Ok(_) => return Err(broken("mailchuted ended before its answer was complete".to_owned())),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                return Err(broken(format!("mailchuted has not answered for {} s", PATIENCE.as_secs())));
            }
            Err(e) => return Err(broken(format!("the answer of mailchuted broke off: {e}"))),
        }
        if let Some(End { end, text }) = End::parse(&line) {
            let text = printable::text(&text);
            return if end == 0 { Ok(text) } else { Err(ClientError::Failed(Failure::new(Exit::from_code(end), text))) };
        }
        if !each(line.trim_end()) {
            return Ok(String::new());
        }
    }
}

/// Asks, and returns every line of the reply as a `T`.
///
/// Errors: as [`ask_lines`].
pub fn ask<T: DeserializeOwned>(paths: &Paths, request: &Request) -> Result<Vec<T>, ClientError> {
    let mut replies = Vec::new();
    let mut broken = None;
    ask_lines(paths, request, |line| match serde_json::from_str(line) {
        Ok(reply) => {
            replies.push(reply);
            true
        }
        Err(e) => {
            broken = Some(Failure::new(
                Exit::Software,
                format!("an answer of the daemon that is not understood: {e}; are both of one version?"),
            ));
            false
        }
    })?;
    broken.map_or(Ok(replies), |failure| Err(ClientError::Failed(failure)))
}
