//! AlarmInputs in, alarms out. Pure: no clock, no I/O.

use std::collections::BTreeMap;

use super::alarm::{Alarm, Kind};
use super::canary::Fate;
use super::memory::AlarmMemory;
use config::Params;
use control::warnings;

/// Seconds that a failure of the disk or the database is worth an alarm.
const STORAGE: i64 = 3600;
/// Seconds after which a route that nobody was refused by any more is forgotten.
const ROUTE: i64 = 3600;
/// Seconds that a webhook may fail.
const WEBHOOK: i64 = 3600;
/// Files of the spool's file system that must be free.
const FREE_FILES: u64 = 5000;

/// Room on the file system of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the daemon can still write.
    pub bytes: u64,
    /// Files that it can still make; none where the file system knows no bound.
    pub files: Option<u64>,
}

/// How a webhook does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSnapshot {
    /// Its name in the configuration.
    pub name: String,
    /// Events that wait.
    pub waiting: u64,
    /// Events that were lost since its queue was last empty.
    pub lost: u64,
    /// Since when it takes none, unix seconds.
    pub failing_since: Option<i64>,
}

/// What was found out now.
#[derive(Clone, Debug, Default)]
pub struct AlarmInputs {
    /// Unix seconds.
    pub now: i64,
    /// When the oldest waiting message was accepted.
    pub oldest: Option<i64>,
    /// The configured next hop, as its events name it; none where mail goes to mail exchangers.
    pub route: Option<String>,
    /// Since when delivery is paused, and who paused it.
    pub paused: Option<String>,
    /// What cannot be used, one line each.
    pub unusable: Vec<String>,
    /// Room in the spool, where it could be asked.
    pub space: Option<Space>,
    /// Files in `corrupt/`.
    pub corrupt: usize,
    /// The webhooks.
    pub webhooks: Vec<WebhookSnapshot>,
}

/// The limits of the configuration, in seconds and bytes; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `alarm_age`
    pub age: i64,
    /// `alarm_route_time`
    pub route: i64,
    /// `alarm_silence_time`
    pub silence: i64,
    /// `alarm_free_space`
    pub space: u64,
}

impl Limits {
    /// Those of `params`.
    pub fn of(params: &Params) -> Limits {
        let seconds = |span: config::Span| i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX);
        Limits {
            age: seconds(params.alarm_age),
            route: seconds(params.alarm_route_time),
            silence: seconds(params.alarm_silence_time),
            space: params.alarm_free_space.0,
        }
    }
}

/// What is wrong. `is_standing` says whether an alarm of this kind stands already: what is measured must then be better by a
/// quarter before it is over, so that a value at its limit makes one alarm and not a hundred.
pub fn judge(facts: &AlarmInputs, remembered: &AlarmMemory, limits: Limits, is_standing: impl Fn(Kind) -> bool) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut add = |kind, subject: &str, reason: String| alarms.push(Alarm { kind, subject: subject.to_owned(), reason });
    let exceeds = |since: Option<i64>, limit: i64| since.map(|since| facts.now - since).filter(|&age| limit > 0 && age >= limit);
    if let Some(age) = exceeds(remembered.trying_since.filter(|_| facts.oldest.is_some()), limits.silence) {
        add(Kind::NoDelivery, "", format!("nothing was relayed for {}, and every attempt was in vain", span(age)));
    }
    if let Some(age) = exceeds(facts.oldest, limits.age) {
        add(Kind::QueueOld, "", format!("the oldest waiting message is {} old", span(age)));
    }
    let suspended = facts.route.as_ref().and_then(|route| remembered.suspended.get_key_value(route));
    if let Some((route, trouble)) = suspended.filter(|(_, trouble)| facts.now - trouble.last < ROUTE)
        && exceeds(Some(trouble.since), limits.route).is_some()
    {
        add(Kind::RouteSuspended, route, trouble.reason.clone());
    }
    if let Some(reason) = lacks_space(facts.space, limits.space, is_standing(Kind::SpoolFull)) {
        add(Kind::SpoolFull, "", reason);
    }
    if let Some(trouble) = remembered.storage.as_ref().filter(|trouble| facts.now - trouble.last < STORAGE) {
        add(Kind::StorageFailed, "", trouble.reason.clone());
    }
    if remembered.state_lost {
        add(Kind::StateLost, "", "state.sqlite was made anew, and messages that may have been delivered before are held".to_owned());
    }
    if let Some(why) = &remembered.admission_closed {
        add(Kind::AdmissionClosed, "", format!("no new mail is taken: {why}"));
    }
    if let Some(since) = &facts.paused {
        add(Kind::DeliveryPaused, "", warnings::paused(since));
    }
    facts.unusable.iter().for_each(|reason| add(Kind::CredentialUnusable, "", reason.clone()));
    if facts.corrupt > 0 {
        add(Kind::CorruptFile, "", "files lie in corrupt/, each with its reason in a file beside it".to_owned());
    }
    if let Some((id, reason)) = remembered.undelivered_dsns.first_key_value() {
        let others = remembered.undelivered_dsns.len() - 1;
        let more = if others == 0 { String::new() } else { format!(", and {others} more") };
        add(Kind::DsnUndeliverable, "", format!("nobody knows of {id}: {reason}{more}; see `mailchute show {id}`"));
    }
    for webhook in &facts.webhooks {
        if let Some(reason) = behind(webhook, facts.now) {
            add(Kind::WebhookBehind, &webhook.name, reason);
        }
    }
    if let Fate::Missing(reason) = remembered.canary.fate(facts.now) {
        add(Kind::CanaryMissing, "", reason);
    }
    one_of_each(alarms)
}

