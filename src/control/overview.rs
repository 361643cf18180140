//! What the report page shows of the messages: who waits, what ended when, what failed last. Bounded, whatever the queue holds.

use serde::{Deserialize, Serialize};

use super::listing::Entry;

/// The ages that are told apart, seconds: younger than the first, than the second …; one more class is older than all.
pub const AGES: [i64; 5] = [300, 3600, 4 * 3600, 86_400, 3 * 86_400];
/// Classes of age.
pub const CLASSES: usize = AGES.len() + 1;
/// Seconds of one span of the intervals of time.
pub const INTERVAL: i64 = 3600;
/// Spans that are looked at.
pub const INTERVALS: usize = 48;

/// What bears on the messages that the asker may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// When it was made, unix seconds.
    pub at: i64,
    /// The destinations with the most recipients who wait, the largest first.
    pub destinations: Vec<Destination>,
    /// All further destinations together.
    pub others: Option<Destination>,
    /// When the first span of `intervals` begins, unix seconds.
    pub since: i64,
    /// What came and ended, span by span.
    pub intervals: Vec<Interval>,
    /// The latest failed messages, with the recipients that failed.
    pub failures: Vec<Failure>,
    /// Bytes of the spool's file system that the daemon may still use.
    pub free: Option<u64>,
}

/// Recipients who wait behind one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The domain, in lower case.
    pub domain: String,
    /// Recipients by age, the youngest first: [`AGES`].
    pub ages: [u64; CLASSES],
    /// The latest reply, or reason.
    pub reply: String,
    /// When that was, unix seconds.
    pub at: Option<i64>,
}

impl Destination {
    /// All of its recipients.
    pub fn total(&self) -> u64 {
        self.ages.iter().sum()
    }
}

/// Messages of one span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Accepted.
    pub accepted: u64,
    /// Handed on, all of their recipients.
    pub relayed: u64,
    /// Failed for good.
    pub failed: u64,
}

/// A message that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The message, with a few of the recipients that failed.
    pub entry: Entry,
    /// How many more of them there are.
    pub more: usize,
    /// When it ended, unix seconds.
    pub ended: Option<i64>,
}
