//! When to try again. Pure: the clock and the randomness are passed in.
//!
//! RFC 5321 4.5.4.1 asks for a growing interval and 4 to 5 days before giving up. The jitter keeps a queue that built up while a
//! relay was down from arriving all at once.

pub(crate) use admin::settle::UNCERTAIN;
use config::Params;

/// The longest suspension of a route, in seconds: a relay that works again is noticed within a quarter of an hour.
const ROUTE_MAX: i64 = 900;

/// Bounds of the wait, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    min: i64,
    max: i64,
}

impl Backoff {
    /// The wait between attempts of one message.
    pub(crate) fn of_messages(params: &Params) -> Self {
        let seconds = |span: config::Span| i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX / 4).clamp(1, 30 * 86_400);
        let min = seconds(params.retry_min);
        Backoff { min, max: seconds(params.retry_max).max(min) }
    }

    /// The wait before a suspended route is tried again: shorter, because one attempt tells about all messages.
    pub(crate) fn of_routes(params: &Params) -> Self {
        let messages = Backoff::of_messages(params);
        Backoff { min: messages.min.min(60), max: messages.max.min(ROUTE_MAX) }
    }

    /// Seconds to wait after `attempts` failures (1 = the first). `random` is any number; it decides the jitter of a fifth.
    pub(crate) fn wait(self, attempts: u32, random: u64) -> i64 {
        let doublings = attempts.saturating_sub(1).min(30);
        let wait = self.min.saturating_mul(1 << doublings).min(self.max);
        let fifth = wait / 5;
        let jitter = if fifth == 0 { 0 } else { i64::try_from(random % (2 * fifth.unsigned_abs())).unwrap_or(0) - fifth };
        (wait + jitter).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest_and_never_leaves_its_fifth() {
        let backoff = Backoff::of_messages(&Params::default());
        for (attempts, base) in [(1, 300), (2, 600), (3, 1200), (7, 14_400), (50, 14_400), (u32::MAX, 14_400)] {
            for random in [0, 1, 59, 1_000_003, u64::MAX] {
                let wait = backoff.wait(attempts, random);
                assert!((wait - base).abs() <= base / 5, "{attempts}: {wait}");
            }
        }
    }

    #[test]
    fn a_route_is_tried_again_within_a_quarter_of_an_hour() {
        assert!(Backoff::of_routes(&Params::default()).wait(99, u64::MAX) <= ROUTE_MAX + ROUTE_MAX / 5);
    }
}