/// Two alarms of one kind and subject are one, with both reasons: they could not be told apart later.
fn one_of_each(alarms: Vec<Alarm>) -> Vec<Alarm> {
    let mut by_key: BTreeMap<(Kind, String), String> = BTreeMap::new();
    for alarm in alarms {
        let reason = by_key.entry((alarm.kind, alarm.subject)).or_default();
        if !reason.is_empty() {
            reason.push_str("; ");
        }
        reason.push_str(&alarm.reason);
    }
    by_key.into_iter().map(|((kind, subject), reason)| Alarm { kind, subject, reason }).collect()
}

fn lacks_space(space: Option<Space>, limit: u64, is_standing: bool) -> Option<String> {
    let Space { bytes, files } = space?;
    let wanted = |limit: u64| if is_standing { limit.saturating_add(limit / 4) } else { limit };
    if limit > 0 && bytes < wanted(limit) {
        return Some(format!("{} MiB are left for the spool", bytes >> 20));
    }
    let files = files.filter(|&files| limit > 0 && files < wanted(FREE_FILES))?;
    Some(format!("{files} more files can be made in the spool"))
}

fn behind(webhook: &WebhookSnapshot, now: i64) -> Option<String> {
    if webhook.lost > 0 {
        return Some(format!("{} events were lost, {} wait", webhook.lost, webhook.waiting));
    }
    let age = now - webhook.failing_since?;
    (age >= WEBHOOK).then(|| format!("it has taken no event for {}, {} wait", span(age), webhook.waiting))
}

