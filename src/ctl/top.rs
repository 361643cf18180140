//! `mailchute top`: watches the daemon. On a terminal it draws a screen with ANSI codes, otherwise it prints a line per snapshot.

use mail::code::Code;
use std::io::IsTerminal;
use std::time::Duration;

use super::json;
use super::output::print;
use super::status::span;
use config::Config;
use control::client;
use control::history::{DaemonSnapshot, RouteView};
use control::listing::Entry;
use control::protocol::Request;
use exit::Failure;
use mail::printable;

/// Default lines and columns.
const SCREEN: (usize, usize) = (24, 80);
/// Minimum of both.
const SMALLEST: usize = 10;
/// Moves the cursor home and clears the screen.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows `count` snapshots, or snapshots until interrupted, with `delay` between them.
///
/// Errors: EX_UNAVAILABLE while the daemon is stopped; EX_NOPERM.
pub(super) fn top(config: &Config, count: Option<u64>, delay: Duration, as_json: bool) -> Result<(), Failure> {
    let is_screen = std::io::stdout().is_terminal() && !as_json;
    let mut before: Option<DaemonSnapshot> = None;
    let mut count_done = 0;
    loop {
        let snapshot: DaemonSnapshot = client::ask_one(&config.paths, &Request::Snapshot {})?;
        match (as_json, is_screen) {
            (true, _) => json::print(&snapshot)?,
            (false, true) => print(&format!("{CLEAR}{}", screen(&snapshot, screen_size()).join("\n")))?,
            (false, false) => print(&format!("{}\n", line(&snapshot, before.as_ref())))?,
        }
        count_done += 1;
        if count.is_some_and(|count| count_done >= count) {
            return if is_screen { print("\n") } else { Ok(()) };
        }
        before = Some(snapshot);
        std::thread::sleep(delay);
    }
}

/// Rows and columns: from LINES and COLUMNS, otherwise the current size of the terminal, which may change.
fn screen_size() -> (usize, usize) {
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let (rows, columns) = crate::terminal::size().unwrap_or(SCREEN);
    (number("LINES").unwrap_or(rows).max(SMALLEST), number("COLUMNS").unwrap_or(columns).max(SMALLEST))
}

/// A snapshot on one line, for logs and pipes.
fn line(snapshot: &DaemonSnapshot, before: Option<&DaemonSnapshot>) -> String {
    let control::stats::Throughput { accepted, relayed, failed, lost, .. } = snapshot.stats.throughput.first().cloned().unwrap_or_default();
    let at = mail::date::rfc3339(snapshot.at);
    let status = &snapshot.status;
    let mut text = format!(
        "{at} queued={} held={} failed={} accepted_1h={accepted} relayed_1h={relayed} failed_1h={failed} lost_1h={lost} suspended={} paused={}",
        status.queued,
        status.held,
        status.failed,
        status.suspended.len(),
        u8::from(!status.paused.is_empty()),
    );
    if let Some(before) = before {
        let change = i128::from(status.queued) - i128::from(before.status.queued);
        text.push_str(&format!(" change={change:+}"));
    }
    text
}

