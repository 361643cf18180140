//! The client of the control socket.
//!
//! In: a request. Out: the lines of the reply, one at a time, so memory does not grow with a listing. The client does not trust the
//! daemon more than it must: a reply line that is not JSON ends the program with EX_SOFTWARE.
//!
//! An error says whether the daemon may have received the request ([`ClientError`]). A command that can work without the daemon checks
//! that first, so that no request is carried out twice.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{self, End, Request};
use config::Paths;
use exit::{Exit, Failure};
use mail::printable;

/// The client gives up after this much silence: the daemon hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no complete reply.
#[derive(Debug)]
pub enum ClientError {
    /// No daemon received the whole request: nothing was done.
    Down(Failure),
    /// The daemon received the request, but stopped or hung before its reply was complete: the request may have been carried out.
    Broken(Failure),
    /// The daemon's own error, or an invalid reply.
    Failed(Failure),
}

impl ClientError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        let (ClientError::Down(failure) | ClientError::Broken(failure) | ClientError::Failed(failure)) = self;
        failure.exit
    }

    /// The error of a request that modifies something. If it may have been carried out, the text names the command that shows it.
    pub fn of_change(self, shown_by: &str) -> Failure {
        let is_broken = matches!(self, ClientError::Broken(_));
        let mut failure = Failure::from(self);
        if is_broken {
            failure.text.push_str(&format!("; the request may have been carried out: `{shown_by}` shows it"));
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

/// Sends `request` and calls `each` with every line of the reply except the last. `each` returns false to stop early. Returns the
/// daemon's warning: one printable line, or an empty string.
///
/// Errors: EX_UNAVAILABLE `mail system is down` if no daemon receives the request, and for an incomplete reply; the daemon's own error
/// with its code.
pub fn ask_lines(paths: &Paths, request: &Request, each: impl FnMut(&str) -> bool) -> Result<String, ClientError> {
    let socket = paths.control_socket();
    let down = |e: std::io::Error| {
        let next = paths.mode.systemctl("status");
        let text = format!("mail system is down: {}: {e}; is mailchuted running? try {next}", socket.display());
        ClientError::Down(Failure::new(Exit::Unavailable, text))
    };
    let mut stream = UnixStream::connect(&socket).map_err(down)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(down)?;
    let line = serde_json::to_string(request).map_err(|e| ClientError::Failed(Failure::new(Exit::Software, e.to_string())))?;
    // The daemon does nothing before the end of the line, which is the last byte.
    stream.write_all(format!("{line}\n").as_bytes()).map_err(down)?;
    read_answer(BufReader::with_capacity(protocol::BUFFER, stream), each)
}

/// Reads a reply: calls `each` with every line except the last, and returns the text of the last.
///
/// Errors: EX_UNAVAILABLE for an incomplete reply; the daemon's own error with its code.
pub fn read_answer(mut reader: impl BufRead, mut each: impl FnMut(&str) -> bool) -> Result<String, ClientError> {
    let broken = |text: String| ClientError::Broken(Failure::new(Exit::Unavailable, text));
    let mut line = String::new();
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            // A last line without a line end is incomplete.
            Ok(_) if line.ends_with('\n') => {}
            Ok(_) => return Err(broken("mailchuted stopped before its reply was complete".to_owned())),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                return Err(broken(format!("mailchuted did not reply within {} s", TIMEOUT.as_secs())));
            }
            Err(e) => return Err(broken(format!("the reply of mailchuted was cut off: {e}"))),
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

/// Sends `request` and returns every line of the reply as a `T`.
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
                format!("cannot parse the daemon's reply: {e}; check that mailchute and mailchuted have the same version"),
            ));
            false
        }
    })?;
    broken.map_or(Ok(replies), |failure| Err(ClientError::Failed(failure)))
}
