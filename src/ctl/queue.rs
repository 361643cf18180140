//! `list` and `mailq`: of the daemon, or of the spool itself where the daemon is stopped. One message at a time: a queue of any
//! length needs no memory.

use super::act::say;
use super::offline::Offline;
use super::select::Selection;
use config::Config;
use control::client;
use control::client::ClientError;
use control::listing::Entry;
use control::printer;
use control::printer::Printer;
use control::protocol::Request;
use exit::{Exit, Failure};

/// A message of a listing, as it came.
pub(super) enum Piece<'a> {
    /// The daemon's line: members that this program does not know are in it.
    Line(&'a str),
    /// From the spool itself.
    Entry(&'a Entry),
}

/// Prints the queue as text or JSON Lines.
pub(super) fn list(config: &Config, selection: &Selection, json: bool) -> Result<(), Failure> {
    let out = std::io::stdout();
    let printer = if json { Printer::json(out) } else { Printer::text(out, sys::clock::local_zone()) };
    let mut printer = if selection.is_queue() { printer } else { printer.if_empty(nothing_of(selection)) };
    let ended = each(config, selection, |piece| match piece {
        Piece::Line(line) => printer.line(line),
        Piece::Entry(entry) => printer.entry(entry),
    });
    match ended {
        Err(failure) if printer::is_gone(&failure) => return Ok(()),
        // Nothing of the kind can be said of a queue that was not seen.
        Err(failure) if failure.exit != Exit::NotFound && !printer.has_printed() => return Err(failure),
        _ => printer.finish()?,
    }
    let besides = ended?;
    if !besides.is_empty() {
        say(&format!("warning: {besides}"));
    }
    Ok(())
}

/// What there is to say of a part of the queue, or of what failed, that holds nothing: the queue itself may not be empty.
fn nothing_of(selection: &Selection) -> &'static str {
    if selection.is_failed() { "nothing has failed" } else { "no message matches" }
}

/// Calls `each` with every message of the selection that may be seen. Returns what there is to say besides.
///
/// Errors: 1 where an id is unknown, after all others.
pub(super) fn each(
    config: &Config,
    selection: &Selection,
    mut each: impl FnMut(Piece<'_>) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let (mut besides, mut unknown, mut has_seen) = (String::new(), None, false);
    for ids in selection.requests() {
        let mut failure = None;
        let request = Request::List { ids, filter: selection.filter.clone() };
        let answered = client::ask_lines(&config.paths, &request, |line| {
            has_seen = true;
            failure = each(Piece::Line(line)).err();
            failure.is_none()
        });
        failure.map_or(Ok(()), Err)?;
        match answered {
            Ok(text) => besides = text,
            Err(ClientError::Down(down)) if !has_seen => {
                let offline = Offline::open(config, down)?;
                offline.entries(selection, |entry| each(Piece::Entry(&entry)))?;
                return offline.besides();
            }
            Err(failure) if failure.exit() == Exit::NotFound => unknown = Some(failure.into()),
            Err(failure) => return Err(failure.into()),
        }
    }
    unknown.map_or(Ok(besides), Err)
}
