//! The asking side of the control socket.
//!
//! In: a request. Out: the lines of the reply, one at a time, so that a listing of any length needs no memory. The daemon is
//! trusted no more than needed: a line that is no JSON ends the program with EX_SOFTWARE.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{self, End, Request};
use config::Paths;
use exit::{Exit, Failure};
use mail::printable;

/// Silence after which a daemon counts as hung.
const TIMEOUT: Duration = Duration::from_secs(30);

/// True if a daemon listens on the control socket.
pub fn daemon_is_running(paths: &Paths) -> bool {
    UnixStream::connect(paths.control_socket()).is_ok()
}

/// Asks, and calls `each` with every line of the reply but the last. `each` returns false to stop early. Returns what the daemon
/// has to say besides, one printable line, or nothing.
///
/// Errors: EX_UNAVAILABLE `mail system is down` where no daemon answers; the daemon's own refusal with its code.
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

/// Reads an answer: calls `each` with every line but the last, and returns what that has to say besides. `down` says what a broken connection means.
///
/// Errors: that of `down`; EX_UNAVAILABLE for an answer without an end; the daemon's own refusal with its code.
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
            return Err(Failure::new(Exit::Unavailable, "the daemon ended in the middle of its answer; ask again"));
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

/// Asks, and returns every line of the reply as a `T`.
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
                format!("an answer of the daemon that is not understood: {e}; are both of one version?"),
            ));
            false
        }
    })?;
    broken.map_or(Ok(replies), Err)
}
