//! Decides which alarms are active. Pure: no clock, no I/O.

use std::collections::BTreeMap;

use super::alarm::{Alarm, Kind};
use super::canary::Fate;
use super::memory::{AlarmMemory, LOST};
use config::Params;
use control::protocol::{NEAR_LIMIT, UserUsage};
use control::warnings;
use mail::printable::counted;

/// Seconds that an alarm about the disk or the database stays active after the last failure.
const STORAGE: i64 = 3600;
/// Seconds after which a suspended route without further failures is ignored.
const ROUTE: i64 = 3600;
/// Seconds that a webhook may fail before an alarm.
const WEBHOOK: i64 = 3600;
/// Percent of a limit below which a user is no longer near it.
pub const BELOW_LIMIT: u64 = 70;
/// Free inodes that the spool's file system must have.
const FREE_FILES: u64 = 5000;

/// Free space on the file system of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free bytes for the daemon.
    pub bytes: u64,
    /// Free inodes; `None` if the file system does not limit them.
    pub files: Option<u64>,
}

/// The state of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSnapshot {
    /// Its name in the configuration.
    pub name: String,
    /// Queued events.
    pub waiting: u64,
    /// Events that were lost since its queue was last empty.
    pub lost: u64,
    /// Since when it accepts no events, unix seconds.
    pub failing_since: Option<i64>,
}

/// The state that alarms are judged by.
#[derive(Clone, Debug, Default)]
pub struct AlarmInputs {
    /// Unix seconds.
    pub now: i64,
    /// When the oldest queued message was accepted.
    pub oldest: Option<i64>,
    /// The configured next hop, as events name it; `None` if mail goes to mail exchangers.
    pub route: Option<String>,
    /// Since when delivery has been paused, and by whom.
    pub paused: Option<String>,
    /// Unusable keys, passwords and secrets, one line each.
    pub unusable: Vec<String>,
    /// Free space in the spool; `None` if the kernel does not report it.
    pub space: Option<Space>,
    /// Files in `corrupt/`.
    pub corrupt: usize,
    /// The users who have at least [`BELOW_LIMIT`] percent of a limit.
    pub usage: Vec<UserUsage>,
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

/// The alarms for these inputs. `is_active` tells whether the alarm of this kind and subject is active: it clears at another value than
/// it was raised at, so that a value at its limit raises one alarm and not a hundred.
pub fn judge(inputs: &AlarmInputs, memory: &AlarmMemory, limits: Limits, is_active: impl Fn(Kind, &str) -> bool) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut add = |kind, subject: &str, reason: String| alarms.push(Alarm { kind, subject: subject.to_owned(), reason });
    let exceeds = |since: Option<i64>, limit: i64| since.map(|since| inputs.now - since).filter(|&age| limit > 0 && age >= limit);
    if let Some(age) = exceeds(memory.trying_since.filter(|_| inputs.oldest.is_some()), limits.silence) {
        add(Kind::NoDelivery, "", format!("no message was relayed for {}: every attempt failed", span(age)));
    }
    if let Some(age) = exceeds(inputs.oldest, limits.age) {
        add(Kind::QueueOld, "", format!("the oldest queued message is {} old", span(age)));
    }
    let suspended = inputs.route.as_ref().and_then(|route| memory.suspended.get_key_value(route));
    if let Some((route, trouble)) = suspended.filter(|(_, trouble)| inputs.now - trouble.last < ROUTE)
        && exceeds(Some(trouble.since), limits.route).is_some()
    {
        add(Kind::RouteSuspended, route, trouble.reason.clone());
    }
    if let Some(reason) = lacks_space(inputs.space, limits.space, is_active(Kind::SpoolFull, "")) {
        add(Kind::SpoolFull, "", reason);
    }
    if let Some(trouble) = memory.storage.as_ref().filter(|trouble| inputs.now - trouble.last < STORAGE) {
        add(Kind::StorageFailed, "", trouble.reason.clone());
    }
    if memory.state_lost {
        add(Kind::StateLost, "", "state.sqlite was rebuilt; messages that may have been delivered already are held".to_owned());
    }
    if memory.state_restored.is_some_and(|at| inputs.now - at < LOST) {
        let what = "state.sqlite or the whole spool is an older copy: what was delivered since may be sent a second time; see the log";
        add(Kind::StateRestored, "", what.to_owned());
    }
    if let Some(why) = &memory.admission_closed {
        add(Kind::AdmissionClosed, "", format!("not accepting new mail: {why}"));
    }
    if let Some(since) = &inputs.paused {
        add(Kind::DeliveryPaused, "", warnings::paused(since));
    }
    inputs.unusable.iter().for_each(|reason| add(Kind::CredentialUnusable, "", reason.clone()));
    if let Some(lost) = memory.lost.filter(|lost| inputs.now - lost.last < LOST) {
        let lost = counted(usize::try_from(lost.count).unwrap_or(usize::MAX), "message");
        add(Kind::MessageLost, "", format!("{lost} lost on this host: the spool was changed; see `mailchute report` and the log"));
    }
    if inputs.corrupt > 0 {
        add(Kind::CorruptFile, "", "there are files in corrupt/; the reason for each is in a file beside it".to_owned());
    }
    for usage in inputs.usage.iter().filter(|usage| is_near(usage, &is_active)) {
        // Everybody may read alarms: no figures.
        let reason = format!("the mail of this user in the spool is close to {}; see `mailchute status`", usage.limit());
        add(Kind::QuotaNear, &usage.uid.to_string(), reason);
    }
    if let Some((id, reason)) = memory.undelivered_dsns.first_key_value() {
        let others = memory.undelivered_dsns.len() - 1;
        let more = if others == 0 { String::new() } else { format!(", and {others} more") };
        add(Kind::DsnUndeliverable, "", format!("nobody was notified about {id}: {reason}{more}; see `mailchute show {id}`"));
    }
    for webhook in &inputs.webhooks {
        if let Some(reason) = behind(webhook, inputs.now) {
            add(Kind::WebhookBehind, &webhook.name, reason);
        }
    }
    if let Fate::Missing(reason) = memory.canary.fate(inputs.now) {
        add(Kind::CanaryMissing, "", reason);
    }
    one_of_each(alarms)
}

