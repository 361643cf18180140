//! The messages in the page: queued messages by destination and age, failed messages with reasons and advice. Pure.

use jiff::tz::TimeZone;

use super::html::Html;
use super::inputs::PageInputs;
use crate::advice;
use control::overview::{CLASSES, Destination, Failure, Overview};
use mail::date;
use mail::printable::counted;

/// The headings of the age columns.
const AGES: [&str; CLASSES] = ["< 5 min", "< 1 h", "< 4 h", "< 1 d", "< 3 d", "older"];
/// Cell markup by fraction of the largest cell, in fifths.
const HEAT: [&str; 6] =
    ["<td class=\"n\">", "<td class=\"n h1\">", "<td class=\"n h2\">", "<td class=\"n h3\">", "<td class=\"n h4\">", "<td class=\"n h5\">"];

/// Writes the queued recipients.
pub(super) fn queued(html: &mut Html, overview: &Overview) {
    html.raw("<section><h2>Queued messages</h2>\n");
    if overview.destinations.is_empty() {
        html.raw("<p class=\"none\">No queued messages.</p></section>\n");
        return;
    }
    html.raw("<p>Recipients by destination and age of the message.</p>\n<div class=\"wide\"><table class=\"queue\"><thead><tr><th>");
    html.raw("destination</th><th class=\"n\">all</th>");
    for age in AGES {
        html.raw("<th class=\"n\">").text(age).raw("</th>");
    }
    html.raw("</tr></thead>\n");
    let most = overview.destinations.iter().flat_map(|row| row.ages).max().unwrap_or(0);
    for row in &overview.destinations {
        destination(html, row, most);
    }
    if let Some(others) = &overview.others {
        destination(html, &Destination { domain: "all others".to_owned(), ..others.clone() }, most);
    }
    html.raw("</table></div></section>\n");
}

fn destination(html: &mut Html, row: &Destination, most: u64) {
    html.raw("<tbody><tr><th scope=\"row\">").foreign(&row.domain).raw("</th><td class=\"n sum\">").text(row.total()).raw("</td>");
    for count in row.ages {
        html.raw(heat(count, most));
        if count > 0 {
            html.text(count);
        }
        html.raw("</td>");
    }
    html.raw("</tr>\n");
    if !row.reply.is_empty() {
        html.raw("<tr><td class=\"why\" colspan=\"8\"><samp>").foreign(&row.reply).raw("</samp>");
        advise(html, advice::of_why(&row.why, &row.reply, ""));
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody>\n");
}

fn heat(count: u64, most: u64) -> &'static str {
    let fifth = count.saturating_mul(5).div_ceil(most.max(1));
    usize::try_from(fifth).ok().and_then(|fifth| HEAT.get(fifth)).copied().unwrap_or("<td class=\"n h5\">")
}

fn advise(html: &mut Html, advice: Option<&str>) {
    if let Some(text) = advice {
        html.raw("<p class=\"advice\">").text(text).raw("</p>");
    }
}

/// Writes the failed messages.
pub(super) fn failed(html: &mut Html, inputs: &PageInputs, zone: &TimeZone) {
    html.raw("<section><h2>Failed messages</h2>\n");
    let failures = &inputs.overview.failures;
    if failures.is_empty() {
        html.raw("<p class=\"none\">No failed messages.</p></section>\n");
        return;
    }
    let all = usize::try_from(inputs.status.failed).unwrap_or(usize::MAX).max(failures.len());
    html.raw("<p>").text(counted(all, "message")).raw(" failed permanently and stayed in failed/, or were lost on this host");
    if all > failures.len() {
        html.raw("; the page shows the latest ").text(failures.len());
    }
    html.raw(". <code>mailchute requeue</code> retries a message, <code>mailchute remove</code> removes it.</p>\n");
    for (at, failure) in failures.iter().enumerate() {
        one(html, failure, inputs.subjects.get(at).map_or("", String::as_str), zone);
    }
    html.raw("</section>\n");
}

fn one(html: &mut Html, failure: &Failure, subject: &str, zone: &TimeZone) {
    let entry = &failure.entry;
    html.raw("<article><h3>");
    if subject.is_empty() {
        html.raw("(no subject)")
    } else {
        html.foreign(subject)
    };
    html.raw("</h3>\n<p class=\"details\"><code>").text(&entry.queue_id).raw("</code> from ");
    if entry.sender.is_empty() {
        html.raw("&lt;&gt;")
    } else {
        html.foreign(&entry.sender)
    };
    html.raw(", uid ").text(entry.uid).raw(", accepted ").text(date::mailq(entry.arrival_time, zone));
    if let Some(ended) = failure.ended {
        let how = if entry.end.is_some_and(mail::code::MessageEnd::is_lost) { ", lost on this host " } else { ", failed " };
        html.raw(how).text(date::mailq(ended, zone));
    }
    html.raw("</p>\n");
    for recipient in &entry.recipients {
        html.raw("<div class=\"recipient\"><b>").foreign(&recipient.address).raw("</b>");
        if !recipient.relay.is_empty() {
            html.raw(" at ").foreign(&recipient.relay);
        }
        html.raw("<br><samp>").foreign(&recipient.bounce_reason).raw("</samp>");
        advise(html, advice::of_recipient(recipient));
        html.raw("</div>\n");
    }
    if failure.more > 0 {
        html.raw("<p class=\"details\">and ").text(counted(failure.more, "more recipient")).raw("; see <code>mailchute show ");
        html.text(&entry.queue_id).raw("</code></p>\n");
    }
    html.raw("</article>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_cell_is_the_darkest_and_an_empty_cell_has_no_colour() {
        let classes = [0, 1, 50, 100, 101].map(|count| heat(count, 100));
        assert_eq!(classes, [HEAT[0], HEAT[1], HEAT[3], HEAT[5], HEAT[5]]);
        assert_eq!(heat(0, 0), HEAT[0]);
    }
}
