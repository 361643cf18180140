//! The part of a DSN that people read: what happened, why, and what to do now. Pure.

use super::content::Dsn;
use super::recipient::{DsnRecipient, GivenUp, Said};
use mail::date;
use mail::printable;
use state::Action;

/// Columns of a line.
const WIDTH: usize = 72;
/// Characters of a word before it is cut.
const WORD: usize = 200;

/// The Subject of the DSN.
pub fn subject(notice: &Dsn<'_>) -> &'static str {
    let has = |action: Action| notice.recipients.iter().any(|told| told.action == action);
    if has(Action::Failed) {
        "Your mail could not be delivered"
    } else if has(Action::Delayed) {
        "Your mail is delayed"
    } else {
        "Your mail was handed on"
    }
}

/// The text, with CRLF. Its lines are short.
pub fn text(notice: &Dsn<'_>) -> String {
    let mut out = String::new();
    paragraph(&mut out, "", &format!("This is the mail system of the host {}.", notice.mailname));
    for action in [Action::Failed, Action::Delayed, Action::Relayed] {
        let told: Vec<&DsnRecipient> = notice.recipients.iter().filter(|told| told.action == action).collect();
        if told.is_empty() {
            continue;
        }
        out.push_str("\r\n");
        paragraph(&mut out, "", &heading(action, notice));
        for told in told {
            out.push_str("\r\n");
            recipient(&mut out, told);
        }
    }
    out.push_str("\r\n");
    message(&mut out, notice);
    out
}

fn heading(action: Action, notice: &Dsn<'_>) -> String {
    match action {
        Action::Failed => "Your message could not be delivered to the following recipients. It is not tried again.".to_owned(),
        Action::Delayed => format!(
            "Your message could not be delivered yet to the following recipients. It is tried again until {}; you need not send it again.",
            date::rfc5322(notice.expires, notice.zone)
        ),
        Action::Relayed => "Your message was handed on for the following recipients, to a mail system that does not report whether it \
                            delivers. You will hear no more of it."
            .to_owned(),
    }
}

fn recipient(out: &mut String, told: &DsnRecipient) {
    let written = if told.written.is_empty() { String::new() } else { format!(" (you wrote: {})", told.written) };
    paragraph(out, "  ", &format!("<{}>{written}", told.address));
    let reason = match &told.said {
        Said::Reply { host: Some(host), text } => format!("{host} said: {text}"),
        Said::Reply { host: None, text } => format!("The next hop said: {text}"),
        Said::Reason(text) => format!("Reason: {text}"),
    };
    paragraph(out, "    ", &reason);
    if told.action == Action::Failed {
        paragraph(out, "    ", advice(told));
    }
}

/// The next step (RFC 3463 3 has the meaning of the numbers).
fn advice(told: &DsnRecipient) -> &'static str {
    match told.given_up {
        Some(GivenUp::Expired) => {
            return "It was tried until the time for it was over. Send it again later, or reach the recipient in another way.";
        }
        Some(GivenUp::ByHand) => return "An administrator of this host gave it up before the time for it was over.",
        None => {}
    }
    match (told.status.subject, told.status.detail) {
        (1, 2) | (1, 10) | (4, 4) => "The domain does not exist or takes no mail. Look at the part of the address after the @.",
        (1, 0 | 1 | 3 | 6) => "Look for a typing error in the address, or ask the recipient for the right one.",
        (2, 1 | 2) => "The mailbox takes no mail at present. Reach the recipient in another way.",
        (2, 3) | (3, 4) => "The message is too large there. Send a smaller one.",
        (6, 7) => "The mail system there cannot handle addresses beyond ASCII. Use another address of the recipient.",
        (7, _) => "The mail system there refuses it by its own rules. Show this notice to the administrator of this host.",
        _ => "If the reason does not help, show this notice to the administrator of this host.",
    }
}

fn message(out: &mut String, notice: &Dsn<'_>) {
    if let Some(subject) = notice.original.and_then(super::original::Original::subject) {
        paragraph(out, "", "Subject of your message:");
        paragraph(out, "  ", &subject);
    }
    paragraph(out, "", &format!("Accepted: {}", date::rfc5322(notice.accepted, notice.zone)));
    paragraph(out, "", &format!("For the administrator: `mailchute show {}` tells the whole history.", notice.id));
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
