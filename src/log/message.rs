//! The events of messages as values: what is promised to receivers, so it is kept in the outbox, in the transaction of what it tells,
//! and logged from there.
//!
//! In: what was decided about a message. Out: one line of JSON for the outbox, and, read back from it, the call of [`super::events`]
//! that logs it.

use serde::{Deserialize, Serialize};

use super::events;
use mail::code::{Duplicate, HoldCause, MessageEnd, NoDsn, Progress, Trigger};
use mail::queue_id::QueueId;
use mail::{Actor, Diagnosis, Hold};

/// What happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageEvent {
    /// See [`events::accepted`].
    Accepted {
        /// Reverse-path.
        from: String,
        /// Its submitter.
        uid: u32,
        /// Bytes.
        size: u64,
        /// Number of recipients.
        recipients: usize,
        /// Message-ID.
        message_id: String,
    },
    /// A recipient was relayed, deferred or failed, or its delivery is uncertain.
    Outcome(Outcome),
    /// See [`events::ended`].
    Ended {
        /// Reverse-path.
        from: String,
        /// How.
        end: MessageEnd,
    },
    /// See [`events::possible_duplicate`].
    PossibleDuplicate(Duplicate),
    /// See [`events::held`].
    Held {
        /// Why.
        cause: HoldCause,
        /// Who wanted it.
        by: Option<Actor>,
        /// More for people.
        detail: String,
    },
    /// See [`events::released`].
    Released(Option<Actor>, Trigger),
    /// See [`events::requeued`].
    Requeued(Option<Actor>, Trigger),
    /// See [`events::removed`].
    Removed(Option<Actor>, Trigger, Option<MessageEnd>),
    /// See [`events::lost`].
    Lost {
        /// Reverse-path.
        from: String,
        /// Recipients that do not get it.
        recipients: usize,
        /// Corrupt or vanished.
        end: MessageEnd,
        /// More for people.
        detail: String,
    },
    /// See [`events::dsn_sent`].
    DsnSent {
        /// The DSN.
        dsn: QueueId,
        /// To whom.
        to: String,
        /// `failed`, `delayed` or `relayed`.
        action: String,
    },
    /// See [`events::dsn_suppressed`].
    DsnSuppressed(NoDsn),
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Relayed, deferred, failed or uncertain.
    pub progress: Progress,
    /// Reverse-path.
    pub from: String,
    /// Forward-path.
    pub to: String,
    /// The host that answered, with its address.
    pub relay: String,
    /// Seconds since the message was accepted.
    pub delay: i64,
    /// Enhanced status.
    pub dsn: String,
    /// The reply, or the reason.
    pub reply: String,
    /// Why, in codes.
    pub diagnosis: Diagnosis,
    /// How the message ended, on the one event that ended it.
    pub end: Option<MessageEnd>,
}

/// The form in the outbox.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    id: QueueId,
    event: std::borrow::Cow<'a, MessageEvent>,
}

impl MessageEvent {
    /// A message was held.
    pub fn held(hold: &Hold) -> MessageEvent {
        MessageEvent::Held { cause: hold.cause, by: hold.by.clone(), detail: hold.detail.clone() }
    }

    /// The line for the outbox.
    pub fn line(&self, id: QueueId) -> String {
        // Strings, numbers and codes: nothing here can fail.
        serde_json::to_string(&Kept { id, event: std::borrow::Cow::Borrowed(self) }).unwrap_or_default()
    }

    /// The event that a line of the outbox tells, and its message. `None` for a line of another program.
    pub fn parse(line: &str) -> Option<(QueueId, MessageEvent)> {
        let kept: Kept<'_> = serde_json::from_str(line).ok()?;
        Some((kept.id, kept.event.into_owned()))
    }

    /// Says how the message ended, if this is an event that can.
    pub fn end_with(&mut self, ended: MessageEnd) -> bool {
        match self {
            MessageEvent::Outcome(outcome) => outcome.end = Some(ended),
            MessageEvent::Removed(_, _, end) => *end = Some(ended),
            MessageEvent::Ended { end, .. } => *end = ended,
            _ => return false,
        }
        true
    }

