//! Two outcomes of one case, and what differs between them.

use std::collections::BTreeMap;

use super::outcome::{Outcome, Sent};
use super::{cases, document};

/// One thing in which a system differs from ours.
#[derive(Debug)]
pub(crate) struct Difference {
    pub system: &'static str,
    pub case: &'static str,
    /// `verdict`, `code`, `messages`, `notice`, `sender`, `recipients`, `body` or `field NAME`.
    pub facet: String,
    pub ours: String,
    pub theirs: String,
}

/// Every difference: by case, then by system.
pub(crate) fn all(own: &[Outcome], systems: &[&'static str; 3], others: &[Vec<Outcome>; 3]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (index, case) in cases::all().iter().enumerate() {
        for (system, outcomes) in systems.iter().zip(others) {
            for (facet, ours, theirs) in between(&own[index], &outcomes[index]) {
                found.push(Difference { system, case: case.name, facet, ours, theirs });
            }
        }
    }
    found
}

/// What each case came to, a line for each facet.
pub(crate) fn listing(outcomes: &[Outcome]) -> String {
    let facets = |outcome: &Outcome| {
        let mut facets = notice(outcome);
        facets.insert("end".to_owned(), end(outcome));
        for (number, sent) in outcome.sent.iter().enumerate() {
            facets.extend(of_a_message(sent).into_iter().map(|(facet, text)| (format!("{} {facet}", number + 1), text)));
        }
        facets.into_iter().map(|(facet, text)| format!("  {facet}: {}\n", document::with_short_runs(&text))).collect::<String>()
    };
    cases::all().iter().zip(outcomes).map(|(case, outcome)| format!("{}\n{}", case.name, facets(outcome))).collect()
}

fn between(ours: &Outcome, theirs: &Outcome) -> Vec<(String, String, String)> {
    let (mut own, mut other) = (notice(ours), notice(theirs));
    let facet = if verdict(ours) == verdict(theirs) { "code" } else { "verdict" };
    own.insert(facet.to_owned(), end(ours));
    other.insert(facet.to_owned(), end(theirs));
    if ours.sent.len() == theirs.sent.len() {
        for (place, (one, two)) in ours.sent.iter().zip(&theirs.sent).enumerate() {
            let number = if place == 0 { String::new() } else { format!(" of message {}", place + 1) };
            own.extend(of_a_message(one).into_iter().map(|(facet, text)| (facet + &number, text)));
            other.extend(of_a_message(two).into_iter().map(|(facet, text)| (facet + &number, text)));
        }
    }
    let mut facets: Vec<String> = own.keys().chain(other.keys()).cloned().collect();
    facets.sort();
    facets.dedup();
    let value = |of: &BTreeMap<String, String>, facet: &String| of.get(facet).cloned().unwrap_or_else(|| "nothing".to_owned());
    let both = facets.into_iter().map(|facet| (value(&own, &facet), value(&other, &facet), facet));
    both.filter(|(ours, theirs, _)| ours != theirs).map(|(ours, theirs, facet)| (facet, ours, theirs)).collect()
}

/// Is the call a success, and how many messages go out?
fn verdict(outcome: &Outcome) -> (bool, usize) {
    (outcome.code == 0, outcome.sent.len())
}

fn end(outcome: &Outcome) -> String {
    let messages = match outcome.sent.len() {
        0 => "nothing is sent".to_owned(),
        1 => "it is sent".to_owned(),
        count => format!("{count} messages are sent"),
    };
    format!("exit code {}, {messages}", outcome.code)
}

fn notice(outcome: &Outcome) -> BTreeMap<String, String> {
    let to: Vec<&str> = outcome.noticed.iter().map(String::as_str).collect();
    let facet = (!to.is_empty()).then(|| ("notice".to_owned(), to.join(", ")));
    facet.into_iter().collect()
}

fn of_a_message(sent: &Sent) -> BTreeMap<String, String> {
    let recipients: Vec<&str> = sent.recipients.iter().map(String::as_str).collect();
    let mut facets = BTreeMap::from([
        ("sender".to_owned(), sent.sender.clone()),
        ("recipients".to_owned(), recipients.join(", ")),
        ("body".to_owned(), visible(&sent.body)),
    ]);
    for (name, values) in &sent.fields {
        let values: Vec<String> = values.iter().map(|value| if value.is_empty() { "(empty)".to_owned() } else { visible(value) }).collect();
        facets.insert(format!("field {name}"), values.join(" and "));
    }
    facets
}

/// Bytes as a person can read them: `\n` is a CRLF; every other control character and 8-bit byte has its number.
fn visible(text: &str) -> String {
    let plain = text.replace('\\', "\\\\").replace("\r\n", "\\n");
    let show =
        |character: char| if matches!(character, ' '..='~') { character.to_string() } else { format!("\\x{:02x}", character as u32) };
    plain.chars().map(show).collect()
}
