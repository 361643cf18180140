//! What `sendmail` asks of the daemon: `-bp` and `mailq`, `-bP`, `-q`, and the relay part of `-bv`.
//!
//! In: the call. Out: text on standard output, or EX_UNAVAILABLE: the daemon alone sees the queue, so while it is stopped there is
//! nothing to say here (root has `mailchute list`, which reads the spool itself). Authority is the daemon's business; it knows the
//! caller by SO_PEERCRED.

use super::cli::{Flush, FlushField};
use crate::config::Paths;
use crate::control::client;
use crate::control::printer::Printer;
use crate::control::protocol::{Count, Request, Select};
use crate::exit::Failure;
use crate::sys;

/// `-bp`: prints the messages that the caller may see, as text or, with `-j`, as JSON Lines.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub fn list(paths: &Paths, json: bool) -> Result<(), Failure> {
    let out = std::io::stdout();
    let mut printer = if json { Printer::json(out) } else { Printer::text(out, sys::clock::local_zone()) };
    client::ask_lines(paths, &Request::List { ids: Vec::new() }, |line| printer.line(line))?;
    printer.finish()
}

/// `-bP`: how many messages there are, as a line.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub fn count(paths: &Paths) -> Result<String, Failure> {
    let counts: Vec<Count> = client::ask(paths, &Request::Count {})?;
    Ok(format!("{}\n", counts.first().map_or(0, |count| count.messages)))
}

/// `-q`: try mail now. Says nothing.
///
/// Errors: EX_UNAVAILABLE, EX_NOPERM.
pub fn flush(paths: &Paths, what: &Flush) -> Result<(), Failure> {
    let _due: Vec<Count> = client::ask(paths, &Request::Flush { select: select(what) })?;
    Ok(())
}

fn select(what: &Flush) -> Select {
    match what {
        Flush::All => Select::All {},
        Flush::Matching { field, negated, text } => {
            let (text, except) = (text.clone(), *negated);
            match field {
                FlushField::Id => Select::Id { text, except },
                FlushField::Recipient => Select::Recipient { text, except },
                FlushField::Sender => Select::Sender { text, except },
            }
        }
    }
}
