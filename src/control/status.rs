//! The daemon's status, as `mailchute status` prints it.

use serde::{Deserialize, Serialize};

/// Daemon status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime: u64,
    /// The configured next hop.
    pub next_hop: String,
    /// Queued messages, active ones included.
    pub queued: u64,
    /// Held messages.
    pub held: u64,
    /// Permanently failed messages, kept for review.
    pub failed: u64,
    /// When the oldest queued message was accepted, unix seconds.
    pub oldest: Option<i64>,
    /// When delivery last succeeded, unix seconds.
    pub last_relayed: Option<i64>,
    /// When and by whom delivery was paused; empty if it is not paused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub paused: String,
    /// Suspended next hops.
    pub suspended: Vec<Suspended>,
    /// Why admission is closed; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// Uids that have reached their spool limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_quota: Vec<u32>,
    /// Users near or at a spool limit; only for root and administrators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UserUsage>,
    /// Warnings for the administrator, one line each.
    pub warnings: Vec<String>,
    /// Active alarms, critical ones first.
    #[serde(default)]
    pub alarms: Vec<AlarmLine>,
    /// The daemon is running and answers.
    #[serde(default)]
    pub live: bool,
    /// The scheduler is running: the daemon accepts and delivers mail.
    #[serde(default)]
    pub ready: bool,
    /// The daemon is ready and has no critical alarm.
    #[serde(default)]
    pub healthy: bool,
}

/// The severity of an alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// An administrator should look at it today.
    #[default]
    Warning,
    /// Mail is not delivered, or a failure may go unnoticed.
    Critical,
}

impl Severity {
    /// `warning` or `critical`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// An active alarm: mailchute(8), ALARMS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmLine {
    /// The name of the alarm.
    pub alarm: String,
    /// The route or webhook it concerns; empty for other alarms.
    pub subject: String,
    /// `critical` or `warning`.
    pub severity: Severity,
    /// The reason, one line.
    pub reason: String,
    /// When it was raised, unix seconds.
    pub since: i64,
}

/// The spool usage and the limits of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUsage {
    /// The uid.
    pub uid: u32,
    /// Queued and held messages.
    pub messages: u64,
    /// Their limit (`user_message_limit`); 0 means no limit.
    pub message_limit: u64,
    /// Total size of the user's messages that have a file, in bytes.
    pub bytes: u64,
    /// Its limit (`user_bytes_limit`); 0 means no limit.
    pub bytes_limit: u64,
}

/// A user with this percentage of a limit is near it.
pub const NEAR_LIMIT: u64 = 80;

impl UserUsage {
    /// The usage of the nearer limit, in percent.
    pub fn percent(&self) -> u64 {
        self.percents().into_iter().max().unwrap_or(0)
    }

    /// The usage of both limits, in percent.
    fn percents(&self) -> [u64; 2] {
        let percent = |has: u64, limit: u64| u128::from(has).saturating_mul(100).checked_div(u128::from(limit)).unwrap_or(0);
        [percent(self.messages, self.message_limit), percent(self.bytes, self.bytes_limit)].map(|p| u64::try_from(p).unwrap_or(u64::MAX))
    }

    /// The parameter of the nearer limit.
    pub fn limit(&self) -> &'static str {
        let [messages, bytes] = self.percents();
        if messages >= bytes { "user_message_limit" } else { "user_bytes_limit" }
    }
}

/// A suspended next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// The next hop.
    pub route: String,
    /// The end of the suspension, unix seconds.
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
