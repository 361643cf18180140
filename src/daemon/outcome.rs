//! What replies and failures mean: for each recipient, for the message, for the route. The only place that decides it. Pure.
//!
//! | what happened | recipient | route |
//! |---|---|---|
//! | 2yz to the final dot | relayed | works |
//! | 4yz to MAIL, RCPT, DATA, dot | deferred | works |
//! | 5yz to MAIL, RCPT, DATA, dot | failed | works |
//! | 530, 534, 535, 538 anywhere (about our login, not about the message) | deferred | suspended |
//! | connect, greeting, EHLO, TLS, AUTH failed | deferred | suspended |
//! | connection lost before the final dot | deferred | works |
//! | connection lost after the final dot | uncertain | works |
//! | `queue_lifetime` or `deliver_by` has passed | failed | - |

use super::backoff::{self, Backoff};
pub(crate) use admin::lost::{GivenUp, LOST, Loss, TOO_LATE, give_up};
use config::OnUncertain;
use mail::code::{Cause, HoldCause, MessageEnd, Op, Subject};
use mail::status::{EnhancedStatus, Reply};
use mail::{Actor, Diagnosis, Hold};
use state::{Message, Progress, QueueDir, RecipientRow, RecipientUpdate, end_of};
use transport::smtp::failure::{Failure, Stage};

/// What a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The next hop, or our login there: no message fails because of it.
    Route,
    /// The message or its recipients.
    Message,
}

/// Decides that. Replies about authentication are about our login at any stage (U07: a changed password must not fail the queue).
pub(crate) fn scope(failure: &Failure) -> Scope {
    let about_us = failure.reply.as_ref().is_some_and(|reply| matches!(reply.code(), 530 | 534 | 535 | 538));
    if failure.stage.is_route() || about_us { Scope::Route } else { Scope::Message }
}

/// What a failure means for one recipient it concerns.
pub(crate) fn of_failure(n: u32, failure: &Failure) -> RecipientUpdate {
    let progress = match &failure.reply {
        None if failure.is_uncertain() => Progress::Uncertain,
        // RFC 5321 4.5.3.1.10: 552 to RCPT is an old 452, "too many recipients".
        Some(reply) if failure.stage == Stage::RcptTo && reply.code() == 552 => Progress::Deferred,
        Some(reply) if reply.is_permanent() && scope(failure) == Scope::Message => Progress::Failed,
        None if failure.status.class == 5 && scope(failure) == Scope::Message => Progress::Failed,
        _ => Progress::Deferred,
    };
    let reply = failure.reply.as_ref().map_or_else(|| format!("{}: {}", failure.stage, failure.cause), Reply::to_string);
    RecipientUpdate { n, progress, diagnosis: failure.diagnosis(), status: failure.status.to_string(), reply, relay: failure.peer.clone() }
}

/// What the reply to the final dot means for one recipient.
pub(crate) fn of_reply(n: u32, reply: &Reply, peer: &str) -> RecipientUpdate {
    let progress = if reply.is_positive() {
        Progress::Relayed
    } else if reply.is_permanent() {
        Progress::Failed
    } else {
        Progress::Deferred
    };
    let diagnosis = match progress {
        Progress::Relayed => Diagnosis::default(),
        _ => Diagnosis { stage: Some(Stage::FinalDot), code: Some(reply.code()), ..Diagnosis::of(Cause::Reply, Subject::Message) },
    };
    let (status, reply) = (reply.enhanced_or_generic().to_string(), reply.to_string());
    RecipientUpdate { n, progress, diagnosis, status, reply, relay: peer.to_owned() }
}

/// A recipient that is deferred for a reason that is not its own, such as a suspended route. `said` is printable.
pub(crate) fn waits(n: u32, relay: &str, diagnosis: Diagnosis, status: EnhancedStatus, said: &str) -> RecipientUpdate {
    let (status, reply) = (status.to_string(), said.to_owned());
    RecipientUpdate { n, progress: Progress::Deferred, diagnosis, status, reply, relay: relay.to_owned() }
}

/// What a delivery attempt leaves of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Conclusion {
    /// Every recipient is relayed: the file goes.
    Relayed,
    /// No recipient is open, at least one failed: the file goes to `failed/`.
    Failed,
    /// Tried again at this time.
    Retry {
        /// Unix seconds.
        at: i64,
    },
    /// Held until an administrator decides, or its cause ends.
    Hold(Hold),
    /// The file is not what was claimed, and goes to `corrupt/`; or it is gone.
    Lost(Loss),
    /// Dropped by an operator: the file goes to `trash/`.
    Removed(Actor),
}

