//! The chart of messages by hour, as SVG in the page. Pure.
//!
//! The SVG has only shapes. Its labels are HTML, so they keep their size on any screen.

use jiff::tz::TimeZone;

use super::html::Html;
use control::overview::{INTERVAL, Interval, Overview};
use mail::date;

/// Size in SVG units: the height, and the width of one interval.
const HEIGHT: u64 = 200;
const WIDTH: u64 = 10;
/// The margin on either side of a bar.
const MARGIN: u64 = 1;
/// The minimum height of a bar of failures: one failure among thousands must be visible.
const SEEN: u64 = 4;

/// Writes the chart, its legend, and its numbers.
pub(super) fn write(html: &mut Html, overview: &Overview, zone: &TimeZone) {
    let sum = |of: fn(&Interval) -> u64| overview.intervals.iter().map(of).sum::<u64>();
    let (accepted, relayed, failed) = (sum(|span| span.accepted), sum(|span| span.relayed), sum(|span| span.failed));
    let lost = sum(|span| span.lost);
    let top = scale(overview.intervals.iter().map(|span| span.accepted.max(span.relayed.saturating_add(span.failed))).max().unwrap_or(0));
    html.raw("<ul class=\"legend\"><li class=\"relayed\">").text(relayed).raw(" delivered</li><li class=\"failed\">").text(failed);
    html.raw(" failed</li><li class=\"failed\">")
        .text(lost)
        .raw(" lost on this host</li><li class=\"accepted\">")
        .text(accepted)
        .raw(" accepted</li></ul>\n");
    html.raw("<div class=\"chart\"><div class=\"scale\"><span>").text(top).raw("</span><span>0</span></div>");
    picture(html, overview, top, zone);
    html.raw("<div class=\"hours\">");
    let hours = overview.intervals.len();
    for quarter in (0..=4).rev() {
        html.raw("<span>");
        match hours * quarter / 4 {
            0 => html.raw("now"),
            ago => html.text(format_args!("−{ago} h")),
        };
        html.raw("</span>");
    }
    html.raw("</div></div>\n");
    numbers(html, overview, zone);
}

fn picture(html: &mut Html, overview: &Overview, top: u64, zone: &TimeZone) {
    let width = WIDTH * overview.intervals.len() as u64;
    html.raw("<svg role=\"img\" preserveAspectRatio=\"none\" viewBox=\"0 0 ").text(width).raw(" ").text(HEIGHT);
    html.raw("\" aria-label=\"Messages delivered, failed and accepted in each hour\">\n");
    for line in [0, HEIGHT / 2, HEIGHT] {
        html.raw("<line class=\"grid\" x1=\"0\" x2=\"").text(width).raw("\" y1=\"").text(line).raw("\" y2=\"").text(line).raw("\"/>\n");
    }
    let height = |count: u64| {
        let part = (u128::from(count) * u128::from(HEIGHT)).div_ceil(u128::from(top));
        u64::try_from(part).unwrap_or(HEIGHT).min(HEIGHT)
    };
    let spans = || overview.intervals.iter().zip((0u64..).map(|n| n * WIDTH));
    for ((span, left), at) in spans().zip(begins(overview)).filter(|((span, _), _)| **span != Interval::default()) {
        let (relayed, failed) = (height(span.relayed), if span.failed == 0 { 0 } else { height(span.failed).max(SEEN) });
        html.raw("<g><title>")
            .text(date::mailq(at, zone))
            .text(format_args!(": {} delivered, {} failed, {} accepted", span.relayed, span.failed, span.accepted));
        html.raw("</title>");
        bar(html, "relayed", left, HEIGHT - relayed, relayed);
        bar(html, "failed", left, HEIGHT.saturating_sub(relayed + failed), failed);
        html.raw("</g>\n");
    }
    html.raw("<polyline class=\"accepted\" points=\"");
    for (span, left) in spans() {
        let y = HEIGHT - height(span.accepted);
        html.text(format_args!("{left},{y} {},{y} ", left + WIDTH));
    }
    html.raw("\"/>\n</svg>");
}

fn bar(html: &mut Html, class: &'static str, left: u64, y: u64, height: u64) {
    if height > 0 {
        html.raw("<rect class=\"").raw(class).raw("\" x=\"").text(left + MARGIN).raw("\" width=\"").text(WIDTH - 2 * MARGIN);
        html.raw("\" y=\"").text(y).raw("\" height=\"").text(height).raw("\"/>");
    }
}

/// Writes the numbers of the chart as a table, for screen readers.
fn numbers(html: &mut Html, overview: &Overview, zone: &TimeZone) {
    html.raw("<details><summary>The numbers</summary><table><thead><tr><th>hour from</th>");
    html.raw("<th class=\"n\">delivered</th><th class=\"n\">failed</th><th class=\"n\">accepted</th></tr></thead><tbody>\n");
    for (span, at) in overview.intervals.iter().zip(begins(overview)).filter(|(span, _)| **span != Interval::default()) {
        html.raw("<tr><td>").text(date::mailq(at, zone)).raw("</td>");
        for count in [span.relayed, span.failed, span.accepted] {
            html.raw("<td class=\"n\">").text(count).raw("</td>");
        }
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table></details>\n");
}

fn begins(overview: &Overview) -> impl Iterator<Item = i64> {
    let since = overview.since;
    (0i64..).map(move |n| since.saturating_add(n * INTERVAL))
}

/// The maximum of the scale: 1, 2 or 5 followed by zeros, and at least `most`.
fn scale(most: u64) -> u64 {
    let steps = std::iter::successors(Some(1u64), |step| step.checked_mul(10)).flat_map(|step| [1, 2, 5].map(|n| step.saturating_mul(n)));
    let mut steps = steps.skip_while(|step| *step < most.max(4));
    steps.next().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_a_round_number_above_the_highest_bar() {
        for (most, top) in [(0, 5), (5, 5), (6, 10), (11, 20), (333_000, 500_000), (u64::MAX, u64::MAX)] {
            assert_eq!(scale(most), top, "{most}");
        }
    }

    #[test]
    fn one_failure_among_thousands_is_visible_and_within_the_chart() {
        let span = Interval { accepted: 3, relayed: 99_999, failed: 1, lost: 0 };
        let overview = Overview { intervals: vec![Interval::default(), span], ..Overview::default() };
        let mut html = Html::default();
        write(&mut html, &overview, &TimeZone::UTC);
        let text = html.finish();
        assert_eq!(text.matches("<rect").count(), 2, "{text}");
        assert!(text.contains("y=\"0\" height=\"4\""), "{text}");
    }
}
