//! Selects messages by conditions (SENDMAIL.md section 11). A message must meet all of them.
//!
//! In: the options of a command line, over the control socket; an entry of the queue. Out: yes or no. Pure. The daemon uses it, and
//! so does root while the daemon is stopped.

use serde::{Deserialize, Serialize};

use super::listing::{Entry, Recipient};
pub use super::state::QueueState;
use mail::code::Progress;

/// Conditions on a message. An empty filter matches every message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Part of the reverse-path, case-insensitive; `<>` is the null reverse-path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Part of a recipient's address, case-insensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The domain of a recipient, case-insensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The uid of the submitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Accepted at least so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older: Option<u64>,
    /// At least so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larger: Option<u64>,
    /// Part of the reason why it is deferred, held or failed, case-insensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The message is in one of these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<QueueState>,
}

impl Filter {
    /// True if there is no condition.
    pub fn is_everything(&self) -> bool {
        *self == Filter::default()
    }

    /// The filter of a listing or count without ids: without a state it selects only queued and held messages. Failed messages are shown
    /// only on request.
    #[must_use]
    pub fn default_states(self) -> Filter {
        if self.state.is_empty() { Filter { state: QueueState::QUEUED.to_vec(), ..self } } else { self }
    }

    /// True if a condition needs the recipients.
    pub fn needs_recipients(&self) -> bool {
        self.to.is_some() || self.domain.is_some() || self.reason.is_some() || self.selects_some_open()
    }

    /// True if the states select some of the messages in `cur/`. Their state depends on the recipients.
    fn selects_some_open(&self) -> bool {
        let asked = QueueState::OPEN.iter().filter(|state| self.state.contains(state)).count();
        self.state.contains(&QueueState::Uncertain) || (asked > 0 && asked < QueueState::OPEN.len())
    }

    /// Whether the message of `entry` matches at `now`.
    pub fn matches(&self, entry: &Entry, now: i64) -> bool {
        let is_in_state = self.state.is_empty() || self.state.iter().any(|state| is_in(entry, *state));
        self.matches_message(entry, now) && is_in_state && (!self.needs_recipients() || self.matches_recipients(entry))
    }

    /// Checks the conditions that need neither the recipients nor the state.
    pub fn matches_message(&self, entry: &Entry, now: i64) -> bool {
        let from = self.from.as_deref().is_none_or(|from| match from {
            "" | "<>" => entry.sender.is_empty(),
            part => has(&entry.sender, part),
        });
        let age = u64::try_from(now.saturating_sub(entry.arrival_time)).unwrap_or(0);
        from && self.uid.is_none_or(|uid| uid == entry.uid)
            && self.older.is_none_or(|older| age >= older)
            && self.larger.is_none_or(|larger| entry.message_size >= larger)
    }

    /// False if the state alone rules the message out. For messages in `cur/` (`is_open`) the state may depend on the recipients
    /// ([`Filter::needs_recipients`]).
    pub fn can_match(&self, is_open: bool, entry: &Entry) -> bool {
        let depends = |state: &QueueState| match state {
            QueueState::Incoming | QueueState::Active | QueueState::Deferred => is_open,
            QueueState::Uncertain => true,
            state => entry.queue_name == *state,
        };
        self.state.is_empty() || self.state.iter().any(depends)
    }

    fn matches_recipients(&self, entry: &Entry) -> bool {
        let any = |condition: &dyn Fn(&Recipient) -> bool| entry.recipients.iter().any(condition);
        let to = self.to.as_deref().is_none_or(|part| any(&|r| has(&r.address, part) || has(&r.orig_address, part)));
        let domain = self.domain.as_deref().map(|domain| domain.trim_start_matches('@').to_lowercase());
        let domain = domain.is_none_or(|domain| any(&|r| domain_of(&r.address) == domain));
        let said =
            |part: &str| has(&entry.reason, part) || any(&|r| [&r.delay_reason, &r.bounce_reason].iter().any(|text| has(text, part)));
        to && domain && self.reason.as_deref().is_none_or(said)
    }
}

fn is_in(entry: &Entry, state: QueueState) -> bool {
    match state {
        QueueState::Uncertain => entry.recipients.iter().any(|r| r.status == Progress::Uncertain),
        state => entry.queue_name == state,
    }
}

fn has(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// The domain of an address in lower case, or the whole text if it has no `@`.
pub fn domain_of(address: &str) -> String {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain).to_lowercase()
}

