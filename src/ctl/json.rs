//! Prints JSON.

use serde::Serialize;

use super::output;
use exit::{Exit, Failure};

/// Prints `value` on one line.
pub(super) fn print(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
    output::print(&format!("{text}\n"))
}
