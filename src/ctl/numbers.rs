//! `count`, `shape` and `stats`: the queue in numbers.

use super::json;
use super::offline::Offline;
use super::output::print;
use super::queue::{self, Item};
use super::select::Selection;
use crate::qshape::{AGES, Qshape, Row};
use config::Config;
use control::client;
use control::listing::Entry;
use control::protocol::{Count, Request};
use control::stats::Stats;
use exit::{Exit, Failure};
use mail::printable;

use super::status::span;

/// Prints how many messages there are.
pub(super) fn count(config: &Config, selection: &Selection) -> Result<(), Failure> {
    let mut sum = Count::default();
    let mut add = |count: Count| (sum.messages, sum.bytes) = (sum.messages + count.messages, sum.bytes + count.bytes);
    let mut unknown = None;
    for ids in selection.requests() {
        match client::ask::<Count>(&config.paths, &Request::Count { ids, filter: selection.filter.clone() }) {
            Ok(counts) => counts.into_iter().for_each(&mut add),
            Err(down) if down.exit == Exit::Unavailable => {
                let each = |entry: Entry| {
                    add(Count { messages: 1, bytes: entry.message_size });
                    Ok(())
                };
                Offline::open(config, down)?.entries(selection, each)?;
                break;
            }
            Err(failure) if failure.exit == Exit::NotFound => unknown = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    print(&format!("{} messages, {} bytes\n", sum.messages, sum.bytes))?;
    unknown.map_or(Ok(()), Err)
}

/// Prints the recipients that wait or failed, by destination and age, the largest `lines` destinations.
pub(super) fn qshape(config: &Config, selection: &Selection, lines: usize, as_json: bool) -> Result<(), Failure> {
    let (mut table, now) = (Qshape::default(), sys::clock::now());
    queue::each(config, selection, |piece| {
        match piece {
            Item::Entry(entry) => table.add(entry, now),
            Item::Line(line) => table.add(&json::read::<Entry>(line)?, now),
        }
        Ok(())
    })?;
    let (total, rows) = table.finish();
    if as_json {
        return rows.iter().try_for_each(json::print);
    }
    let mut text = format!("{:>40} {:>7}", "", "T");
    AGES.iter().for_each(|age| text.push_str(&format!(" {age:>6}")));
    text.push_str(&format!(" {:>6}\n", format!("{}+", AGES.last().copied().unwrap_or_default())));
    for row in std::iter::once(&total).chain(rows.iter().take(lines)) {
        text.push_str(&line_of(row));
    }
    if rows.len() > lines {
        text.push_str(&format!("{:>40}\n", format!("and {} more", rows.len() - lines)));
    }
    print(&text)
}

fn line_of(row: &Row) -> String {
    let mut line = format!("{:>40} {:>7}", printable::column(&row.destination), row.total);
    row.ages.iter().for_each(|cell| line.push_str(&format!(" {cell:>6}")));
    line.push('\n');
    line
}

/// Prints what is in the queue, and what went through.
pub(super) fn stats(config: &Config, as_json: bool) -> Result<(), Failure> {
    let stats = match client::ask::<Stats>(&config.paths, &Request::Stats {}) {
        Ok(stats) => stats.into_iter().next().ok_or_else(|| Failure::new(Exit::Software, "the daemon gave no numbers"))?,
        Err(down) if down.exit == Exit::Unavailable => Offline::open(config, down)?.stats(sys::clock::now())?,
        Err(failure) => return Err(failure),
    };
    if as_json { json::print(&stats) } else { print(&text_of(&stats, sys::clock::now())) }
}

fn text_of(stats: &Stats, now: i64) -> String {
    let mut text = format!("{:<10} {:>9} {:>12} {:>11}\n", "in queue", "messages", "KiB", "oldest");
    for held in &stats.queue {
        let oldest = held.oldest.map(|at| span(now - at)).unwrap_or_default();
        text.push_str(&format!("{:<10} {:>9} {:>12} {oldest:>11}\n", printable::column(&held.state), held.messages, held.bytes / 1024));
    }
    text.push_str(&format!("\n{:<10} {:>9} {:>12} {:>10} {:>9} {:>9}\n", "the last", "accepted", "KiB", "relayed", "failed", "removed"));
    for passed in &stats.throughput {
        let time = span(i64::try_from(passed.seconds).unwrap_or(i64::MAX));
        text.push_str(&format!(
            "{time:<10} {:>9} {:>12} {:>10} {:>9} {:>9}\n",
            passed.accepted,
            passed.bytes / 1024,
            passed.relayed,
            passed.failed,
            passed.removed
        ));
    }
    text
}
