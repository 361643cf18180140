//! The history of messages, as `trace`, `why` and `show` have it: from the database alone, so that it outlives the messages.
//!
//! In: the open database and what a person named. Out: values for the wire. Everything in them is somebody's text; whoever prints
//! it makes it printable.

use serde::{Deserialize, Serialize};

use super::protocol::{Detail, Status};
use super::stats::Stats;

/// One attempt at one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The forward-path.
    pub address: String,
    /// When it was first so, unix seconds.
    pub since: i64,
    /// When it ended, unix seconds.
    pub at: i64,
    /// How often in a row the same was found.
    pub times: u32,
    /// `relayed`, `waiting`, `failed`, `uncertain`.
    pub status: String,
    /// Enhanced status.
    pub dsn: String,
    /// The host that answered, with its address; else the route.
    pub relay: String,
    /// Its reply, or the reason.
    pub reply: String,
    /// The queue id that the next hop named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remote_id: String,
    /// TLS version, cipher suite, and how the certificate was verified.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tls: String,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// A server answered about the message.
    pub reached: bool,
    /// Milliseconds until the session could take mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// Milliseconds from MAIL to the last reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_ms: Option<u32>,
}

/// A route as the daemon has it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// Its name in listings and logs.
    pub route: String,
    /// Transactions that wait for it in memory.
    pub waiting: usize,
    /// Connections.
    pub connections: usize,
    /// Failures in a row.
    pub failures: u32,
    /// Until when it is suspended, unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// All that bears on why something is as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WhyInputs {
    /// False where the daemon is stopped.
    pub is_running: bool,
    /// Since when delivery is paused, and by whom; empty where it is not.
    pub paused: String,
    /// The messages, the most telling first: few.
    pub messages: Vec<Detail>,
    /// How many messages there are besides, as far as was looked.
    #[serde(default)]
    pub more: usize,
    /// There may be others, which were not looked at.
    #[serde(default)]
    pub is_partial: bool,
    /// The routes of the open recipients, or of the domain, or those named so.
    pub routes: Vec<RouteView>,
    /// Connections that one route may have.
    pub connection_limit: usize,
}

/// One look at the daemon at work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DaemonSnapshot {
    /// When, unix seconds.
    pub at: i64,
    /// How the daemon is.
    pub status: Status,
    /// The numbers of the last hour, of what the asker may see.
    pub stats: Stats,
    /// The busiest and the suspended routes.
    pub routes: Vec<RouteView>,
    /// The latest messages that ended, of those that the asker may see.
    pub latest: Vec<super::listing::Entry>,
}
