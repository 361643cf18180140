//! The numbers of `mailchute stats`: what is in the queue, and what went through.

use serde::{Deserialize, Serialize};

/// All numbers, of the messages that the asker may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The queue as it is.
    pub queue: Vec<QueueCount>,
    /// What went through, over growing times up to now.
    pub throughput: Vec<Throughput>,
}

/// The messages of one place in the spool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCount {
    /// `queued`, `hold`, `failed`.
    pub state: String,
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted, unix seconds.
    pub oldest: Option<i64>,
}

/// What went through in the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    /// How many seconds.
    pub seconds: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages of which every recipient was relayed.
    pub relayed: u64,
    /// Messages of which a recipient failed for good.
    pub failed: u64,
    /// Messages that were removed.
    pub removed: u64,
}

impl Stats {
    /// Counts a message that has no row, of a spool whose daemon is stopped.
    pub fn add(&mut self, entry: &crate::listing::Entry, now: i64) {
        let state = match entry.queue_name.as_str() {
            state @ ("hold" | "failed") => state,
            _ => "queued",
        };
        let at = self.queue.iter().position(|held| held.state == state).unwrap_or_else(|| {
            self.queue.push(QueueCount { state: state.to_owned(), ..QueueCount::default() });
            self.queue.len() - 1
        });
        if let Some(held) = self.queue.get_mut(at) {
            (held.messages, held.bytes) = (held.messages + 1, held.bytes + entry.message_size);
            held.oldest = Some(held.oldest.map_or(entry.arrival_time, |oldest| oldest.min(entry.arrival_time)));
        }
        let age = u64::try_from(now.saturating_sub(entry.arrival_time)).unwrap_or(0);
        for passed in self.throughput.iter_mut().filter(|passed| age <= passed.seconds) {
            (passed.accepted, passed.bytes) = (passed.accepted + 1, passed.bytes + entry.message_size);
        }
    }
}
