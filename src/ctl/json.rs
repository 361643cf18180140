//! JSON on standard output, and from the daemon.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::output;
use exit::{Exit, Failure};

/// Prints `value` on one line.
pub(super) fn print(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
    output::print(&format!("{text}\n"))
}

/// A line of the daemon's answer.
///
/// Errors: EX_SOFTWARE where it is not understood.
pub(super) fn read<T: DeserializeOwned>(line: &str) -> Result<T, Failure> {
    serde_json::from_str(line)
        .map_err(|e| Failure::new(Exit::Software, format!("an answer of the daemon that is not understood: {e}; are both of one version?")))
}
