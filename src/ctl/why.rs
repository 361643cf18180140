//! `mailchute why`: explains the state of a message, an address, a domain or a route, and gives advice. One screen.
//!
//! In: the inputs, from the daemon or, while it is stopped, from the spool. Out: findings, one per line, and advice. Pure except for
//! the request.

use serde::Serialize;

use super::json;
use super::offline::Offline;
use super::output::print;
use super::status::span;
use crate::advice;
use config::Config;
use config::paths::Mode;
use control::client;
use control::client::ClientError;
use control::filter::domain_of;
use control::history::{RouteView, WhyInputs};
use control::listing::{Entry, Recipient};
use control::protocol::Request;
use control::state::QueueState;
use control::warnings;
use exit::{Exit, Failure};
use mail::code::{Code, HoldCause, MessageEnd, Progress};
use mail::printable::counted;
use mail::{printable, words};

/// Messages explained while the daemon is stopped.
const SHOWN: usize = 3;
/// Recipients explained per message.
const RECIPIENTS: usize = 4;
/// Characters shown of a reply.
const REPLY: usize = 300;

/// The explanation.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Why {
    findings: Vec<String>,
    advice: Vec<String>,
}

impl Why {
    fn finding(&mut self, text: impl Into<String>) {
        self.findings.push(text.into());
    }

    fn advise(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.advice.contains(&text) {
            self.advice.push(text);
        }
    }
}

/// Explains `subject`.
///
/// Errors: 1 if nothing is known about it.
pub(super) fn why(config: &Config, subject: &str, as_json: bool) -> Result<(), Failure> {
    let inputs = match client::ask::<WhyInputs>(&config.paths, &Request::Why { subject: subject.to_owned() }) {
        Ok(answers) => answers.into_iter().next().ok_or_else(|| Failure::new(Exit::Software, "the daemon sent an empty reply"))?,
        Err(ClientError::Down(down)) => {
            let offline = Offline::open(config, down)?;
            WhyInputs { messages: offline.trace(subject, SHOWN)?, paused: offline.paused()?, ..WhyInputs::default() }
        }
        Err(failure) => return Err(failure.into()),
    };
    let why = explain(subject, &inputs, config.paths.mode, sys::clock::now());
    if as_json {
        let Why { findings, advice } = why;
        return json::print(&serde_json::json!({ "subject": subject, "findings": findings, "advice": advice, "inputs": inputs }));
    }
    let lines = why.findings.iter().cloned().chain(why.advice.iter().map(|advice| format!("=> {advice}")));
    print(&lines.map(|line| format!("{}\n", printable::text(&line))).collect::<String>())
}

fn explain(subject: &str, inputs: &WhyInputs, mode: Mode, now: i64) -> Why {
    let mut why = Why::default();
    if !inputs.is_running {
        why.finding("mailchuted is stopped: no mail is sent");
        why.advise(format!("start mailchuted: {}", mode.systemctl("start")));
    }
    if !inputs.paused.is_empty() {
        why.finding(warnings::paused(&inputs.paused));
        why.advise("`mailchute resume` resumes delivery");
    }
    let entries = || inputs.messages.iter().map(|detail| &detail.entry);
    for entry in entries() {
        explain_message(&mut why, entry, inputs, now);
    }
    explain_others(&mut why, subject, inputs);
    let flushed: Vec<&str> = entries().filter(|entry| is_flushed(entry, inputs, now)).map(|entry| entry.queue_id.as_str()).collect();
    if !flushed.is_empty() {
        let pronoun = if flushed.len() == 1 && inputs.more == 0 { "it" } else { "them" };
        let which = if inputs.more > 0 && is_domain(subject, inputs) { of_domain(subject) } else { flushed.join(" ") };
        why.advise(format!("`mailchute flush {which}` retries {pronoun} now"));
    }
    for route in &inputs.routes {
        explain_route(&mut why, route, inputs, now);
    }
    if why.advice.is_empty() {
        why.advise("no action needed");
    }
    why
}

