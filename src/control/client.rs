//! The client of the control socket.
//!
//! In: a request. Out: the lines of the reply, one at a time, so memory does not grow with a listing. The client does not trust
//! the daemon more than it must: a reply line that is not JSON ends the program with EX_SOFTWARE.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{self, End, Request};
use config::Paths;
use exit::{Exit, Failure};
use mail::printable;

/// The client gives up after this much silence: the daemon hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// True if a daemon listens on the control socket.
pub fn daemon_is_running(paths: &Paths) -> bool {
    UnixStream::connect(paths.control_socket()).is_ok()
}

/// Sends `request` and calls `each` with every line of the reply except the last. `each` returns false to stop early. Returns the
/// daemon's warning: one printable line, or an empty string.
///
/// Errors: EX_UNAVAILABLE `mail system is down` if no daemon answers; the daemon's own error with its code.
pub fn ask_lines(paths: &Paths, request: &Request, each: impl FnMut(&str) -> bool) -> Result<String, Failure> {
    let socket = paths.control_socket();
    let down = |e: &std::io::Error| {
        let next = paths.mode.systemctl("status");
        Failure::new(Exit::Unavailable, format!("mail system is down: {}: {e}; is mailchuted running? try {next}", socket.display()))
    };
    let mut stream = UnixStream::connect(&socket).map_err(|e| down(&e))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|e| down(&e))?;
    let mut line = serde_json::to_string(request).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(|e| down(&e))?;
    read_answer(BufReader::with_capacity(protocol::BUFFER, stream), down, each)
}

/// Reads a reply: calls `each` with every line except the last, and returns the text of the last. `down` makes the error for a
/// broken connection.
///
/// Errors: that of `down`; EX_UNAVAILABLE for a reply without an end; the daemon's own error with its code.
pub fn read_answer(
    mut reader: impl BufRead,
    down: impl Fn(&std::io::Error) -> Failure,
    mut each: impl FnMut(&str) -> bool,
) -> Result<String, Failure> {
    let mut line = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(|e| down(&e))?;
        if line.is_empty() {
            return Err(Failure::new(Exit::Unavailable, "the daemon closed the connection before the end of its reply; try again"));
        }
        if let Some(End { end, text }) = End::parse(&line) {
            let text = printable::text(&text);
            return if end == 0 { Ok(text) } else { Err(Failure::new(Exit::from_code(end), text)) };
        }
        if !each(line.trim_end()) {
            return Ok(String::new());
        }
    }
}

/// Sends `request` and returns every line of the reply as a `T`.
pub fn ask<T: DeserializeOwned>(paths: &Paths, request: &Request) -> Result<Vec<T>, Failure> {
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
    broken.map_or(Ok(replies), Err)
}
