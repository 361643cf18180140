//! The warnings that go with listings while the daemon does less than usual, and with the status of the spool.

use super::status::UserUsage;
use mail::printable::counted;

/// The warning that goes with listings while admission is closed.
pub fn closed(reason: &str) -> String {
    format!("admission is closed: {reason}; `mailchute open` takes mail again")
}

/// The warning that goes with listings while delivery is stopped.
pub fn paused(since: &str) -> String {
    format!("delivery is paused {since}; `mailchute resume` lets it go on")
}

/// The warning about messages that failed and are kept.
pub fn failed(count: u64) -> String {
    let have = if count == 1 { "has" } else { "have" };
    let messages = counted(usize::try_from(count).unwrap_or(usize::MAX), "message");
    format!("{messages} {have} failed; `mailchute failed` shows why, and what to do")
}

/// The warning about a user who is near a limit of the spool.
pub fn near_limit(usage: &UserUsage) -> String {
    let UserUsage { uid, messages, message_limit, bytes, bytes_limit } = usage;
    let of = |limit: &u64, unit: &str| if *limit == 0 { String::new() } else { format!(" of {limit}{unit}") };
    format!(
        "uid {uid} uses {} % of {}: {messages}{} messages queued or held, {bytes}{} bytes in the spool",
        usage.percent(),
        usage.limit(),
        of(message_limit, ""),
        of(bytes_limit, ""),
    )
}