/// Reports the number of further messages.
fn explain_others(why: &mut Why, subject: &str, inputs: &WhyInputs) {
    let least = if inputs.is_partial { "at least " } else { "" };
    let list = if is_domain(subject, inputs) { format!(": `mailchute list {}`", of_domain(subject)) } else { String::new() };
    match (inputs.messages.is_empty(), inputs.more) {
        (true, _) => why.finding(format!("{subject}: no message found")),
        (false, 0) if inputs.is_partial && subject.contains('@') => {
            why.finding(format!("there may be more: `mailchute trace {}`", quoted(subject)));
        }
        (false, 0) => {}
        (false, more) => why.finding(format!("and {least}{more} more{list}")),
    }
}

/// True if `subject` is the domain of the messages, not a route with that name.
fn is_domain(subject: &str, inputs: &WhyInputs) -> bool {
    let recipients = |entry: &Entry| entry.recipients.iter().any(|recipient| domain_of(&recipient.address) == subject.to_lowercase());
    !subject.contains('@') && inputs.messages.iter().any(|detail| recipients(&detail.entry))
}

fn of_domain(subject: &str) -> String {
    format!("--domain {}", quoted(subject))
}

/// Quotes a word for the shell: users copy the command, and a sender may have chosen the word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "@.-_+=:[]/%".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// True if a flush helps.
fn is_flushed(entry: &Entry, inputs: &WhyInputs, now: i64) -> bool {
    let is_queued =
        matches!(entry.queue_name, QueueState::Incoming | QueueState::Deferred) && entry.next_attempt.is_none_or(|next| next > now);
    is_queued && inputs.is_running && inputs.paused.is_empty() && !is_uncertain(entry)
}

/// True if it may have been delivered.
fn is_uncertain(entry: &Entry) -> bool {
    entry.recipients.iter().any(|recipient| recipient.status == Progress::Uncertain)
}

fn explain_message(why: &mut Why, entry: &Entry, inputs: &WhyInputs, now: i64) {
    let id = &entry.queue_id;
    let sender = if entry.sender.is_empty() { "<>" } else { &entry.sender };
    let state = match entry.queue_name {
        // A new message is tried at once unless its sender set a time.
        QueueState::Incoming if entry.next_attempt.is_some_and(|next| next > now) => "is deferred at the request of its sender (HoldUntil)",
        QueueState::Incoming => "has not been tried yet",
        QueueState::Active => "is being delivered",
        QueueState::Deferred | QueueState::Uncertain => "is deferred until its next attempt",
        QueueState::Hold => "is on hold until it is released",
        QueueState::Failed => "has failed permanently and is kept for review",
        QueueState::Removed => words::of_end(MessageEnd::Removed),
        QueueState::Finished | QueueState::Corrupt | QueueState::Lost => entry.end.map_or("has ended", words::of_end),
    };
    why.finding(format!("{id} from {sender}, accepted {} ago, {state}", span(now - entry.arrival_time)));
    if !entry.reason.is_empty() && !entry.end.is_some_and(MessageEnd::is_lost) {
        why.finding(format!("  reason: {}", entry.reason));
    }
    match entry.queue_name {
        QueueState::Incoming | QueueState::Deferred => explain_schedule(why, entry, inputs, now),
        // The reason for the hold does not matter.
        QueueState::Hold if is_uncertain(entry) => why.advise(advice::of_hold(HoldCause::Uncertain).unwrap_or_default()),
        QueueState::Hold => why.advise(match entry.hold.as_ref().and_then(|hold| advice::of_hold(hold.cause)) {
            Some(advice) => advice.to_owned(),
            None => format!("`mailchute release {id}` releases it, `mailchute remove {id}` removes it"),
        }),
        QueueState::Failed => why.advise(format!("fix the cause, then `mailchute requeue {id}`; otherwise `mailchute remove {id}`")),
        QueueState::Corrupt | QueueState::Lost => why.advise(advice::LOST),
        QueueState::Removed => why.advise(format!("`mailchute requeue {id}` restores it within 24 hours")),
        _ => {}
    }
    let is_unfinished = |recipient: &&Recipient| recipient.status != Progress::Relayed;
    let unfinished: Vec<&Recipient> = entry.recipients.iter().filter(is_unfinished).collect();
    let shown: Vec<&Recipient> = if unfinished.is_empty() { entry.recipients.iter().collect() } else { unfinished };
    for recipient in shown.iter().take(RECIPIENTS) {
        explain_recipient(why, recipient);
    }
    if shown.len() > RECIPIENTS {
        why.finding(format!("  and {}: `mailchute show {id}`", counted(shown.len() - RECIPIENTS, "more recipient")));
    }
}

