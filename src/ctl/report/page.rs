//! The page from top to bottom: how it is, what went through, what waits, what failed. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::tz::TimeZone;

use super::html::Html;
use super::inputs::PageInputs;
use super::{chart, messages};
use crate::status::span;
use control::protocol::{AlarmLine, Status};
use mail::base64;
use mail::date;
use mail::printable::counted;

const STYLE: &str = include_str!("style.css");

/// The document, for a reader in `zone`.
pub(super) fn write(inputs: &PageInputs, zone: &TimeZone) -> String {
    let mut page = Html::default();
    let html = &mut page;
    head(html, &inputs.host);
    html.raw("<header><h1>Mail of ").foreign(&inputs.host).raw("</h1>\n");
    verdict(html, &inputs.status);
    html.raw("<p class=\"made\">").raw("<time datetime=\"").text(date::rfc3339(inputs.overview.at)).raw("\">");
    html.text(date::rfc5322(inputs.overview.at, zone))
        .raw("</time>, mailchute ")
        .text(&inputs.status.version)
        .raw("</p></header>\n<main>\n");
    tiles(html, inputs);
    health(html, inputs);
    html.raw("<section><h2>The last two days</h2>\n");
    chart::write(html, &inputs.overview, zone);
    html.raw("</section>\n");
    messages::waiting(html, &inputs.overview);
    messages::failed(html, inputs, zone);
    html.raw("</main>\n<footer>Made by <code>mailchute report --html</code>. It is a picture of one moment: ");
    html.raw("make it again to see what has changed.</footer>\n</body>\n</html>\n");
    page.finish()
}

fn head(html: &mut Html, host: &str) {
    html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Nothing may be run or fetched. The one style sheet is named by its digest, so that not even a style can be brought in.
    let hash = base64::encode(digest(&SHA256, STYLE.as_bytes()).as_ref());
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-").text(hash);
    html.raw("'; base-uri 'none'; form-action 'none'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n<title>Mail of ");
    html.text(host).raw("</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n");
}

/// All in one line, for whoever reads no further.
fn verdict(html: &mut Html, status: &Status) {
    let alarms = |severity: &str| status.alarms.iter().filter(|alarm| alarm.severity == severity).count();
    let (critical, all) = (alarms("critical"), status.alarms.len());
    match (status.live, status.ready, critical, all) {
        (false, ..) => html.raw("<p class=\"verdict bad\">The daemon is stopped: mail is accepted, but waits.</p>\n"),
        (true, false, ..) => html.raw("<p class=\"verdict bad\">The scheduler stands still.</p>\n"),
        (true, true, 0, 0) => html.raw("<p class=\"verdict good\">All is well.</p>\n"),
        (true, true, 0, _) => html.raw("<p class=\"verdict fair\">It works; ").text(counted(all, "thing")).raw(" to look at.</p>\n"),
        _ => html.raw("<p class=\"verdict bad\">").text(counted(critical, "critical alarm")).raw(".</p>\n"),
    };
}

fn tiles(html: &mut Html, inputs: &PageInputs) {
    let (status, now) = (&inputs.status, inputs.overview.at);
    let ago = |at: Option<i64>, none: &str| at.map_or_else(|| none.to_owned(), |at| span(now.saturating_sub(at)));
    html.raw("<ul class=\"tiles\">");
    let mut tile = |name: &'static str, value: String| {
        html.raw("<li><b>").text(value).raw("</b> ").raw(name).raw("</li>");
    };
    tile("queued", status.queued.to_string());
    tile("held", status.held.to_string());
    tile("failed", status.failed.to_string());
    if status.live {
        tile("age of the oldest", ago(status.oldest, "–"));
        tile("since the last delivery", ago(status.last_relayed, "–"));
        tile("since the start", span(i64::try_from(status.uptime).unwrap_or(i64::MAX)));
    }
    if let Some(free) = inputs.overview.free {
        tile("free for the spool", bytes(free));
    }
    html.raw("</ul>\n");
}

/// Bytes as a person says them.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes / 1024, "KiB");
    for next in units.into_iter().skip(1).take_while(|_| bytes >= 10_240) {
        if value < 10_240 {
            break;
        }
        (value, unit) = (value / 1024, next);
    }
    format!("{value} {unit}")
}

fn health(html: &mut Html, inputs: &PageInputs) {
    let (status, now) = (&inputs.status, inputs.overview.at);
    html.raw("<section><h2>Health</h2>\n");
    if status.live {
        html.raw("<p>Mail goes to <code>").foreign(&status.next_hop).raw("</code>.</p>\n");
    }
    if status.alarms.is_empty() && status.suspended.is_empty() && status.warnings.is_empty() {
        html.raw(if status.live { "<p class=\"none\">No alarm, no next hop is suspended.</p>\n" } else { "" }).raw("</section>\n");
        return;
    }
    html.raw("<ul class=\"findings\">\n");
    status.alarms.iter().for_each(|one| alarm(html, one, now));
    for route in &status.suspended {
        html.raw("<li><span class=\"mark fair\">suspended</span> <b>").foreign(&route.route).raw("</b> for ");
        html.text(span(route.until.saturating_sub(now))).raw("<br>").foreign(&route.reason).raw("</li>\n");
    }
    for warning in &status.warnings {
        html.raw("<li><span class=\"mark fair\">warning</span> ").foreign(warning).raw("</li>\n");
    }
    html.raw("</ul></section>\n");
}

fn alarm(html: &mut Html, alarm: &AlarmLine, now: i64) {
    html.raw(if alarm.severity == "critical" { "<li><span class=\"mark bad\">" } else { "<li><span class=\"mark fair\">" });
    html.text(&alarm.severity).raw("</span> <b>").text(alarm.alarm.replace('_', " ")).raw("</b> ").foreign(&alarm.subject);
    html.raw(" for ").text(span(now.saturating_sub(alarm.since))).raw("<br>").foreign(&alarm.reason).raw("</li>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_the_worst_that_is_known() {
        let alarm = |severity: &str| AlarmLine { severity: severity.to_owned(), ..AlarmLine::default() };
        let well = Status { live: true, ready: true, ..Status::default() };
        for (status, word) in [
            (Status::default(), "stopped"),
            (Status { ready: false, ..well.clone() }, "stands still"),
            (well.clone(), "All is well"),
            (Status { alarms: vec![alarm("warning")], ..well.clone() }, "1 thing to look at"),
            (Status { alarms: vec![alarm("critical"), alarm("warning"), alarm("critical")], ..well }, "2 critical alarms"),
        ] {
            let mut html = Html::default();
            verdict(&mut html, &status);
            let text = html.finish();
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn bytes_keep_at_least_two_digits() {
        for (count, text) in [(0, "0 KiB"), (10_239 << 10, "10239 KiB"), (10 << 20, "10 MiB"), (u64::MAX, "16777215 TiB")] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn the_policy_allows_the_style_sheet_and_nothing_else() {
        let text = write(&PageInputs::default(), &TimeZone::UTC);
        assert!(text.contains("content=\"default-src 'none'; style-src 'sha256-") && !text.contains("unsafe"), "{text}");
        assert!(!STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
