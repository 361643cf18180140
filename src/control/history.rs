//! The history of messages, as `trace`, `why` and `show` have it: from the database alone, so that it outlives the messages.
//!
//! In: the open database and what a person named. Out: values for the wire. Everything in them is somebody's text; whoever prints
//! it makes it printable.

use serde::{Deserialize, Serialize};

pub use super::detail::Attempt;
use super::detail::Detail;
use super::stats::Stats;
use super::status::Status;

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
