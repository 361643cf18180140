//! `list`, `mailq` and `count`: of the daemon, or of the spool itself where the daemon is stopped.

use super::offline::Offline;
use super::print;
use crate::config::Config;
use crate::control::client;
use crate::control::printer::Printer;
use crate::control::protocol::{Count, Request};
use crate::exit::{Exit, Failure};
use crate::sys;

/// Prints the queue as text or JSON Lines, one message at a time.
pub(super) fn list(config: &Config, json: bool, ids: Vec<String>) -> Result<(), Failure> {
    let out = std::io::stdout();
    let mut printer = if json { Printer::json(out) } else { Printer::text(out, sys::clock::local_zone()) };
    let wanted = ids.clone();
    let answered = client::ask_lines(&config.paths, &Request::List { ids }, |line| printer.line(line));
    match answered {
        Ok(()) => {}
        Err(down) if down.exit == Exit::Unavailable && !printer.has_printed() => {
            let offline = Offline::open(config, down)?;
            offline.entries(|entry| if wanted.is_empty() || wanted.contains(&entry.queue_id) { printer.entry(&entry) } else { Ok(()) })?;
        }
        Err(failure) => {
            printer.finish()?;
            return Err(failure);
        }
    }
    printer.finish()
}

/// Prints how many messages there are.
pub(super) fn count(config: &Config) -> Result<(), Failure> {
    let count = match client::ask::<Count>(&config.paths, &Request::Count {}) {
        Ok(counts) => counts.first().copied().unwrap_or_default(),
        Err(down) if down.exit == Exit::Unavailable => {
            let mut count = Count::default();
            Offline::open(config, down)?.entries(|entry| {
                (count.messages, count.octets) = (count.messages + 1, count.octets + entry.message_size);
                Ok(())
            })?;
            count
        }
        Err(failure) => return Err(failure),
    };
    print(&format!("{} messages, {} octets\n", count.messages, count.octets))
}
