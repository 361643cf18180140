//! The thread of one receiver: sends one event after the other, and pauses when the receiver does not accept them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::client::{Client, Verdict};
use super::endpoint::{Endpoint, sink};
use super::queue::{Due, Queue};
use super::shared::{Hooks, Inner};
use log::events;

/// The first pause, in seconds; each further one is four times as long.
const FIRST: i64 = 1;
/// The longest pause, in seconds.
const LONGEST: i64 = 3600;
/// The longest sleep, so that a changed clock is noticed.
const SLEEP: i64 = 60;

/// Runs until the receivers change or the daemon stops.
pub(super) fn run(hooks: &Arc<Hooks>, endpoint: &Endpoint, generation: u64) {
    let mut worker = Worker { endpoint, client: None, failures: 0, is_failing: false, not_before: 0 };
    while let Some(due) = worker.wait(hooks, generation) {
        let now = sys::clock::now();
        let verdict = worker.post(&due, now);
        worker.record(hooks, &due, verdict);
    }
}

struct Worker<'a> {
    endpoint: &'a Endpoint,
    client: Option<Client>,
    /// Consecutive failed attempts.
    failures: u32,
    /// The failure was logged.
    is_failing: bool,
    /// No attempt before then.
    not_before: i64,
}

impl Worker<'_> {
    /// The next due event; `None` if this worker has to stop.
    fn wait(&self, hooks: &Hooks, generation: u64) -> Option<Due> {
        let mut inner = hooks.lock();
        loop {
            if inner.stopping || inner.generation != generation {
                return None;
            }
            let now = sys::clock::now();
            let seconds = match self.next(&mut inner, now) {
                Ok(due) => return Some(due),
                Err(at) => at.saturating_sub(now).clamp(1, SLEEP),
            };
            let wait = Duration::from_secs(seconds.unsigned_abs());
            inner = hooks.news.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next event at `now`, or when to look again.
    fn next(&self, inner: &mut Inner, now: i64) -> Result<Due, i64> {
        if now < self.not_before && !is_beyond(self.not_before, now) {
            return Err(self.not_before);
        }
        next_due(inner.queue.as_ref().ok_or(i64::MAX)?, &self.endpoint.name, now)
    }

    fn post(&mut self, due: &Due, now: i64) -> Verdict {
        if self.client.is_none() {
            match Client::new(self.endpoint) {
                Ok(client) => self.client = Some(client),
                Err(why) => return Verdict::Transient(why),
            }
        }
        self.client.as_ref().map_or_else(|| Verdict::Transient(String::new()), |client| client.post(self.endpoint, due, now))
    }

    fn record(&mut self, hooks: &Hooks, due: &Due, verdict: Verdict) {
        let now = sys::clock::now();
        let random = sys::clock::random().unwrap_or_default();
        match verdict {
            Verdict::Accepted => {
                self.failures = 0;
                self.accepted(hooks, due);
            }
            Verdict::Permanent(reason) => {
                self.failures = 0;
                self.retry(hooks, due, now, now + pause(due.attempts, random), &reason);
            }
            Verdict::Transient(reason) => {
                self.not_before = now + pause(self.failures, random);
                self.failures = self.failures.saturating_add(1);
                self.retry(hooks, due, now, self.not_before, &reason);
            }
        }
    }

    fn accepted(&mut self, hooks: &Hooks, due: &Due) {
        let name = &self.endpoint.name;
        let lost = {
            let mut inner = hooks.lock();
            let limit = inner.limit;
            let Some(queue) = &mut inner.queue else { return };
            // An event that could not be deleted is sent again, under the same id.
            let _ = queue.done(name, due.seq);
            let has_room = queue.waiting(name) <= limit / 2;
            queue.lost(name).ok().filter(|lost| has_room && *lost > 0)
        };
        if std::mem::take(&mut self.is_failing) {
            events::webhook_resumed(name);
        }
        if let Some(lost) = lost {
            // This event goes to the receiver too, so that it knows of the gap.
            events::events_lost(&sink(name), lost);
            let _ = hooks.lock().queue.as_mut().map(|queue| queue.clear_losses(name));
        }
    }

    /// Schedules the event again, or drops it after its lifetime.
    fn retry(&mut self, hooks: &Hooks, due: &Due, now: i64, next: i64, reason: &str) {
        let name = &self.endpoint.name;
        {
            let mut inner = hooks.lock();
            let lifetime = inner.lifetime;
            // On a database error the event stays as it was: due now, after the pause.
            let _ = inner.queue.as_mut().map(|queue| match now.saturating_sub(due.at) >= lifetime {
                true => queue.expire(name, due.seq),
                false => queue.postpone(due.seq, next),
            });
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            events::webhook_failed(name, reason);
        }
    }
}

/// The next event of `webhook` at `now`, or when to look again.
fn next_due(queue: &Queue, webhook: &str, now: i64) -> Result<Due, i64> {
    if let Ok(Some(due)) = queue.next(webhook, now) {
        return Ok(due);
    }
    // A database that does not answer now may do so later.
    let at = queue.next_at(webhook).ok().flatten().ok_or(i64::MAX)?;
    let due = if is_beyond(at, now) { queue.next(webhook, at).ok().flatten() } else { None };
    due.ok_or(at)
}

/// True for a time that no pause of ours reaches: the clock that planned it was ahead.
fn is_beyond(at: i64, now: i64) -> bool {
    at.saturating_sub(now) > LONGEST + LONGEST / 5
}

/// Seconds until the next attempt after `failures` failed ones: 1, 4, 16 … up to an hour, with a jitter of 20 %, so that many hosts
/// do not return to one receiver at the same moment.
fn pause(failures: u32, random: u64) -> i64 {
    let seconds = FIRST.saturating_mul(4_i64.saturating_pow(failures)).min(LONGEST);
    let fifth = seconds / 5;
    seconds - fifth + i64::try_from(random % (2 * fifth.unsigned_abs() + 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::queue::New;

    #[test]
    fn an_event_that_was_put_off_by_a_clock_that_ran_ahead_is_due() {
        let scratch = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(&scratch.path().join("w")).unwrap();
        let event = New { webhook: "w".to_owned(), id: "evt_1".to_owned(), at: 172_800, body: "{}".to_owned(), urgent: false };
        queue.add(&[event], 9, None).unwrap();
        let seq = next_due(&queue, "w", 172_800).unwrap().seq;
        queue.postpone(seq, 172_800 + LONGEST).unwrap();
        assert_eq!(next_due(&queue, "w", 172_800), Err(172_800 + LONGEST), "by the clock that has put it off");
        assert_eq!(next_due(&queue, "w", 0).map(|due| due.seq), Ok(seq));
        assert_eq!(next_due(&queue, "none", 0), Err(i64::MAX));
    }

    #[test]
    fn pauses_grow_to_an_hour_and_are_spread_by_a_fifth() {
        let of = |failures| (pause(failures, 0), pause(failures, u64::MAX / 3), (0..5000).map(|r| pause(failures, r)).max().unwrap());
        assert_eq!(of(0), (1, 1, 1));
        let (least, _, most) = of(3);
        assert_eq!((least, most), (52, 76));
        for failures in [6, 7, 1000, u32::MAX] {
            let (least, some, most) = of(failures);
            assert!(least == 2880 && most == 4320 && (least..=most).contains(&some), "{failures}");
        }
    }
}
