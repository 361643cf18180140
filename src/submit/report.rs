//! Reports errors: one line on standard error, the same line in syslog (SENDMAIL.md section 6), and the exit code.

use std::io::Write;

use super::caller::Caller;
use super::cli::Refusal;
use exit::Failure;
use mail::printable;
use sys::syslog;
use sys::syslog::{Facility, Severity};

/// Maximum bytes read and discarded after an error.
const DRAIN: u64 = 100 << 20;
/// Seconds of silence after which draining ends.
const SILENCE: u16 = 30;

/// Reports an error: `sendmail: fatal: alice(1001): …`. `quiet` is `-oeq`: only syslog.
pub(crate) fn fatal(caller: &Caller, failure: &Failure, quiet: bool) {
    let line = format!("fatal: {}({}): {}", caller.name, caller.uid, failure.text);
    print_error(&line, quiet);
    syslog::send(Facility::Mail, Severity::Error, &line);
}

/// Reports a refused command line. A possible option injection also goes to the auth log, where intrusion detection looks.
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
        // One write, so that lines of parallel processes do not mix. A closed standard error is not an error.
        let _ = std::io::stderr().write_all(format!("sendmail: {}\n", printable::text(line)).as_bytes());
    }
}

/// Prints to standard output. A closed pipe is not an error, because the work is done.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}

/// I1: reads the rest of standard input, so that the writing process gets our exit code and not SIGPIPE. Input from a terminal is not
/// read.
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
