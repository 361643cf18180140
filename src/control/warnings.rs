//! The warnings that go with listings while the daemon does less than usual.

/// The warning that goes with listings while admission is closed.
pub fn closed(reason: &str) -> String {
    format!("admission is closed: {reason}; `mailchute open` takes mail again")
}

/// The warning that goes with listings while delivery is stopped.
pub fn paused(since: &str) -> String {
    format!("delivery is paused {since}; `mailchute resume` lets it go on")
}
