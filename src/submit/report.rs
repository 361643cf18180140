//! How a failure is told: one line on standard error, the same line in the log (SENDMAIL.md section 6), and the code.

use std::io::Write;

use super::caller::Caller;
use super::cli::Refusal;
use exit::Failure;
use mail::printable;
use sys::syslog;
use sys::syslog::{Facility, Severity};

/// Bytes that are read and thrown away after a failure.
const DRAIN: u64 = 100 << 20;
/// Seconds of silence after which the writer is given up.
const SILENCE: u16 = 30;

/// A failure: `sendmail: fatal: alice(1001): …`. `quiet` is `-oeq`: the log only.
pub(crate) fn fatal(caller: &Caller, failure: &Failure, quiet: bool) {
    let line = format!("fatal: {}({}): {}", caller.name, caller.uid, failure.text);
    print_error(&line, quiet);
    syslog::send(Facility::Mail, Severity::Error, &line);
}

/// A refused command line. What looks like an injection is told to those who watch for break-ins.
pub(crate) fn refused(caller: &Caller, refusal: &Refusal) {
    if let Some(option) = &refusal.injection {
        let line = format!("possible option injection: uid={} opt={option}", caller.uid);
        syslog::send(Facility::Auth, Severity::Warning, &line);
    }
    if refusal.usage {
        let line = format!("usage: {}", refusal.failure.text);
        print_error(&line, refusal.quiet);
        syslog::send(Facility::Mail, Severity::Error, &format!("{}({}): {line}", caller.name, caller.uid));
    } else {
        fatal(caller, &refusal.failure, refusal.quiet);
    }
}

fn print_error(line: &str, quiet: bool) {
    if !quiet {
        // One write, so that lines of parallel calls do not mix. A closed standard error is no reason for anything.
        let _ = std::io::stderr().write_all(format!("sendmail: {}\n", printable::text(line)).as_bytes());
    }
}

/// A line on standard output. A reader that is gone changes nothing: what was asked for is done.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}

/// I1: reads what the writer still has to say, so that it sees our exit code and not SIGPIPE. A person at a terminal is not
/// waited for.
pub(crate) fn drain_stdin() {
    if sys::stdin::is_terminal() {
        return;
    }
    let mut buffer = vec![0; 64 << 10];
    let mut drained = 0;
    while drained < DRAIN && sys::stdin::is_readable_within(SILENCE) {
        match sys::stdin::read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => drained += read as u64,
        }
    }
}