/// Shows the conditions as command-line options, for the log.
impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let states = self.state.iter().map(|state| state.word()).collect::<Vec<_>>().join(",");
        let options = [
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("domain", self.domain.clone()),
            ("uid", self.uid.map(|uid| uid.to_string())),
            ("older", number(self.older)),
            ("larger", number(self.larger)),
            ("reason", self.reason.clone()),
            ("state", Some(states).filter(|states| !states.is_empty())),
        ];
        let mut gap = "";
        for (name, value) in options.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            write!(f, "{gap}--{name} {}", mail::printable::text(&value))?;
            gap = " ";
        }
        if gap.is_empty() { f.write_str("ALL") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let recipient = |address: &str, reason: &str, status| Recipient {
            address: address.into(),
            delay_reason: reason.into(),
            status,
            ..Recipient::default()
        };
        Entry {
            queue_name: QueueState::Deferred,
            queue_id: "6921CE05000000AB".into(),
            arrival_time: 1000,
            message_size: 290,
            sender: "Alice@Host.example".into(),
            recipients: vec![
                recipient("a@example.com", "450 4.2.1 Busy", Progress::Deferred),
                recipient("b@EXAMPLE.org", "lost", Progress::Uncertain),
            ],
            uid: 1001,
            ..Entry::default()
        }
    }

    fn meant(json: &str, now: i64) -> bool {
        serde_json::from_str::<Filter>(json).unwrap().matches(&entry(), now)
    }

    #[test]
    fn each_condition_is_true_of_some_messages_only() {
        for (yes, no) in [
            (r#"{"from":"alice@"}"#, r#"{"from":"bob@"}"#),
            (r#"{"to":"B@example"}"#, r#"{"to":"c@"}"#),
            (r#"{"domain":"@Example.ORG"}"#, r#"{"domain":"ample.org"}"#),
            (r#"{"uid":1001}"#, r#"{"uid":1}"#),
            (r#"{"older":100}"#, r#"{"older":101}"#),
            (r#"{"larger":290}"#, r#"{"larger":291}"#),
            (r#"{"reason":"busy"}"#, r#"{"reason":"refused"}"#),
            (r#"{"state":["hold","deferred"]}"#, r#"{"state":["hold"]}"#),
            (r#"{"state":["uncertain"]}"#, r#"{"from":"<>"}"#),
            ("{}", r#"{"state":["removed"]}"#),
        ] {
            assert!(meant(yes, 1100) && !meant(no, 1100), "{yes} {no}");
        }
    }

    #[test]
    fn a_filter_knows_what_it_has_to_look_at() {
        let filter = |json: &str| serde_json::from_str::<Filter>(json).unwrap();
        for json in [r#"{"to":"a"}"#, r#"{"domain":"x"}"#, r#"{"reason":"busy"}"#, r#"{"state":["active"]}"#] {
            assert!(filter(json).needs_recipients() && !filter(json).is_everything(), "{json}");
        }
        for json in [r#"{"from":"a"}"#, r#"{"uid":1}"#, r#"{"older":1}"#, r#"{"larger":1}"#, r#"{"state":["hold"]}"#] {
            assert!(!filter(json).needs_recipients() && !filter(json).is_everything(), "{json}");
        }
        assert!(filter("{}").is_everything() && !filter("{}").needs_recipients());
    }

    #[test]
    fn a_message_is_uncertain_where_a_recipient_is() {
        let filter = serde_json::from_str::<Filter>(r#"{"state":["uncertain"]}"#).unwrap();
        let with = |statuses: &[Progress]| {
            let recipients = statuses.iter().map(|status| Recipient { status: *status, ..Recipient::default() }).collect();
            filter.matches(&Entry { recipients, ..entry() }, 1100)
        };
        let (deferred, uncertain) = (Progress::Deferred, Progress::Uncertain);
        assert!(with(&[uncertain]) && with(&[deferred, uncertain]) && !with(&[deferred]) && !with(&[]));
    }

    #[test]
    fn all_conditions_hold_at_once() {
        assert!(meant(r#"{"from":"alice","domain":"example.com","uid":1001}"#, 1100));
        assert!(!meant(r#"{"from":"alice","domain":"example.com","uid":1002}"#, 1100));
        assert!(!meant(r#"{"older":5}"#, 900), "a message from the future is not old");
    }

    #[test]
    fn what_is_parked_is_told_apart_without_its_recipients() {
        let filter = |json: &str| serde_json::from_str::<Filter>(json).unwrap();
        let parked = Entry { queue_name: QueueState::Hold, ..Entry::default() };
        assert!(filter(r#"{"state":["hold"]}"#).can_match(false, &parked) && filter("{}").can_match(true, &entry()));
        assert!(!filter(r#"{"state":["failed","deferred"]}"#).can_match(false, &parked));
        assert!(filter(r#"{"state":["failed","deferred"]}"#).can_match(true, &entry()));
        assert!(!filter(r#"{"state":["failed"]}"#).can_match(true, &entry()));
    }

    #[test]
    fn without_a_state_queued_and_held_messages_match_and_no_recipients_are_read() {
        let in_state = |state| Entry { queue_name: state, ..entry() };
        let filter = Filter::default().default_states();
        assert!(!filter.needs_recipients());
        for (state, is_meant) in [
            (QueueState::Incoming, true),
            (QueueState::Active, true),
            (QueueState::Deferred, true),
            (QueueState::Hold, true),
            (QueueState::Failed, false),
            (QueueState::Removed, false),
        ] {
            let (entry, is_open) = (in_state(state), QueueState::OPEN.contains(&state));
            assert_eq!((filter.matches(&entry, 1100), filter.can_match(is_open, &entry)), (is_meant, is_meant), "{state:?}");
        }
        let failed = Filter { state: vec![QueueState::Failed], ..Filter::default() };
        assert_eq!(failed.clone().default_states(), failed, "an explicit state is kept");
        assert!(!failed.needs_recipients() && failed.matches(&in_state(QueueState::Failed), 1100));
        for state in [QueueState::Deferred, QueueState::Uncertain] {
            assert!(Filter { state: vec![state], ..Filter::default() }.needs_recipients());
        }
    }

    #[test]
    fn the_log_has_the_options_and_no_control_sequence() {
        let filter = Filter { from: Some("a\x1b[2J\nb".into()), uid: Some(7), state: vec![QueueState::Hold], ..Filter::default() };
        assert_eq!(filter.to_string(), "--from a\\x1b[2J\\x0ab --uid 7 --state hold");
        assert_eq!(Filter::default().to_string(), "ALL");
        assert!(serde_json::from_str::<Filter>(r#"{"state":["gone"]}"#).is_err());
        assert!(QueueState::ALL.into_iter().all(|state| QueueState::parse(state.word()) == Some(state)));
    }
}
