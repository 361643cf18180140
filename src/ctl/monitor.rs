//! `mailchute monitor`, a plugin for Nagios and compatible systems, and `mailchute motd`, a line for login messages.
//!
//! Any user may run them: both use only the public part of the status. The plugin follows the Monitoring Plugins Development
//! Guidelines: one line with performance data, further lines of text, exit code 0, 1, 2 or 3. A daemon that is stopped or does not
//! answer is critical, not unknown.

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use super::args::Monitor;
use super::output::print;
use super::range::Range;
use config::Config;
use control::client;
use control::client::{ClientError, Cut};
use control::protocol::Severity;
use control::protocol::{Request, Status};
use exit::Failure;
use mail::printable;

/// Maximum delay of a login.
const MOTD: Duration = Duration::from_secs(2);

/// The result of a plugin; the number is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum State {
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }
}

/// Runs the plugin.
pub(super) fn program(options: &Monitor) -> ExitCode {
    let (state, text) = match Config::load() {
        Ok(config) => match ask_within(&config, options.timeout.0) {
            Ok(status) => judge(&status, options, sys::clock::now()),
            Err(error @ (ClientError::Down(_) | ClientError::Broken(_))) => (State::Critical, error.to_string()),
            Err(error) => (State::Unknown, error.to_string()),
        },
        Err(failure) => (State::Unknown, failure.text),
    };
    answer(state, &text)
}

/// Reports a usage error.
pub(super) fn usage() -> ExitCode {
    answer(State::Unknown, "usage error; see mailchute(8)")
}

fn answer(state: State, text: &str) -> ExitCode {
    // If stdout is closed, the exit code is all that is left.
    let _ = print(&format!("MAILCHUTE {} - {}\n", state.word(), text.trim_end()));
    ExitCode::from(state as u8)
}

/// The daemon's status, if it answers within `limit`.
///
/// Errors: EX_UNAVAILABLE if the daemon is stopped or does not answer.
fn ask_within(config: &Config, limit: Duration) -> Result<Status, ClientError> {
    let (sender, answer) = mpsc::channel();
    let paths = config.paths.clone();
    // A thread that waits for a hanging daemon ends with the process.
    std::thread::spawn(move || {
        // Nobody waits any more where it comes too late.
        let _ = sender.send(client::ask_one::<Status>(&paths, &Request::Status {}));
    });
    answer.recv_timeout(limit).unwrap_or(Err(ClientError::Broken(Cut::Silent(limit))))
}

/// The state and the text for a status. Pure.
fn judge(status: &Status, options: &Monitor, now: i64) -> (State, String) {
    let age = status.oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0));
    let measures = [
        measure(status.queued, options.warning.as_ref(), options.critical.as_ref()),
        measure(age.unsigned_abs(), options.warning_age.as_ref(), options.critical_age.as_ref()),
        measure(status.failed, Some(&options.warning_failed), options.critical_failed.as_ref()),
    ];
    let alarms = status.alarms.iter().map(|alarm| match alarm.severity {
        Severity::Critical => State::Critical,
        Severity::Warning => State::Warning,
    });
    let stalled = (!status.ready).then_some(State::Critical);
    let state = alarms.chain(measures).chain(stalled).max().unwrap_or(State::Ok);
    (state, text_of(status, options, age))
}

fn measure(value: u64, warning: Option<&Range>, critical: Option<&Range>) -> State {
    let alerts = |range: Option<&Range>| range.is_some_and(|range| range.alerts(value));
    match (alerts(critical), alerts(warning)) {
        (true, _) => State::Critical,
        (false, true) => State::Warning,
        (false, false) => State::Ok,
    }
}

fn text_of(status: &Status, options: &Monitor, age: i64) -> String {
    let mut head = format!("{} queued, {} held, {} failed", status.queued, status.held, status.failed);
    if status.failed > 0 {
        head.push_str(" (see `mailchute failed`)");
    }
    if !status.ready {
        head.push_str(", the scheduler has stalled");
    }
    if let Some(alarm) = status.alarms.first() {
        head.push_str(&format!(", {}", super::status::alarm(alarm)));
    }
    let thresholds = |warning: Option<&Range>, critical: Option<&Range>| {
        let text = |range: Option<&Range>| range.map_or_else(String::new, ToString::to_string);
        format!("{};{}", text(warning), text(critical))
    };
    let data = format!(
        "queued={};{};0 held={};;;0 failed={};{};0 oldest={age}s;{};0 alarms={};;;0 uptime={}s;;;0",
        status.queued,
        thresholds(options.warning.as_ref(), options.critical.as_ref()),
        status.held,
        status.failed,
        thresholds(Some(&options.warning_failed), options.critical_failed.as_ref()),
        thresholds(options.warning_age.as_ref(), options.critical_age.as_ref()),
        status.alarms.len(),
        status.uptime,
    );
    let more: String = status.alarms.iter().skip(1).map(|alarm| format!("\n{}", one_line(&super::status::alarm(alarm)))).collect();
    format!("{} | {data}{more}", one_line(&head))
}

