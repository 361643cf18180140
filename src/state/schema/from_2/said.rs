//! What the sentences of version 2 said. Pure.

use mail::Diagnosis;
use mail::code::{Cause, Code, HoldCause, Progress, Stage, Subject};
use mail::{Actor, Hold, date};

/// How the reply of a recipient began that was given up; what the last attempt said followed.
const GIVEN_UP: [(&str, Cause); 4] = [
    ("not delivered within queue_lifetime; last: ", Cause::Expired),
    ("given up after the give-up time; last: ", Cause::Expired),
    ("given up by an administrator after the last attempt; last: ", Cause::ExpiredByOperator),
    ("given up by an administrator; last: ", Cause::Bounced),
];

/// `by root (uid 0)`
pub(super) fn actor(text: &str) -> Option<Actor> {
    let (name, uid) = text.strip_prefix("by ")?.strip_suffix(')')?.rsplit_once(" (uid ")?;
    Some(Actor { uid: uid.parse().ok()?, name: name.to_owned() })
}

/// `since Mon, 30 Nov 2026 16:16:54 +0000 by root (uid 0)`. Delivery that was paused stays so, whatever else the text says.
pub(super) fn paused(text: &str) -> Option<(i64, Actor)> {
    if text.is_empty() {
        return None;
    }
    let (since, by) = text.split_at(text.find(" by ").unwrap_or(text.len()));
    let at = since.strip_prefix("since ").and_then(date::parse_rfc5322).unwrap_or_default();
    Some((at, actor(by.trim_start()).unwrap_or_else(|| Actor { uid: 0, name: "root".to_owned() })))
}

/// Why a recipient is as it is, and what the last attempt said.
pub(super) fn diagnose<'a>(progress: Progress, reply: &'a str, status: &str, relay: &str) -> (Diagnosis, &'a str) {
    let (end, rest) = given_up(reply);
    let rest = if rest == "never attempted" { "" } else { rest };
    let (stage, said) = stage_of(rest, relay);
    let code = code_of(said);
    let cause = cause_of(progress, rest, status, stage, code);
    let subject = cause.map(|cause| subject_of(cause, status));
    (Diagnosis { cause: end.or(cause), subject, stage, code }, rest)
}

/// A message that was given up, requeued and given up again has two reasons in front, of which the first is the newer one.
fn given_up(reply: &str) -> (Option<Cause>, &str) {
    let (mut end, mut rest) = (None, reply);
    while let Some((last, cause)) = GIVEN_UP.iter().find_map(|(words, cause)| Some((rest.strip_prefix(words)?, *cause))) {
        end = end.or(Some(cause));
        rest = last;
    }
    (end, rest)
}

/// The code of a reply that begins the text.
fn code_of(text: &str) -> Option<u16> {
    let (digits, rest) = text.split_at_checked(3)?;
    let ends = rest.is_empty() || rest.starts_with([' ', '-']);
    digits.parse().ok().filter(|code| ends && digits.bytes().all(|b| b.is_ascii_digit()) && (200..600).contains(code))
}

/// `STAGE: …`, `RELAY: STAGE: …` or `HOST: STAGE: …`: the stage, and what follows.
fn stage_of<'a>(text: &'a str, relay: &str) -> (Option<Stage>, &'a str) {
    if code_of(text).is_some() {
        return (None, text);
    }
    let named = |text: &'a str| {
        Stage::ALL
            .iter()
            .filter(|stage| **stage != Stage::Route)
            .find_map(|stage| Some((Some(*stage), text.strip_prefix(&stage.to_string())?.strip_prefix(": ")?)))
    };
    let behind_relay = || text.strip_prefix(relay)?.strip_prefix(": ");
    let behind_host = || text.split_once(": ").filter(|(host, _)| !host.contains(' ')).map(|(_, rest)| rest);
    named(text).or_else(|| behind_relay().and_then(named)).or_else(|| behind_host().and_then(named)).unwrap_or((None, text))
}

