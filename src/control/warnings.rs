//! Warnings in listings while delivery is paused or admission is closed.

/// The warning while admission is closed.
pub fn closed(reason: &str) -> String {
    format!("admission is closed: {reason}; `mailchute open` opens it")
}

/// The warning while delivery is paused. `since` has the time and the user.
pub fn paused(since: &str) -> String {
    format!("delivery has been paused {since}; `mailchute resume` resumes it")
}