    /// Logs it as an event of message `id`.
    pub fn log(&self, id: QueueId) {
        match self {
            MessageEvent::Accepted { from, uid, size, recipients, message_id } => {
                events::accepted(id, from, *uid, *size, *recipients, message_id);
            }
            MessageEvent::Outcome(outcome) => outcome.log(id),
            MessageEvent::Ended { from, end } => events::ended(id, from, *end),
            MessageEvent::PossibleDuplicate(cause) => events::possible_duplicate(id, *cause),
            MessageEvent::Held { cause, by, detail } => {
                events::held(id, &Hold { cause: *cause, by: by.clone(), detail: detail.clone() });
            }
            MessageEvent::Released(by, trigger) => events::released(id, by.as_ref(), *trigger),
            MessageEvent::Requeued(by, trigger) => events::requeued(id, by.as_ref(), *trigger),
            MessageEvent::Removed(by, trigger, end) => events::removed(id, by.as_ref(), *trigger, *end),
            MessageEvent::Lost { from, recipients, end, detail } => events::lost(id, *end, detail, from, *recipients),
            MessageEvent::DsnSent { dsn, to, action } => events::dsn_sent(id, *dsn, to, action),
            MessageEvent::DsnSuppressed(cause) => events::dsn_suppressed(id, *cause),
        }
    }
}

impl Outcome {
    fn log(&self, id: QueueId) {
        let outcome = events::Outcome {
            queue_id: id,
            from: &self.from,
            to: &self.to,
            relay: &self.relay,
            delay: self.delay,
            dsn: &self.dsn,
            reply: &self.reply,
            diagnosis: self.diagnosis,
            end: self.end,
        };
        match self.progress {
            Progress::Relayed => events::relayed(outcome),
            Progress::Deferred => events::deferred(outcome),
            Progress::Failed => events::failed(outcome),
            Progress::Uncertain => events::uncertain(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::code::{Cause, Subject};

    fn outcome() -> MessageEvent {
        MessageEvent::Outcome(Outcome {
            progress: Progress::Failed,
            from: "a@x.example".to_owned(),
            to: "b\u{202e}\n@y.example".to_owned(),
            relay: "mx [192.0.2.1]:25".to_owned(),
            delay: 3,
            dsn: "5.1.1".to_owned(),
            reply: "550 5.1.1 no \"such\" user".to_owned(),
            diagnosis: Diagnosis { code: Some(550), ..Diagnosis::of(Cause::Reply, Subject::Recipient) },
            end: None,
        })
    }

    fn every_kind() -> Vec<MessageEvent> {
        let (text, by) = (|| "t".to_owned(), Some(Actor { uid: 7, name: "op".to_owned() }));
        vec![
            MessageEvent::Accepted { from: text(), uid: 1, size: 2, recipients: 3, message_id: text() },
            outcome(),
            MessageEvent::Ended { from: text(), end: MessageEnd::Relayed },
            MessageEvent::PossibleDuplicate(Duplicate::Stopped),
            MessageEvent::held(&Hold::with(HoldCause::Dkim, "k")),
            MessageEvent::Released(by.clone(), Trigger::Operator),
            MessageEvent::Requeued(None, Trigger::Start),
            MessageEvent::Removed(by, Trigger::Delivery, Some(MessageEnd::Removed)),
            MessageEvent::Lost { from: text(), recipients: 1, end: MessageEnd::Vanished, detail: text() },
            MessageEvent::DsnSent { dsn: QueueId::new(3, 4), to: text(), action: text() },
            MessageEvent::DsnSuppressed(NoDsn::Loop),
        ]
    }

    #[test]
    fn what_is_read_back_from_its_line_is_what_was_told() {
        let id = QueueId::new(1, 2);
        for event in every_kind() {
            let line = event.line(id);
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(MessageEvent::parse(&line), Some((id, event)));
        }
        assert_eq!(MessageEvent::parse("{\"id\":\"6B0DC61F0791E4FE\",\"event\":\"unheard_of\"}"), None);
    }

    #[test]
    fn the_end_stands_on_what_can_say_it() {
        let mut ended = outcome();
        assert!(ended.end_with(MessageEnd::Failed));
        assert!(matches!(ended, MessageEvent::Outcome(Outcome { end: Some(MessageEnd::Failed), .. })));
        assert!(!MessageEvent::PossibleDuplicate(Duplicate::Stopped).end_with(MessageEnd::Failed));
    }
}
