//! The content of a DSN, before it is rendered.

use jiff::tz::TimeZone;

use super::original::Original;
use super::recipient::DsnRecipient;
use mail::Address;
use mail::queue_id::QueueId;

/// The content of a DSN. Times are unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct Dsn<'a> {
    /// The reporting host.
    pub mailname: &'a str,
    /// True if the mailname is a guess rather than a domain name.
    pub is_guess: bool,
    /// For dates.
    pub zone: &'a TimeZone,
    /// The recipient of the DSN.
    pub to: &'a Address,
    /// The message that the DSN is about.
    pub id: QueueId,
    /// When the message was accepted.
    pub accepted: i64,
    /// When the message expires.
    pub expires: i64,
    /// The recipients that the DSN reports.
    pub recipients: &'a [DsnRecipient],
    /// The message itself; `None` if its file is missing.
    pub original: Option<&'a Original>,
    /// The time of the event.
    pub at: i64,
    /// The time of the DSN.
    pub now: i64,
    /// Random, for a boundary that nobody can guess.
    pub random: u64,
}
