//! `list`, `mailq` and `count`: of the daemon, or of the spool itself where the daemon is stopped.

use std::io::{BufWriter, Write};

use super::offline::Offline;
use super::{print, written};
use crate::config::Config;
use crate::control::client;
use crate::control::listing::{Entry, TextListing};
use crate::control::protocol::{Count, Request};
use crate::exit::{Exit, Failure};
use crate::sys;

/// Prints the queue as text or JSON Lines, one message at a time.
pub(super) fn list(config: &Config, json: bool, ids: Vec<String>) -> Result<(), Failure> {
    let mut printer = Printer::new(json);
    let wanted = ids.clone();
    let answered = client::ask_lines(&config.paths, &Request::List { ids }, |line| printer.line(line));
    match answered {
        Ok(()) => {}
        Err(down) if down.exit == Exit::Unavailable && !printer.has_printed => {
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

struct Printer {
    out: Option<TextListing<BufWriter<std::io::Stdout>>>,
    json: BufWriter<std::io::Stdout>,
    has_printed: bool,
    failure: Option<Failure>,
}

impl Printer {
    fn new(json: bool) -> Printer {
        let out = (!json).then(|| TextListing::new(BufWriter::new(std::io::stdout()), sys::clock::local_zone()));
        Printer { out, json: BufWriter::new(std::io::stdout()), has_printed: false, failure: None }
    }

    /// A line of the daemon's answer; false ends the listing.
    fn line(&mut self, line: &str) -> bool {
        let result = match (&self.out, serde_json::from_str::<Entry>(line)) {
            (_, Err(e)) => Err(Failure::new(Exit::Software, format!("an answer of the daemon that is not understood: {e}"))),
            // The daemon's own line: members that this program does not know stay in it.
            (None, Ok(_)) => written(writeln!(self.json, "{line}")),
            (Some(_), Ok(entry)) => self.entry(&entry),
        };
        self.has_printed = true;
        self.failure = result.err();
        self.failure.is_none()
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.has_printed = true;
        match &mut self.out {
            Some(text) => written(text.entry(entry)),
            None => {
                let line = serde_json::to_string(entry).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
                written(writeln!(self.json, "{line}"))
            }
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match self.out.take() {
            Some(text) => written(text.finish()),
            None => written(self.json.flush()),
        }
    }
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
