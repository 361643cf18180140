//! The client of the control socket.
//!
//! In: a request. Out: the lines of the reply, one at a time, so memory does not grow with a listing. The client does not trust the
//! daemon more than it must: a reply line that is not JSON ends the program with EX_SOFTWARE.
//!
//! An error says whether the daemon may have received the request ([`ClientError`]). A command that can work without the daemon checks
//! that first, so that no request is carried out twice.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{self, End, Request};
use config::Paths;
use exit::{Exit, Failure, Report};
use mail::printable;

/// The client gives up after this much silence: the daemon hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// No daemon received the whole request.
#[derive(Debug)]
pub struct Down {
    socket: PathBuf,
    cause: std::io::Error,
    /// The command that shows the service.
    next: String,
}

/// How a reply ended too early.
#[derive(Debug)]
pub enum Cut {
    /// The daemon stopped.
    Stopped,
    /// It was silent for [`TIMEOUT`], or for as long as the caller waits.
    Silent(Duration),
    /// The connection broke.
    Lost(std::io::Error),
}

/// Why there is no complete reply.
#[derive(Debug)]
pub enum ClientError {
    /// No daemon received the whole request: nothing was done.
    Down(Down),
    /// The daemon received the request, but stopped or hung before its reply was complete: the request may have been carried out.
    Broken(Cut),
    /// The reply is complete except for messages that do not exist, or that could not be changed. The text names them, or is empty
    /// where each has a line of its own.
    Unknown(String),
    /// The daemon refused the request.
    Refused {
        /// The exit code that it gave.
        exit: Exit,
        /// Its reason.
        text: String,
    },
    /// The reply, or the request, is not in the form that this program knows.
    Invalid(serde_json::Error),
    /// The daemon sent no line where one is due.
    Empty,
    /// The caller could not use a line of the reply.
    Unused(Failure),
}

impl ClientError {
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

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        let Down { socket, cause, next } = self;
        write!(f, "mail system is down: {}: {cause}; is mailchuted running? try {next}", socket.display())
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            ClientError::Down(down) => down.fmt(f),
            ClientError::Broken(Cut::Stopped) => f.write_str("mailchuted stopped before its reply was complete"),
            ClientError::Broken(Cut::Silent(limit)) => write!(f, "mailchuted did not answer within {} s", limit.as_secs()),
            ClientError::Broken(Cut::Lost(e)) => write!(f, "the reply of mailchuted was cut off: {e}"),
            ClientError::Unknown(text) | ClientError::Refused { text, .. } => f.write_str(text),
            ClientError::Invalid(e) => {
                // It repeats what it could not parse.
                let e = printable::text(&e.to_string());
                write!(f, "cannot parse the daemon's reply: {e}; check that mailchute and mailchuted have the same version")
            }
            ClientError::Empty => f.write_str("the daemon sent an empty reply"),
            ClientError::Unused(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for Down {}
impl std::error::Error for ClientError {}

impl Report for Down {
    fn code(&self) -> &'static str {
        "down"
    }

    fn exit(&self) -> Exit {
        Exit::Unavailable
    }
}

impl Report for ClientError {
    fn code(&self) -> &'static str {
        match self {
            ClientError::Down(down) => down.code(),
            ClientError::Broken(_) => "broken",
            ClientError::Unknown(_) => "unknown",
            ClientError::Refused { .. } => "refused",
            ClientError::Invalid(_) => "invalid",
            ClientError::Empty => "empty",
            ClientError::Unused(_) => "unused",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            ClientError::Down(down) => down.exit(),
            ClientError::Broken(_) => Exit::Unavailable,
            ClientError::Unknown(_) => Exit::NotFound,
            ClientError::Refused { exit, .. } => *exit,
            ClientError::Invalid(_) | ClientError::Empty => Exit::Software,
            ClientError::Unused(failure) => failure.exit,
        }
    }
}

/// True if a daemon listens on the control socket.
pub fn daemon_is_running(paths: &Paths) -> bool {
    UnixStream::connect(paths.control_socket()).is_ok()
}

