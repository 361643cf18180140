//! Standard output.

use std::io::Write;

use control::printer::written;
use exit::Failure;

/// Writes to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    written(std::io::stdout().write_all(text.as_bytes()))
}
