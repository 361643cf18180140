//! The memory of the alarms: what they need to know of past events, across restarts. Pure.
//!
//! In: the records of the event table. Out: conditions with a start time: since when nothing was relayed, which next hop is
//! suspended, which failures caused no DSN.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::canary::Canary;
use log::record::Record;

/// The number of undelivered DSNs to remember. One is enough for an alarm.
const DSNS: usize = 100;
/// The number of suspended routes to remember. With mail exchangers there may be thousands, and none of them raises an alarm.
const ROUTES: usize = 100;

/// Seconds after the last lost message for which the alarm lasts.
pub(super) const LOST: i64 = 86_400;

/// A condition that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When it started, unix seconds.
    pub since: i64,
    /// When it was last seen.
    pub last: i64,
    /// Why, one printable line.
    pub reason: String,
}

impl Trouble {
    /// A condition seen for the first time.
    pub(super) fn new(at: i64, reason: &str) -> Trouble {
        Trouble { since: at, last: at, reason: reason.to_owned() }
    }
}

/// What the alarms remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlarmMemory {
    /// The time of the first failed attempt since the last success.
    pub trying_since: Option<i64>,
    /// Suspended routes.
    pub suspended: BTreeMap<String, Trouble>,
    /// Failed messages without a delivered DSN, by queue id, with the reason.
    pub undelivered_dsns: BTreeMap<String, String>,
    /// The last failure of the disk or the database.
    pub storage: Option<Trouble>,
    /// Why admission is closed, while it is.
    pub admission_closed: Option<String>,
    /// The database was lost, and messages are still held for that reason.
    pub state_lost: bool,
    /// When the database, or the whole spool, was last replaced by an older copy.
    pub state_restored: Option<i64>,
    /// Messages that this host lost, since the last alarm about it cleared.
    pub lost: Option<LostMail>,
    /// The daily test message.
    pub canary: Canary,
}

/// Messages that this host lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostMail {
    /// How many.
    pub count: u64,
    /// When the last one was, unix seconds.
    pub last: i64,
}

/// Remembered conditions that have ended without an event.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Undelivered DSNs, by queue id, whose message was deleted or requeued.
    pub undelivered_dsns: Vec<String>,
    /// The queue is empty, so no delivery is attempted.
    pub trying: bool,
    /// Suspended routes that are not the configured next hop, such as the next hop before a reload.
    pub routes: Vec<String>,
    /// No message is held any more because the database was lost.
    pub state_lost: bool,
}

impl AlarmMemory {
    /// Forgets the resolved conditions. Conditions that came up meanwhile stay.
    pub fn forget(&mut self, resolved: &Resolved) {
        resolved.undelivered_dsns.iter().for_each(|id| drop(self.undelivered_dsns.remove(id)));
        resolved.routes.iter().for_each(|route| drop(self.suspended.remove(route)));
        if resolved.trying {
            self.trying_since = None;
        }
        self.state_lost &= !resolved.state_lost;
    }

    /// Times that a clock has written that ran ahead become `now`: until they came again, an alarm would stand for what is over, or
    /// keep silent.
    pub fn heal_clock(&mut self, now: i64) {
        let heal = |time: &mut i64| *time = (*time).min(now);
        self.trying_since.iter_mut().chain(&mut self.state_restored).for_each(heal);
        for trouble in self.suspended.values_mut().chain(self.storage.iter_mut()) {
            heal(&mut trouble.since);
            heal(&mut trouble.last);
        }
        self.canary.heal_clock(now);
    }

    /// Remembers an event. True if the event may raise or clear an alarm at once.
    pub fn note(&mut self, record: &Record) -> bool {
        let at = record.at / 1000;
        let text = |name: &str| record.text(name).unwrap_or_default();
        match record.event.as_str() {
            "relayed" => {
                (self.trying_since, self.suspended) = (None, BTreeMap::new());
                return self.canary.note_outcome(text("queue_id"), true, text("reply"));
            }
            "deferred" | "uncertain" => {
                self.trying_since.get_or_insert(at);
                return false;
            }
            "accepted" => return self.canary.note_accepted(text("message_id"), text("queue_id")),
            "failed" if self.canary.note_outcome(text("queue_id"), false, text("reply")) => {}
            // A DSN, or mail with the null reverse-path.
            "failed" if text("from").is_empty() => self.note_undelivered_dsn(text("queue_id"), "the DSN could not be delivered"),
            "dsn_suppressed" => self.note_undelivered_dsn(text("queue_id"), text("reason")),
            "route_suspended" => self.note_suspended(text("route"), at, text("reason")),
            "route_resumed" => drop(self.suspended.remove(text("route"))),
            "storage_failed" => self.storage = Some(Trouble::new(at, &format!("{}: {}", text("what"), text("reason")))),
            "state_lost" => self.state_lost = true,
            "state_restored" => self.state_restored = Some(at),
            "lost" => self.note_lost(at),
            "admission_closed" => self.admission_closed = Some(text("reason").to_owned()),
            "admission_opened" => self.admission_closed = None,
            "corrupt" | "unusable" | "reloaded" | "quota_reached" | "quota_cleared" => {}
            "requested" if matches!(text("verb"), "pause" | "resume") => {}
            _ => return false,
        }
        true
    }