fn explain_schedule(why: &mut Why, entry: &Entry, inputs: &WhyInputs, now: i64) {
    let mut line = format!("  {}", counted(usize::try_from(entry.attempts).unwrap_or(usize::MAX), "attempt"));
    if let Some(last) = entry.last_attempt {
        line.push_str(&format!(", the last {} ago", span(now - last)));
    }
    match entry.next_attempt {
        Some(next) if next > now => line.push_str(&format!("; the next in {}", span(next - now))),
        Some(_) => line.push_str("; the next is due now"),
        None => {}
    }
    match entry.expires {
        Some(expires) if expires <= now => line.push_str("; that is the last one"),
        Some(expires) => line.push_str(&format!("; expires in {} (queue_lifetime)", span(expires - now))),
        None => {}
    }
    why.finding(line);
    let is_due = entry.next_attempt.is_some_and(|next| next <= now);
    if is_due && inputs.is_running && inputs.paused.is_empty() {
        why.finding("  it is due; it needs room in memory or a free connection of its route");
    }
    if is_uncertain(entry) {
        let id = &entry.queue_id;
        why.finding("  it may have been delivered (uncertain); the next attempt may deliver a duplicate");
        why.advise(format!("ask the recipient; `mailchute hold {id}` or `mailchute remove {id}` prevents the next attempt"));
    }
}

fn explain_recipient(why: &mut Why, recipient: &Recipient) {
    let was = &recipient.orig_address;
    let was = if was.is_empty() { String::new() } else { format!(" (was {was})") };
    let mut line = format!("  {}{was}: {}", recipient.address, recipient.status.word());
    if !recipient.relay.is_empty() {
        line.push_str(&format!(" by {}", recipient.relay));
    }
    if !recipient.said().is_empty() {
        let reply: String = recipient.said().chars().take(REPLY).collect();
        line.push_str(&format!(": {reply}"));
    }
    why.finding(line);
    // `explain_schedule` handles uncertain recipients.
    if !matches!(recipient.status, Progress::Relayed | Progress::Uncertain)
        && let Some(advice) = advice::of_recipient(recipient)
    {
        why.advise(advice);
    }
}

fn failures(route: &RouteView) -> String {
    counted(usize::try_from(route.failures).unwrap_or(usize::MAX), "failure")
}

