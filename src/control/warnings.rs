//! Warnings in listings and in the status: paused delivery, closed admission, failed messages, users near a limit.

use super::status::UserUsage;
use mail::printable::counted;
use mail::sentence;

/// The warning while admission is closed.
pub fn closed(reason: &str) -> String {
    sentence::made(format!("admission is closed: {reason}; `mailchute open` opens it"))
}

/// The warning while delivery is paused. `since` has the time and the user.
pub fn paused(since: &str) -> String {
    sentence::made(format!("delivery has been paused {since}; `mailchute resume` resumes it"))
}

/// The warning about failed messages.
pub fn failed(count: u64) -> String {
    let have = if count == 1 { "has" } else { "have" };
    let messages = counted(usize::try_from(count).unwrap_or(usize::MAX), "message");
    sentence::made(format!("{messages} {have} failed; `mailchute failed` shows the reasons and advice"))
}

/// The warning about a user near a spool limit.
pub fn near_limit(usage: &UserUsage) -> String {
    let UserUsage { uid, messages, message_limit, bytes, bytes_limit } = usage;
    let of = |limit: &u64, unit: &str| if *limit == 0 { String::new() } else { format!(" of {limit}{unit}") };
    sentence::made(format!(
        "uid {uid} uses {} % of {}: {messages}{} messages queued or held, {bytes}{} bytes in the spool",
        usage.percent(),
        usage.limit(),
        of(message_limit, ""),
        of(bytes_limit, ""),
    ))
}
