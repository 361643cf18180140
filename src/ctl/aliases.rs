//! `mailchute aliases RCPT`: what becomes of an address at submission. Asked of the real `sendmail`, which is the one that does it.

use std::process::{Command, Stdio};

use config::Config;
use exit::{Exit, Failure};

/// Prints one line for each address that a recipient becomes, with its relay.
///
/// Errors: those of `sendmail -bv`: EX_NOUSER where an address cannot be sent to.
pub(super) fn aliases(config: &Config, recipients: &[String]) -> Result<(), Failure> {
    let sendmail = config.paths.sendmail();
    let unusable = |e: &dyn std::fmt::Display| Failure::new(Exit::Unavailable, format!("{}: {e}", sendmail.display()));
    let status = Command::new(&sendmail).args(["-bv", "--"]).args(recipients).stdin(Stdio::null()).status().map_err(|e| unusable(&e))?;
    match status.code().map(u8::try_from) {
        Some(Ok(0)) => Ok(()),
        Some(Ok(code)) => Err(Failure::new(Exit::from_code(code), "not every address can be sent to")),
        _ => Err(unusable(&status)),
    }
}
