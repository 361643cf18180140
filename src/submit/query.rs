//! What `sendmail` asks of the daemon: `-bp` and `mailq`, `-bP`, `-q`, and the relay part of `-bv`.
//!
//! In: the call. Out: text for standard output, or EX_UNAVAILABLE: the daemon alone sees the queue, so while it is stopped there is
//! nothing to say. Authority is the daemon's business; it knows the caller by SO_PEERCRED.

use std::os::unix::net::UnixStream;

use super::cli::Flush;
use crate::config::Paths;
use crate::exit::{Exit, Failure};

/// Connects to the control socket.
///
/// Errors: EX_UNAVAILABLE.
fn connect(paths: &Paths) -> Result<UnixStream, Failure> {
    UnixStream::connect(paths.control_socket()).map_err(|_| Failure::new(Exit::Unavailable, "mail system is down"))
}

/// `-bp`: the listing of the messages that the caller may see. `json` is `-j`, `verbose` is `-v`.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub fn list(paths: &Paths, _verbose: bool, _json: bool) -> Result<String, Failure> {
    ask(paths)
}

/// `-bP`: how many messages there are.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub fn count(paths: &Paths) -> Result<String, Failure> {
    ask(paths)
}

/// `-q`: try mail now.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub fn flush(paths: &Paths, _what: &Flush) -> Result<String, Failure> {
    ask(paths)
}

/// One request and its answer.
fn ask(paths: &Paths) -> Result<String, Failure> {
    let _stream = connect(paths)?;
    Err(Failure::new(Exit::Unavailable, "the mail system does not answer queries"))
}
