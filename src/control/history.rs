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
pub struct Circumstances {
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
pub struct Look {
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

#[cfg(any(feature = "relay", feature = "ctl"))]
pub use reading::{Found, detail, find, original_of};

#[cfg(any(feature = "relay", feature = "ctl"))]
mod reading {
    use super::Tried;
    use crate::config::names::is_loopback;
    use crate::control::entries;
    use crate::control::protocol::{Detail, Happening};
    use crate::mail::queue_id::QueueId;
    use crate::spool::state::{Attempt, Message, State};

    /// Rows of a page.
    const PAGE: usize = 100;
    /// Rows that one question looks at: to an asker who may see none of them, a million would say no more.
    const ROWS: usize = 10_000;

    /// One message with its history, from the database alone. `is_active`: an attempt is under way.
    ///
    /// Errors: the database's.
    pub fn detail(state: &State, message: &Message, is_active: bool, now: i64) -> rusqlite::Result<Detail> {
        let origin = state.origin(message.id)?.unwrap_or_default();
        Ok(Detail {
            entry: entries::entry(message, &state.recipients(message.id)?, is_active, now),
            attested: origin.attested,
            claimed: origin.claimed,
            notices: origin.notices,
            digest: message.digest.iter().map(|b| format!("{b:02x}")).collect(),
            tries: state.attempts_of(message.id)?.into_iter().map(tried).collect(),
            history: state.events(message.id)?.into_iter().map(|e| Happening { at: e.at, kind: e.kind, text: e.text }).collect(),
        })
    }

    fn tried(attempt: Attempt) -> Tried {
        Tried {
            address: attempt.address,
            since: attempt.since,
            at: attempt.at,
            times: attempt.times,
            status: attempt.progress.word().to_owned(),
            dsn: attempt.status,
            relay: attempt.relay,
            reply: attempt.reply,
            remote_id: attempt.remote_id,
            tls: attempt.tls,
            notes: attempt.notes,
            reached: attempt.reached,
            connect_ms: attempt.connect_ms,
            transaction_ms: attempt.transaction_ms,
        }
    }

    /// What was found.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub struct Found {
        /// The latest first.
        pub messages: Vec<Message>,
        /// There are more that were not looked at.
        pub is_partial: bool,
    }

    /// What an alias would have replaced where somebody wrote this address: the local name, which is all that is left of it at
    /// localhost.
    pub fn original_of(address: &str) -> &str {
        address.rsplit_once('@').filter(|(_, domain)| is_loopback(domain)).map_or(address, |(local, _)| local)
    }

    /// The messages that a person means by `subject`: a queue id, a Message-ID with or without its angle brackets, or the address of
    /// a sender or recipient, before or after aliases; those that `may` allows, the latest first, at most `limit`.
    ///
    /// Errors: the database's.
    pub fn find(state: &State, subject: &str, limit: usize, may: impl Fn(&Message) -> bool) -> rusqlite::Result<Found> {
        if let Some(id) = QueueId::parse(subject.as_bytes()) {
            let messages = state.message(id)?.into_iter().filter(|message| may(message)).collect();
            return Ok(Found { messages, is_partial: false });
        }
        let by_message_id = |before| state.trace_by_message_id(subject, before, PAGE);
        let by_address = |before| state.trace_by_address(subject, original_of(subject), before, PAGE);
        if subject.starts_with('<') {
            return pages(limit, may, by_message_id);
        }
        let found = pages(limit, &may, by_address)?;
        if found == Found::default() { pages(limit, may, by_message_id) } else { Ok(found) }
    }

    fn pages(
        limit: usize,
        may: impl Fn(&Message) -> bool,
        page: impl Fn(Option<QueueId>) -> rusqlite::Result<Vec<Message>>,
    ) -> rusqlite::Result<Found> {
        let (mut found, mut before, mut looked_at) = (Found::default(), None, 0);
        while found.messages.len() < limit {
            let rows = page(before)?;
            let Some(last) = rows.last() else { return Ok(found) };
            before = Some(last.id);
            looked_at += rows.len();
            let is_last = rows.len() < PAGE;
            for message in rows.into_iter().filter(|message| may(message)) {
                found.messages.push(message);
            }
            if is_last && found.messages.len() <= limit {
                return Ok(found);
            }
            if looked_at >= ROWS {
                break;
            }
        }
        found.messages.truncate(limit);
        found.is_partial = true;
        Ok(found)
    }
}
