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

/// An active alarm: mailchute(8), ALARMS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmLine {
    /// The name of the alarm.
    pub alarm: String,
    /// The route or webhook it concerns; empty for other alarms.
    pub subject: String,
    /// `critical` or `warning`.
    pub severity: String,
    /// The reason, one line.
    pub reason: String,
    /// When it was raised, unix seconds.
    pub since: i64,
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
