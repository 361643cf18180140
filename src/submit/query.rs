//! Requests of `sendmail` to the daemon: `-bp`, `-bP`, `-q`, and the relay in `-bv`.
//!
//! In: the command line. Out: text on standard output, or EX_UNAVAILABLE while the daemon is stopped, because only the daemon sees the
//! queue. The daemon checks permissions; it identifies the caller by SO_PEERCRED.

use std::io::Write;

use super::cli::{Flush, FlushField};
use config::Paths;
use control::client;
use control::client::ClientError;
use control::filter::Filter;
use control::printer::Printer;
use control::protocol::{Count, Request, Select, Text};
use exit::Failure;
use mail::{Address, printable};

/// `-bp`: prints the messages that the caller may see, in Postfix's layout, with more details if `detailed` (`-v`), or as JSON Lines
/// (`-j`).
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM; EX_IOERR if standard output is closed.
pub(crate) fn list(paths: &Paths, json: bool, detailed: bool) -> Result<(), Failure> {
    let out = std::io::stdout();
    let mut printer = match (json, detailed) {
        (true, _) => Printer::json(out),
        (false, true) => Printer::detailed_text(out, sys::clock::local_zone()),
        (false, false) => Printer::text(out, sys::clock::local_zone()),
    };
    let mut is_stopped = false;
    let warning = client::ask_lines(paths, &Request::List { ids: Vec::new(), filter: Filter::default() }, |line| {
        let flow = printer.line(line)?;
        is_stopped = flow.is_break();
        Ok(flow)
    });
    let warning = warning.map_err(point_to_mailchute)?;
    if is_stopped {
        return Ok(());
    }
    printer.finish()?;
    if !warning.is_empty() {
        // A closed stderr is not an error.
        let _ = writeln!(std::io::stderr(), "sendmail: warning: {warning}");
    }
    Ok(())
}

/// Q5: half of the queue's state is in the daemon's database, which this program does not link. A partial listing would look complete,
/// so the error names the command for a complete one.
fn point_to_mailchute(error: ClientError) -> Failure {
    let has_no_answer = matches!(error, ClientError::Down(_) | ClientError::Broken(_));
    let mut failure = Failure::from(error);
    if has_no_answer {
        failure.text.push_str("; root can list the spool with `mailchute list`");
    }
    failure
}

/// `-bP`: the number of messages that the caller may see.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub(crate) fn count(paths: &Paths) -> Result<u64, Failure> {
    let request = Request::Count { ids: Vec::new(), filter: Filter::default() };
    let counts: Vec<Count> = client::ask(paths, &request).map_err(point_to_mailchute)?;
    Ok(counts.first().map_or(0, |count| count.messages))
}

/// `-q`: retries mail now.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub(crate) fn flush(paths: &Paths, what: &Flush) -> Result<(), Failure> {
    let select = match what {
        Flush::All => Select::All {},
        Flush::Matching { field, negated, text } => {
            let (text, except) = (text.clone(), *negated);
            match field {
                FlushField::Id => Select::Id { text, except },
                FlushField::Recipient => Select::Recipient { text, except },
                FlushField::Sender => Select::Sender { text, except },
            }
        }
    };
    client::ask::<Count>(paths, &Request::Flush { select })?;
    Ok(())
}

/// The relay for `address` from the daemon, or `unknown` if it does not answer.
pub(crate) fn relay(paths: &Paths, address: &Address) -> String {
    let request = Request::Route { addresses: vec![address.to_string()] };
    let answer = client::ask::<Text>(paths, &request).ok().and_then(|texts| texts.into_iter().next());
    answer.map_or_else(|| "unknown".to_owned(), |text| printable::bytes(&text.bytes()))
}
