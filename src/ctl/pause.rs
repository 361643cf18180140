//! `pause` and `resume` for delivery, `close` and `open` for admission.

use super::act;
use super::offline::Offline;
use super::output::print;
use config::Config;
use control::client;
use control::client::ClientError;
use control::protocol::{Request, Text};
use exit::Failure;
use mail::printable;

/// Pauses (`on`) or resumes delivery, persistent over restarts of the daemon.
///
/// Errors: EX_NOPERM without permission.
pub(super) fn pause(config: &Config, on: bool) -> Result<(), Failure> {
    match client::ask::<Text>(&config.paths, &Request::Pause { on }) {
        Ok(texts) => texts.iter().try_for_each(|text| print(&format!("{}\n", printable::bytes(&text.bytes())))),
        Err(ClientError::Down(down)) => {
            let by = act::who();
            let said = Offline::open(config, down)?.pause(on, &by)?;
            act::log(&format!("{} {by} while the daemon was stopped", if on { "pause" } else { "resume" }));
            print(&format!("{}\n", printable::text(&said)))
        }
        Err(failure) => Err(failure.of_change("mailchute status")),
    }
}

/// Closes admission for this reason, or opens it, persistent over restarts of the daemon.
///
/// Errors: EX_NOPERM without permission.
pub(super) fn admission(config: &Config, close: Option<&str>) -> Result<(), Failure> {
    let request = Request::Admission { open: close.is_none(), reason: close.unwrap_or_default().to_owned() };
    match client::ask::<Text>(&config.paths, &request) {
        Ok(texts) => texts.iter().try_for_each(|text| print(&format!("{}\n", printable::bytes(&text.bytes())))),
        Err(ClientError::Down(down)) => {
            let by = act::who();
            let said = Offline::open(config, down)?.admission(close, &by.to_string())?;
            act::log(&format!("{} {by} while the daemon was stopped", if close.is_some() { "close" } else { "open" }));
            print(&format!("{}\n", printable::text(&said)))
        }
        Err(failure) => Err(failure.of_change("mailchute status")),
    }
}
