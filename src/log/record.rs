//! An event as a value, and its JSON line for the event file and the webhooks.
//!
//! In: the event of a `tracing` call of [`super::events`]. Out: one line of JSON with its keys in a fixed order: `schema time host
//! level event`, for the events of messages `id`, then the fields of the event as mailchute-log(5) lists them. Every character is printable, even where JSON does not
//! require it: a line may be shown on a terminal.
//!
//! [`SCHEMA`] increases when a key is removed or changes its meaning. New events and new keys do not change it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};

use mail::{date, printable};

/// The version of the lines, in the key `schema`.
pub const SCHEMA: u32 = 1;
/// The keys before those of the event.
pub const KEYS: [&str; 5] = ["schema", "time", "host", "level", "event"];
/// The key behind them, of the events of messages.
pub const ID: &str = "id";

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Unix time in milliseconds.
    pub at: i64,
    /// `info`, `warn` or `error`.
    pub level: &'static str,
    /// Its name.
    pub event: String,
    /// What it is known by, if it may be told more than once: the same each time.
    pub id: Option<String>,
    /// Its fields, in their order, printable.
    pub fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// The record of one of our events at `at`, unix milliseconds. A log line of a library is never an event, whatever its fields.
    pub fn of(event: &tracing::Event<'_>, at: i64) -> Option<Record> {
        if event.metadata().target() != super::events::TARGET {
            return None;
        }
        let mut fields = Fields(Vec::new());
        event.record(&mut fields);
        let named = fields.0.iter().position(|(name, _)| *name == "event")?;
        let Value::String(name) = fields.0.remove(named).1 else { return None };
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            _ => "info",
        };
        Some(Record { at, level, event: name, id: None, fields: fields.0 })
    }

    /// A text field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).and_then(|(_, value)| value.as_str())
    }

    /// The line, without its line feed. `host` is the name of this host.
    pub fn line(&self, host: &str) -> String {
        // Strings and numbers under string keys: nothing here can fail.
        serde_json::to_string(&Line { record: self, host }).unwrap_or_default()
    }

    /// The body for a webhook: the members that Standard Webhooks requires, with the line as `data`.
    pub fn webhook_body(&self, host: &str) -> String {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            r#type: &'a str,
            timestamp: String,
            data: Line<'a>,
        }
        let body = Body { r#type: &self.event, timestamp: date::rfc3339_milliseconds(self.at), data: Line { record: self, host } };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

struct Line<'a> {
    record: &'a Record,
    host: &'a str,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let [schema, time, host, level, event] = KEYS;
        map.serialize_entry(schema, &SCHEMA)?;
        map.serialize_entry(time, &date::rfc3339_milliseconds(self.record.at))?;
        map.serialize_entry(host, self.host)?;
        map.serialize_entry(level, self.record.level)?;
        map.serialize_entry(event, &self.record.event)?;
        if let Some(id) = &self.record.id {
            map.serialize_entry(ID, id)?;
        }
        for (name, value) in &self.record.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Collects the fields of an event, without the message text, which is for people only.
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        if field.name() != "message" {
            self.0.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::String(printable::safe(value).into_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, Value::String(printable::text(&format!("{value:?}"))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            at: 1_795_358_629_042,
            level: "warn",
            event: "failed".to_owned(),
            id: None,
            fields: vec![("queue_id", "6B031D23B0ABD683".into()), ("delay", 3.into()), ("reply", "550 \"no\"".into())],
        }
    }

    #[test]
    fn a_line_has_its_keys_in_their_order() {
        let line = r#"{"schema":1,"time":"2026-11-22T14:43:49.042Z","host":"h.example","level":"warn","event":"failed","queue_id":"6B031D23B0ABD683","delay":3,"reply":"550 \"no\""}"#;
        assert_eq!(record().line("h.example"), line);
        let told = Record { id: Some("a-1".to_owned()), ..record() };
        assert_eq!(told.line("h.example"), line.replace(r#""queue_id""#, r#""id":"a-1","queue_id""#));
    }

    #[test]
    fn the_body_of_a_webhook_has_type_timestamp_and_the_line_as_data() {
        let body: Value = serde_json::from_str(&record().webhook_body("h.example")).unwrap();
        assert_eq!((&body["type"], &body["timestamp"]), (&"failed".into(), &"2026-11-22T14:43:49.042Z".into()));
        assert_eq!(body["data"], serde_json::from_str::<Value>(&record().line("h.example")).unwrap());
    }
}
