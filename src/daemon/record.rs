//! From the replies of a server to committed outcomes.
//!
//! In: a job and what came of it. Out: its recipients' outcomes in the state writer, and their events, told with the commit; with the last
//! job of an attempt, the message's conclusion.

use std::sync::Arc;

use super::dispatch::{Dispatch, JobEnd, Work};
use super::outcome::{self, Conclusion, DeliveryAttempt, GivenUp};
use super::queue::JobRecipient;
use super::state_writer::{OutcomeRecord, Recorded, StateWriter, Stopped};
use crate::current::Current;
use crate::health::Health;
use crate::outbox::outcome_event;
use log::message::MessageEvent;
use mail::code::{Cause, HoldCause, Subject};
use mail::status::{EnhancedStatus, Reply};
use mail::{Diagnosis, Hold, words};
use observe::metrics::counters::Counters;
use state::{Message, Progress, RecipientUpdate, Transaction};
use tokio::sync::Notify;
use transport::smtp::{EnvelopeReplies, Failure};

/// What one job came to.
#[derive(Debug, Default)]
pub(crate) struct JobOutcome {
    /// News of its recipients.
    pub(crate) updates: Vec<RecipientUpdate>,
    /// The transaction, for the history. [`Recorder::record`] fills in whether a server was reached.
    pub(crate) transaction: Transaction,
    /// The next hop reports on what it takes (RFC 3461).
    pub(crate) hop_reports: bool,
    /// For the attempt.
    pub(crate) end: JobEnd,
}

/// Records what jobs came to.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The one writer.
    pub(crate) state_writer: StateWriter,
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// What is counted for the metrics.
    pub(crate) counters: Arc<Counters>,
    /// Signs of life.
    pub(crate) health: Arc<Health>,
    /// Wakes whoever writes DSNs.
    pub(crate) dsn_due: Arc<Notify>,
}

/// The recipients' outcomes of one transaction: what was refused before the content, and the final results of the rest, which are
/// one for each accepted recipient, in their order.
pub(crate) fn of_transaction(
    work: &Work,
    replies: &EnvelopeReplies,
    finals: &[Result<Reply, Failure>],
    peer: &str,
) -> Vec<RecipientUpdate> {
    let mut finals = finals.iter();
    let update = |(at, recipient): (usize, &JobRecipient)| match replies.recipients.get(at) {
        Some(Err(failure)) => outcome::of_failure(recipient.n, failure),
        Some(Ok(_)) => match finals.next() {
            Some(Ok(reply)) => outcome::of_reply(recipient.n, reply, peer),
            Some(Err(failure)) => outcome::of_failure(recipient.n, failure),
            None => unanswered(recipient.n, peer),
        },
        None => unanswered(recipient.n, peer),
    };
    work.job.recipients.iter().enumerate().map(update).collect()
}

fn unanswered(n: u32, peer: &str) -> RecipientUpdate {
    let not_answered = Diagnosis::of(Cause::NotAnswered, Subject::Recipient);
    outcome::waits(n, peer, not_answered, EnhancedStatus::new(4, 5, 0), "no reply for this recipient")
}

/// The same failure for every recipient of a job.
pub(crate) fn of_failure(work: &Work, failure: &Failure) -> Vec<RecipientUpdate> {
    work.job.recipients.iter().map(|r| outcome::of_failure(r.n, failure)).collect()
}

/// Every recipient waits, for a reason that is not theirs.
pub(crate) fn waiting(work: &Work, relay: &str, diagnosis: Diagnosis, status: EnhancedStatus, said: &str) -> Vec<RecipientUpdate> {
    work.job.recipients.iter().map(|r| outcome::waits(r.n, relay, diagnosis, status, said)).collect()
}

impl Recorder {
    /// The task of a job panicked: nobody knows what became of its recipients. A person looks at it; tried again, it would panic again.
    ///
    /// Errors: as [`Recorder::record`].
    pub(crate) async fn abandoned(&self, work: Work) -> Result<(), Stopped> {
        let hold = Hold::with(HoldCause::Internal, "it was being delivered, so it may have been");
        let internal = Diagnosis::of(Cause::Internal, Subject::Host);
        let uncertain = |update: RecipientUpdate| RecipientUpdate { progress: Progress::Uncertain, ..update };
        let updates =
            waiting(&work, "", internal, EnhancedStatus::new(4, 3, 0), &words::of_hold(&hold)).into_iter().map(uncertain).collect();
        let end = JobEnd { stop: Some(outcome::Stop::Hold(hold)), ..JobEnd::default() };
        self.record(work, JobOutcome { updates, end, ..JobOutcome::default() }).await
    }