/// A vertical bar starts the performance data, so no text may contain one.
fn one_line(text: &str) -> String {
    printable::text(text).replace('|', "/")
}

/// Prints one line if there is a problem. Never fails, so that it cannot break a login.
pub(super) fn motd() -> Result<(), Failure> {
    let line = match Config::load().and_then(|config| Ok(ask_within(&config, MOTD)?)) {
        Ok(status) => wrong(&status),
        Err(failure) => Some(failure.text),
    };
    line.map_or(Ok(()), |line| print(&format!("mailchute: {}\n", printable::text(&line))))
}

fn wrong(status: &Status) -> Option<String> {
    let stalled = || (!status.ready).then(|| "the scheduler has stalled; see `mailchute status`".to_owned());
    let Some(first) = status.alarms.first() else { return stalled() };
    let others = status.alarms.len() - 1;
    let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
    Some(format!("{}{more}; see `mailchute status`", super::status::alarm(first)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::protocol::AlarmLine;

    fn options(arguments: &[&str]) -> Monitor {
        use clap::Parser;
        let words = ["mailchute", "monitor"].iter().chain(arguments);
        match super::super::args::Arguments::try_parse_from(words).unwrap().verb {
            super::super::args::Verb::Monitor(options) => options,
            other => panic!("{other:?}"),
        }
    }

    fn status(queued: u64) -> Status {
        Status { queued, oldest: Some(1000), live: true, ready: true, healthy: true, uptime: 9, ..Status::default() }
    }

    fn alarm(severity: Severity) -> AlarmLine {
        let reason = "a | b\x1b[2J\nforged".to_owned();
        AlarmLine { alarm: "queue_old".to_owned(), severity, reason, ..AlarmLine::default() }
    }

    #[test]
    fn thresholds_give_states_and_performance_data() {
        let text = "5 queued, 0 held, 0 failed | queued=5;4;8;0 held=0;;;0 failed=0;99;;0 oldest=60s;;;0 alarms=0;;;0 uptime=9s;;;0";
        assert_eq!(judge(&status(5), &options(&["-w", "4", "-c", "8"]), 1060), (State::Warning, text.to_owned()));
        assert_eq!(judge(&status(9), &options(&["-w", "4", "-c", "8"]), 1060).0, State::Critical);
        assert_eq!(judge(&status(4), &options(&["-w", "4", "-c", "8"]), 1060).0, State::Ok);
        assert_eq!(judge(&status(1), &options(&["--critical-age", "59"]), 1060).0, State::Critical);
    }

    #[test]
    fn failed_messages_are_shown_and_100_of_them_are_a_warning_by_default() {
        let failed = |failed, arguments: &[&str]| judge(&Status { failed, ..status(0) }, &options(arguments), 1060);
        assert_eq!((failed(99, &[]).0, failed(100, &[]).0), (State::Ok, State::Warning));
        assert!(failed(1, &[]).1.starts_with("0 queued, 0 held, 1 failed (see `mailchute failed`) | "));
        assert_eq!((failed(1, &["--warning-failed", "0"]).0, failed(500, &["--warning-failed", "1000"]).0), (State::Warning, State::Ok));
        assert_eq!(failed(500, &["--critical-failed", "400"]).0, State::Critical);
    }

    #[test]
    fn t_out_1_alarms_count_and_their_texts_forge_nothing() {
        let mut status = status(0);
        status.alarms = vec![alarm(Severity::Warning), alarm(Severity::Warning)];
        let (state, text) = judge(&status, &options(&[]), 1060);
        assert_eq!(state, State::Warning);
        assert_eq!((text.lines().count(), text.matches('|').count()), (2, 1), "{text}");
        assert!(text.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)), "{text}");
        status.alarms.push(alarm(Severity::Critical));
        assert_eq!(judge(&status, &options(&[]), 1060).0, State::Critical);
        status.alarms.clear();
        status.ready = false;
        assert_eq!(judge(&status, &options(&[]), 1060).0, State::Critical);
    }

    #[test]
    fn a_login_message_has_one_line_or_none() {
        let mut status = status(1000);
        assert_eq!(wrong(&status), None);
        status.alarms = vec![alarm(Severity::Critical), alarm(Severity::Warning)];
        assert!(wrong(&status).unwrap().contains("(and 1 more)"));
    }
}
