//! The content of a DSN, before it is rendered.

use jiff::tz::TimeZone;

use super::original::Original;
use super::recipient::DsnRecipient;
use mail::Address;
use mail::queue_id::QueueId;

/// Everything that a DSN says. Times are unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct Dsn<'a> {
    /// The host that reports.
    pub mailname: &'a str,
    /// That is no domain name, but what the host calls itself.
    pub is_guess: bool,
    /// For dates.
    pub zone: &'a TimeZone,
    /// To whom it goes.
    pub to: &'a Address,
    /// The message that it is about.
    pub id: QueueId,
    /// When that was accepted.
    pub accepted: i64,
    /// When that is given up.
    pub expires: i64,
    /// What happened, one for each recipient that is told of.
    pub recipients: &'a [DsnRecipient],
    /// What is known of the message itself; none where its file is gone.
    pub original: Option<&'a Original>,
    /// When it happened.
    pub at: i64,
    /// When the DSN is written.
    pub now: i64,
    /// Any number: the boundary, which nobody shall be able to guess.
    pub random: u64,
}
