//! `list` and `mailq`: lists the queue from the daemon, or from the spool while the daemon is stopped. It handles one message at a
//! time, so memory does not grow with the queue.

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

/// A message of a listing.
pub(super) enum Item<'a> {
    /// A line from the daemon, with members that this program may not know.
    Line(&'a str),
    /// An entry read from the spool.
    Entry(&'a Entry),
}

/// Prints the queue as text or JSON Lines.
pub(super) fn list(config: &Config, selection: &Selection, json: bool) -> Result<(), Failure> {
    let out = std::io::stdout();
    let printer = if json { Printer::json(out) } else { Printer::text(out, sys::clock::local_zone()) };
    let mut printer = if selection.is_queue() { printer } else { printer.if_empty(empty_text(selection)) };
    let ended = each(config, selection, |piece| match piece {
        Item::Line(line) => printer.line(line),
        Item::Entry(entry) => printer.entry(entry),
    });
    match ended {
        Err(failure) if printer::is_broken_pipe(&failure) => return Ok(()),
        // Without a listing there is no last line: the queue is not known to be empty.
        Err(failure) if failure.exit != Exit::NotFound && !printer.has_printed() => return Err(failure),
        _ => printer.finish()?,
    }
    let warning = ended?;
    if !warning.is_empty() {
        say(&format!("warning: {warning}"));
    }
    Ok(())
}

/// The text for an empty listing that is not the whole queue.
fn empty_text(selection: &Selection) -> &'static str {
    if selection.is_failed() { "no failed messages" } else { "no message matches" }
}

/// Calls `each` with every selected message that the user may see. Returns the daemon's warning.
///
/// Errors: 1 for an unknown id, after all other messages.
pub(super) fn each(
    config: &Config,
    selection: &Selection,
    mut each: impl FnMut(Item<'_>) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let (mut warning, mut unknown, mut has_seen) = (String::new(), None, false);
    for ids in selection.requests() {
        let mut failure = None;
        let request = Request::List { ids, filter: selection.filter.clone() };
        let answered = client::ask_lines(&config.paths, &request, |line| {
            has_seen = true;
            failure = each(Item::Line(line)).err();
            failure.is_none()
        });
        failure.map_or(Ok(()), Err)?;
        match answered {
            Ok(text) => warning = text,
            Err(ClientError::Down(down)) if !has_seen => {
                let offline = Offline::open(config, down)?;
                offline.entries(selection, |entry| each(Item::Entry(&entry)))?;
                return offline.warning();
            }
            Err(failure) if failure.exit() == Exit::NotFound => unknown = Some(failure.into()),
            Err(failure) => return Err(failure.into()),
        }
    }
    unknown.map_or(Ok(warning), Err)
}
