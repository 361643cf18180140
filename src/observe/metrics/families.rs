//! The table of metric families, and the page made from it. Pure.

use super::counters::Counts;
use super::text::{Exposition, Family, Kind};
use mail::code::Code;
use state::Totals;

/// The age classes of the queue: label value and upper bound in seconds.
pub const AGES: [(&str, i64); 6] = [("5m", 300), ("1h", 3600), ("4h", 4 * 3600), ("1d", 86_400), ("5d", 5 * 86_400), ("older", i64::MAX)];

macro_rules! families {
    ($($constant:ident: $name:literal, $kind:ident, $help:literal;)*) => {
        $(const $constant: Family = Family { name: $name, kind: Kind::$kind, help: $help };)*
        /// All families, in the order in which they are written.
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    BUILD: "mailchute_build_info", Gauge, "Always 1; the label has the version.";
    STARTED: "mailchute_start_time_seconds", Gauge, "Start time of the daemon, unix time.";
    WRITTEN: "mailchute_written_time_seconds", Gauge, "When this file was written, unix time. If it is old, the daemon has stopped.";
    QUEUE: "mailchute_queue_messages", Gauge, "Messages by state (queued, held, failed) and age (time since acceptance, up to the label).";
    QUEUE_BYTES: "mailchute_queue_bytes", Gauge, "Bytes of these messages by state.";
    OLDEST: "mailchute_queue_oldest_seconds", Gauge, "Age of the oldest queued message; 0 if there is none.";
    LAST_RELAYED: "mailchute_last_relayed_time_seconds", Gauge, "Last successful delivery since the start, unix time; 0 if there was none.";
    SUSPENDED: "mailchute_route_suspended", Gauge, "1 for each suspended route.";
    ACCEPTED: "mailchute_messages_accepted", Counter, "Messages accepted since the database was created.";
    ENDED: "mailchute_messages_ended", Counter, "Messages that ended since the database was created, by how they ended (relayed, failed, expired, bounced, removed, corrupt, vanished).";
    REOPENED: "mailchute_messages_reopened", Counter, "Messages requeued after they had ended, since the database was created.";
    OUTCOMES: "mailchute_recipient_outcomes", Counter, "Outcomes of recipients by route, outcome (relayed, deferred, failed, uncertain) and first digit of the enhanced status.";
    SESSIONS: "mailchute_sessions", Counter, "Sessions with a next hop by route and security (TLS version, or none).";
    UNREACHABLE: "mailchute_route_failures", Counter, "Failed attempts to open a session, by route.";
    DELIVERY: "mailchute_delivery_seconds", Histogram, "Time from acceptance until the next hop accepted a recipient, including retries.";
    TRANSACTION: "mailchute_transaction_seconds", Histogram, "Time of an SMTP transaction from MAIL to the final reply.";
    SIGNED: "mailchute_dkim_signed_messages", Counter, "Messages signed with DKIM, by domain.";
    UNSIGNED: "mailchute_dkim_failures", Counter, "Messages held because they could not be signed.";
    EVENTS: "mailchute_events", Counter, "Events by their names in mailchute-log(5).";
    FREE_BYTES: "mailchute_spool_free_bytes", Gauge, "Free bytes on the spool's file system, for the daemon.";
    FREE_INODES: "mailchute_spool_free_inodes", Gauge, "Free inodes on the spool's file system.";
    ALARMS: "mailchute_alarm", Gauge, "1 for each active alarm.";
}

/// The queue in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// Messages by state and age class, in the order of [`AGES`].
    pub messages: Vec<(&'static str, [u64; AGES.len()])>,
    /// Bytes by state.
    pub bytes: Vec<(&'static str, u64)>,
    /// When the oldest queued message was accepted.
    pub oldest: Option<i64>,
    /// All messages since the database was created.
    pub totals: Totals,
}

/// The state at one moment. Times are unix seconds.
#[derive(Clone, Debug, Default)]
pub struct MetricsSnapshot {
    /// Now.
    pub now: i64,
    /// When the daemon started.
    pub started: i64,
    /// The queue; `None` if it could not be read: then its families have no samples.
    pub queue: Option<QueueSnapshot>,
    /// When delivery last succeeded.
    pub last_relayed: Option<i64>,
    /// Suspended routes.
    pub suspended: Vec<String>,
    /// Free bytes and inodes of the spool; `None` if the kernel does not report them.
    pub free: Option<(u64, u64)>,
    /// Names of raised alarms.
    pub alarms: Vec<String>,
}

/// Writes the page.
pub fn page(snapshot: &MetricsSnapshot, counts: &Counts) -> String {
    let mut out = Exposition::default();
    daemon(&mut out, snapshot);
    queue(&mut out, snapshot);
    totals(&mut out, snapshot);
    deliveries(&mut out, counts);
    spool(&mut out, snapshot);
    out.finish()
}

fn single(out: &mut Exposition, family: &Family, value: i64) {
    out.family(family);
    out.sample(family, &[], value);
}

fn daemon(out: &mut Exposition, snapshot: &MetricsSnapshot) {
    out.family(&BUILD);
    out.sample(&BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1u64);
    single(out, &STARTED, snapshot.started);
    single(out, &WRITTEN, snapshot.now);
}

fn queue(out: &mut Exposition, snapshot: &MetricsSnapshot) {
    out.family(&QUEUE);
    let queue = snapshot.queue.clone();
    for (state, by_age) in queue.iter().flat_map(|queue| &queue.messages) {
        for ((age, _), messages) in AGES.iter().zip(by_age) {
            out.sample(&QUEUE, &[("state", state), ("age", age)], *messages);
        }
    }
    out.family(&QUEUE_BYTES);
    for (state, bytes) in queue.iter().flat_map(|queue| &queue.bytes) {
        out.sample(&QUEUE_BYTES, &[("state", state)], *bytes);
    }
    out.family(&OLDEST);
    if let Some(queue) = queue {
        out.sample(&OLDEST, &[], queue.oldest.map_or(0, |oldest| snapshot.now.saturating_sub(oldest).max(0)));
    }
    single(out, &LAST_RELAYED, snapshot.last_relayed.unwrap_or(0));
    out.family(&SUSPENDED);
    snapshot.suspended.iter().for_each(|route| out.sample(&SUSPENDED, &[("route", route)], 1u64));
}

/// Accepted + reopened = ended + what is open.
fn totals(out: &mut Exposition, snapshot: &MetricsSnapshot) {
    let totals = snapshot.queue.as_ref().map(|queue| &queue.totals);
    out.family(&ACCEPTED);
    totals.iter().for_each(|totals| out.sample(&ACCEPTED, &[], totals.accepted));
    out.family(&ENDED);
    for (end, messages) in totals.iter().flat_map(|totals| &totals.ended) {
        out.sample(&ENDED, &[("end", end.word())], *messages);
    }
    out.family(&REOPENED);
    totals.iter().for_each(|totals| out.sample(&REOPENED, &[], totals.reopened));
}

fn deliveries(out: &mut Exposition, counts: &Counts) {
    out.family(&OUTCOMES);
    for (route, outcomes) in counts.outcomes.iter() {
        for ((outcome, class), number) in outcomes {
            out.sample(&OUTCOMES, &[("route", route), ("outcome", outcome), ("class", class.encode_utf8(&mut [0; 4]))], *number);
        }
    }
    out.family(&SESSIONS);
    for (route, sessions) in counts.sessions.iter() {
        for (security, number) in sessions {
            out.sample(&SESSIONS, &[("route", route), ("tls", security)], *number);
        }
    }
    out.family(&UNREACHABLE);
    counts.unreachable.iter().for_each(|(route, number)| out.sample(&UNREACHABLE, &[("route", route)], *number));
    out.family(&DELIVERY);
    out.histogram(&DELIVERY, &counts.delivery);
    out.family(&TRANSACTION);
    out.histogram(&TRANSACTION, &counts.transaction);
    out.family(&SIGNED);
    counts.signed.iter().for_each(|(domain, number)| out.sample(&SIGNED, &[("domain", domain)], *number));
    out.family(&UNSIGNED);
    out.sample(&UNSIGNED, &[], counts.unsigned);
    out.family(&EVENTS);
    counts.events.iter().for_each(|(event, number)| out.sample(&EVENTS, &[("event", event)], *number));
}

fn spool(out: &mut Exposition, snapshot: &MetricsSnapshot) {
    out.family(&FREE_BYTES);
    snapshot.free.iter().for_each(|(bytes, _)| out.sample(&FREE_BYTES, &[], *bytes));
    out.family(&FREE_INODES);
    snapshot.free.iter().for_each(|(_, inodes)| out.sample(&FREE_INODES, &[], *inodes));
    out.family(&ALARMS);
    snapshot.alarms.iter().for_each(|alarm| out.sample(&ALARMS, &[("alarm", alarm)], 1u64));
}

#[cfg(test)]
mod tests {
    use super::super::counters::Counters;
    use super::*;
    use state::{MessageEnd, Progress};

    #[test]
    fn every_family_of_the_table_is_written_once_and_in_its_order() {
        let page = page(&MetricsSnapshot::default(), &Counts::default());
        let written: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        assert_eq!(written, FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>());
    }

    #[test]
    fn the_page_has_the_snapshot_and_the_counts() {
        let counters = Counters::default();
        counters.outcome("smtp://relay.example", Progress::Failed, "5.1.1", 3.0);
        counters.session("smtp://relay.example", "TLSv1.3");
        counters.signed("example.org");
        counters.event("held");
        let totals = Totals { accepted: 9, reopened: 1, ended: vec![(MessageEnd::Vanished, 2)] };
        let queue =
            QueueSnapshot { messages: vec![("queued", [1, 2, 0, 0, 0, 3])], bytes: vec![("queued", 4096)], oldest: Some(900), totals };
        let snapshot = MetricsSnapshot {
            now: 1000,
            queue: Some(queue),
            alarms: vec!["spool_space".to_owned()],
            free: Some((7, 8)),
            ..MetricsSnapshot::default()
        };
        let page = page(&snapshot, &counters.read());
        for line in [
            "mailchute_queue_messages{state=\"queued\",age=\"older\"} 3",
            "mailchute_queue_bytes{state=\"queued\"} 4096",
            "mailchute_queue_oldest_seconds 100",
            "mailchute_messages_accepted_total 9",
            "mailchute_messages_ended_total{end=\"vanished\"} 2",
            "mailchute_messages_reopened_total 1",
            "mailchute_recipient_outcomes_total{route=\"smtp://relay.example\",outcome=\"failed\",class=\"5\"} 1",
            "mailchute_sessions_total{route=\"smtp://relay.example\",tls=\"TLSv1.3\"} 1",
            "mailchute_dkim_signed_messages_total{domain=\"example.org\"} 1",
            "mailchute_events_total{event=\"held\"} 1",
            "mailchute_spool_free_inodes 8",
            "mailchute_alarm{alarm=\"spool_space\"} 1",
        ] {
            assert!(page.lines().any(|written| written == line), "{line}\n{page}");
        }
    }
}