/// What stops a message before any server was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A person has to decide.
    Hold(Hold),
    /// Its file cannot be sent.
    Lost(Loss),
    /// An operator dropped it.
    Remove(Actor),
    /// An operator gave it up: this attempt was its last.
    GiveUp(Actor, Op),
}

/// What the attempt was like.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryAttempt {
    /// Something stopped it before it began.
    pub(crate) stop: Option<Stop>,
    /// Unix seconds.
    pub(crate) now: i64,
    /// An operator had it expire: this attempt is its last. The state writer knows, and fills it in.
    pub(crate) was_expired: bool,
    /// When the message is given up, as its attempt began.
    pub(crate) expires: i64,
    /// A server was reached and answered about this message.
    pub(crate) attempted: bool,
    /// Where no server was reached: when the route is tried again.
    pub(crate) route_until: Option<i64>,
    /// Any number, for the jitter.
    pub(crate) random: u64,
    /// The waits between attempts.
    pub(crate) backoff: Backoff,
    /// What to do with uncertain ones.
    pub(crate) on_uncertain: OnUncertain,
    /// Seconds after acceptance when the sender gets a delay notification; 0 is never.
    pub(crate) delay_warning: i64,
}

/// Decides what becomes of the message after an attempt, and writes it into its row. Recipients that are given up are failed in
/// `recipients`, and returned for the record.
pub(crate) fn conclude(message: &mut Message, recipients: &mut [RecipientRow], attempt: &DeliveryAttempt) -> (Conclusion, Vec<GivenUp>) {
    message.in_data = false;
    message.next_attempt = None;
    if attempt.attempted {
        message.attempts = message.attempts.saturating_add(1);
        message.last_attempt = Some(attempt.now);
    }
    let given_up = match (&attempt.stop, attempt.was_expired) {
        // What is lost is lost, however much time it had.
        (Some(Stop::Lost(loss)), _) => give_up(recipients, loss.cause()),
        (Some(Stop::GiveUp(_, Op::Bounce)), _) => give_up(recipients, Cause::Bounced),
        (Some(Stop::GiveUp(..)), _) => give_up(recipients, Cause::ExpiredByOperator),
        (_, true) if attempt.now >= message.expires => give_up(recipients, Cause::ExpiredByOperator),
        (_, false) if attempt.now >= message.expires => give_up(recipients, Cause::Expired),
        _ => Vec::new(),
    };
    let conclusion = judge(message, recipients, attempt);
    let end = end_of(recipients).unwrap_or(MessageEnd::Failed);
    match &conclusion {
        Conclusion::Relayed => message.end(QueueDir::NoFile, MessageEnd::Relayed, attempt.now),
        Conclusion::Failed => message.end(QueueDir::Failed, end, attempt.now),
        Conclusion::Retry { at } => message.next_attempt = Some(*at),
        Conclusion::Hold(hold) => message.park(hold.clone()),
        Conclusion::Removed(actor) => {
            // Every recipient may have ended with the attempt under way: then it failed, and its file goes to the trash all the same.
            message.end(QueueDir::Trash, end_of(recipients).unwrap_or(MessageEnd::Removed), attempt.now);
            message.by = Some(actor.clone());
        }
        Conclusion::Lost(loss) => {
            message.end(loss.dir(), loss.end(), attempt.now);
            message.detail.clone_from(&loss.detail);
        }
    }
    (conclusion, given_up)
}

