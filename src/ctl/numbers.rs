//! `count`, `qshape` and `stats`: the queue in numbers.

use std::ops::ControlFlow;

use super::json;
use super::offline::Offline;
use super::output::print;
use super::queue::{self, Item};
use super::select::Selection;
use crate::qshape::{self, Qshape};
use config::Config;
use control::client;
use control::client::ClientError;
use control::listing::Entry;
use control::protocol::{Count, Request};
use control::stats::Stats;
use exit::Failure;
use mail::printable;

use super::status::span;

/// Prints the number of messages and their size.
pub(super) fn count(config: &Config, selection: &Selection) -> Result<(), Failure> {
    let mut sum = Count::default();
    let mut add = |count: Count| (sum.messages, sum.bytes) = (sum.messages + count.messages, sum.bytes + count.bytes);
    let mut unknown = None;
    for ids in selection.requests() {
        let request = Request::Count { ids, filter: selection.filter.clone() };
        let answered = client::ask_lines(&config.paths, &request, |line| {
            add(client::parse(line)?);
            Ok(ControlFlow::Continue(()))
        });
        match answered {
            Ok(_) => {}
            Err(ClientError::Down(down)) => {
                let each = |entry: Entry| {
                    add(Count { messages: 1, bytes: entry.message_size });
                    Ok(())
                };
                unknown = Offline::open(config, down)?.entries(selection, each)?;
                break;
            }
            Err(ClientError::Unknown(text)) => unknown = Some(ClientError::Unknown(text).into()),
            Err(error) => return Err(error.into()),
        }
    }
    let messages = printable::counted(usize::try_from(sum.messages).unwrap_or(usize::MAX), "message");
    let bytes = printable::counted(usize::try_from(sum.bytes).unwrap_or(usize::MAX), "byte");
    print(&format!("{messages}, {bytes}\n"))?;
    unknown.map_or(Ok(()), Err)
}

/// Prints the open and failed recipients by destination and age, for the `lines` largest destinations.
pub(super) fn qshape(config: &Config, selection: &Selection, lines: usize, as_json: bool) -> Result<(), Failure> {
    let (mut table, now) = (Qshape::default(), sys::clock::now());
    let listed = queue::each(config, selection, |piece| {
        match piece {
            Item::Entry(entry) => table.add(entry, now),
            Item::Line(line) => table.add(&client::parse::<Entry>(line)?, now),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    listed.checked()?;
    let (total, rows) = table.finish();
    if as_json { rows.iter().try_for_each(json::print) } else { print(&qshape::text(&total, &rows, lines)) }
}

/// Prints queue and throughput statistics.
pub(super) fn stats(config: &Config, as_json: bool) -> Result<(), Failure> {
    let stats = match client::ask_one::<Stats>(&config.paths, &Request::Stats {}) {
        Ok(stats) => stats,
        Err(ClientError::Down(down)) => Offline::open(config, down)?.stats(sys::clock::now())?,
        Err(failure) => return Err(failure.into()),
    };
    if as_json { json::print(&stats) } else { print(&text_of(&stats, sys::clock::now())) }
}

fn text_of(stats: &Stats, now: i64) -> String {
    let mut text = format!("{:<10} {:>9} {:>12} {:>11}\n", "queue", "messages", "KiB", "oldest");
    for held in &stats.queue {
        let oldest = held.oldest.map(|at| span(now - at)).unwrap_or_default();
        text.push_str(&format!("{:<10} {:>9} {:>12} {oldest:>11}\n", printable::column(&held.state), held.messages, held.bytes / 1024));
    }
    text.push_str(&format!(
        "\n{:<10} {:>9} {:>12} {:>10} {:>9} {:>9} {:>9}\n",
        "period", "accepted", "KiB", "relayed", "failed", "removed", "lost"
    ));
    for passed in &stats.throughput {
        let time = span(i64::try_from(passed.seconds).unwrap_or(i64::MAX));
        text.push_str(&format!(
            "{time:<10} {:>9} {:>12} {:>10} {:>9} {:>9} {:>9}\n",
            passed.accepted,
            passed.bytes / 1024,
            passed.relayed,
            passed.failed,
            passed.removed,
            passed.lost
        ));
    }
    text
}
