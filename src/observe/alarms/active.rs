//! The alarms that stand, since when, and the file that keeps them over a restart. Pure, but for [`load`] and [`keep`].
//!
//! An alarm is the same alarm while its kind and its subject are; its reason may change in silence. `alarms.json` in the spool is
//! readable for everybody: for programs that ask no socket, and for the time when there is none.

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

/// What stands.
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
    /// The alarm; one that is cleared has its last reason.
    pub alarm: Alarm,
    /// False: it is over.
    pub is_raised: bool,
    /// When it was raised, unix seconds.
    pub since: i64,
}

impl ActiveAlarms {
    /// Makes `alarms` what stands. Returns what is new, then what is over.
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
        let over = |((kind, subject), raised): ((Kind, String), Raised)| Change {
            alarm: Alarm { kind, subject, reason: raised.reason },
            is_raised: false,
            since: raised.since,
        };
        changes.extend(old.into_iter().map(over));
        changes
    }

    /// True if an alarm of this kind stands.
    pub fn has(&self, kind: Kind) -> bool {
        self.alarms.keys().any(|(standing, _)| *standing == kind)
    }

    /// What stands, the critical ones first.
    pub fn lines(&self) -> Vec<AlarmLine> {
        let line = |((kind, subject), raised): (&(Kind, String), &Raised)| AlarmLine {
            alarm: kind.name().to_owned(),
            subject: subject.clone(),
            severity: kind.severity().word().to_owned(),
            reason: raised.reason.clone(),
            since: raised.since,
        };
        let mut all: Vec<_> = self.alarms.iter().collect();
        all.sort_by_key(|((kind, _), raised)| (std::cmp::Reverse(kind.severity()), raised.since));
        all.into_iter().map(line).collect()
    }
}

/// The file. `alarms` is for everybody, `remembered` for the next start.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    time: String,
    alarms: Vec<KeptAlarm>,
    remembered: AlarmMemory,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptAlarm {
    alarm: Kind,
    subject: String,
    severity: super::alarm::Severity,
    reason: String,
    since: i64,
}

/// What the last run knew. A file that is missing, damaged or newer is none: at worst an alarm is told twice.
pub fn load(spool: &Path) -> (ActiveAlarms, AlarmMemory) {
    let kept = sys::fs::read_whole(&spool.join(FILE)).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
    let Some(kept) = kept.filter(|kept| kept.schema == SCHEMA) else { return Default::default() };
    let entry = |one: KeptAlarm| ((one.alarm, one.subject), Raised { since: one.since, reason: one.reason });
    (ActiveAlarms { alarms: kept.alarms.into_iter().map(entry).collect() }, kept.remembered)
}

/// Writes the file, whole or not at all.
///
/// Errors: the kernel's.
pub fn keep(spool: &Path, standing: &ActiveAlarms, remembered: &AlarmMemory, now: i64) -> std::io::Result<()> {
    let alarm = |((kind, subject), raised): (&(Kind, String), &Raised)| KeptAlarm {
        alarm: *kind,
        subject: subject.clone(),
        severity: kind.severity(),
        reason: raised.reason.clone(),
        since: raised.since,
    };
    let alarms = standing.alarms.iter().map(alarm).collect();
    let kept = Kept { schema: SCHEMA, time: date::rfc3339(now), alarms, remembered: remembered.clone() };
    let mut bytes = serde_json::to_vec_pretty(&kept)?;
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
        let mut standing = ActiveAlarms::default();
        let raised = standing.update(vec![alarm(Kind::SpoolFull, "10 MiB")], 100);
        assert_eq!(raised, [Change { alarm: alarm(Kind::SpoolFull, "10 MiB"), is_raised: true, since: 100 }]);
        assert!(standing.update(vec![alarm(Kind::SpoolFull, "9 MiB")], 110).is_empty());
        assert_eq!(standing.lines()[0].reason, "9 MiB");
        let cleared = standing.update(Vec::new(), 120);
        assert_eq!(cleared, [Change { alarm: alarm(Kind::SpoolFull, "9 MiB"), is_raised: false, since: 100 }]);
        assert!(standing.update(Vec::new(), 130).is_empty());
    }

    #[test]
    fn what_stands_is_kept_over_a_restart_and_not_told_again() {
        let scratch = tempfile::tempdir().unwrap();
        let mut standing = ActiveAlarms::default();
        standing.update(vec![alarm(Kind::QueueOld, "old"), alarm(Kind::NoDelivery, "none")], 100);
        let remembered = AlarmMemory { trying_since: Some(7), ..AlarmMemory::default() };
        keep(scratch.path(), &standing, &remembered, 100).unwrap();
        let (mut again, known) = load(scratch.path());
        assert_eq!((&again, known), (&standing, remembered));
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