    /// Does not keep replies: everybody may read alarms, and a reply may name a recipient.
    fn note_undelivered_dsn(&mut self, queue_id: &str, why: &str) {
        if self.undelivered_dsns.len() < DSNS {
            self.undelivered_dsns.insert(queue_id.to_owned(), why.to_owned());
        }
    }

    /// Counts from one again once the alarm about the last ones is over.
    fn note_lost(&mut self, at: i64) {
        let before = self.lost.filter(|lost| at - lost.last < LOST).map_or(0, |lost| lost.count);
        self.lost = Some(LostMail { count: before + 1, last: at });
    }

    fn note_suspended(&mut self, route: &str, at: i64, reason: &str) {
        let is_known = self.suspended.contains_key(route);
        if is_known || self.suspended.len() < ROUTES {
            let one = self.suspended.entry(route.to_owned()).or_insert_with(|| Trouble::new(at, reason));
            (one.last, one.reason) = (at, reason.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: i64, event: &str, fields: &[(&'static str, &str)]) -> Record {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).into())).collect();
        Record { at: at * 1000, level: "info", event: event.to_owned(), id: None, fields }
    }

    #[test]
    fn times_of_a_clock_that_ran_ahead_become_now() {
        let mut memory = AlarmMemory::default();
        for (at, event) in [(900, "deferred"), (900, "route_suspended"), (900, "storage_failed")] {
            memory.note(&record(at, event, &[("route", "r:25")]));
        }
        memory.canary = Canary::sent("<c@h>", 900, 60);
        memory.heal_clock(1000);
        assert_eq!((memory.trying_since, memory.canary.deadline), (Some(900), 960), "nothing has happened");
        memory.heal_clock(100);
        assert_eq!((memory.trying_since, memory.canary.sent, memory.canary.deadline), (Some(100), Some(100), 160));
        let times = memory.suspended.values().chain(&memory.storage).map(|trouble| (trouble.since, trouble.last));
        assert_eq!(times.collect::<Vec<_>>(), [(100, 100); 2]);
    }

    #[test]
    fn the_first_failed_attempt_counts_and_a_success_ends_it() {
        let mut memory = AlarmMemory::default();
        for at in [10, 20, 30] {
            memory.note(&record(at, "deferred", &[]));
        }
        assert_eq!(memory.trying_since, Some(10));
        memory.note(&record(40, "relayed", &[]));
        assert_eq!(memory.trying_since, None);
    }

    #[test]
    fn a_route_is_suspended_since_the_first_time_with_the_last_reason() {
        let mut memory = AlarmMemory::default();
        assert!(memory.note(&record(10, "route_suspended", &[("route", "r:25"), ("reason", "refused")])));
        memory.note(&record(20, "route_suspended", &[("route", "r:25"), ("reason", "timeout")]));
        assert_eq!(memory.suspended["r:25"], Trouble { since: 10, last: 20, reason: "timeout".to_owned() });
        for n in 0..1000 {
            memory.note(&record(30, "route_suspended", &[("route", &n.to_string())]));
        }
        assert_eq!(memory.suspended.len(), ROUTES);
        memory.note(&record(40, "route_resumed", &[("route", "r:25")]));
        assert!(!memory.suspended.contains_key("r:25"));
    }

    #[test]
    fn a_failed_dsn_is_undelivered_and_ordinary_failures_are_not() {
        let mut memory = AlarmMemory::default();
        memory.note(&record(1, "failed", &[("queue_id", "A"), ("from", "x@y"), ("reply", "550 no")]));
        assert!(memory.undelivered_dsns.is_empty());
        memory.note(&record(1, "failed", &[("queue_id", "B"), ("from", ""), ("reply", "550 no")]));
        memory.note(&record(1, "dsn_suppressed", &[("queue_id", "C"), ("reason", "no address")]));
        assert_eq!(memory.undelivered_dsns["B"], "the DSN could not be delivered");
        assert_eq!(memory.undelivered_dsns["C"], "no address");
    }

    #[test]
    fn admission_is_closed_until_it_is_opened() {
        let mut memory = AlarmMemory::default();
        assert!(memory.note(&record(1, "admission_closed", &[("reason", "moving house")])));
        assert_eq!(memory.admission_closed.as_deref(), Some("moving house"));
        assert!(memory.note(&record(2, "admission_opened", &[])));
        assert_eq!(memory.admission_closed, None);
    }

    #[test]
    fn the_memory_survives_a_restart_and_an_older_file() {
        let mut memory = AlarmMemory::default();
        memory.note(&record(10, "route_suspended", &[("route", "r:25"), ("reason", "refused")]));
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<AlarmMemory>(&text).unwrap(), memory);
        assert_eq!(serde_json::from_str::<AlarmMemory>("{}").unwrap(), AlarmMemory::default());
    }
}
