//! Replies for `why` and `top`. All texts in them are untrusted; the program that prints them makes them printable.

use serde::{Deserialize, Serialize};

pub use super::detail::Attempt;
use super::detail::Detail;
use super::stats::Stats;
use super::status::Status;
use super::why::WhyCodes;

/// The current state of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// Its name in listings and logs.
    pub route: String,
    /// Transactions queued for it in memory.
    pub waiting: usize,
    /// Open connections.
    pub connections: usize,
    /// Consecutive failures.
    pub failures: u32,
    /// The end of its suspension, unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The reason for the suspension.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same, in codes.
    #[serde(flatten)]
    pub why: WhyCodes,
}

/// The inputs of `mailchute why`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WhyInputs {
    /// False if the daemon is stopped.
    pub is_running: bool,
    /// When and by whom delivery was paused; empty if it is not paused.
    pub paused: String,
    /// A few messages, the most informative first.
    pub messages: Vec<Detail>,
    /// The number of further messages found.
    #[serde(default)]
    pub more: usize,
    /// The search stopped before its end; there may be more messages.
    #[serde(default)]
    pub is_partial: bool,
    /// The routes of the open recipients, the routes of the domain, or the routes with this name.
    pub routes: Vec<RouteView>,
    /// The limit of connections to one route (`route_connections`).
    pub connection_limit: usize,
}

/// A snapshot of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DaemonSnapshot {
    /// Time of the snapshot, unix seconds.
    pub at: i64,
    /// Daemon status.
    pub status: Status,
    /// Throughput of the last hour, for messages that the client may see.
    pub stats: Stats,
    /// The busiest and the suspended routes.
    pub routes: Vec<RouteView>,
    /// The latest finished messages that the client may see.
    pub latest: Vec<super::listing::Entry>,
}