/// Merges alarms of one kind and subject, with all reasons: they would have the same identity.
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

fn lacks_space(space: Option<Space>, limit: u64, is_active: bool) -> Option<String> {
    let Space { bytes, files } = space?;
    let wanted = |limit: u64| if is_active { limit.saturating_add(limit / 4) } else { limit };
    if limit > 0 && bytes < wanted(limit) {
        return Some(format!("{} MiB of disk space are left for the spool", bytes >> 20));
    }
    let files = files.filter(|&files| limit > 0 && files < wanted(FREE_FILES))?;
    Some(format!("{files} inodes are left for the spool"))
}

fn is_near(usage: &UserUsage, is_active: impl Fn(Kind, &str) -> bool) -> bool {
    let percent = usage.percent();
    percent >= NEAR_LIMIT || (percent >= BELOW_LIMIT && is_active(Kind::QuotaNear, &usage.uid.to_string()))
}

fn behind(webhook: &WebhookSnapshot, now: i64) -> Option<String> {
    if webhook.lost > 0 {
        return Some(format!("{} events were lost, {} are queued", webhook.lost, webhook.waiting));
    }
    let age = now - webhook.failing_since?;
    (age >= WEBHOOK).then(|| format!("no event was accepted for {}, {} are queued", span(age), webhook.waiting))
}