/// Seconds as a person says them.
fn span(seconds: i64) -> String {
    match seconds {
        s if s < 120 => format!("{s} s"),
        s if s < 7200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Trouble;
    use super::*;

    const LIMITS: Limits = Limits { age: 1000, route: 100, silence: 500, space: 1 << 28 };

    fn kinds(facts: &AlarmInputs, remembered: &AlarmMemory) -> Vec<(Kind, String)> {
        judge(facts, remembered, LIMITS, |_| false).into_iter().map(|alarm| (alarm.kind, alarm.subject)).collect()
    }

    fn at(now: i64) -> AlarmInputs {
        AlarmInputs { now, route: Some("relay:587".to_owned()), oldest: Some(0), ..AlarmInputs::default() }
    }

    #[test]
    fn nothing_is_wrong_with_an_idle_system() {
        assert!(kinds(&AlarmInputs { now: 1 << 40, ..AlarmInputs::default() }, &AlarmMemory::default()).is_empty());
    }

    #[test]
    fn limits_are_reached_on_their_second_and_zero_is_no_limit() {
        let remembered = AlarmMemory { trying_since: Some(0), ..AlarmMemory::default() };
        assert!(kinds(&at(499), &remembered).is_empty());
        assert_eq!(kinds(&at(500), &remembered), [(Kind::NoDelivery, String::new())]);
        assert_eq!(kinds(&at(1000), &remembered), [(Kind::NoDelivery, String::new()), (Kind::QueueOld, String::new())]);
        let none = Limits { age: 0, route: 0, silence: 0, space: 0 };
        let facts = AlarmInputs { space: Some(Space { bytes: 0, files: Some(0) }), ..at(1 << 40) };
        assert!(judge(&facts, &remembered, none, |_| false).is_empty());
        assert!(kinds(&AlarmInputs { oldest: None, ..at(5000) }, &remembered).is_empty(), "nothing waits, so nothing is tried");
    }

    #[test]
    fn a_suspended_next_hop_is_told_but_not_one_dead_domain_of_the_world() {
        let suspended = [("relay:587".to_owned(), Trouble { last: 90, ..Trouble::new(0, "refused") })].into();
        let remembered = AlarmMemory { suspended, ..AlarmMemory::default() };
        assert!(kinds(&at(99), &remembered).is_empty());
        assert_eq!(kinds(&at(100), &remembered), [(Kind::RouteSuspended, "relay:587".to_owned())]);
        assert!(kinds(&AlarmInputs { route: None, ..at(100) }, &remembered).is_empty());
        assert!(!kinds(&at(90 + ROUTE), &remembered).contains(&(Kind::RouteSuspended, "relay:587".to_owned())), "long unheard of");
        let other = AlarmInputs { route: Some("other:587".to_owned()), ..at(100) };
        assert!(kinds(&other, &remembered).is_empty(), "it is not configured any more");
    }

    #[test]
    fn closed_admission_is_an_alarm_with_its_reason() {
        let remembered = AlarmMemory { admission_closed: Some("moving house".to_owned()), ..AlarmMemory::default() };
        let alarms = judge(&AlarmInputs::default(), &remembered, LIMITS, |_| false);
        assert_eq!((alarms.len(), alarms[0].kind), (1, Kind::AdmissionClosed));
        assert!(alarms[0].reason.ends_with("moving house"));
    }

    #[test]
    fn paused_delivery_is_a_warning_that_says_how_it_goes_on() {
        let facts = AlarmInputs { paused: Some("since noon by root".to_owned()), ..AlarmInputs::default() };
        let alarms = judge(&facts, &AlarmMemory::default(), LIMITS, |_| false);
        assert_eq!((alarms.len(), alarms[0].kind, alarms[0].kind.severity().word()), (1, Kind::DeliveryPaused, "warning"));
        assert_eq!(alarms[0].reason, "delivery is paused since noon by root; `mailchute resume` lets it go on");
    }

    #[test]
    fn room_at_its_limit_makes_one_alarm() {
        let facts = |bytes| AlarmInputs { space: Some(Space { bytes, files: None }), ..AlarmInputs::default() };
        let is_full = |bytes, standing| !judge(&facts(bytes), &AlarmMemory::default(), LIMITS, |_| standing).is_empty();
        assert!(is_full((1 << 28) - 1, false) && !is_full(1 << 28, false));
        assert!(is_full(1 << 28, true) && !is_full((1 << 28) + (1 << 26), true));
        let few = AlarmInputs { space: Some(Space { bytes: 1 << 40, files: Some(4999) }), ..AlarmInputs::default() };
        assert_eq!(kinds(&few, &AlarmMemory::default()), [(Kind::SpoolFull, String::new())]);
    }

    #[test]
    fn two_reasons_of_one_alarm_are_one_alarm() {
        let facts = AlarmInputs { unusable: vec!["key a".to_owned(), "key b".to_owned()], ..AlarmInputs::default() };
        let alarms = judge(&facts, &AlarmMemory::default(), LIMITS, |_| false);
        assert_eq!(alarms.len(), 1);
        assert_eq!(alarms[0].reason, "key a; key b");
    }

    #[test]
    fn a_webhook_is_behind_when_it_loses_or_fails_for_an_hour() {
        let webhook = |lost, failing_since| WebhookSnapshot { name: "w".to_owned(), waiting: 3, lost, failing_since };
        assert!(behind(&webhook(0, Some(0)), WEBHOOK - 1).is_none() && behind(&webhook(0, None), i64::MAX).is_none());
        assert!(behind(&webhook(0, Some(0)), WEBHOOK).is_some() && behind(&webhook(1, None), 0).is_some());
    }
}
