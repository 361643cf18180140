//! The text part of a DSN, for people: what happened, why, and what to do. Pure.

use super::content::Dsn;
use super::recipient::{DsnRecipient, GivenUp, Said};
use mail::date;
use mail::printable;
use state::Action;

/// The longest line, in columns.
const WIDTH: usize = 72;
/// The longest word, in characters; longer ones are split.
const WORD: usize = 200;

/// The Subject of the DSN.
pub fn subject(dsn: &Dsn<'_>) -> &'static str {
    let has = |action: Action| dsn.recipients.iter().any(|recipient| recipient.action == action);
    if has(Action::Failed) {
        "Your mail could not be delivered"
    } else if has(Action::Delayed) {
        "Your mail is delayed"
    } else {
        "Your mail was relayed"
    }
}

/// The text, with CRLF and short lines.
pub fn text(dsn: &Dsn<'_>) -> String {
    let mut out = String::new();
    paragraph(&mut out, "", &format!("This is the mail system at host {}.", dsn.mailname));
    for action in [Action::Failed, Action::Delayed, Action::Relayed] {
        let recipients: Vec<&DsnRecipient> = dsn.recipients.iter().filter(|one| one.action == action).collect();
        if recipients.is_empty() {
            continue;
        }
        out.push_str("\r\n");
        paragraph(&mut out, "", &heading(action, dsn));
        for recipient in recipients {
            out.push_str("\r\n");
            write_recipient(&mut out, recipient);
        }
    }
    out.push_str("\r\n");
    message(&mut out, dsn);
    out
}

fn heading(action: Action, dsn: &Dsn<'_>) -> String {
    match action {
        Action::Failed => "Your message could not be delivered to the following recipients. No further attempts will be made.".to_owned(),
        Action::Delayed => format!(
            "Your message has not been delivered yet to the following recipients. Delivery will be attempted until {}. You do not need to send it again.",
            date::rfc5322(dsn.expires, dsn.zone)
        ),
        Action::Relayed => "Your message was relayed for the following recipients to a mail system that does not report delivery. \
                            You will receive no further notification."
            .to_owned(),
    }
}

fn write_recipient(out: &mut String, recipient: &DsnRecipient) {
    let written = if recipient.written.is_empty() { String::new() } else { format!(" (you wrote: {})", recipient.written) };
    paragraph(out, "  ", &format!("<{}>{written}", recipient.address));
    let reason = match &recipient.said {
        Said::Reply { host: Some(host), text } => format!("{host} said: {text}"),
        Said::Reply { host: None, text } => format!("The next hop said: {text}"),
        Said::Reason(text) => format!("Reason: {text}"),
    };
    paragraph(out, "    ", &reason);
    if recipient.action == Action::Failed {
        paragraph(out, "    ", advice(recipient));
    }
}

/// The next step for the sender (RFC 3463 3 defines the numbers).
fn advice(recipient: &DsnRecipient) -> &'static str {
    match recipient.given_up {
        Some(GivenUp::Expired) => {
            return "Delivery was attempted until the message expired. Send it again later, or contact the recipient in another way.";
        }
        Some(GivenUp::ByHand) => return "An administrator of this host returned the message before it expired.",
        Some(GivenUp::Lost) => {
            return "The message was lost on this host and was not delivered. Send it again. The administrator of this host has been alarmed.";
        }
        None => {}
    }
    match (recipient.status.subject, recipient.status.detail) {
        (1, 2) | (1, 10) | (4, 4) => "The domain does not exist or does not accept mail. Check the part of the address after the @.",
        (1, 0 | 1 | 3 | 6) => "Check the address for typing errors, or ask the recipient for the correct address.",
        (2, 1 | 2) => "The mailbox does not accept mail at the moment. Contact the recipient in another way.",
        (2, 3) | (3, 4) => "The message is too large for the recipient. Send a smaller one.",
        (6, 7) => "The recipient's mail system does not support non-ASCII addresses. Use another address of the recipient.",
        (7, _) => "The recipient's mail system rejected the message by policy. Show this message to the administrator of this host.",
        _ => "If the reason does not help, show this message to the administrator of this host.",
    }
}

fn message(out: &mut String, dsn: &Dsn<'_>) {
    if let Some(subject) = dsn.original.and_then(super::original::Original::subject) {
        paragraph(out, "", "Subject of your message:");
        paragraph(out, "  ", &subject);
    }
    paragraph(out, "", &format!("Accepted: {}", date::rfc5322(dsn.accepted, dsn.zone)));
    paragraph(out, "", &format!("For the administrator: `mailchute show {}` prints the whole history.", dsn.id));
}

/// Appends `text` in lines of at most [`WIDTH`] columns.
fn paragraph(out: &mut String, indent: &str, text: &str) {
    let safe = printable::text(text);
    let mut column = 0;
    for word in safe.split(' ').filter(|word| !word.is_empty()).flat_map(pieces) {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            out.push_str("\r\n");
            column = 0;
        }
        let lead = if column == 0 { indent } else { " " };
        out.push_str(lead);
        out.push_str(&word);
        column += lead.len() + width;
    }
    out.push_str("\r\n");
}

fn pieces(word: &str) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    characters.chunks(WORD).map(|piece| piece.iter().collect()).collect()
}
