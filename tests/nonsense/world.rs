//! What one run of the scenario left, without what is said to people and without what differs between any two runs.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::command::Ended;

/// Members with text for people, and those that differ between two runs: times, sizes of texts, random names.
const DROPPED: &[&str] = &[
    "text",
    "digest",
    "spool",
    "alarms",
    "host",
    "id",
    "connections",
    "what",
    "reason",
    "bounce_reason",
    "delay_reason",
    "detail",
    "remote_reply",
    "reply",
    "findings",
    "advice",
    "warnings",
    "message_size",
    "bytes",
    "size",
    "arrival_time",
    "accepted_at",
    "last_attempt",
    "next_attempt",
    "expires",
    "at",
    "since",
    "until",
    "oldest",
    "last_relayed",
    "time",
    "timestamp",
    "pid",
    "uptime",
    "exe",
    "cwd",
    "caller",
    "message_id",
    "delay",
    "next_hop",
    "relay",
    "route",
    "paused",
    "closed",
    "selection",
    "free",
    "ms",
    "connect_ms",
    "transaction_ms",
    "total_ms",
    "remote_id",
];

/// What was seen, by what it was seen in.
#[derive(Default)]
pub(super) struct World {
    /// Compared.
    pub(super) seen: BTreeMap<String, String>,
    /// Not compared: what was said.
    pub(super) said: Vec<String>,
    /// The names of messages, by their ids.
    names: BTreeMap<String, String>,
}

impl World {
    /// From here on `id` is this name.
    pub(super) fn name(&mut self, id: &str, name: &str) {
        self.names.insert(id.to_owned(), name.to_owned());
    }

    /// Notes the exit code of a program, and keeps what it said.
    pub(super) fn exit(&mut self, what: &str, ended: &Ended) {
        self.note(&format!("exit of {what}"), format!("{:?}", ended.code));
        self.said.push(format!("{}{}", ended.stdout, ended.stderr));
    }

    /// Notes JSON lines.
    pub(super) fn json(&mut self, what: &str, ended: &Ended) {
        self.exit(what, ended);
        let mut lines: Vec<String> = ended.stdout.lines().map(|line| self.bare(&serde_json::from_str(line).unwrap())).collect();
        lines.sort();
        self.note(what, lines.join("\n"));
    }

    /// Notes any text.
    pub(super) fn note(&mut self, what: &str, text: String) {
        let before = self.seen.insert(self.named(what), self.named(&text));
        assert!(before.is_none(), "{what} is noted twice");
    }

    /// The id that has this name.
    pub(super) fn id(&self, name: &str) -> Option<String> {
        self.names.iter().find(|(_, known)| *known == name).map(|(id, _)| id.clone())
    }

    /// The name of an id; of another, the id itself.
    pub(super) fn known(&self, id: &str) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    /// A value without the members that are not compared, its messages by name.
    pub(super) fn bare(&self, value: &Value) -> String {
        self.named(&without(value).to_string())
    }

    /// The same with names in place of ids.
    fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }
}

fn without(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !DROPPED.contains(&name.as_str()));
            let member = |(name, value): (&String, &Value)| (name.clone(), if name == "history" { sorted(value) } else { without(value) });
            Value::Object(kept.map(member).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(without).collect()),
        other => other.clone(),
    }
}

/// Lines of history, in an order that does not depend on whether a second ended between two of them.
fn sorted(value: &Value) -> Value {
    let mut lines: Vec<Value> = value.as_array().into_iter().flatten().map(without).collect();
    lines.sort_by_key(Value::to_string);
    Value::Array(lines)
}
