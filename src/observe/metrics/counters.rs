//! The counters of the daemon. In memory only: counters start at 0 with each start, as readers of metrics expect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::outbox::Listener;
use super::text::Histogram;
use mail::code::Code;
use state::Progress;

/// The most distinct values of one label. Remote domains influence their number, and each value costs every reader a permanent
/// series. Further values are counted together as [`OTHER`].
const VALUES: usize = 200;
/// The label value of everything beyond [`VALUES`].
pub const OTHER: &str = "other";

/// Upper bounds of delivery times in seconds: from acceptance to the reply of the next hop, including retries.
const DELIVERY: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0, 172_800.0];
/// Upper bounds of transaction times in seconds.
const TRANSACTION: &[f64] = &[0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// Counts by the value of a label. Values come from domains and servers, so their number is limited.
#[derive(Clone, Debug)]
pub struct ByLabel<T> {
    values: BTreeMap<String, T>,
}

impl<T> Default for ByLabel<T> {
    fn default() -> Self {
        ByLabel { values: BTreeMap::new() }
    }
}

impl<T: Default> ByLabel<T> {
    fn at(&mut self, value: &str) -> &mut T {
        // Looked up before it is copied: usually the value is known.
        let is_known = self.values.contains_key(value);
        let value = if is_known || self.values.len() < VALUES { value } else { OTHER };
        self.values.entry(value.to_owned()).or_default()
    }

    /// All values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.values.iter().map(|(value, count)| (value.as_str(), count))
    }
}

/// All counts of one moment.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Recipients by route, then by outcome (`relayed`, `deferred`, `failed`, `uncertain`) and first digit of the enhanced status.
    pub outcomes: ByLabel<BTreeMap<(&'static str, char), u64>>,
    /// Opened sessions by route, then by security.
    pub sessions: ByLabel<BTreeMap<String, u64>>,
    /// Failed attempts to open a session, by route.
    pub unreachable: ByLabel<u64>,
    /// Messages signed, by domain.
    pub signed: ByLabel<u64>,
    /// Messages that could not be signed.
    pub unsigned: u64,
    /// Events by their names in mailchute-log(5).
    pub events: BTreeMap<String, u64>,
    /// Seconds from acceptance to relayed, for each recipient.
    pub delivery: Histogram,
    /// Seconds from MAIL to the final reply, for each transaction.
    pub transaction: Histogram,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            outcomes: ByLabel::default(),
            sessions: ByLabel::default(),
            unreachable: ByLabel::default(),
            signed: ByLabel::default(),
            unsigned: 0,
            events: BTreeMap::new(),
            delivery: Histogram::new(DELIVERY),
            transaction: Histogram::new(TRANSACTION),
        }
    }
}

/// The counters, shared by all tasks.
#[derive(Debug, Default)]
pub struct Counters {
    counts: Mutex<Counts>,
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    pub fn read(&self) -> Counts {
        self.lock().clone()
    }

    /// A recipient's outcome on `route`; `status` is the enhanced status, `delay` the seconds since the message was accepted.
    pub fn outcome(&self, route: &str, progress: Progress, status: &str, delay: f64) {
        let class = status.chars().next().filter(|c| matches!(c, '2' | '4' | '5')).unwrap_or('0');
        let outcome = progress.word();
        let mut counts = self.lock();
        if progress == Progress::Relayed {
            counts.delivery.observe(delay);
        }
        *counts.outcomes.at(route).entry((outcome, class)).or_default() += 1;
    }

    /// A transaction took this many seconds until its final reply.
    pub fn transaction(&self, seconds: f64) {
        self.lock().transaction.observe(seconds);
    }

    /// A session was opened on `route`. `security` is a TLS version, or `none`.
    pub fn session(&self, route: &str, security: &str) {
        *self.lock().sessions.at(route).entry(security.to_owned()).or_default() += 1;
    }

    /// No session could be opened on `route`.
    pub fn unreachable(&self, route: &str) {
        *self.lock().unreachable.at(route) += 1;
    }

    /// A message was signed for `domain`.
    pub fn signed(&self, domain: &str) {
        *self.lock().signed.at(domain) += 1;
    }

    /// A message could not be signed.
    pub fn unsigned(&self) {
        self.lock().unsigned += 1;
    }

    /// The listener that counts events.
    pub fn listener(counters: &Arc<Counters>) -> Listener {
        let counters = Arc::clone(counters);
        Box::new(move |records| records.iter().for_each(|record| counters.event(&record.event)))
    }

    /// An event of the event table.
    pub fn event(&self, name: &str) {
        *self.lock().events.entry(name.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_route_outcome_and_class() {
        let counters = Counters::default();
        counters.outcome("smtp://a", Progress::Relayed, "2.0.0", 0.3);
        counters.outcome("smtp://a", Progress::Relayed, "2.1.5", 0.3);
        counters.outcome("smtp://a", Progress::Deferred, "4.7.1", 9.0);
        counters.outcome("smtp://a", Progress::Failed, "", 9.0);
        let counts = counters.read();
        let route: Vec<_> = counts.outcomes.iter().collect();
        let expected = BTreeMap::from([(("deferred", '4'), 1), (("failed", '0'), 1), (("relayed", '2'), 2)]);
        assert_eq!(route, [("smtp://a", &expected)]);
    }

    #[test]
    fn a_million_domains_do_not_make_a_million_series() {
        let counters = Counters::default();
        for n in 0..VALUES * 5 {
            let route = format!("mx:{n:05}.example");
            counters.outcome(&route, Progress::Relayed, "2.0.0", 0.0);
            counters.outcome(&route, Progress::Failed, "5.0.0", 0.0);
            counters.session(&route, "TLS 1.3");
            counters.unreachable(&route);
            counters.signed(&route);
        }
        let counts = counters.read();
        assert_eq!(counts.outcomes.iter().count(), VALUES + 1);
        assert_eq!(counts.outcomes.iter().flat_map(|(_, of)| of.values()).sum::<u64>(), 10 * VALUES as u64);
        assert_eq!((counts.sessions.iter().count(), counts.signed.iter().count()), (VALUES + 1, VALUES + 1));
        assert_eq!(counts.unreachable.iter().find(|(route, _)| *route == OTHER), Some((OTHER, &(4 * VALUES as u64))));
    }
}
