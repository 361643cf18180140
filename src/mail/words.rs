//! The sentences that are made from codes: the only place. Whoever needs to decide looks at the code. Pure.
//!
//! In: codes, and details that are shown as they are. Out: text for people, without a line feed of its own.

use super::code::{Cause, Duplicate, Happened, HoldCause, MessageEnd, NoDsn, Op, Trigger};
use super::diagnosis::{Actor, Diagnosis, HistoryCause, Hold};
use super::sentence::{fixed, made};

/// `by root (uid 0)`
pub fn of_actor(actor: &Actor) -> String {
    made(format!("by {} (uid {})", actor.name, actor.uid))
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
    made(match (hold.cause, &hold.by) {
        (HoldCause::Operator, Some(actor)) => of_actor(actor),
        (HoldCause::Operator, None) => "by an operator".to_owned(),
        (HoldCause::Uncertain, _) => format!("uncertain: {}", or(detail, of_duplicate(Duplicate::NoReply))),
        (HoldCause::Dkim, _) => format!("dkim: {detail}"),
        (HoldCause::Quota, _) => {
            format!("over the quota: {detail}; it is released when the user is below the quota, and `mailchute requeue` sends it now")
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
        (HoldCause::ReasonLost, _) => "the state was lost; the reason is no longer known".to_owned(),
        (HoldCause::Moved, _) => "moved by hand".to_owned(),
        (HoldCause::Internal, _) => format!("internal error: {detail}; please report it; `mailchute requeue` sends it again"),
        (HoldCause::Restored, _) => "it had already ended, and its file was put back; `mailchute requeue` sends it".to_owned(),
        (HoldCause::Unknown, _) => or(detail, "the reason is not known").to_owned(),
    })
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// Why a recipient is as it is. `reply` is what the last attempt said, if there was one.
pub fn of_recipient(diagnosis: &Diagnosis, reply: &str) -> String {
    let last = or(reply, "never attempted");
    match diagnosis.cause {
        Some(Cause::Expired) => made(format!("not delivered within queue_lifetime; last: {last}")),
        Some(Cause::ExpiredByOperator) => made(format!("given up by an administrator after the last attempt; last: {last}")),
        Some(Cause::Bounced) => made(format!("given up by an administrator; last: {last}")),
        Some(Cause::Corrupt) => with_last("lost on this host: its file in the spool was changed after it was accepted", reply),
        Some(Cause::Vanished) => with_last("lost on this host: its file in the spool was removed after it was accepted", reply),
        Some(Cause::Stopped) => of_duplicate(Duplicate::Stopped).to_owned(),
        Some(Cause::StateLost) => of_duplicate(Duplicate::StateLost).to_owned(),
        _ => reply.to_owned(),
    }
}

fn with_last(text: &str, reply: &str) -> String {
    made(if reply.is_empty() { text.to_owned() } else { format!("{text}; last: {reply}") })
}

/// How a message ended.
pub fn of_end(end: MessageEnd) -> &'static str {
    fixed(match end {
        MessageEnd::Relayed => "was relayed to every recipient",
        MessageEnd::Failed => "failed for at least one recipient",
        MessageEnd::Expired => "expired before every recipient was relayed",
        MessageEnd::Bounced => "was bounced by an administrator",
        MessageEnd::Removed => "was removed",
        MessageEnd::Corrupt => "was lost on this host: its file was changed after it was accepted",
        MessageEnd::Vanished => "was lost on this host: its file was removed from the spool after it was accepted",
    })
}

/// Why the next attempt may be a second delivery.
pub fn of_duplicate(cause: Duplicate) -> &'static str {
    fixed(match cause {
        Duplicate::Stopped => "the daemon stopped between the final dot and the record of its outcome",
        Duplicate::NoReply => "the connection was lost after the final dot, so it may have been delivered",
        Duplicate::PowerCut => "the machine stopped while it was due; a power cut may have lost a delivery's record",
        Duplicate::StateLost => "the state was lost, so it may have been delivered already",
        Duplicate::Restored => "the spool is an older copy, so it may have been delivered already",
    })
}

/// Why nobody gets a DSN.
pub fn of_no_dsn(cause: NoDsn) -> &'static str {
    fixed(match cause {
        NoDsn::Loop => "the message has more than 50 Received fields, so it is in a loop",
        NoDsn::AutoReplied => "the message is an automatic reply",
        NoDsn::NoAdmin => "the message was sent automatically, and no admin_address is configured",
        NoDsn::BadReversePath => "the reverse-path is not an address",
        NoDsn::Unknown => "the reason is not known",
    })
}