/// A duration for people.
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

    fn kinds(inputs: &AlarmInputs, memory: &AlarmMemory) -> Vec<(Kind, String)> {
        judge(inputs, memory, LIMITS, |_, _| false).into_iter().map(|alarm| (alarm.kind, alarm.subject)).collect()
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
        let memory = AlarmMemory { trying_since: Some(0), ..AlarmMemory::default() };
        assert!(kinds(&at(499), &memory).is_empty());
        assert_eq!(kinds(&at(500), &memory), [(Kind::NoDelivery, String::new())]);
        assert_eq!(kinds(&at(1000), &memory), [(Kind::NoDelivery, String::new()), (Kind::QueueOld, String::new())]);
        let none = Limits { age: 0, route: 0, silence: 0, space: 0 };
        let inputs = AlarmInputs { space: Some(Space { bytes: 0, files: Some(0) }), ..at(1 << 40) };
        assert!(judge(&inputs, &memory, none, |_, _| false).is_empty());
        assert!(kinds(&AlarmInputs { oldest: None, ..at(5000) }, &memory).is_empty(), "the queue is empty");
    }

    #[test]
    fn a_suspended_next_hop_is_an_alarm_and_a_single_dead_domain_is_not() {
        let suspended = [("relay:587".to_owned(), Trouble { last: 90, ..Trouble::new(0, "refused") })].into();
        let memory = AlarmMemory { suspended, ..AlarmMemory::default() };
        assert!(kinds(&at(99), &memory).is_empty());
        assert_eq!(kinds(&at(100), &memory), [(Kind::RouteSuspended, "relay:587".to_owned())]);
        assert!(kinds(&AlarmInputs { route: None, ..at(100) }, &memory).is_empty());
        assert!(!kinds(&at(90 + ROUTE), &memory).contains(&(Kind::RouteSuspended, "relay:587".to_owned())), "no failure for a long time");
        let other = AlarmInputs { route: Some("other:587".to_owned()), ..at(100) };
        assert!(kinds(&other, &memory).is_empty(), "it is not configured any more");
    }

    #[test]
    fn closed_admission_is_an_alarm_with_its_reason() {
        let memory = AlarmMemory { admission_closed: Some("moving house".to_owned()), ..AlarmMemory::default() };
        let alarms = judge(&AlarmInputs::default(), &memory, LIMITS, |_, _| false);
        assert_eq!((alarms.len(), alarms[0].kind), (1, Kind::AdmissionClosed));
        assert!(alarms[0].reason.ends_with("moving house"));
    }

    #[test]
    fn paused_delivery_is_a_warning_that_says_how_to_resume() {
        let inputs = AlarmInputs { paused: Some("since noon by root".to_owned()), ..AlarmInputs::default() };
        let alarms = judge(&inputs, &AlarmMemory::default(), LIMITS, |_, _| false);
        assert_eq!((alarms.len(), alarms[0].kind, alarms[0].kind.severity().word()), (1, Kind::DeliveryPaused, "warning"));
        assert_eq!(alarms[0].reason, warnings::paused("since noon by root"));
    }

    #[test]
    fn free_space_at_its_limit_raises_one_alarm() {
        let inputs = |bytes| AlarmInputs { space: Some(Space { bytes, files: None }), ..AlarmInputs::default() };
        let is_full = |bytes, active| !judge(&inputs(bytes), &AlarmMemory::default(), LIMITS, |_, _| active).is_empty();
        assert!(is_full((1 << 28) - 1, false) && !is_full(1 << 28, false));
        assert!(is_full(1 << 28, true) && !is_full((1 << 28) + (1 << 26), true));
        let few = AlarmInputs { space: Some(Space { bytes: 1 << 40, files: Some(4999) }), ..AlarmInputs::default() };
        assert_eq!(kinds(&few, &AlarmMemory::default()), [(Kind::SpoolFull, String::new())]);
    }

    #[test]
    fn a_user_near_a_limit_is_an_alarm_of_its_own_that_clears_well_below() {
        let usage = |uid, messages| UserUsage { uid, messages, message_limit: 100, ..UserUsage::default() };
        let near = |messages, active: &str| {
            let inputs = AlarmInputs { usage: vec![usage(1000, messages), usage(1001, 79)], ..AlarmInputs::default() };
            judge(&inputs, &AlarmMemory::default(), LIMITS, |kind, subject| kind == Kind::QuotaNear && subject == active)
        };
        assert!(near(79, "").is_empty());
        let alarms = near(80, "");
        assert_eq!((alarms.len(), alarms[0].kind, alarms[0].subject.as_str()), (1, Kind::QuotaNear, "1000"));
        assert!(alarms[0].reason.contains("user_message_limit") && !alarms[0].reason.contains("80"), "{}", alarms[0].reason);
        assert_eq!((near(70, "1000").len(), near(69, "1000").len(), near(200, "1000").len()), (1, 0, 1));
    }

    #[test]
    fn two_reasons_of_one_alarm_are_one_alarm() {
        let inputs = AlarmInputs { unusable: vec!["key a".to_owned(), "key b".to_owned()], ..AlarmInputs::default() };
        let alarms = judge(&inputs, &AlarmMemory::default(), LIMITS, |_, _| false);
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
