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
