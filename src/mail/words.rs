//! The sentences that are made from codes: the only place. Whoever needs to decide looks at the code. Pure.
//!
//! In: codes, and details that are shown as they are. Out: text for people, without a line feed of its own.

use super::code::{Cause, Duplicate, Happened, HoldCause, MessageEnd, NoDsn, Op, Trigger};
use super::diagnosis::{Actor, Diagnosis, HistoryCause, Hold};

/// `by root (uid 0)`
pub fn of_actor(actor: &Actor) -> String {
    format!("by {} (uid {})", actor.name, actor.uid)
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&of_actor(self))
    }
}

/// Who wanted something, or what made the system do it.
pub fn of_actor_or(by: Option<&Actor>, trigger: Trigger) -> String {
    by.map_or_else(|| of_trigger(trigger).to_owned(), of_actor)
}

/// Why a message is held.
pub fn of_hold(hold: &Hold) -> String {
    let detail = &hold.detail;
    match (hold.cause, &hold.by) {
        (HoldCause::Operator, Some(actor)) => of_actor(actor),
        (HoldCause::Operator, None) => "by an operator".to_owned(),
        (HoldCause::Uncertain, _) => format!("uncertain: {}", or(detail, of_duplicate(Duplicate::NoReply))),
        (HoldCause::Dkim, _) => format!("dkim: {detail}"),
        (HoldCause::Quota, _) => {
            format!("over the cap: {detail}; it is released when there is room, and `mailchute requeue` sends it now")
        }
        (HoldCause::Closed, _) => format!("admission is closed: {detail}; it is released when admission is opened"),
        (HoldCause::Size, _) => format!("{detail}; `mailchute requeue` sends it"),
        (HoldCause::OverflowUid, _) => {
            "its owner is the overflow uid, which stands for every user that the kernel cannot map, so its sender is unknown; `mailchute requeue` sends it".to_owned()
        }
        (HoldCause::StateLost, _) => {
            "the state was lost, so it may have been delivered already; `mailchute requeue` sends it, `mailchute remove` drops it"
                .to_owned()
        }
        (HoldCause::ReasonLost, _) => "the state was lost; the reason is not known any more".to_owned(),
        (HoldCause::Moved, _) => "moved by hand".to_owned(),
        (HoldCause::Internal, _) => format!("internal error: {detail}; please report it; `mailchute requeue` sends it again"),
        (HoldCause::Restored, _) => "it had ended, and its file was put back; `mailchute requeue` sends it".to_owned(),
        (HoldCause::Unknown, _) => or(detail, "the reason is not known").to_owned(),
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// Why a recipient is as it is. `reply` is what the last attempt said, if there was one.
pub fn of_recipient(diagnosis: &Diagnosis, reply: &str) -> String {
    let last = or(reply, "never attempted");
    match diagnosis.cause {
        Some(Cause::Expired) => format!("not delivered within queue_lifetime; last: {last}"),
        Some(Cause::ExpiredByOperator) => format!("given up by an administrator after the last attempt; last: {last}"),
        Some(Cause::Bounced) => format!("given up by an administrator; last: {last}"),
        Some(Cause::Corrupt) => with_last("lost on this host: its file in the spool was changed after it was accepted", reply),
        Some(Cause::Vanished) => with_last("lost on this host: its file in the spool was removed after it was accepted", reply),
        Some(Cause::Stopped) => of_duplicate(Duplicate::Stopped).to_owned(),
        Some(Cause::StateLost) => of_duplicate(Duplicate::StateLost).to_owned(),
        _ => reply.to_owned(),
    }
}

fn with_last(text: &str, reply: &str) -> String {
    if reply.is_empty() { text.to_owned() } else { format!("{text}; last: {reply}") }
}

/// How a message ended.
pub fn of_end(end: MessageEnd) -> &'static str {
    match end {
        MessageEnd::Relayed => "was relayed to every recipient",
        MessageEnd::Failed => "failed for at least one recipient",
        MessageEnd::Expired => "expired before every recipient was relayed",
        MessageEnd::Bounced => "was bounced by an administrator",
        MessageEnd::Removed => "was removed",
        MessageEnd::Corrupt => "was lost on this host: its file was changed after it was accepted",
        MessageEnd::Vanished => "was lost on this host: its file was removed from the spool after it was accepted",
    }
}

/// Why the next attempt may be a second delivery.
pub fn of_duplicate(cause: Duplicate) -> &'static str {
    match cause {
        Duplicate::Stopped => "the daemon stopped between the final dot and the record of its outcome",
        Duplicate::NoReply => "the connection was lost after the final dot, so it may have been delivered",
        Duplicate::PowerCut => "the machine stopped while it was due; a power cut may have lost a delivery's record",
        Duplicate::StateLost => "the state was lost, so it may have been delivered already",
        Duplicate::Restored => "the spool is an older copy, so it may have been delivered already",
    }
}

