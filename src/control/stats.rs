//! Queue and throughput statistics, for `mailchute stats`.

use serde::{Deserialize, Serialize};

use crate::state::QueueState;

/// Statistics of the messages that the client may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The current queue.
    pub queue: Vec<QueueCount>,
    /// Throughput over increasing periods up to now.
    pub throughput: Vec<Throughput>,
}

/// The messages in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCount {
    /// `queued`, `hold`, `failed`.
    pub state: String,
    /// Number of messages.
    pub messages: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted, unix seconds.
    pub oldest: Option<i64>,
}

/// Throughput of one period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    /// The length of the period in seconds.
    pub seconds: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Messages with every recipient relayed.
    pub relayed: u64,
    /// Messages with at least one permanently failed recipient.
    pub failed: u64,
    /// Messages that were removed while a recipient was open.
    pub removed: u64,
    /// Messages that this host lost.
    #[serde(default)]
    pub lost: u64,
}

impl Stats {
    /// Counts a message without a row, while the daemon is stopped.
    pub fn add(&mut self, entry: &crate::listing::Entry, now: i64) {
        let state = match entry.queue_name {
            state @ (QueueState::Hold | QueueState::Failed) => state.word(),
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
