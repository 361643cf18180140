//! `list` and `mailq`: of the daemon, or of the spool itself where the daemon is stopped. One message at a time: a queue of any
//! length needs no memory.

use super::act::say;
use super::offline::Offline;
use super::select::Selection;
use config::Config;
use control::client;
use control::listing::Entry;
use control::printer;
use control::printer::Printer;
use control::protocol::Request;
use exit::{Exit, Failure};

/// A message of a listing, as it came.
pub(super) enum Item<'a> {
    /// The daemon's line: members that this program does not know are in it.
    Line(&'a str),
    /// From the spool itself.
    Entry(&'a Entry),
}

/// Prints the queue as text or JSON Lines.
pub(super) fn list(config: &Config, selection: &Selection, json: bool) -> Result<(), Failure> {
    let out = std::io::stdout();
    let mut printer = if json { Printer::json(out) } else { Printer::text(out, sys::clock::local_zone()) };
    let ended = each(config, selection, |piece| match piece {
        Item::Line(line) => printer.line(line),
        Item::Entry(entry) => printer.entry(entry),
    });
    match ended {
        Err(failure) if printer::is_broken_pipe(&failure) => return Ok(()),
        // Nothing of the kind can be said of a queue that was not seen.
        Err(failure) if failure.exit != Exit::NotFound && !printer.has_printed() => return Err(failure),
        _ => printer.finish()?,
    }
    let warning = ended?;
    if !warning.is_empty() {
        say(&format!("warning: {warning}"));
    }
    Ok(())
}

/// Calls `each` with every message of the selection that may be seen. Returns what there is to say warning.
///
/// Errors: 1 where an id is unknown, after all others.
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
            Err(down) if down.exit == Exit::Unavailable && !has_seen => {
                let offline = Offline::open(config, down)?;
                offline.entries(selection, |entry| each(Item::Entry(&entry)))?;
                return offline.warning();
            }
            Err(failure) if failure.exit == Exit::NotFound => unknown = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    unknown.map_or(Ok(warning), Err)
}
