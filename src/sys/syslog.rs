//! The syslog line of `sendmail` (SENDMAIL.md section 6), and of an administrator's command without a running daemon: one datagram to
//! /dev/log, in the local form of RFC 3164.
//!
//! In: texts that a hostile caller chose. Out: one printable line of at most 2 KiB. Never blocks and never fails: a full or missing
//! socket loses the line, not the message. Without a time stamp: log daemons use their own clock for local lines, and a time stamp
//! would require reading the time zone. The log daemon adds the sender's uid. The caller chooses the process name, so it is not
//! logged.

use std::path::Path;

use mail::printable;

/// Where local log lines go.
const SOCKET: &str = "/dev/log";
/// The longest line in bytes. RFC 3164 4.1 says 1024; current log daemons accept more.
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
    /// Normal, but significant.
    Notice = 5,
    /// One line for each message.
    Info = 6,
}

/// Sends one line of `sendmail`; a line that cannot be sent at once is lost.
pub fn send(facility: Facility, severity: Severity, text: &str) {
    send_as("sendmail", facility, severity, text);
}

/// Sends one line of `program`; a line that cannot be sent at once is lost.
pub fn send_as(program: &str, facility: Facility, severity: Severity, text: &str) {
    // A failure cannot be reported anywhere: this was the report.
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
