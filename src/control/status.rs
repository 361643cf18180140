//! The daemon's status, as `mailchute status` prints it.

use serde::{Deserialize, Serialize};

/// How the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime: u64,
    /// Where mail goes.
    pub next_hop: String,
    /// Messages waiting or being sent.
    pub queued: u64,
    /// Messages held.
    pub held: u64,
    /// Messages failed for good, kept for a person.
    pub failed: u64,
    /// When the oldest waiting message was accepted, unix seconds.
    pub oldest: Option<i64>,
    /// When delivery last succeeded, unix seconds.
    pub last_relayed: Option<i64>,
    /// Since when an administrator has stopped delivery, and who did; empty if nobody has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub paused: String,
    /// Next hops that are suspended, and why.
    pub suspended: Vec<Suspended>,
    /// Why admission is closed; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// The uids that have as much mail in the spool as they may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_quota: Vec<u32>,
    /// The users who are near a limit of the spool, or have reached it; for root and the administrators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UserUsage>,
    /// What an administrator should look at, one line each.
    pub warnings: Vec<String>,
    /// What is wrong, the critical things first.
    #[serde(default)]
    pub alarms: Vec<AlarmLine>,
    /// There is a daemon, and it answers.
    #[serde(default)]
    pub live: bool,
    /// It takes and tries mail: its scheduler goes round.
    #[serde(default)]
    pub ready: bool,
    /// It is ready, and nothing critical is wrong.
    #[serde(default)]
    pub healthy: bool,
}

/// Something that is wrong: mailchute(8), ALARMS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmLine {
    /// Its name.
    pub alarm: String,
    /// Of what; empty where there is only one.
    pub subject: String,
    /// `critical` or `warning`.
    pub severity: String,
    /// Why, one line.
    pub reason: String,
    /// When it was raised, unix seconds.
    pub since: i64,
}

/// What a user has in the spool, and may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUsage {
    /// The user.
    pub uid: u32,
    /// Messages that are queued or held.
    pub messages: u64,
    /// The most of them (`user_message_limit`); 0 is no limit.
    pub message_limit: u64,
    /// Bytes of all messages of the user that have a file.
    pub bytes: u64,
    /// The most of them (`user_bytes_limit`); 0 is no limit.
    pub bytes_limit: u64,
}

/// Percent of a limit from which a user is near it.
pub const NEAR_LIMIT: u64 = 80;

impl UserUsage {
    /// The larger of the two shares, in percent.
    pub fn percent(&self) -> u64 {
        self.percents().into_iter().max().unwrap_or(0)
    }

    /// Of the messages and of the bytes.
    fn percents(&self) -> [u64; 2] {
        let percent = |has: u64, limit: u64| u128::from(has).saturating_mul(100).checked_div(u128::from(limit)).unwrap_or(0);
        [percent(self.messages, self.message_limit), percent(self.bytes, self.bytes_limit)].map(|p| u64::try_from(p).unwrap_or(u64::MAX))
    }

    /// The parameter of the limit that is nearer.
    pub fn limit(&self) -> &'static str {
        let [messages, bytes] = self.percents();
        if messages >= bytes { "user_message_limit" } else { "user_bytes_limit" }
    }
}

/// A next hop that is not tried for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// The next hop.
    pub route: String,
    /// Until when, unix seconds.
    pub until: i64,
    /// The last failure.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_limit_counts_and_none_is_never_near() {
        let usage = UserUsage { uid: 7, messages: 3, message_limit: 4, bytes: 80, bytes_limit: 100 };
        assert_eq!((usage.percent(), usage.limit()), (80, "user_bytes_limit"));
        assert_eq!(UserUsage { bytes_limit: 0, ..usage.clone() }.percent(), 75);
        let none = UserUsage { messages: u64::MAX, bytes: u64::MAX, message_limit: 0, bytes_limit: 0, ..usage };
        assert_eq!(none.percent(), 0);
        assert_eq!(UserUsage { bytes_limit: 1, ..none }.percent(), u64::MAX);
    }
}
