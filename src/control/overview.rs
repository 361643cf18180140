//! The message statistics of the report page: queued messages by destination, results by hour, latest failures. The size is
//! bounded, whatever the queue holds.

use serde::{Deserialize, Serialize};

use super::listing::Entry;
use super::why::WhyCodes;

/// Upper bounds of the age classes in seconds. One more class holds older messages.
pub const AGES: [i64; 5] = [300, 3600, 4 * 3600, 86_400, 3 * 86_400];
/// Number of age classes.
pub const CLASSES: usize = AGES.len() + 1;
/// Length of one interval in seconds.
pub const INTERVAL: i64 = 3600;
/// Number of intervals.
pub const INTERVALS: usize = 48;

/// Statistics of the messages that the client may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// Time of the snapshot, unix seconds.
    pub at: i64,
    /// The destinations with the most queued recipients, largest first.
    pub destinations: Vec<Destination>,
    /// The sum of all other destinations.
    pub others: Option<Destination>,
    /// The start of the first interval, unix seconds.
    pub since: i64,
    /// Accepted and finished messages by interval.
    pub intervals: Vec<Interval>,
    /// The latest failed messages with their failed recipients.
    pub failures: Vec<Failure>,
    /// Free bytes of the spool's file system that the daemon may use.
    pub free: Option<u64>,
}

/// Queued recipients of one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The domain, in lower case.
    pub domain: String,
    /// Recipients by age class, youngest first: [`AGES`].
    pub ages: [u64; CLASSES],
    /// The latest reply or reason.
    pub reply: String,
    /// The same, in codes.
    #[serde(flatten)]
    pub why: WhyCodes,
    /// Time of that reply, unix seconds.
    pub at: Option<i64>,
}

impl Destination {
    /// The number of its recipients.
    pub fn total(&self) -> u64 {
        self.ages.iter().sum()
    }
}

/// Messages of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Accepted messages.
    pub accepted: u64,
    /// Messages with every recipient relayed.
    pub relayed: u64,
    /// Permanently failed messages.
    pub failed: u64,
    /// Lost on this host.
    #[serde(default)]
    pub lost: u64,
}

/// A failed message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The message with a few of its failed recipients.
    pub entry: Entry,
    /// The number of further failed recipients.
    pub more: usize,
    /// When it failed, unix seconds.
    pub ended: Option<i64>,
}
