//! The quota of one user in the spool, and the hold of messages that exceed it. Pure except for the wake-up.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::Params;
use control::protocol::UserUsage;
use mail::Hold;
use mail::code::HoldCause;
use state::{State, Usage};
use tokio::sync::Notify;

/// What is enforced when a message gets its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// Messages of one user; 0 = no limit.
    messages: u64,
    /// Bytes of one user; 0 = no limit.
    bytes: u64,
    /// Why admission is closed.
    closed: Option<String>,
    /// The daemon's own user.
    own: u32,
    reached: Arc<Notify>,
}

impl Limits {
    pub(crate) fn new(params: &Params, closed: Option<String>, reached: Arc<Notify>) -> Limits {
        let (messages, bytes) = (params.user_message_limit, params.user_bytes_limit.0);
        Limits { messages, bytes, closed, own: sys::process::euid(), reached }
    }

    fn is_exempt(&self, uid: u32) -> bool {
        uid == 0 || uid == self.own
    }

    /// Why a message of `size` bytes by `uid`, who has `has` in the spool, is held.
    pub(crate) fn hold(&self, uid: u32, has: Usage, size: u64) -> Option<Hold> {
        if let Some(reason) = self.closed.as_ref().filter(|_| uid != self.own) {
            return Some(Hold::with(HoldCause::Closed, reason));
        }
        if self.is_exempt(uid) {
            return None;
        }
        if self.messages > 0 && has.messages >= self.messages {
            let detail = format!("uid {uid} has {} messages queued or held (user_message_limit)", has.messages);
            return Some(Hold::with(HoldCause::Quota, detail));
        }
        let over = self.bytes > 0 && has.bytes.saturating_add(size) > self.bytes;
        over.then(|| Hold::with(HoldCause::Quota, format!("uid {uid} has {} bytes in the spool (user_bytes_limit)", has.bytes)))
    }

    /// True if a user who has this may not add to it.
    fn is_reached(&self, has: Usage) -> bool {
        self.messages > 0 && has.messages >= self.messages || self.bytes > 0 && has.bytes >= self.bytes
    }

    /// Wakes the publisher if a message of `size` bytes more brings `uid` to its quota.
    pub(crate) fn tell_if_reached(&self, uid: u32, has: Usage, size: u64) {
        let after = Usage { messages: has.messages.saturating_add(1), bytes: has.bytes.saturating_add(size) };
        if self.is_reached(after) && !self.is_exempt(uid) {
            self.reached.notify_one();
        }
    }

    /// The users who have at least so many percent of a quota, the nearest first, at most `most`.
    pub(crate) fn near(&self, state: &State, percent: u64, most: usize) -> state::Result<Vec<UserUsage>> {
        let part = |limit: u64| match limit {
            0 => u64::MAX,
            limit => u64::try_from((u128::from(limit) * u128::from(percent)).div_ceil(100)).unwrap_or(u64::MAX),
        };
        let has = state.users_from(part(self.messages), part(self.bytes))?.into_iter().filter(|(uid, _)| !self.is_exempt(*uid));
        let (message_limit, bytes_limit) = (self.messages, self.bytes);
        let usage = |(uid, has): (u32, Usage)| UserUsage { uid, messages: has.messages, message_limit, bytes: has.bytes, bytes_limit };
        let mut near: Vec<UserUsage> = has.map(usage).collect();
        near.sort_by_key(|usage| (std::cmp::Reverse(usage.percent()), usage.uid));
        near.truncate(most);
        Ok(near)
    }

    /// The users who have reached a quota.
    pub(crate) fn users(&self, state: &State) -> state::Result<BTreeMap<u32, Usage>> {
        let bound = |limit: u64| if limit > 0 { limit } else { u64::MAX };
        let mut users: BTreeMap<u32, Usage> = state.users_from(bound(self.messages), bound(self.bytes))?.into_iter().collect();
        users.retain(|uid, _| !self.is_exempt(*uid));
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Size;

    fn limits(messages: u64, bytes: u64) -> Limits {
        let params = Params { user_message_limit: messages, user_bytes_limit: Size(bytes), ..Params::default() };
        Limits { own: 7, ..Limits::new(&params, None, Arc::default()) }
    }

    #[test]
    fn t_spool_5_a_message_over_a_cap_is_held_and_the_exempt_have_none() {
        let has = |messages, bytes| Usage { messages, bytes };
        let quotas = limits(3, 100);
        assert_eq!(quotas.hold(1000, has(2, 90), 10), None);
        assert!(
            quotas
                .hold(1000, has(3, 0), 1)
                .is_some_and(|hold| hold.cause == HoldCause::Quota && hold.detail.starts_with("uid 1000 has 3 messages"))
        );
        assert!(quotas.hold(1000, has(2, 90), 11).is_some_and(|hold| hold.detail.contains("90 bytes")));
        assert_eq!((quotas.hold(0, has(9, 900), 11), quotas.hold(7, has(9, 900), 11)), (None, None));
        assert_eq!(limits(0, 0).hold(1000, has(u64::MAX, u64::MAX), u64::MAX), None);
    }

    #[test]
    fn who_is_near_a_cap_is_found_before_it_is_reached() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for (n, uid) in (0..).zip([1000, 1000, 1000, 1000, 1001, 1001, 1001, 0, 0, 0, 0, 0]) {
            let plan = crate::plan::Plan { expires: 9, next_attempt: Some(9), hold: None };
            let (message, recipients, origin) = crate::rows::rows_of(&testing::claimed(testing::envelope(&["a@b.example"])), &plan);
            state
                .insert(&state::Message { id: mail::queue_id::QueueId::new(1, n), uid, size: 10, ..message }, &recipients, &origin)
                .unwrap();
        }
        let near = |quotas: &Limits| {
            let users = quotas.near(&state, 80, 9).unwrap();
            users.iter().map(|usage| (usage.uid, usage.percent(), usage.limit())).collect::<Vec<_>>()
        };
        assert_eq!(near(&limits(5, 0)), [(1000, 80, "user_message_limit")], "and root has no quota");
        assert_eq!(near(&limits(0, 37)), [(1000, 108, "user_bytes_limit"), (1001, 81, "user_bytes_limit")]);
        assert_eq!(limits(1, 0).near(&state, 80, 1).unwrap().len(), 1);
        assert!(near(&limits(0, 0)).is_empty() && near(&limits(6, 51)).is_empty());
    }

    #[test]
    fn closed_admission_holds_everybodys_mail_but_the_dsns() {
        let closed = Limits { closed: Some("moving".into()), ..limits(0, 0) };
        for uid in [0, 1000] {
            assert!(closed.hold(uid, Usage::default(), 1).is_some_and(|hold| hold == Hold::with(HoldCause::Closed, "moving")), "{uid}");
        }
        assert_eq!(closed.hold(7, Usage::default(), 1), None);
    }
}