fn explain_route(why: &mut Why, route: &RouteView, inputs: &WhyInputs, now: i64) {
    let limit = inputs.connection_limit;
    let mut line = format!("route {}: ", route.route);
    match route.until {
        Some(until) => {
            line.push_str(&format!("suspended for {} after {} in a row: {}", span(until - now), failures(route), route.reason));
            why.advise(advice::of_route(route).unwrap_or("fix the reason of the suspension"));
            if inputs.is_running && inputs.paused.is_empty() {
                why.advise("`mailchute flush` retries every route now");
            }
        }
        None if route.failures > 0 => line.push_str("on probation after a failure: the daemon tests it with one connection"),
        None => line.push_str("not suspended"),
    }
    if route.waiting + route.connections > 0 {
        line.push_str(&format!(
            "; {} queued, {} of at most {limit} (route_connections)",
            route.waiting,
            counted(route.connections, "connection")
        ));
    }
    why.finding(line);
    if route.until.is_none() && route.waiting > 0 && route.connections >= limit {
        why.advise("all connections of the route are busy; raise route_connections to allow more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::protocol::Detail;

    const NOW: i64 = 100_000;

    fn why_of(reply: &str) -> control::why::WhyCodes {
        let code = reply.get(..3).and_then(|code| code.parse().ok());
        control::why::WhyCodes { code, ..Default::default() }
    }

    fn deferred(reply: &str, dsn: &str) -> WhyInputs {
        let recipient = Recipient {
            address: "a@x.example".into(),
            status: Progress::Deferred,
            why: why_of(reply),
            remote_reply: reply.into(),
            dsn: dsn.into(),
            relay: "mx.x.example".into(),
            ..Recipient::default()
        };
        let entry = Entry {
            queue_name: QueueState::Deferred,
            queue_id: "6921CE05000000AB".into(),
            arrival_time: NOW - 3600,
            sender: "alice@host.example".into(),
            recipients: vec![recipient],
            attempts: 2,
            last_attempt: Some(NOW - 600),
            next_attempt: Some(NOW + 900),
            expires: Some(NOW + 400_000),
            ..Entry::default()
        };
        let detail = Detail {
            entry,
            attested: false,
            caller: Default::default(),
            warnings: vec![],
            digest: String::new(),
            tries: vec![],
            history: vec![],
        };
        WhyInputs { is_running: true, messages: vec![detail], connection_limit: 20, ..WhyInputs::default() }
    }

    fn text(why: &Why) -> String {
        [why.findings.join("\n"), why.advice.join("\n")].join("\n=>\n")
    }

    #[test]
    fn a_deferred_message_shows_its_last_reply_its_times_and_advice() {
        let why = explain("x", &deferred("450 4.2.1 busy", "4.2.1"), Mode::System, NOW);
        let text = text(&why);
        for part in [
            "accepted 60 min ago, is deferred until its next attempt",
            "2 attempts, the last 10 min ago; the next in 15 min; expires in 4 d 15 h (queue_lifetime)",
            "a@x.example: deferred by mx.x.example: 450 4.2.1 busy",
            "`mailchute flush 6921CE05000000AB` retries it now",
            "no action needed",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_suspended_route_a_pause_and_a_stopped_daemon_are_named_first() {
        let mut inputs = deferred("connect: Connection refused", "4.4.1");
        inputs.routes = vec![RouteView {
            route: "relay:587".into(),
            failures: 3,
            until: Some(NOW + 60),
            reason: "535 no".into(),
            why: why_of("535 no"),
            ..RouteView::default()
        }];
        let once = RouteView { failures: 1, connections: 1, ..inputs.routes[0].clone() };
        let said = text(&explain("x", &WhyInputs { routes: vec![once], ..inputs.clone() }, Mode::System, NOW));
        assert!(said.contains("after 1 failure in a row") && said.contains(" 1 connection of at most"), "{said}");
        inputs.paused = "since noon by alice (uid 1001)".into();
        inputs.is_running = false;
        let why = explain("x", &inputs, Mode::System, NOW);
        assert!(why.findings[0].contains("is stopped") && why.findings[1].contains("paused since noon"), "{why:?}");
        assert!(text(&why).contains("suspended for 60 s after 3 failures in a row: 535 no"), "{why:?}");
        assert!(why.advice.iter().any(|advice| advice.contains("password file")), "{why:?}");
        assert!(why.findings.len() + why.advice.len() <= 24, "one screen");
    }

    #[test]
    fn every_state_is_explained() {
        for (state, means, advice) in [
            (QueueState::Hold, "until it is released", "mailchute release"),
            (QueueState::Failed, "kept for review", "mailchute requeue"),
            (QueueState::Removed, "was removed", "restores it within"),
            (QueueState::Finished, "was relayed to every recipient", "no action needed"),
            (QueueState::Active, "is being delivered", "no action needed"),
        ] {
            let mut inputs = deferred("", "");
            inputs.messages[0].entry.queue_name = state;
            inputs.messages[0].entry.end = (state == QueueState::Finished).then_some(MessageEnd::Relayed);
            let text = text(&explain("x", &inputs, Mode::System, NOW));
            assert!(text.contains(means) && text.contains(advice), "{state:?}: {text}");
        }
        let nothing = explain("x.example", &WhyInputs { is_running: true, ..WhyInputs::default() }, Mode::System, NOW);
        assert_eq!(nothing.findings, ["x.example: no message found"]);
    }

    #[test]
    fn a_failed_message_without_a_file_is_neither_called_relayed_nor_requeued() {
        let mut inputs = deferred("", "");
        (inputs.messages[0].entry.queue_name, inputs.messages[0].entry.end) = (QueueState::Finished, Some(MessageEnd::Failed));
        let text = text(&explain("x", &inputs, Mode::System, NOW));
        assert!(text.contains(words::of_end(MessageEnd::Failed)) && !text.contains("relayed") && !text.contains("requeue"), "{text}");
    }

    #[test]
    fn a_message_that_this_host_lost_is_never_called_relayed() {
        for (state, end) in [(QueueState::Corrupt, MessageEnd::Corrupt), (QueueState::Lost, MessageEnd::Vanished)] {
            let mut inputs = deferred("", "");
            (inputs.messages[0].entry.queue_name, inputs.messages[0].entry.end) = (state, Some(end));
            let text = text(&explain("x", &inputs, Mode::System, NOW));
            assert!(text.contains("was lost on this host") && text.contains("send it again") && !text.contains("relayed"), "{text}");
        }
    }

    #[test]
    fn further_messages_are_counted_and_one_flush_is_advised() {
        let mut inputs = deferred("450 4.2.1 busy", "4.2.1");
        inputs.messages.push(inputs.messages[0].clone());
        inputs.messages[1].entry.queue_id = "6921CE05000000AC".into();
        let why = explain("X.example", &inputs, Mode::System, NOW);
        assert!(why.advice.contains(&"`mailchute flush 6921CE05000000AB 6921CE05000000AC` retries them now".to_owned()), "{why:?}");
        assert!(!text(&why).contains("more"), "{why:?}");
        inputs.more = 3;
        let why = explain("X.example", &inputs, Mode::System, NOW);
        assert!(why.findings.contains(&"and 3 more: `mailchute list --domain X.example`".to_owned()), "{why:?}");
        assert_eq!(
            why.advice.iter().filter(|advice| advice.contains("flush")).collect::<Vec<_>>(),
            ["`mailchute flush --domain X.example` retries them now"]
        );
        inputs.is_partial = true;
        let why = explain("127.0.0.1:2526", &inputs, Mode::System, NOW);
        assert!(why.findings.contains(&"and at least 3 more".to_owned()), "{why:?}");
        inputs.more = 0;
        let why = explain("o'neil@x.example", &inputs, Mode::System, NOW);
        assert!(why.findings.contains(&"there may be more: `mailchute trace 'o'\\''neil@x.example'`".to_owned()), "{why:?}");
    }

    #[test]
    fn an_uncertain_message_is_retried_unless_it_is_held() {
        let mut inputs = deferred("the daemon stopped between the final dot and the record of its outcome", "4.4.2");
        inputs.messages[0].entry.recipients[0].status = Progress::Uncertain;
        let again = text(&explain("x", &inputs, Mode::System, NOW));
        assert!(again.contains("the next in 15 min") && again.contains("may deliver a duplicate"), "{again}");
        assert!(again.contains("`mailchute hold 6921CE05000000AB` or `mailchute remove 6921CE05000000AB` prevents"), "{again}");
        assert!(!again.contains("requeue") && !again.contains("flush"), "{again}");
        inputs.messages[0].entry.queue_name = QueueState::Hold;
        inputs.messages[0].entry.hold = None;
        let held = text(&explain("x", &inputs, Mode::System, NOW));
        assert!(held.contains("ask the recipient; `mailchute requeue` sends it again") && !held.contains("next attempt may"), "{held}");
    }

    #[test]
    fn while_delivery_is_paused_no_flush_is_advised() {
        let mut inputs = deferred("450 4.2.1 busy", "4.2.1");
        inputs.routes = vec![RouteView { route: "relay:587".into(), until: Some(NOW + 60), reason: "x".into(), ..RouteView::default() }];
        inputs.paused = "since noon by alice (uid 1001)".into();
        let why = explain("x", &inputs, Mode::System, NOW);
        assert!(!text(&why).contains("flush") && text(&why).contains("mailchute resume"), "{why:?}");
    }

    #[test]
    fn hold_until_is_explained() {
        let mut inputs = deferred("", "");
        inputs.messages[0].entry.queue_name = QueueState::Incoming;
        inputs.messages[0].entry.attempts = 0;
        assert!(text(&explain("x", &inputs, Mode::System, NOW)).contains("is deferred at the request of its sender (HoldUntil)"));
        inputs.messages[0].entry.next_attempt = None;
        assert!(text(&explain("x", &inputs, Mode::System, NOW)).contains("has not been tried yet"));
    }
}
