//! `mailchute failed`: lists permanently failed messages with their replies and advice.

use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use mail::code::Progress;

use super::json;
use super::output::print;
use super::queue::{self, Item};
use super::select::Selection;
use crate::advice;
use config::Config;
use control::client;
use control::filter::QueueState;
use control::listing::Entry;
use exit::Failure;
use mail::{date, printable};

/// Recipients shown per message.
const RECIPIENTS: usize = 5;

/// Prints the failed messages of the selection, as text or JSON Lines.
pub(super) fn failed(config: &Config, mut selection: Selection, as_json: bool) -> Result<(), Failure> {
    selection.filter.state = vec![QueueState::Failed];
    let (zone, mut count) = (sys::clock::local_zone(), 0u64);
    let listed = queue::each(config, &selection, |piece| {
        count += 1;
        let printed = match piece {
            Item::Line(line) if as_json => print(&format!("{line}\n")),
            Item::Line(line) => print(&text_of(&client::parse(line)?, &zone)),
            Item::Entry(entry) if as_json => json::print(entry),
            Item::Entry(entry) => print(&text_of(entry, &zone)),
        };
        printed.map(ControlFlow::Continue)
    })?;
    listed.checked()?;
    match (as_json, count) {
        (true, _) => Ok(()),
        (false, 0) => print("no failed messages\n"),
        (false, 1) => print("1 message has failed; `mailchute requeue` retries it, `mailchute remove` removes it\n"),
        (false, count) => {
            print(&format!("{count} messages have failed; `mailchute requeue` retries them, `mailchute remove` removes them\n"))
        }
    }
}

fn text_of(entry: &Entry, zone: &TimeZone) -> String {
    let sender = if entry.sender.is_empty() { "<>" } else { &entry.sender };
    let mut lines = vec![format!("{}  {}  {sender}", entry.queue_id, date::mailq(entry.arrival_time, zone))];
    let failed: Vec<_> = entry.recipients.iter().filter(|recipient| recipient.status == Progress::Failed).collect();
    let mut advice_lines = Vec::new();
    for recipient in failed.iter().take(RECIPIENTS) {
        lines.push(format!("    {}: {}", recipient.address, recipient.said()));
        advice_lines.extend(advice::of_recipient(recipient));
    }
    if failed.len() > RECIPIENTS {
        lines.push(format!("    and {}", printable::counted(failed.len() - RECIPIENTS, "more recipient")));
    }
    if failed.is_empty() && !entry.reason.is_empty() {
        lines.push(format!("    {}", entry.reason));
    }
    advice_lines.dedup();
    lines.extend(advice_lines.iter().map(|advice| format!("    => {advice}")));
    lines.iter().map(|line| format!("{}\n", printable::text(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::listing::Recipient;

    #[test]
    fn t_out_1_advice_is_printed_once_and_no_control_character() {
        let recipient = |address: &str| Recipient {
            address: address.into(),
            status: Progress::Failed,
            why: control::why::WhyCodes { code: Some(550), ..Default::default() },
            dsn: "5.1.1".into(),
            remote_reply: "550 5.1.1 no\x1b[2J such user".into(),
            ..Recipient::default()
        };
        let entry = Entry {
            queue_id: "6921CE05000000AB".into(),
            recipients: vec![recipient("a@x.example"), recipient("b@x.example")],
            ..Entry::default()
        };
        let text = text_of(&entry, &TimeZone::UTC);
        assert_eq!(text.matches("no such mailbox").count(), 1, "{text}");
        assert!(text.contains("a@x.example: 550 5.1.1 no\\x1b[2J") && text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    }
}
