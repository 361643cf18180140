//! Reads the message statistics of the report page. Their size is bounded, whatever the queue holds.

use std::collections::HashMap;

use control::filter::domain_of;
use control::listing::Entry;
use control::overview::{AGES, Destination, Failure, INTERVAL, INTERVALS, Interval, Overview};
use control::why::WhyCodes;

use crate::entries;
use state::{Ended, Message, Progress, State, Waits};

/// Destinations listed.
const SHOWN: usize = 25;
/// Destinations counted separately. This bounds the memory for a queue full of made-up domains.
const DESTINATIONS: usize = 10_000;
/// Failed messages listed.
const FAILURES: usize = 50;
/// Recipients listed of each failed message.
const RECIPIENTS: usize = 5;

/// Reads the statistics at `now`, for one user or for all. The caller sets `free`.
///
/// Errors: the database's.
pub fn read(state: &State, uid: Option<u32>, now: i64) -> state::Result<Overview> {
    read_with(Some(state), &[], uid, now)
}

/// The same with messages without a row, for a spool whose daemon is stopped; the database may be missing.
///
/// Errors: the database's.
pub fn read_with(state: Option<&State>, unindexed: &[Entry], uid: Option<u32>, now: i64) -> state::Result<Overview> {
    let mut table = Table::default();
    state.map_or(Ok(()), |state| state.each_waiting(uid, |waits| table.add(waits, now)))?;
    // Whole intervals; the last one contains `now`.
    let since = (now.div_euclid(INTERVAL) + 1 - INTERVALS as i64) * INTERVAL;
    let mut ended =
        state.map_or_else(|| Ok(vec![Ended::default(); INTERVALS]), |state| state.ended_by_span(since, INTERVAL, INTERVALS, uid))?;
    for entry in unindexed {
        let waits = |address: &str| Waits {
            address: address.to_owned(),
            accepted: entry.arrival_time,
            reply: String::new(),
            at: None,
            diagnosis: Default::default(),
        };
        entry.recipients.iter().for_each(|recipient| table.add(waits(&recipient.address), now));
        let span = usize::try_from((entry.arrival_time - since).div_euclid(INTERVAL)).ok().and_then(|at| ended.get_mut(at));
        if let Some(span) = span {
            span.accepted += 1;
        }
    }
    let (destinations, others) = table.finish();
    let span = |Ended { accepted, relayed, failed, lost }| Interval { accepted, relayed, failed, lost };
    let intervals = ended.into_iter().map(span).collect();
    let failures = state.map_or_else(|| Ok(Vec::new()), |state| failures(state, uid, now))?;
    Ok(Overview { at: now, destinations, others, since, intervals, failures, free: None })
}

/// The latest messages that failed or were lost.
fn failures(state: &State, uid: Option<u32>, now: i64) -> state::Result<Vec<Failure>> {
    let failure = |message: Message| {
        let mut entry = entries::entry(&message, &state.recipients(message.id)?, false, now);
        entry.recipients.retain(|recipient| recipient.status == Progress::Failed);
        let more = entry.recipients.len().saturating_sub(RECIPIENTS);
        entry.recipients.truncate(RECIPIENTS);
        Ok(Failure { entry, more, ended: message.ended_at })
    };
    let mut latest = state.latest_failed(FAILURES, uid)?;
    latest.extend(state.latest_lost(FAILURES, uid)?);
    latest.sort_by_key(|message| std::cmp::Reverse(message.id));
    latest.truncate(FAILURES);
    latest.into_iter().map(failure).collect()
}

/// Counts recipients by destination.
#[derive(Default)]
struct Table {
    rows: HashMap<String, Destination>,
    others: Destination,
}

impl Table {
    fn add(&mut self, waits: Waits, now: i64) {
        let age = now.saturating_sub(waits.accepted);
        let class = AGES.partition_point(|bound| *bound <= age);
        let domain = domain_of(&waits.address);
        let has_own_row = self.rows.len() < DESTINATIONS || self.rows.contains_key(&domain);
        let row = if has_own_row { self.rows.entry(domain).or_default() } else { &mut self.others };
        if let Some(count) = row.ages.get_mut(class) {
            *count += 1;
        }
        if waits.at.is_some() && waits.at >= row.at {
            (row.reply, row.at) = (mail::words::of_recipient(&waits.diagnosis, &waits.reply), waits.at);
            row.why = waits.diagnosis.into();
        }
    }

    fn finish(self) -> (Vec<Destination>, Option<Destination>) {
        let mut others = Destination { reply: String::new(), why: WhyCodes::default(), at: None, ..self.others };
        let named = |(domain, row): (String, Destination)| Destination { domain, ..row };
        let mut rows: Vec<Destination> = self.rows.into_iter().map(named).collect();
        rows.sort_by(|a, b| b.total().cmp(&a.total()).then_with(|| a.domain.cmp(&b.domain)));
        for row in rows.drain(SHOWN.min(rows.len())..) {
            others.ages.iter_mut().zip(row.ages).for_each(|(sum, count)| *sum += count);
        }
        let has_others = others.total() > 0;
        (rows, has_others.then_some(others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(address: &str, accepted: i64, at: Option<i64>) -> Waits {
        Waits { address: address.to_owned(), accepted, reply: format!("at {at:?}"), at, diagnosis: Default::default() }
    }

    #[test]
    fn recipients_are_counted_by_destination_and_age_with_the_latest_reply() {
        let mut table = Table::default();
        for one in [
            waits("a@X.example", 1_000_000 - 299, Some(9)),
            waits("b@x.example", 1_000_000 - 300, Some(8)),
            waits("c@x.example", 0, None),
            waits("d@y.example", 2_000_000, None),
        ] {
            table.add(one, 1_000_000);
        }
        let (rows, others) = table.finish();
        assert_eq!((rows[0].domain.as_str(), rows[0].ages, rows[0].reply.as_str()), ("x.example", [1, 1, 0, 0, 0, 1], "at Some(9)"));
        assert_eq!((rows[1].domain.as_str(), rows[1].ages), ("y.example", [1, 0, 0, 0, 0, 0]));
        assert_eq!(others, None);
    }

    #[test]
    fn messages_without_a_row_wait_and_were_accepted_also_where_there_is_no_database() {
        let recipient = control::listing::Recipient { address: "a@x.example".into(), ..Default::default() };
        let entry = Entry { arrival_time: 1_000_000 - 300, recipients: vec![recipient], ..Entry::default() };
        let overview = read_with(None, &[entry], None, 1_000_000).unwrap();
        assert_eq!(overview.destinations.iter().map(|row| (row.domain.as_str(), row.ages)).next(), Some(("x.example", [0, 1, 0, 0, 0, 0])));
        assert_eq!(overview.intervals.iter().map(|span| span.accepted).sum::<u64>(), 1);
    }

    #[test]
    fn made_up_domains_are_counted_and_cost_no_memory() {
        let mut table = Table::default();
        for n in 0..DESTINATIONS + 5 {
            table.add(waits(&format!("a@{n}.example"), 0, None), 0);
        }
        assert_eq!(table.rows.len(), DESTINATIONS);
        let (rows, others) = table.finish();
        assert_eq!((rows.len(), others.map(|row| row.total())), (SHOWN, Some((DESTINATIONS + 5 - SHOWN) as u64)));
    }
}
