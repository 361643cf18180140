//! `list` and `mailq`: lists the queue from the daemon, or from the spool while the daemon is stopped. It handles one message at a
//! time, so memory does not grow with the queue.

use std::ops::ControlFlow;

use super::act::say;
use super::offline::Offline;
use super::select::Selection;
use config::Config;
use control::client;
use control::client::ClientError;
use control::listing::Entry;
use control::printer::Printer;
use control::protocol::Request;
use exit::Failure;

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
    match &ended {
        Ok(Listed { is_stopped: true, .. }) => return Ok(()),
        // Without a listing there is no last line: the queue is not known to be empty.
        Err(_) if !printer.has_printed() => {}
        _ => printer.finish()?,
    }
    let Listed { warning, unknown, .. } = ended?;
    if !warning.is_empty() {
        say(&format!("warning: {warning}"));
    }
    unknown.map_or(Ok(()), Err)
}

/// The text for an empty listing that is not the whole queue.
fn empty_text(selection: &Selection) -> &'static str {
    if selection.is_failed() { "no failed messages" } else { "no message matches" }
}

/// How a listing ended.
#[derive(Default)]
pub(super) struct Listed {
    /// The daemon's warning, or an empty string.
    warning: String,
    /// EX 1 with the ids that are unknown.
    unknown: Option<Failure>,
    /// The caller wanted no more messages.
    is_stopped: bool,
}

impl Listed {
    /// An unknown id is an error, after all other messages.
    pub(super) fn checked(self) -> Result<(), Failure> {
        self.unknown.map_or(Ok(()), Err)
    }
}

/// Calls `each` with every selected message that the user may see, until it breaks off.
pub(super) fn each(
    config: &Config,
    selection: &Selection,
    mut each: impl FnMut(Item<'_>) -> Result<ControlFlow<()>, Failure>,
) -> Result<Listed, Failure> {
    let (mut listed, mut has_seen) = (Listed::default(), false);
    for ids in selection.requests() {
        let request = Request::List { ids, filter: selection.filter.clone() };
        let answered = client::ask_lines(&config.paths, &request, |line| {
            has_seen = true;
            let flow = each(Item::Line(line))?;
            listed.is_stopped = flow.is_break();
            Ok(flow)
        });
        match answered {
            Ok(text) => listed.warning = text,
            Err(ClientError::Down(down)) if !has_seen => return without_daemon(Offline::open(config, down)?, selection, each),
            Err(ClientError::Unknown(text)) => listed.unknown = Some(ClientError::Unknown(text).into()),
            Err(error) => return Err(error.into()),
        }
        if listed.is_stopped {
            break;
        }
    }
    Ok(listed)
}

fn without_daemon(
    offline: Offline,
    selection: &Selection,
    mut each: impl FnMut(Item<'_>) -> Result<ControlFlow<()>, Failure>,
) -> Result<Listed, Failure> {
    let mut is_stopped = false;
    let unknown = offline.entries(selection, |entry| {
        is_stopped = is_stopped || each(Item::Entry(&entry))?.is_break();
        Ok(())
    })?;
    Ok(Listed { warning: offline.warning()?, unknown, is_stopped })
}
