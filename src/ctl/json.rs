//! Prints and parses JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::output;
use exit::{Exit, Failure};

/// Prints `value` on one line.
pub(super) fn print(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
    output::print(&format!("{text}\n"))
}

/// Parses a line of the daemon's reply.
///
/// Errors: EX_SOFTWARE if it cannot be parsed.
pub(super) fn read<T: DeserializeOwned>(line: &str) -> Result<T, Failure> {
    serde_json::from_str(line).map_err(|e| {
        Failure::new(
            Exit::Software,
            format!("cannot parse the daemon's reply: {e}; check that mailchute and mailchuted have the same version"),
        )
    })
}
