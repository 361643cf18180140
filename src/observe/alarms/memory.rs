//! What alarms need to remember of the events that went by, and over a restart. Pure.
//!
//! In: the records of the event table. Out: facts with a beginning: since when nothing was relayed, which next hop is suspended,
//! which failures nobody was told of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::canary::Canary;
use log::record::Record;

/// Failures that are remembered; one is enough for an alarm.
const UNTOLD: usize = 100;
/// Routes that are remembered: with mail exchangers there may be thousands, and none of them makes an alarm.
const ROUTES: usize = 100;

/// Something that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When it began, unix seconds.
    pub since: i64,
    /// When it was last seen.
    pub last: i64,
    /// Why, one printable line.
    pub reason: String,
}

impl Trouble {
    /// Seen for the first time.
    pub(super) fn new(at: i64, reason: &str) -> Trouble {
        Trouble { since: at, last: at, reason: reason.to_owned() }
    }
}

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlarmMemory {
    /// The first attempt that failed since the last success.
    pub trying_since: Option<i64>,
    /// Suspended routes.
    pub suspended: BTreeMap<String, Trouble>,
    /// Failures that nobody was told of, by queue id, with the reason.
    pub undelivered_dsns: BTreeMap<String, String>,
    /// The last failure of the disk or the database.
    pub storage: Option<Trouble>,
    /// Why admission is closed, while it is.
    pub admission_closed: Option<String>,
    /// The database was lost, and what is held since has not been looked at.
    pub state_lost: bool,
    /// The daily message.
    pub canary: Canary,
}

/// What is over without an event that says so.
#[derive(Clone, Debug, Default)]
pub struct Over {
    /// Failures, by queue id, whose message is gone.
    pub told: Vec<String>,
    /// Nothing waits, so nothing is tried.
    pub trying: bool,
    /// Suspended routes that are not the configured next hop: it was another one before a reload.
    pub routes: Vec<String>,
    /// What was held has been decided.
    pub state_lost: bool,
}

impl AlarmMemory {
    /// Forgets what is over. What came meanwhile stays.
    pub fn forget(&mut self, over: &Over) {
        over.told.iter().for_each(|id| drop(self.undelivered_dsns.remove(id)));
        over.routes.iter().for_each(|route| drop(self.suspended.remove(route)));
        if over.trying {
            self.trying_since = None;
        }
        self.state_lost &= !over.state_lost;
    }

    /// Takes note of an event. True if an alarm may follow from it at once.
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
            // A DSN, or mail whose sender wants to hear nothing.
            "failed" if text("from").is_empty() => self.note_undelivered_dsn(text("queue_id"), "the notice failed"),
            "dsn_suppressed" => self.note_undelivered_dsn(text("queue_id"), text("reason")),
            "route_suspended" => self.note_suspended(text("route"), at, text("reason")),
            "route_resumed" => drop(self.suspended.remove(text("route"))),
            "storage_failed" => self.storage = Some(Trouble::new(at, &format!("{}: {}", text("what"), text("reason")))),
            "state_lost" => self.state_lost = true,
            "admission_closed" => self.admission_closed = Some(text("reason").to_owned()),
            "admission_opened" => self.admission_closed = None,
            "corrupt" | "unusable" | "reloaded" => {}
            "requested" if matches!(text("verb"), "pause" | "resume") => {}
            _ => return false,
        }
        true
    }

    /// Without what servers said: everybody may read of alarms, and a reply may name somebody's recipient.
    fn note_undelivered_dsn(&mut self, queue_id: &str, why: &str) {
        if self.undelivered_dsns.len() < UNTOLD {
            self.undelivered_dsns.insert(queue_id.to_owned(), why.to_owned());
        }
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
        Record { at: at * 1000, level: "info", event: event.to_owned(), fields }
    }

    #[test]
    fn the_first_vain_attempt_counts_and_a_success_ends_it() {
        let mut remembered = AlarmMemory::default();
        for at in [10, 20, 30] {
            remembered.note(&record(at, "deferred", &[]));
        }
        assert_eq!(remembered.trying_since, Some(10));
        remembered.note(&record(40, "relayed", &[]));
        assert_eq!(remembered.trying_since, None);
    }

    #[test]
    fn a_route_is_suspended_since_the_first_time_with_the_last_reason() {
        let mut remembered = AlarmMemory::default();
        assert!(remembered.note(&record(10, "route_suspended", &[("route", "r:25"), ("reason", "refused")])));
        remembered.note(&record(20, "route_suspended", &[("route", "r:25"), ("reason", "timeout")]));
        assert_eq!(remembered.suspended["r:25"], Trouble { since: 10, last: 20, reason: "timeout".to_owned() });
        for n in 0..1000 {
            remembered.note(&record(30, "route_suspended", &[("route", &n.to_string())]));
        }
        assert_eq!(remembered.suspended.len(), ROUTES);
        remembered.note(&record(40, "route_resumed", &[("route", "r:25")]));
        assert!(!remembered.suspended.contains_key("r:25"));
    }

    #[test]
    fn a_failed_notice_is_untold_and_ordinary_failures_are_not() {
        let mut remembered = AlarmMemory::default();
        remembered.note(&record(1, "failed", &[("queue_id", "A"), ("from", "x@y"), ("reply", "550 no")]));
        assert!(remembered.undelivered_dsns.is_empty());
        remembered.note(&record(1, "failed", &[("queue_id", "B"), ("from", ""), ("reply", "550 no")]));
        remembered.note(&record(1, "dsn_suppressed", &[("queue_id", "C"), ("reason", "no address")]));
        assert_eq!(remembered.undelivered_dsns["B"], "the notice failed");
        assert_eq!(remembered.undelivered_dsns["C"], "no address");
    }

    #[test]
    fn admission_is_closed_until_it_is_opened() {
        let mut remembered = AlarmMemory::default();
        assert!(remembered.note(&record(1, "admission_closed", &[("reason", "moving house")])));
        assert_eq!(remembered.admission_closed.as_deref(), Some("moving house"));
        assert!(remembered.note(&record(2, "admission_opened", &[])));
        assert_eq!(remembered.admission_closed, None);
    }

    #[test]
    fn what_is_remembered_survives_a_restart_and_an_older_file() {
        let mut remembered = AlarmMemory::default();
        remembered.note(&record(10, "route_suspended", &[("route", "r:25"), ("reason", "refused")]));
        let text = serde_json::to_string(&remembered).unwrap();
        assert_eq!(serde_json::from_str::<AlarmMemory>(&text).unwrap(), remembered);
        assert_eq!(serde_json::from_str::<AlarmMemory>("{}").unwrap(), AlarmMemory::default());
    }
}