fn cause_of(progress: Progress, text: &str, status: &str, stage: Option<Stage>, code: Option<u16>) -> Option<Cause> {
    let begins = |words: &str| text.starts_with(words);
    Some(match (stage, code) {
        _ if begins("not sent: its sender wants it delivered by ") => Cause::DeliverBy,
        (Some(Stage::Auth), Some(_)) | (_, Some(530 | 534 | 535 | 538)) => Cause::Login,
        (_, Some(_)) => Cause::Reply,
        (Some(Stage::Connect | Stage::Greeting), None) => Cause::Unreachable,
        (Some(Stage::StartTls | Stage::Tls), None) => Cause::Tls,
        (Some(Stage::Auth), None) => Cause::Login,
        (Some(Stage::FinalDot), None) => Cause::NoReply,
        (Some(_), None) => Cause::NoAnswer,
        _ if begins("the daemon stopped between the final dot") => Cause::Stopped,
        _ if begins("the state was lost") && progress == Progress::Uncertain => Cause::StateLost,
        _ if begins("dkim: ") => Cause::Key,
        _ if begins("cannot read its file: ") => Cause::Disk,
        _ if begins("cannot look up") => Cause::Dns,
        _ if ["5.1.2", "5.1.10", "5.4.4", "5.4.6"].contains(&status) => Cause::NoDomain,
        _ if text.is_empty() => return None,
        _ => Cause::Unknown,
    })
}

/// Version 2 did not keep the stage of a reply: its status has to say whom it is about.
fn subject_of(cause: Cause, status: &str) -> Subject {
    match cause {
        Cause::Reply if ["5.1.", "4.1.", "5.2.", "4.2."].iter().any(|class| status.starts_with(class)) => Subject::Recipient,
        Cause::Unreachable | Cause::Tls | Cause::NoAnswer | Cause::NoReply | Cause::Stopped | Cause::StateLost => Subject::Connection,
        Cause::Login => Subject::Credential,
        Cause::Dns | Cause::NoDomain => Subject::Destination,
        Cause::Disk | Cause::Key | Cause::Internal | Cause::Corrupt | Cause::Vanished => Subject::Host,
        _ => Subject::Message,
    }
}

/// Why a message is held.
pub(super) fn hold(text: &str) -> Hold {
    if let Some(actor) =
        actor(text).or_else(|| actor(text.strip_prefix("taken out of the trash ").or_else(|| text.strip_prefix("restored from trash "))?))
    {
        return Hold::by(actor);
    }
    let behind = |words: &str, next: &str| text.strip_prefix(words).map(|rest| rest.split(next).next().unwrap_or(rest).to_owned());
    if let Some(detail) = behind("dkim: ", "\n") {
        return Hold::with(HoldCause::Dkim, detail);
    }
    if let Some(detail) = behind("over the cap: ", "; it ") {
        return Hold::with(HoldCause::Quota, detail);
    }
    if let Some(detail) = behind("admission is closed: ", "; it ") {
        return Hold::with(HoldCause::Closed, detail);
    }
    let whole = [
        ("uncertain: ", HoldCause::Uncertain),
        ("the state was lost; ", HoldCause::ReasonLost),
        ("the state was lost, ", HoldCause::StateLost),
        ("moved by hand", HoldCause::Moved),
        ("its owner is the overflow uid", HoldCause::OverflowUid),
    ];
    if let Some((_, cause)) = whole.iter().find(|(words, _)| text.starts_with(words)) {
        return Hold::of(*cause);
    }
    if text.contains("more than message_size_limit") {
        return Hold::with(HoldCause::Size, text.split("; `mailchute").next().unwrap_or(text));
    }
    match text.starts_with("internal error") {
        true => Hold::with(HoldCause::Internal, text),
        false => Hold::with(HoldCause::Unknown, text),
    }
}
