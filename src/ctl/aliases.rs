//! `mailchute aliases RCPT`: shows how an address expands. It runs `sendmail -bv`, the code that expands addresses at submission.

use std::process::{Command, Stdio};

use config::Config;
use exit::{Exit, Failure};

/// Prints one line for each expanded address, with its relay.
///
/// Errors: those of `sendmail -bv`: EX_NOUSER if an address is undeliverable.
pub(super) fn aliases(config: &Config, recipients: &[String]) -> Result<(), Failure> {
    let sendmail = config.paths.sendmail();
    let unusable = |e: &dyn std::fmt::Display| Failure::new(Exit::Unavailable, format!("{}: {e}", sendmail.display()));
    let status = Command::new(&sendmail).args(["-bv", "--"]).args(recipients).stdin(Stdio::null()).status().map_err(|e| unusable(&e))?;
    match status.code().map(u8::try_from) {
        Some(Ok(0)) => Ok(()),
        Some(Ok(code)) => Err(Failure::new(Exit::from_code(code), "at least one address is undeliverable")),
        _ => Err(unusable(&status)),
    }
}
