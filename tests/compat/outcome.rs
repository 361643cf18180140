//! What came of one case: the exit code, and the messages that went out, without what must differ (times, ids, trace).

use std::collections::{BTreeMap, BTreeSet};

use super::cases::Case;
use super::systems;
use crate::support::command::Ended;
use crate::support::scripted::Transaction;

/// Fields whose value is made anew where the message lacks them.
const MADE: &[&str] = &["date", "message-id", "resent-date", "resent-message-id"];
/// What every hop adds.
const TRACE: &[&str] = &["received", "return-path"];

/// What came of one case.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// -1 where a signal ended it.
    pub code: i32,
    /// The messages that went out, in a fixed order.
    pub sent: Vec<Sent>,
    /// Who got a DSN about it by mail.
    pub noticed: BTreeSet<String>,
}

/// One message on its way out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sent {
    /// The reverse-path and its parameters, sorted.
    pub sender: String,
    /// The forward-paths and their parameters.
    pub recipients: BTreeSet<String>,
    /// The values of each field, in order; names in lower case.
    pub fields: BTreeMap<String, Vec<String>>,
    /// The body in wire form.
    pub body: String,
}

impl Outcome {
    /// Picks what belongs to case `index` out of all that arrived.
    pub(crate) fn of(index: usize, ended: &Ended, case: &Case, arrived: &[Transaction]) -> Outcome {
        let login = systems::login(index);
        let input = collapse(&latin1(&case.input.bytes()));
        let mut sent: Vec<Sent> = Vec::new();
        let mut noticed = BTreeSet::new();
        for transaction in arrived.iter().filter(|one| case_of(one) == Some(index)) {
            let one = Sent::of(transaction, &input, &login);
            if one.fields.contains_key("auto-submitted") {
                noticed.extend(one.recipients);
            } else if let Some(same) = sent.iter_mut().find(|other| one.is_another_copy_of(other)) {
                same.recipients.extend(one.recipients);
            } else {
                sent.push(one);
            }
        }
        sent.sort();
        Outcome { code: ended.code.unwrap_or(-1), sent, noticed }
    }
}

impl Sent {
    fn of(transaction: &Transaction, input: &str, login: &str) -> Sent {
        let anonymous = |text: &str| text.replace(login, "caller");
        let (header, body) = split(&transaction.data);
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in fields_of(&anonymous(&header)) {
            let made = MADE.contains(&name.as_str()) && !input.contains(&value);
            if !TRACE.contains(&name.as_str()) {
                fields.entry(name).or_default().push(if made { "(made)".to_owned() } else { value });
            }
        }
        Sent {
            sender: anonymous(&path(&transaction.mail)),
            recipients: transaction.recipients.iter().map(|recipient| anonymous(&path(recipient))).collect(),
            fields,
            body: anonymous(&body),
        }
    }

    /// True if the two are one message to different recipients.
    fn is_another_copy_of(&self, other: &Sent) -> bool {
        (&self.sender, &self.fields, &self.body) == (&other.sender, &other.fields, &other.body)
    }
}

/// The case whose user is named first in a message: in its `Received` field, or in the one that a DSN returns.
fn case_of(transaction: &Transaction) -> Option<usize> {
    let text = latin1(&transaction.data);
    let number = |at: usize| text.get(at..at + 4)?.parse::<usize>().ok()?.checked_sub(systems::uid(0) as usize);
    let marks = text.match_indices("userid ").map(|(at, mark)| at + mark.len());
    let logins = text.match_indices("u7").map(|(at, _)| at + 1);
    let mut found: Vec<(usize, usize)> = marks.chain(logins).filter_map(|at| Some((at, number(at)?))).collect();
    found.sort_unstable();
    found.first().map(|&(_, index)| index)
}

/// A path with the parameters that mean something to the next hop.
fn path(argument: &str) -> String {
    let mut words = argument.split_whitespace();
    let path = words.next().unwrap_or_default().to_owned();
    let mut parameters: Vec<&str> = words.filter(|word| !word.starts_with("SIZE=") && !word.starts_with("ORCPT=")).collect();
    parameters.sort_unstable();
    [&[path.as_str()], parameters.as_slice()].concat().join(" ")
}

/// Bytes as characters, one for one: a difference in any of them stays one.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn split(data: &[u8]) -> (String, String) {
    let text = latin1(data);
    match text.split_once("\r\n\r\n") {
        Some((header, body)) => (header.to_owned(), body.to_owned()),
        None => match text.strip_prefix("\r\n") {
            Some(body) => (String::new(), body.to_owned()),
            // A message without a body may end with its header section (RFC 5322 2.1).
            None => (text.strip_suffix("\r\n").unwrap_or(&text).to_owned(), String::new()),
        },
    }
}

/// Lower-case names and unfolded values.
fn fields_of(header: &str) -> Vec<(String, String)> {
    let mut lines: Vec<String> = Vec::new();
    for line in header.split("\r\n") {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    let parts = lines.iter().map(|line| line.split_once(':').unwrap_or((line, "")));
    parts.map(|(name, value)| (name.to_ascii_lowercase(), collapse(value))).collect()
}

/// White space in a field is not compared.
fn collapse(text: &str) -> String {
    text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
