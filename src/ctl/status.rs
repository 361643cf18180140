//! `mailchute status`: daemon status in a few lines.

use super::offline::Offline;
use super::output::print;
use config::Config;
use control::client;
use control::client::ClientError;
use control::protocol::{AlarmLine, Request, Status};
use control::warnings;
use exit::{Exit, Failure};
use mail::printable;

/// The alarm about keys, passwords and secrets that cannot be used.
const UNUSABLE: &str = "credential_unusable";

/// Prints the status. If the daemon is stopped, prints the contents of the spool and returns EX_UNAVAILABLE.
pub(super) fn status(config: &Config, json: bool) -> Result<(), Failure> {
    match client::ask_one::<Status>(&config.paths, &Request::Status {}) {
        Ok(status) => {
            if json {
                return print(&format!("{}\n", json_of(&status)?));
            }
            print(&text_of(&status, sys::clock::now()))
        }
        Err(ClientError::Down(down)) => {
            let look = |spool: Option<Offline>| spool.map(|spool| Ok((spool.counts()?, spool.paused()?))).transpose();
            let found = Offline::open_if_owner(config).and_then(look);
            if json {
                // A user without access to the spool still learns that the daemon is down.
                let ([queued, held, failed], paused) = found.ok().flatten().unwrap_or_default();
                print(&format!("{}\n", json_of(&Status { queued, held, failed, paused, ..Status::default() })?))?;
                return Err(down.into());
            }
            let Some(([queued, held, failed], paused)) = found? else { return Err(down.into()) };
            print(&format!("mailchuted is stopped; in the spool: {queued} queued, {held} held, {failed} failed\n"))?;
            if failed > 0 {
                print(&format!("{}\n", warnings::failed(failed)))?;
            }
            if !paused.is_empty() {
                print(&format!("{}\n", printable::text(&warnings::paused(&paused))))?;
            }
            Err(down.into())
        }
        Err(failure) => Err(failure.into()),
    }
}

fn json_of(status: &Status) -> Result<String, Failure> {
    serde_json::to_string(status).map_err(|e| Failure::new(Exit::Software, e.to_string()))
}

/// An alarm on one line.
pub(super) fn alarm(alarm: &AlarmLine) -> String {
    let subject = if alarm.subject.is_empty() { String::new() } else { format!(" {}", alarm.subject) };
    format!("{}{subject}: {}", alarm.alarm, alarm.reason)
}

fn text_of(status: &Status, now: i64) -> String {
    let ago = |at: Option<i64>| at.map_or_else(|| "none since the daemon started".to_owned(), |at| format!("{} ago", span(now - at)));
    let uptime = i64::try_from(status.uptime).unwrap_or(i64::MAX);
    let mut text = format!(
        "mailchuted {} is running (pid {}, for {})\nnext hop: {}\n{} queued, {} held, {} failed\nlast delivery: {}\n",
        printable::text(&status.version),
        status.pid,
        span(uptime),
        printable::text(&status.next_hop),
        status.queued,
        status.held,
        status.failed,
        ago(status.last_relayed),
    );
    let mut add = |line: String| text.push_str(&format!("{}\n", printable::text(&line)));
    if !status.paused.is_empty() {
        add(warnings::paused(&status.paused));
    }
    if let Some(oldest) = status.oldest {
        add(format!("oldest queued message: {} old", span(now - oldest)));
    }
    if status.failed > 0 {
        add(warnings::failed(status.failed));
    }
    if let Some(reason) = &status.closed {
        add(format!("admission is closed: {reason}"));
    }
    if !status.over_quota.is_empty() {
        let uids: Vec<String> = status.over_quota.iter().map(u32::to_string).collect();
        add(format!("spool limit reached by uid: {}", uids.join(", ")));
    }
    status.usage.iter().for_each(|usage| add(warnings::near_limit(usage)));
    for route in &status.suspended {
        add(format!("suspended for {}: {}: {}", span(route.until - now), route.route, route.reason));
    }
    for one in &status.alarms {
        add(format!("{} for {}: {}", one.severity.word(), span(now - one.since), alarm(one)));
    }
    // One alarm lists what the warnings are about, once it is raised.
    if !status.alarms.iter().any(|alarm| alarm.alarm == UNUSABLE) {
        status.warnings.iter().for_each(|warning| add(format!("warning: {warning}")));
    }
    text
}

/// Seconds in the two largest units, `4 d 23 h`. At most 11 columns for less than three years.
pub(super) fn span(seconds: i64) -> String {
    let two = |large: i64, unit: &str, small: i64, part: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {part}"),
    };
    match seconds.max(0) {
        s if s < 120 => format!("{s} s"),
        s if s < 7200 => format!("{} min", s / 60),
        s if s < 172_800 => two(s / 3600, "h", s % 3600 / 60, "min"),
        s => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (seconds, text) in [
            (-5, "0 s"),
            (119, "119 s"),
            (3600, "60 min"),
            (7200, "2 h"),
            (86_400, "24 h"),
            (172_799, "47 h 59 min"),
            (172_800, "2 d"),
            (5 * 86_400 - 1, "4 d 23 h"),
            (7 * 86_400, "7 d"),
            (999 * 86_400 + 23 * 3600, "999 d 23 h"),
        ] {
            assert_eq!(span(seconds), text);
            assert!(span(seconds).len() <= 11);
        }
    }

    #[test]
    fn a_warning_that_repeats_an_alarm_is_left_out() {
        let alarm = AlarmLine {
            alarm: "credential_unusable".into(),
            severity: control::protocol::Severity::Critical,
            reason: "dkim key x: unreadable".into(),
            ..AlarmLine::default()
        };
        let warnings = vec!["dkim key x: unreadable".to_owned(), "another".to_owned()];
        let of = |alarms| text_of(&Status { alarms, warnings: warnings.clone(), ..Status::default() }, 0);
        // Whatever the alarm says: its kind decides.
        let (raised, not_yet) = (of(vec![AlarmLine { reason: "zq".into(), ..alarm }]), of(Vec::new()));
        assert!(!raised.contains("warning:"), "{raised}");
        assert_eq!(not_yet.matches("warning:").count(), 2, "{not_yet}");
    }
}