    /// Commits what a job came to.
    ///
    /// Errors: [`Stopped`] where nothing can be committed any more; then nothing may be sent either.
    pub(crate) async fn record(&self, work: Work, job: JobOutcome) -> Result<(), Stopped> {
        let id = work.message.id;
        let JobOutcome { updates, mut transaction, hop_reports, end } = job;
        transaction.reached = end.attempted;
        if let Some(milliseconds) = transaction.transaction_ms {
            self.counters.transaction(f64::from(milliseconds) / 1000.0);
        }
        // The usual message has one job, and one commit says all. Otherwise the last job's end comes after the commits of all.
        let single = self.dispatch.is_only_job(id);
        let events = self.events_of(&work, &updates);
        let mut record = OutcomeRecord { id, updates, transaction: transaction.clone(), hop_reports, attempt: None, events };
        if !single {
            self.state_writer.record(record).await?;
            record = OutcomeRecord { id, updates: Vec::new(), transaction, hop_reports, attempt: None, events: Vec::new() };
        }
        let Some(end) = self.dispatch.end_job(&work, end) else { return Ok(()) };
        record.attempt = Some(self.attempt_of(&work.message, end));
        let recorded = self.state_writer.record(record).await?;
        self.conclude(&work.message, &work.job.route, recorded);
        Ok(())
    }

    /// The attempt of a message ends before it began, at `now`, because somebody gave an order for its end.
    ///
    /// Errors: as [`Recorder::record`].
    pub(crate) async fn not_begun(&self, message: &Message, now: i64) -> Result<(), Stopped> {
        let attempt = self.attempt_of(message, JobEnd { route_until: Some(now), ..JobEnd::default() });
        let (updates, transaction) = (Vec::new(), Transaction::default());
        let record = OutcomeRecord { id: message.id, updates, transaction, hop_reports: false, attempt: Some(attempt), events: Vec::new() };
        let recorded = self.state_writer.record(record).await?;
        self.conclude(message, "", recorded);
        Ok(())
    }

    /// What follows the end of an attempt that is committed.
    fn conclude(&self, message: &Message, route: &str, recorded: Recorded) {
        let delay = sys::clock::now().saturating_sub(message.accepted);
        for GivenUp { update, .. } in &recorded.given_up {
            self.counters.outcome(route, update.progress, &update.status, delay as f64);
        }
        if recorded.dsn_due {
            self.dsn_due.notify_one();
        }
        // The scheduler may have to wake earlier than it meant to.
        if matches!(recorded.conclusion, Some(Conclusion::Retry { .. })) {
            self.dispatch.wake.notify_one();
        }
    }

    fn attempt_of(&self, message: &Message, end: JobEnd) -> DeliveryAttempt {
        let setup = self.current.get();
        DeliveryAttempt {
            stop: end.stop,
            was_expired: false,
            now: sys::clock::now(),
            expires: message.expires,
            attempted: end.attempted,
            route_until: end.route_until,
            random: sys::clock::random().unwrap_or_default(),
            backoff: setup.backoff,
            on_uncertain: setup.params.uncertain,
            delay_warning: setup.delay_warning(),
        }
    }

    /// Counts what became of the recipients of a job, and makes their events, which are told with their commit.
    fn events_of(&self, work: &Work, updates: &[RecipientUpdate]) -> Vec<MessageEvent> {
        let now = sys::clock::now();
        let delay = now.saturating_sub(work.message.accepted);
        let told = |(recipient, update): (&JobRecipient, &RecipientUpdate)| {
            self.counters.outcome(&work.job.route, update.progress, &update.status, delay as f64);
            if update.progress == Progress::Relayed {
                self.health.note_relayed(now);
            }
            outcome_event(&work.message, &recipient.address, update, now)
        };
        work.job.recipients.iter().zip(updates).map(told).collect()
    }
}
