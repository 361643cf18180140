//! The active alarms, with the time of each, and the file that preserves them across restarts. Pure, except [`load`] and [`save`].
//!
//! Kind and subject identify an alarm; its reason may change without a new event. Everybody may read `alarms.json` in the spool, so
//! that programs can check the alarms without the control socket.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::alarm::{Alarm, Kind};
use super::memory::AlarmMemory;
use control::protocol::AlarmLine;
use mail::date;

/// The name of the file, in the spool.
pub const FILE: &str = "alarms.json";
/// The version of the file.
const SCHEMA: u32 = 1;

/// The active alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActiveAlarms {
    alarms: BTreeMap<(Kind, String), Raised>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Raised {
    since: i64,
    reason: String,
}

/// An alarm that was raised or cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The alarm. A cleared alarm has its last reason.
    pub alarm: Alarm,
    /// False if the alarm cleared.
    pub is_raised: bool,
    /// When it was raised, unix seconds.
    pub since: i64,
}

impl ActiveAlarms {
    /// Replaces the active alarms with `alarms`. Returns the raised alarms, then the cleared ones.
    pub fn update(&mut self, alarms: Vec<Alarm>, now: i64) -> Vec<Change> {
        let mut old = std::mem::take(&mut self.alarms);
        let mut changes = Vec::new();
        for alarm in alarms {
            let key = (alarm.kind, alarm.subject.clone());
            let since = old.remove(&key).map(|raised| raised.since);
            self.alarms.insert(key, Raised { since: since.unwrap_or(now), reason: alarm.reason.clone() });
            if since.is_none() {
                changes.push(Change { alarm, is_raised: true, since: now });
            }
        }
        let cleared = |((kind, subject), raised): ((Kind, String), Raised)| Change {
            alarm: Alarm { kind, subject, reason: raised.reason },
            is_raised: false,
            since: raised.since,
        };
        changes.extend(old.into_iter().map(cleared));
        changes
    }

    /// As [`AlarmMemory::heal_clock`].
    pub fn heal_clock(&mut self, now: i64) {
        self.alarms.values_mut().for_each(|raised| raised.since = raised.since.min(now));
    }

    /// True if any alarm of this kind is active.
    pub fn has_kind(&self, kind: Kind) -> bool {
        self.alarms.keys().any(|(active, _)| *active == kind)
    }

    /// True if the alarm of this kind about `subject` is active.
    pub fn has(&self, kind: Kind, subject: &str) -> bool {
        self.alarms.contains_key(&(kind, subject.to_owned()))
    }

    /// The active alarms, critical ones first.
    pub fn lines(&self) -> Vec<AlarmLine> {
        let line = |((kind, subject), raised): (&(Kind, String), &Raised)| AlarmLine {
            alarm: kind.name().to_owned(),
            subject: subject.clone(),
            severity: kind.severity(),
            reason: raised.reason.clone(),
            since: raised.since,
        };
        let mut all: Vec<_> = self.alarms.iter().collect();
        all.sort_by_key(|((kind, _), raised)| (std::cmp::Reverse(kind.severity()), raised.since));
        all.into_iter().map(line).collect()
    }
}

/// The content of the file. `alarms` is for everybody, `memory` for the next start.
#[derive(Debug, Serialize, Deserialize)]
struct AlarmFile {
    schema: u32,
    time: String,
    alarms: Vec<AlarmEntry>,
    memory: AlarmMemory,
}

#[derive(Debug, Serialize, Deserialize)]
struct AlarmEntry {
    alarm: Kind,
    subject: String,
    severity: super::alarm::Severity,
    reason: String,
    since: i64,
}

/// Loads the state of the last run. A missing, damaged or newer file is ignored: at worst an alarm is raised twice.
pub fn load(spool: &Path) -> (ActiveAlarms, AlarmMemory) {
    let content = sys::fs::read_whole(&spool.join(FILE)).ok().and_then(|bytes| serde_json::from_slice::<AlarmFile>(&bytes).ok());
    let Some(content) = content.filter(|content| content.schema == SCHEMA) else { return Default::default() };
    let entry = |one: AlarmEntry| ((one.alarm, one.subject), Raised { since: one.since, reason: one.reason });
    (ActiveAlarms { alarms: content.alarms.into_iter().map(entry).collect() }, content.memory)
}

/// Writes the file atomically.
///
/// Errors: the kernel's.
pub fn save(spool: &Path, active: &ActiveAlarms, memory: &AlarmMemory, now: i64) -> std::io::Result<()> {
    let alarm = |((kind, subject), raised): (&(Kind, String), &Raised)| AlarmEntry {
        alarm: *kind,
        subject: subject.clone(),
        severity: kind.severity(),
        reason: raised.reason.clone(),
        since: raised.since,
    };
    let alarms = active.alarms.iter().map(alarm).collect();
    let content = AlarmFile { schema: SCHEMA, time: date::rfc3339(now), alarms, memory: memory.clone() };
    let mut bytes = serde_json::to_vec_pretty(&content)?;
    bytes.push(b'\n');
    sys::replace::replace(&spool.join(FILE), 0o644, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(kind: Kind, reason: &str) -> Alarm {
        Alarm { kind, subject: String::new(), reason: reason.to_owned() }
    }

    #[test]
    fn an_alarm_is_raised_once_and_cleared_once_whatever_its_reason_becomes() {
        let mut active = ActiveAlarms::default();
        let raised = active.update(vec![alarm(Kind::SpoolFull, "10 MiB")], 100);
        assert_eq!(raised, [Change { alarm: alarm(Kind::SpoolFull, "10 MiB"), is_raised: true, since: 100 }]);
        assert!(active.update(vec![alarm(Kind::SpoolFull, "9 MiB")], 110).is_empty());
        assert_eq!(active.lines()[0].reason, "9 MiB");
        let cleared = active.update(Vec::new(), 120);
        assert_eq!(cleared, [Change { alarm: alarm(Kind::SpoolFull, "9 MiB"), is_raised: false, since: 100 }]);
        assert!(active.update(Vec::new(), 130).is_empty());
    }

    #[test]
    fn active_alarms_survive_a_restart_and_are_not_raised_again() {
        let scratch = tempfile::tempdir().unwrap();
        let mut active = ActiveAlarms::default();
        active.update(vec![alarm(Kind::QueueOld, "old"), alarm(Kind::NoDelivery, "none")], 100);
        let memory = AlarmMemory { trying_since: Some(7), ..AlarmMemory::default() };
        save(scratch.path(), &active, &memory, 100).unwrap();
        let (mut again, known) = load(scratch.path());
        assert_eq!((&again, known), (&active, memory));
        assert!(again.update(vec![alarm(Kind::QueueOld, "old"), alarm(Kind::NoDelivery, "none")], 200).is_empty());
        assert_eq!(again.lines().iter().map(|line| line.alarm.as_str()).collect::<Vec<_>>(), ["no_delivery", "queue_old"]);
    }

    #[test]
    fn a_damaged_file_is_no_file() {
        let scratch = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"schema\":2}", "[]", "\u{0}"] {
            std::fs::write(scratch.path().join(FILE), text).unwrap();
            assert_eq!(load(scratch.path()), Default::default(), "{text}");
        }
    }
}