/// Sends `request` and calls `each` with every line of the reply except the last, until it breaks off. Returns the daemon's warning: one
/// printable line, or an empty string.
///
/// Errors: as [`ClientError`] has them; the error of `each` is [`ClientError::Unused`].
pub fn ask_lines(
    paths: &Paths,
    request: &Request,
    each: impl FnMut(&str) -> Result<ControlFlow<()>, Failure>,
) -> Result<String, ClientError> {
    let socket = paths.control_socket();
    let down = |cause| ClientError::Down(Down { socket: socket.clone(), cause, next: paths.mode.systemctl("status") });
    let mut stream = UnixStream::connect(&socket).map_err(down)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(down)?;
    let line = serde_json::to_string(request).map_err(ClientError::Invalid)?;
    // The daemon does nothing before the end of the line, which is the last byte.
    stream.write_all(format!("{line}\n").as_bytes()).map_err(down)?;
    read_answer(BufReader::with_capacity(protocol::BUFFER, stream), each)
}

/// Reads a reply: calls `each` with every line except the last, and returns the text of the last.
///
/// Errors: as [`ask_lines`].
pub fn read_answer(
    mut reader: impl BufRead,
    mut each: impl FnMut(&str) -> Result<ControlFlow<()>, Failure>,
) -> Result<String, ClientError> {
    let broken = |cut| Err(ClientError::Broken(cut));
    let mut line = String::new();
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            // A last line without a line end is incomplete.
            Ok(_) if line.ends_with('\n') => {}
            Ok(_) => return broken(Cut::Stopped),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return broken(Cut::Silent(TIMEOUT)),
            Err(e) => return broken(Cut::Lost(e)),
        }
        if let Some(End { end, text }) = End::parse(&line) {
            let text = printable::text(&text);
            return match Exit::from_code(end) {
                Exit::Ok => Ok(text),
                Exit::NotFound => Err(ClientError::Unknown(text)),
                exit => Err(ClientError::Refused { exit, text }),
            };
        }
        if each(line.trim_end()).map_err(ClientError::Unused)?.is_break() {
            return Ok(String::new());
        }
    }
}

/// One line of a reply as a `T`.
///
/// Errors: [`ClientError::Invalid`].
pub fn parse<T: DeserializeOwned>(line: &str) -> Result<T, ClientError> {
    serde_json::from_str(line).map_err(ClientError::Invalid)
}

/// Sends `request` and returns every line of the reply as a `T`.
///
/// Errors: as [`ask_lines`].
pub fn ask<T: DeserializeOwned>(paths: &Paths, request: &Request) -> Result<Vec<T>, ClientError> {
    let mut replies = Vec::new();
    ask_lines(paths, request, |line| {
        replies.push(parse(line)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(replies)
}

/// Sends `request` and returns the first line of the reply as a `T`.
///
/// Errors: as [`ask_lines`], and where there is no line.
pub fn ask_one<T: DeserializeOwned>(paths: &Paths, request: &Request) -> Result<T, ClientError> {
    ask(paths, request)?.into_iter().next().ok_or(ClientError::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, ClientError> {
        read_answer(text.as_bytes(), |_| Ok(ControlFlow::Continue(())))
    }

    #[test]
    fn the_last_line_says_how_the_request_ended() {
        assert_eq!(read("{}\n{\"end\":0,\"text\":\"w\"}\n").unwrap(), "w");
        for (end, code, exit) in [(1, "unknown", Exit::NotFound), (77, "refused", Exit::NoPerm), (99, "refused", Exit::Software)] {
            let error = read(&format!("{{\"end\":{end},\"text\":\"x\"}}\n")).unwrap_err();
            assert_eq!((error.code(), error.exit(), error.to_string().as_str()), (code, exit, "x"));
        }
        for text in ["", "{}\n", "{\"end\":0}"] {
            assert!(matches!(read(text), Err(ClientError::Broken(Cut::Stopped))), "{text}");
        }
        let broken = read("").unwrap_err().of_change("mailchute status");
        assert!(broken.text.ends_with("may have been carried out: `mailchute status` shows it"), "{broken}");
    }

    #[test]
    fn a_caller_that_breaks_off_is_no_error_and_its_own_error_comes_back() {
        assert_eq!(read_answer("{}\n".as_bytes(), |_| Ok(ControlFlow::Break(()))).unwrap(), "");
        let error = read_answer("{}\n".as_bytes(), |_| Err(Failure::new(Exit::IoErr, "full"))).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("unused", Exit::IoErr));
        assert!(matches!(parse::<u8>("{}"), Err(ClientError::Invalid(_))));
    }
}
