//! The one syslog line of the injector (SENDMAIL.md section 6), and of an administrator's act without a daemon: one datagram to /dev/log, in the local form of RFC 3164.
//!
//! In: texts that a hostile caller chose. Out: one line, made printable, cut at 2 KiB. Never blocks and never fails: a full or
//! missing socket loses the line, not the message. Without a time stamp: every log daemon takes its own clock for local lines,
//! and ours would cost reading the time zone. The daemon stamps the sender's uid itself; the process name is the caller's choice
//! and is not logged.

use std::path::Path;

use mail::printable;

/// Where local log lines go.
const SOCKET: &str = "/dev/log";
/// Octets of a line; RFC 3164 4.1 says 1024, all daemons of today take more.
const LINE: usize = 2048;

/// The source of a line (RFC 3164 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Facility {
    /// The mail system.
    Mail = 2,
    /// Security and authorization.
    Auth = 4,
}

/// How urgent a line is (RFC 3164 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Severity {
    /// A message was refused.
    Error = 3,
    /// An administrator should look at it.
    Warning = 4,
    /// Normal but worth a look.
    Notice = 5,
    /// One line for each message.
    Info = 6,
}

/// Sends one line of `sendmail`; what cannot be sent at once is lost.
pub fn send(facility: Facility, severity: Severity, text: &str) {
    send_as("sendmail", facility, severity, text);
}

/// Sends one line of `program`; what cannot be sent at once is lost.
pub fn send_as(program: &str, facility: Facility, severity: Severity, text: &str) {
    // Nobody to tell of a failure: the line was the telling.
    let _ = crate::datagram::send(line(program, facility, severity, std::process::id(), text).as_bytes(), Path::new(SOCKET));
}

/// The datagram.
fn line(program: &str, facility: Facility, severity: Severity, pid: u32, text: &str) -> String {
    let priority = facility as u8 * 8 + severity as u8;
    let mut line = format!("<{priority}>{program}[{pid}]: {}", printable::text(text));
    line.truncate(line.floor_char_boundary(LINE));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_out_1_a_line_is_one_line_whatever_is_in_it() {
        assert_eq!(
            line("sendmail", Facility::Mail, Severity::Info, 7, "from=<a\n<0>b\x1b[2J>"),
            "<22>sendmail[7]: from=<a\\x0a<0>b\\x1b[2J>"
        );
        assert_eq!(line("sendmail", Facility::Auth, Severity::Warning, 7, "x"), "<36>sendmail[7]: x");
        assert!(line("sendmail", Facility::Mail, Severity::Error, 7, &"ü".repeat(5000)).len() <= LINE);
    }
}
