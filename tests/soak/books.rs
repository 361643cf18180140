//! The books after the soak: every source of figures says the same, to the message.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::inject::Fate;
use super::world::World;

/// How many messages ended in which way.
type Ends = BTreeMap<String, u64>;

/// What each source says.
#[derive(Debug)]
pub(crate) struct Books {
    /// What injectors and the receiver know: DSNs are messages too.
    pub expected: Ends,
    pub expected_accepted: u64,
    /// `mailchute stats`: accepted, relayed, failed, removed, lost.
    pub stats: [u64; 5],
    /// Events, each id once.
    pub events: Ends,
    pub events_accepted: u64,
    /// The metrics.
    pub metrics: Ends,
    /// The history.
    pub history: Ends,
    /// `mailchute list`, and `mailchute failed`.
    pub queued: u64,
    pub failed: u64,
}

/// Reads all of them, with a daemon that has nothing to do.
pub(crate) fn read(world: &World) -> Books {
    let promised = |fate: Fate| {
        let numbers = world.shared.promised.iter().enumerate();
        numbers.filter(|(number, one)| one.load(Ordering::SeqCst) == 1 && Fate::of(*number as u64) == fate).count() as u64
    };
    let dsns = promised(Fate::Failed) + promised(Fate::Bounced);
    let expected = [
        ("bounced", promised(Fate::Bounced)),
        ("failed", promised(Fate::Failed)),
        ("relayed", promised(Fate::Relayed) + dsns),
        ("removed", promised(Fate::Removed)),
    ];
    let (events, events_accepted) = of_events(world);
    // Those of the last daemon may be a second old.
    let _ = std::fs::remove_file(metrics_file(world));
    world.spawn_daemon();
    let stats = crate::support::command::eventually("the figures", || json(world, &["stats", "--json"]));
    let metrics = of_metrics(world);
    let lines = |verb: &[&str]| world.say(verb).lines().filter(|line| line.starts_with('{')).count() as u64;
    let books = Books {
        expected: expected.into_iter().map(|(end, count)| (end.to_owned(), count)).filter(|(_, count)| *count > 0).collect(),
        expected_accepted: world.shared.promises.load(Ordering::SeqCst) + dsns,
        stats: of_stats(&stats),
        events,
        events_accepted,
        metrics,
        history: of_history(world),
        queued: lines(&["list", "--json"]),
        failed: lines(&["list", "--json", "--state", "failed", "ALL"]),
    };
    world.stop_daemon();
    books
}

fn json(world: &World, arguments: &[&str]) -> Option<Value> {
    serde_json::from_str(world.say(arguments).lines().next()?).ok()
}

/// The longest period, which the soak lies in.
fn of_stats(stats: &Value) -> [u64; 5] {
    let longest = stats["throughput"].as_array().and_then(|periods| periods.last()).unwrap();
    ["accepted", "relayed", "failed", "removed", "lost"].map(|name| longest[name].as_u64().unwrap())
}

fn of_events(world: &World) -> (Ends, u64) {
    let text = std::fs::read_to_string(world.installation.paths.config_file.with_file_name("events.jsonl")).unwrap();
    let (mut seen, mut ends, mut accepted) = (HashSet::new(), Ends::new(), 0);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let Some(id) = event["id"].as_str() else { continue };
        if !seen.insert(id.to_owned()) {
            continue;
        }
        accepted += u64::from(event["event"] == "accepted");
        if let Some(end) = event["end"].as_str() {
            *ends.entry(end.to_owned()).or_default() += 1;
        }
    }
    (ends, accepted)
}

fn metrics_file(world: &World) -> std::path::PathBuf {
    world.installation.paths.config_file.with_file_name("mail.prom")
}

fn of_metrics(world: &World) -> Ends {
    let path = metrics_file(world);
    let text = crate::support::command::eventually("the metrics", || std::fs::read_to_string(&path).ok());
    let ended = text.lines().filter_map(|line| line.strip_prefix("mailchute_messages_ended_total{end=\""));
    let pairs = ended.filter_map(|rest| rest.split_once("\"} "));
    pairs.map(|(end, count)| (end.to_owned(), count.parse().unwrap())).filter(|(_, count)| *count > 0).collect()
}

fn of_history(world: &World) -> Ends {
    let state = rusqlite::Connection::open(world.installation.paths.spool.join("state.sqlite")).unwrap();
    let sql = "SELECT word, count(*) FROM message JOIN code ON code.kind = 'outcome' AND number = outcome GROUP BY word";
    let mut query = state.prepare(sql).unwrap();
    query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))).unwrap().map(Result::unwrap).collect()
}

impl Books {
    /// accepted = relayed + failed + removed + lost + still queued, in every source.
    #[track_caller]
    pub(crate) fn assert_balanced(&self) {
        let of = |end: &str| self.expected.get(end).copied().unwrap_or_default();
        let [accepted, relayed, failed, removed, lost] = self.stats;
        assert_eq!((accepted, lost, self.queued), (self.expected_accepted, 0, 0), "{self:#?}");
        assert_eq!([relayed, failed, removed], [of("relayed"), of("failed") + of("bounced"), of("removed")], "{self:#?}");
        assert_eq!(accepted, relayed + failed + removed + lost + self.queued, "{self:#?}");
        assert_eq!((&self.events, self.events_accepted), (&self.expected, self.expected_accepted), "{self:#?}");
        assert_eq!((&self.metrics, &self.history), (&self.expected, &self.expected), "{self:#?}");
        assert_eq!(self.failed, of("failed") + of("bounced"), "{self:#?}");
    }
}