fn judge(message: &Message, recipients: &[RecipientRow], attempt: &DeliveryAttempt) -> Conclusion {
    let any = |progress: Progress| recipients.iter().any(|r| r.progress == progress);
    if !recipients.iter().any(|r| r.progress.is_open()) {
        return match (any(Progress::Failed), &attempt.stop) {
            // Dropped while its last attempt was under way: nobody wants to find it in failed/.
            (true, Some(Stop::Remove(actor))) => Conclusion::Removed(actor.clone()),
            (_, Some(Stop::Lost(loss))) => Conclusion::Lost(loss.clone()),
            (true, _) => Conclusion::Failed,
            (false, _) => Conclusion::Relayed,
        };
    }
    match &attempt.stop {
        Some(Stop::Hold(hold)) => return Conclusion::Hold(hold.clone()),
        Some(Stop::Lost(loss)) => return Conclusion::Lost(loss.clone()),
        Some(Stop::Remove(actor)) => return Conclusion::Removed(actor.clone()),
        // Nobody is open then.
        Some(Stop::GiveUp(..)) | None => {}
    }
    let next = match (attempt.attempted, attempt.route_until) {
        (false, Some(until)) => until.max(attempt.now + 1),
        _ => attempt.now + attempt.backoff.wait(message.attempts, attempt.random),
    };
    if any(Progress::Uncertain) {
        return match attempt.on_uncertain {
            OnUncertain::Hold => Conclusion::Hold(Hold::of(HoldCause::Uncertain)),
            OnUncertain::Retry => Conclusion::Retry { at: next.max(attempt.now + backoff::UNCERTAIN) },
        };
    }
    // The last attempt is at the end of `queue_lifetime`, not a whole wait after it.
    Conclusion::Retry { at: next.min(message.expires.max(attempt.now + 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Params;
    use mail::envelope::Notify;
    use mail::queue_id::QueueId;

    fn failure(stage: Stage, reply: Option<Reply>) -> Failure {
        let status = reply.as_ref().map_or(EnhancedStatus::new(4, 4, 2), Reply::enhanced_or_generic);
        Failure { stage, reply, status, peer: "mx".into(), cause: "because".into(), reusable: false }
    }

    fn reply(code: u16) -> Option<Reply> {
        Some(Reply::new(code, ["text"]))
    }

    #[test]
    fn the_table_above() {
        for (stage, reply, progress, scope_) in [
            (Stage::RcptTo, reply(450), Progress::Deferred, Scope::Message),
            (Stage::RcptTo, reply(550), Progress::Failed, Scope::Message),
            (Stage::RcptTo, reply(552), Progress::Deferred, Scope::Message),
            (Stage::MailFrom, reply(530), Progress::Deferred, Scope::Route),
            (Stage::FinalDot, reply(554), Progress::Failed, Scope::Message),
            (Stage::FinalDot, None, Progress::Uncertain, Scope::Message),
            (Stage::Body, None, Progress::Deferred, Scope::Message),
            (Stage::Auth, reply(535), Progress::Deferred, Scope::Route),
            (Stage::Greeting, reply(554), Progress::Deferred, Scope::Route),
            (Stage::Connect, None, Progress::Deferred, Scope::Route),
        ] {
            let failure = failure(stage, reply);
            assert_eq!((of_failure(0, &failure).progress, scope(&failure)), (progress, scope_), "{failure:?}");
        }
        let too_large = Failure { status: EnhancedStatus::new(5, 3, 4), ..failure(Stage::MailFrom, None) };
        assert_eq!(of_failure(0, &too_large).progress, Progress::Failed);
    }

    fn message() -> Message {
        Message {
            id: QueueId::new(1, 1),
            uid: 1,
            digest: vec![],
            size: 1,
            accepted: 0,
            expires: 1000,
            reverse_path: String::new(),
            message_id: String::new(),
            dir: QueueDir::Cur,
            hold: None,
            by: None,
            detail: String::new(),
            attempts: 0,
            last_attempt: None,
            next_attempt: None,
            in_data: true,
            outcome: None,
            ended_at: None,
            suspect: None,
        }
    }

    fn recipients(progress: &[Progress]) -> Vec<RecipientRow> {
        let row = |(n, progress): (usize, &Progress)| RecipientRow {
            n: n as u32,
            address: "a@b".into(),
            original: String::new(),
            notify: Notify::UNSAID,
            progress: *progress,
            diagnosis: Diagnosis::default(),
            status: String::new(),
            reply: "450 busy".into(),
            relay: "mx".into(),
            at: None,
        };
        progress.iter().enumerate().map(row).collect()
    }

    fn attempt(now: i64) -> DeliveryAttempt {
        DeliveryAttempt {
            stop: None,
            was_expired: false,
            expires: 1000,
            now,
            attempted: true,
            route_until: None,
            random: 0,
            backoff: Backoff::of_messages(&Params::default()),
            on_uncertain: OnUncertain::Retry,
            delay_warning: 0,
        }
    }

    #[test]
    fn a_message_ends_only_when_no_recipient_is_open() {
        use Progress::{Deferred, Failed, Relayed, Uncertain};
        let judge = |progress: &[Progress], now| conclude(&mut message(), &mut recipients(progress), &attempt(now)).0;
        assert_eq!(judge(&[Relayed, Relayed], 10), Conclusion::Relayed);
        assert_eq!(judge(&[Relayed, Failed], 10), Conclusion::Failed);
        assert!(matches!(judge(&[Relayed, Failed, Deferred], 10), Conclusion::Retry { .. }));
        assert_eq!(judge(&[Uncertain], 10), Conclusion::Retry { at: 10 + backoff::UNCERTAIN });
        assert_eq!(judge(&[Deferred], 1000), Conclusion::Failed);
        assert_eq!(judge(&[Deferred], 990), Conclusion::Retry { at: 1000 });
    }

    #[test]
    fn a_message_dropped_during_its_attempt_is_removed_unless_it_was_relayed() {
        use Progress::{Deferred, Failed, Relayed};
        let judge = |progress: &[Progress]| {
            conclude(&mut message(), &mut recipients(progress), &DeliveryAttempt { stop: Some(Stop::Remove(root())), ..attempt(10) }).0
        };
        assert_eq!(judge(&[Relayed, Deferred]), Conclusion::Removed(root()));
        assert_eq!(judge(&[Relayed, Failed]), Conclusion::Removed(root()));
        assert_eq!(judge(&[Relayed]), Conclusion::Relayed);
    }

    #[test]
    fn a_route_failure_counts_no_attempt_and_waits_for_the_route() {
        let mut row = message();
        let waits = DeliveryAttempt { attempted: false, route_until: Some(77), ..attempt(10) };
        assert_eq!(conclude(&mut row, &mut recipients(&[Progress::Deferred]), &waits).0, Conclusion::Retry { at: 77 });
        assert_eq!((row.attempts, row.in_data, row.next_attempt), (0, false, Some(77)));
    }

    fn root() -> Actor {
        Actor { uid: 0, name: "root".into() }
    }

    #[test]
    fn giving_up_keeps_what_the_last_attempt_said() {
        let (_, updates) = conclude(&mut message(), &mut recipients(&[Progress::Deferred]), &attempt(1000));
        assert_eq!(updates.first().map(|u| (u.update.reply.as_str(), u.update.diagnosis.cause)), Some(("450 busy", Some(Cause::Expired))));
        let expired = DeliveryAttempt { was_expired: true, ..attempt(1000) };
        let (_, updates) = conclude(&mut message(), &mut recipients(&[Progress::Deferred]), &expired);
        let found = updates.first().map(|u| (u.update.reply.as_str(), u.update.diagnosis.cause));
        assert_eq!(found, Some(("450 busy", Some(Cause::ExpiredByOperator))));
    }

    #[test]
    fn a_message_ends_by_the_gravest_of_its_failures() {
        let of = |causes: &[Option<Cause>]| {
            let row = |(row, cause): (RecipientRow, &Option<Cause>)| RecipientRow {
                progress: if cause.is_some() { Progress::Failed } else { Progress::Relayed },
                diagnosis: Diagnosis { cause: *cause, ..Diagnosis::default() },
                ..row
            };
            let rows = recipients(&vec![Progress::Failed; causes.len()]);
            end_of(&rows.into_iter().zip(causes).map(row).collect::<Vec<_>>())
        };
        let reply = Some(Cause::Reply);
        assert_eq!(of(&[None, None]), Some(MessageEnd::Relayed));
        assert_eq!(of(&[None, reply]), Some(MessageEnd::Failed));
        assert_eq!(of(&[reply, Some(Cause::DeliverBy)]), Some(MessageEnd::Expired));
        assert_eq!(of(&[Some(Cause::Bounced), Some(Cause::Expired)]), Some(MessageEnd::Bounced));
        assert_eq!(of(&[Some(Cause::Vanished), reply, None]), Some(MessageEnd::Vanished));
        assert_eq!(of(&[Some(Cause::Vanished), Some(Cause::Corrupt)]), Some(MessageEnd::Corrupt));
        assert_eq!(end_of(&recipients(&[Progress::Failed, Progress::Uncertain])), None);
    }

    #[test]
    fn a_lost_message_ends_as_lost_and_its_open_recipients_fail_of_this_host() {
        for (loss, dir, end) in [
            (Loss::vanished(""), QueueDir::NoFile, MessageEnd::Vanished),
            (Loss::corrupt("changed"), QueueDir::Corrupt, MessageEnd::Corrupt),
        ] {
            let mut row = message();
            let stopped = DeliveryAttempt { stop: Some(Stop::Lost(loss.clone())), ..attempt(1000) };
            let (conclusion, given_up) = conclude(&mut row, &mut recipients(&[Progress::Relayed, Progress::Deferred]), &stopped);
            assert_eq!(conclusion, Conclusion::Lost(loss));
            assert_eq!((row.dir, row.outcome, row.ended_at), (dir, Some(end), Some(1000)));
            let update = &given_up.first().unwrap().update;
            assert_eq!((given_up.len(), update.n, update.status.as_str(), update.diagnosis.subject), (1, 1, "5.3.0", Some(Subject::Host)));
        }
    }
}
