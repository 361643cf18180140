//! `mailchute report --html`: one page about the mail of this host, in one self-contained file.
//!
//! In: the daemon's status and the messages that the user may see; while the daemon is stopped, the spool as read by root. Out: static
//! HTML without scripts or external references. Subjects, addresses and replies are untrusted: [`html`] escapes every text, and a
//! Content-Security-Policy in the page blocks anything that escaping missed.
//!
//! | module | work |
//! |---|---|
//! | [`html`] | the HTML writer, which escapes |
//! | [`inputs`] | the data of the page |
//! | [`page`] | the page from top to bottom |
//! | [`messages`] | queued and failed messages |
//! | [`chart`] | the chart |

mod chart;
mod html;
mod inputs;
mod messages;
mod page;

use std::path::Path;

use super::offline::Offline;
use super::output::print;
use super::show;
use config::Config;
use config::names::Names;
use control::client;
use control::client::ClientError;
use control::overview::Overview;
use control::protocol::{Part, Request, Status};
use exit::{Exit, Failure};
use inputs::PageInputs;

/// Bytes of a header section read for its subject.
const HEADER: usize = 64 << 10;

/// Writes the page to `file`, or to stdout for `None` and `-`.
///
/// Errors: those of the daemon and of the spool; EX_CANTCREAT if the file cannot be written.
pub(super) fn report(config: &Config, file: Option<&Path>) -> Result<(), Failure> {
    let text = page::write(&gather(config)?, &sys::clock::local_zone());
    let Some(file) = file.filter(|file| *file != Path::new("-")) else { return print(&text) };
    // The page has addresses and subjects, so only its owner can read it.
    sys::replace::replace(file, 0o600, text.as_bytes()).map_err(|e| {
        let next = "use `mailchute report --html >FILE` to write it with your own rights";
        Failure::new(Exit::CantCreate, format!("cannot write {}: {e}; {next}", file.display()))
    })
}

/// Collects the data of the page.
fn gather(config: &Config) -> Result<PageInputs, Failure> {
    let host = Names::load(config).map_or_else(|_| sys::process::host_name(), |names| names.mailname);
    match client::ask_one::<Status>(&config.paths, &Request::Status {}) {
        Ok(status) => {
            let overview: Overview = client::ask_one(&config.paths, &Request::Overview {})?;
            let subjects =
                subjects(&overview, |id, header| Ok(show::pieces_of_daemon(config, id, Part::Headers, |piece| keep(header, piece))?));
            Ok(PageInputs { host, status, overview, subjects })
        }
        Err(ClientError::Down(down)) => {
            let spool = Offline::open(config, down)?;
            let [queued, held, failed] = spool.counts()?;
            let free = sys::fs::free_space(&config.paths.spool).ok().map(|(bytes, _)| bytes);
            let overview = Overview { free, ..spool.overview(sys::clock::now())? };
            let subjects = subjects(&overview, |id, header| spool.cat(id, Part::Headers, |piece| keep(header, piece)));
            let version = env!("CARGO_PKG_VERSION").to_owned();
            Ok(PageInputs { host, status: Status { version, queued, held, failed, ..Status::default() }, overview, subjects })
        }
        Err(failure) => Err(failure.into()),
    }
}

fn keep(header: &mut Vec<u8>, piece: &[u8]) -> Result<(), Failure> {
    let room = HEADER.saturating_sub(header.len());
    header.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
    Ok(())
}

/// The decoded subject of each failed message; empty if it has no subject or no file.
fn subjects(overview: &Overview, mut read: impl FnMut(&str, &mut Vec<u8>) -> Result<(), Failure>) -> Vec<String> {
    let mut subject = |id: &str| {
        let mut header = Vec::new();
        // The page is useful without it.
        let _ = read(id, &mut header);
        show::decoded(&header).into_iter().find(|(name, _)| name == "Subject").map(|(_, value)| value).unwrap_or_default()
    };
    overview.failures.iter().map(|failure| subject(&failure.entry.queue_id)).collect()
}