/// A snapshot as lines that fit the screen.
fn screen(snapshot: &DaemonSnapshot, (height, width): (usize, usize)) -> Vec<String> {
    let status = &snapshot.status;
    let uptime = span(i64::try_from(status.uptime).unwrap_or(i64::MAX));
    let last = status.last_relayed.map_or_else(|| "never".to_owned(), |at| format!("{} ago", span(snapshot.at - at)));
    let oldest = status.oldest.map_or_else(|| "-".to_owned(), |at| span(snapshot.at - at));
    let mut lines = vec![
        format!("mailchuted {}, up {uptime}, next hop {}, last delivery {last}", status.version, status.next_hop),
        format!("{} queued (oldest {oldest}), {} held, {} failed", status.queued, status.held, status.failed),
    ];
    if !status.paused.is_empty() {
        lines.push(format!("PAUSED {}", status.paused));
    }
    lines.extend(status.warnings.iter().take(2).map(|warning| format!("WARNING {warning}")));
    lines.push(String::new());
    lines.push(format!("{:<10} {:>9} {:>9} {:>9} {:>9}", "period", "accepted", "relayed", "failed", "removed"));
    for passed in &snapshot.stats.throughput {
        let time = span(i64::try_from(passed.seconds).unwrap_or(i64::MAX));
        lines.push(format!("{time:<10} {:>9} {:>9} {:>9} {:>9}", passed.accepted, passed.relayed, passed.failed, passed.removed));
    }
    lines.push(String::new());
    lines.push(format!("{:<32} {:>7} {:>6}  {}", "route", "queued", "conns", "state"));
    lines.extend(snapshot.routes.iter().map(|route| route_line(route, snapshot.at)));
    lines.push(String::new());
    lines.extend(snapshot.latest.iter().map(|entry| latest_line(entry, snapshot.at)));
    lines.truncate(height.saturating_sub(1));
    lines.iter().map(|line| printable::column(line).chars().take(width).collect()).collect()
}

fn route_line(route: &RouteView, now: i64) -> String {
    let state = match route.until {
        Some(until) => format!("suspended for {}: {}", span(until - now), route.reason),
        None if route.failures > 0 => printable::counted(usize::try_from(route.failures).unwrap_or(usize::MAX), "failure"),
        None => "ok".to_owned(),
    };
    let name: String = route.route.chars().take(32).collect();
    format!("{name:<32} {:>7} {:>6}  {state}", route.waiting, route.connections)
}

fn latest_line(entry: &Entry, now: i64) -> String {
    let to = entry.recipients.first().map_or("", |recipient| recipient.address.as_str());
    let more = if entry.recipients.len() > 1 { format!(" +{}", entry.recipients.len() - 1) } else { String::new() };
    let state = entry.end.map_or(entry.queue_name.word(), Code::word);
    format!("{} {:>11} {state:<8} {to}{more}", entry.queue_id, span(now - entry.arrival_time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::listing::Recipient;
    use control::protocol::Status;
    use control::stats::{Stats, Throughput};

    fn snapshot() -> DaemonSnapshot {
        let hostile = "x\x1b[2J\r\n\u{202e}".repeat(100);
        let route = RouteView { route: hostile.clone(), waiting: 7, until: Some(1060), reason: hostile.clone(), ..RouteView::default() };
        let recipient = Recipient { address: hostile.clone(), ..Recipient::default() };
        let entry = Entry { queue_name: control::state::QueueState::Failed, recipients: vec![recipient], ..Entry::default() };
        let throughput = Throughput { seconds: 3600, accepted: 5, relayed: 4, ..Throughput::default() };
        DaemonSnapshot {
            at: 1000,
            status: Status { queued: 3, paused: hostile, ..Status::default() },
            stats: Stats { queue: vec![], throughput: vec![throughput] },
            routes: vec![route; 40],
            latest: vec![entry],
        }
    }

    #[test]
    fn t_out_1_a_screen_is_no_larger_than_the_terminal_and_has_no_foreign_control_sequence() {
        for size in [(24, 80), (10, 10), (60, 200)] {
            let lines = screen(&snapshot(), size);
            assert!(lines.len() < size.0 && lines.iter().all(|line| line.chars().count() <= size.1), "{size:?}");
            assert!(lines.iter().all(|line| line.chars().all(|c| !c.is_control() && c != '\u{202e}')));
        }
        let lines = screen(&snapshot(), (60, 200));
        assert!(lines.iter().any(|line| line.contains("suspended for 60 s")));
    }

    #[test]
    fn a_line_has_the_numbers_and_what_changed() {
        let before = DaemonSnapshot { status: Status { queued: 10, ..Status::default() }, ..snapshot() };
        let text = line(&snapshot(), Some(&before));
        assert_eq!(
            text,
            "1970-01-01T00:16:40Z queued=3 held=0 failed=0 accepted_1h=5 relayed_1h=4 failed_1h=0 lost_1h=0 suspended=0 paused=1 change=-7"
        );
    }
}