/// Why nobody gets a DSN.
pub fn of_no_dsn(cause: NoDsn) -> &'static str {
    match cause {
        NoDsn::Loop => "the message has more than 50 Received fields, so it is in a loop",
        NoDsn::AutoReplied => "the message is an automatic reply",
        NoDsn::NoAdmin => "the message was sent automatically, and no admin_address is configured",
        NoDsn::BadReversePath => "the reverse-path is not an address",
        NoDsn::Unknown => "the reason is not known",
    }
}

/// What made the system do something.
pub fn of_trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Operator => "an operator wanted it",
        Trigger::Delivery => "after the attempt under way",
        Trigger::Keys => "the keys were read again",
        Trigger::Quota => "its sender is below the cap",
        Trigger::Opened => "admission was opened",
        Trigger::Lifetime => "its time is over",
        Trigger::Start => "found at the start",
        Trigger::Policy => "by the rules of admission",
    }
}

/// What an operator's order does, once it is done.
pub fn of_op(op: Op) -> &'static str {
    match op {
        Op::Hold => "placed on hold",
        Op::Release => "released from hold",
        Op::Remove => "removed",
        Op::Requeue => "requeued",
        Op::Expire => "expired",
        Op::Bounce => "bounced",
        Op::Flush => "scheduled for retry",
        Op::Fail => "moved to failed/",
        Op::Lose => "moved to corrupt/",
        Op::Discard => "deleted",
    }
}

/// The text of a line of history.
pub fn of_history(kind: Happened, cause: Option<HistoryCause>, trigger: Option<Trigger>, by: Option<&Actor>, detail: &str) -> String {
    let actor = by.map(of_actor);
    match (kind, cause) {
        (Happened::Held, Some(HistoryCause::Hold(cause))) => of_hold(&Hold { cause, by: by.cloned(), detail: detail.to_owned() }),
        (Happened::Asked, Some(HistoryCause::Op(op))) => join(&[Some(format!("to be {}", of_op(op))), actor]),
        (Happened::Completed, Some(HistoryCause::Op(op))) => {
            join(&[Some(of_op(op).to_owned()), actor, Some("(begun before the start)".to_owned())])
        }
        (Happened::Uncertain | Happened::Suspect, Some(HistoryCause::Duplicate(cause))) => of_duplicate(cause).to_owned(),
        (Happened::NoDsn, Some(HistoryCause::NoDsn(cause))) => of_no_dsn(cause).to_owned(),
        (Happened::Corrupt, _) => with_detail(of_end(MessageEnd::Corrupt), detail),
        (Happened::Vanished, _) => with_detail(of_end(MessageEnd::Vanished), detail),
        _ => {
            let trigger = trigger.filter(|_| actor.is_none()).map(|trigger| of_trigger(trigger).to_owned());
            join(&[actor, trigger, Some(detail.to_owned()).filter(|detail| !detail.is_empty())])
        }
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    if detail.is_empty() { text.to_owned() } else { format!("{text} ({detail})") }
}

fn join(parts: &[Option<String>]) -> String {
    parts.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Code, Subject};

    #[test]
    fn every_cause_of_a_hold_has_a_sentence() {
        for cause in HoldCause::ALL {
            assert!(!of_hold(&Hold::with(*cause, "detail")).is_empty());
        }
        let root = Actor { uid: 0, name: "root".into() };
        assert_eq!(of_hold(&Hold::by(root)), "by root (uid 0)");
    }

    #[test]
    fn giving_up_keeps_what_the_last_attempt_said() {
        let said = |cause| of_recipient(&Diagnosis::of(cause, Subject::Message), "450 busy");
        assert_eq!(said(Cause::Expired), "not delivered within queue_lifetime; last: 450 busy");
        assert_eq!(said(Cause::ExpiredByOperator), "given up by an administrator after the last attempt; last: 450 busy");
        assert_eq!(
            of_recipient(&Diagnosis::of(Cause::Bounced, Subject::Message), ""),
            "given up by an administrator; last: never attempted"
        );
        assert_eq!(said(Cause::Reply), "450 busy");
        assert!(said(Cause::Vanished).starts_with("lost on this host"));
    }
}
