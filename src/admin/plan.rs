//! What is decided about a message before its row exists: whether it is held, when it is tried, when it expires. Pure.
//! The same for the daemon and for root while it is stopped.
//!
//! In: a checked message, the configuration's bounds and the clock. Out: a [`Plan`]. The claim and the start use the same one, so
//! that a crash between claim and row changes nothing. What `sendmail` reports is not trusted here: only st_uid is proved.

use config::Params;
use mail::code::HoldCause;
use mail::{Hold, date};
use store::{ClaimedMessage, OVERFLOW_UID};

/// The bounds that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Seconds from acceptance to giving up.
    pub give_up: i64,
    /// Bytes of the largest message that is sent without being asked for.
    pub size_limit: u64,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When it is given up, unix seconds.
    pub expires: i64,
    /// When it is tried; `None` = now, at once.
    pub next_attempt: Option<i64>,
    /// Why it is held, if it is.
    pub hold: Option<Hold>,
}

impl Policy {
    /// Those of a configuration.
    pub fn of(params: &Params) -> Policy {
        let give_up = i64::try_from(params.queue_lifetime.0.as_secs()).unwrap_or(i64::MAX / 4);
        Policy { give_up, size_limit: params.message_size_limit.0 }
    }

    /// When a message is tried first and given up: its own wishes (RFC 2852, RFC 4865) within the configuration's.
    pub fn plan(self, claimed: &ClaimedMessage, now: i64) -> Plan {
        let envelope = &claimed.envelope;
        let time = |text: &Option<String>| text.as_deref().and_then(date::parse_rfc3339);
        // A clock that was wrong when the message came must not keep it for ever or fail it at once.
        let accepted = date::parse_rfc3339(&envelope.time).unwrap_or(now).clamp(now.saturating_sub(60), now);
        let give_up = accepted.saturating_add(self.give_up);
        let expires = time(&envelope.deliver_by).map_or(give_up, |by| by.min(give_up));
        let next_attempt = time(&envelope.hold_until).filter(|at| *at > now);
        Plan { expires, next_attempt, hold: self.hold(claimed) }
    }

    /// What the injector refuses, whoever went around the injector.
    fn hold(self, claimed: &ClaimedMessage) -> Option<Hold> {
        if claimed.uid == OVERFLOW_UID {
            return Some(Hold::of(HoldCause::OverflowUid));
        }
        let size = claimed.envelope.size;
        (size > self.size_limit).then(|| Hold::with(HoldCause::Size, format!("{size} bytes, more than message_size_limit")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { give_up: 1000, size_limit: 100 };
    /// 2026-11-22T14:43:49Z
    const NOW: i64 = 1_795_358_629;

    fn plan(change: impl FnOnce(&mut ClaimedMessage)) -> Plan {
        let mut claimed = testing::claimed(testing::envelope(&["a@b.example"]));
        claimed.envelope.time = "2026-11-22T14:43:49Z".to_owned();
        change(&mut claimed);
        POLICY.plan(&claimed, NOW)
    }

    #[test]
    fn t_spool_4_a_wrong_clock_at_injection_neither_fails_a_message_nor_keeps_it() {
        assert_eq!(plan(|_| {}), Plan { expires: NOW + 1000, next_attempt: None, hold: None });
        for time in ["1970-01-01T00:00:00Z", "2026-11-22T14:42:49Z"] {
            assert_eq!(plan(|c| c.envelope.time = time.to_owned()).expires, NOW - 60 + 1000, "{time}");
        }
        assert_eq!(plan(|c| c.envelope.time = "9999-01-01T00:00:00Z".to_owned()).expires, NOW + 1000);
    }

    #[test]
    fn a_message_may_ask_for_less_time_and_a_later_start() {
        let asked = plan(|c| {
            c.envelope.deliver_by = Some("2026-11-22T14:43:59Z".to_owned());
            c.envelope.hold_until = Some("2026-11-22T14:43:54Z".to_owned());
        });
        assert_eq!((asked.expires, asked.next_attempt), (NOW + 10, Some(NOW + 5)));
        let past = plan(|c| c.envelope.hold_until = Some("2026-11-22T14:43:49Z".to_owned()));
        assert_eq!(past.next_attempt, None);
    }

    #[test]
    fn nobodys_mail_and_mail_over_the_limit_are_held() {
        let nobodys = plan(|c| c.uid = OVERFLOW_UID);
        assert!(nobodys.hold.is_some_and(|hold| hold.cause == HoldCause::OverflowUid));
        assert_eq!(plan(|c| c.envelope.size = 100).hold, None);
        assert!(
            plan(|c| c.envelope.size = 101).hold.is_some_and(|hold| hold.cause == HoldCause::Size && hold.detail.starts_with("101 bytes"))
        );
    }
}