/// What made the system do something.
pub fn of_trigger(trigger: Trigger) -> &'static str {
    fixed(match trigger {
        Trigger::Operator => "by an operator",
        Trigger::Delivery => "after the attempt in progress",
        Trigger::Keys => "the keys were reloaded",
        Trigger::Quota => "its sender is below the quota",
        Trigger::Opened => "admission was opened",
        Trigger::Lifetime => "its lifetime is over",
        Trigger::Start => "found when the daemon started",
        Trigger::Policy => "by the admission rules",
    })
}

/// What an operator's order does, once it is done.
pub fn of_op(op: Op) -> &'static str {
    fixed(match op {
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
    })
}

/// The text of a line of history.
pub fn of_history(kind: Happened, cause: Option<HistoryCause>, trigger: Option<Trigger>, by: Option<&Actor>, detail: &str) -> String {
    let actor = by.map(of_actor);
    made(match (kind, cause) {
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
    })
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
    }

    #[test]
    fn a_lost_file_and_a_stopped_daemon_are_named_beside_the_last_reply() {
        let said = |cause, reply| of_recipient(&Diagnosis::of(cause, Subject::Message), reply);
        assert!(
            said(Cause::Vanished, "450 busy").contains("was removed") && said(Cause::Vanished, "450 busy").ends_with("; last: 450 busy")
        );
        assert!(said(Cause::Corrupt, "").contains("was changed") && !said(Cause::Corrupt, "").contains("last:"));
        assert_eq!(said(Cause::Stopped, "250 ok"), of_duplicate(Duplicate::Stopped));
        assert_eq!(said(Cause::StateLost, "250 ok"), of_duplicate(Duplicate::StateLost));
    }

    #[test]
    fn each_code_has_a_sentence_of_its_own() {
        fn differ<C: Code>(sentence: fn(C) -> &'static str) {
            let sentences: std::collections::HashSet<&str> = C::ALL.iter().map(|code| sentence(*code)).collect();
            assert!(sentences.len() == C::ALL.len() && sentences.iter().all(|text| text.contains(' ') || C::KIND == "op"), "{sentences:?}");
        }
        differ(of_end);
        differ(of_duplicate);
        differ(of_no_dsn);
        differ(of_trigger);
        differ(of_op);
    }

    #[test]
    fn a_line_of_history_names_the_cause_then_who_wanted_it_or_what_made_the_system_do_it() {
        let root = Actor { uid: 0, name: "root".into() };
        let text = |kind, cause, by, detail| of_history(kind, cause, Some(Trigger::Opened), by, detail);
        let rows = [
            (text(Happened::Held, Some(HistoryCause::Hold(HoldCause::Dkim)), None, "no key"), "dkim: no key"),
            (text(Happened::Asked, Some(HistoryCause::Op(Op::Expire)), Some(&root), ""), "to be expired by root (uid 0)"),
            (text(Happened::Suspect, Some(HistoryCause::Duplicate(Duplicate::PowerCut)), None, ""), of_duplicate(Duplicate::PowerCut)),
            (text(Happened::Uncertain, Some(HistoryCause::Duplicate(Duplicate::NoReply)), None, ""), of_duplicate(Duplicate::NoReply)),
            (text(Happened::NoDsn, Some(HistoryCause::NoDsn(NoDsn::Loop)), None, ""), of_no_dsn(NoDsn::Loop)),
            (text(Happened::Vanished, None, None, ""), of_end(MessageEnd::Vanished)),
            (text(Happened::Released, None, None, ""), "admission was opened"),
            (text(Happened::Released, None, Some(&root), "later"), "by root (uid 0) later"),
        ];
        for (found, expected) in rows {
            assert_eq!(found, expected);
        }
        let corrupt = text(Happened::Corrupt, None, None, "checksum");
        assert!(corrupt.starts_with(of_end(MessageEnd::Corrupt)) && corrupt.ends_with(" (checksum)"), "{corrupt}");
        assert_eq!(
            (of_actor_or(Some(&root), Trigger::Start), of_actor_or(None, Trigger::Start)),
            (root.to_string(), of_trigger(Trigger::Start).to_owned())
        );
    }
}
