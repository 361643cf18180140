//! A message that this host lost: its file is gone, or is not what was claimed. Its rows end as lost, and its sender gets a bounce.

use log::events;
use log::message::MessageEvent;
use mail::code::{Cause, Happened, MessageEnd, Subject};
use mail::status::EnhancedStatus;
use mail::{Diagnosis, HistoryCause, words};
use state::{Action, HistoryLine, Message, Progress, QueueDir, RecipientRow, RecipientUpdate, State};

/// What happened to a file in the spool that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// It was changed or damaged, rather than removed.
    pub is_corrupt: bool,
    /// More for people.
    pub detail: String,
}

impl Loss {
    /// Its file is gone.
    pub fn vanished(detail: &str) -> Loss {
        Loss { is_corrupt: false, detail: detail.to_owned() }
    }

    /// Its file is not the one that was accepted.
    pub fn corrupt(detail: impl Into<String>) -> Loss {
        Loss { is_corrupt: true, detail: detail.into() }
    }

    /// Why its recipients failed.
    pub fn cause(&self) -> Cause {
        if self.is_corrupt { Cause::Corrupt } else { Cause::Vanished }
    }

    /// How the message ended.
    pub fn end(&self) -> MessageEnd {
        if self.is_corrupt { MessageEnd::Corrupt } else { MessageEnd::Vanished }
    }

    /// The event of a message that was lost for `recipients`.
    pub fn event(&self, message: &Message, recipients: usize) -> MessageEvent {
        MessageEvent::Lost { from: message.reverse_path.clone(), recipients, end: self.end(), detail: self.detail.clone() }
    }

    /// Where what is left of the file goes.
    pub fn dir(&self) -> QueueDir {
        if self.is_corrupt { QueueDir::Corrupt } else { QueueDir::NoFile }
    }
}

/// 5.4.7: the delivery time expired.
pub const TOO_LATE: EnhancedStatus = EnhancedStatus::new(5, 4, 7);
/// 5.3.0: the mail system of this host, and not the message.
pub const LOST: EnhancedStatus = EnhancedStatus::new(5, 3, 0);

/// A recipient that was given up, and what is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The forward-path.
    pub address: String,
    /// For its row.
    pub update: RecipientUpdate,
}

/// Fails every open recipient for this cause, keeping what the last attempt said.
pub fn give_up(recipients: &mut [RecipientRow], cause: Cause) -> Vec<GivenUp> {
    let status = if matches!(cause, Cause::Corrupt | Cause::Vanished) { LOST } else { TOO_LATE };
    let open = recipients.iter_mut().filter(|r| r.progress.is_open());
    open.map(|r| {
        r.progress = Progress::Failed;
        r.diagnosis = match status == LOST {
            true => Diagnosis::of(cause, Subject::Host),
            false => r.diagnosis.given_up(cause),
        };
        r.status = status.to_string();
        let (status, reply, relay) = (r.status.clone(), r.reply.clone(), r.relay.clone());
        let update = RecipientUpdate { n: r.n, progress: r.progress, diagnosis: r.diagnosis, status, reply, relay };
        GivenUp { address: r.address.clone(), update }
    })
    .collect()
}

/// Ends the message as lost: open recipients fail, the DSN is due, the history says what was found. One that had ended keeps its end,
/// and only the file that was kept of it is gone.
///
/// Errors: the database's.
pub fn record(state: &State, mut message: Message, loss: Loss, now: i64) -> state::Result<()> {
    let id = message.id;
    let mut recipients = state.recipients(id)?;
    let had_ended = message.outcome.is_some();
    let given_up = if !had_ended { give_up(&mut recipients, loss.cause()) } else { Vec::new() };
    for GivenUp { update, address } in &given_up {
        state.update_recipient(id, update, now)?;
        state.record(id, &failed(now, address, update.diagnosis.cause, &update.reply))?;
        state.ask_dsn(id, update.n, Action::Failed)?;
    }
    // Without an open recipient only its conclusion was missing.
    let end = if given_up.is_empty() { state::end_of(&recipients).unwrap_or(loss.end()) } else { loss.end() };
    message.end(loss.dir(), end, now);
    message.detail.clone_from(&loss.detail);
    state.update(&message)?;
    // The file of what was relayed is removed in any case.
    if end != MessageEnd::Relayed {
        state.record(id, &line(&loss, now))?;
    }
    state.make_dsn_due(id, now)?;
    match had_ended {
        // Nothing was lost but a copy.
        true => events::reconciled(id, "the file that was kept of it has vanished"),
        false => tell(state, &message, &loss, &given_up, now),
    }
    Ok(())
}

fn tell(state: &State, message: &Message, loss: &Loss, given_up: &[GivenUp], now: i64) {
    tell_given_up(state, message, given_up, now);
    if given_up.is_empty()
        && let Some(end) = message.outcome
    {
        state.tell(MessageEvent::Ended { from: message.reverse_path.clone(), end }.line(message.id));
    }
    if !given_up.is_empty() {
        state.tell(loss.event(message, given_up.len()).line(message.id));
    }
}

/// Tells of recipients that were given up, and with the last one how the message ended.
pub(crate) fn tell_given_up(state: &State, message: &Message, given_up: &[GivenUp], now: i64) {
    let mut events: Vec<MessageEvent> =
        given_up.iter().map(|GivenUp { address, update }| outcome_event(message, address, update, now)).collect();
    if let (Some(last), Some(end)) = (events.last_mut(), message.outcome) {
        last.end_with(end);
    }
    events.iter().for_each(|event| state.tell(event.line(message.id)));
}

/// The event of a recipient's outcome at `now`.
pub fn outcome_event(message: &Message, to: &str, update: &RecipientUpdate, now: i64) -> MessageEvent {
    MessageEvent::Outcome(log::message::Outcome {
        progress: update.progress,
        from: message.reverse_path.clone(),
        to: to.to_owned(),
        relay: update.relay.clone(),
        delay: now.saturating_sub(message.accepted),
        dsn: update.status.clone(),
        reply: words::of_recipient(&update.diagnosis, &update.reply),
        diagnosis: update.diagnosis,
        end: None,
    })
}

/// The line of history of a recipient that failed without a reply that says so.
pub fn failed(now: i64, address: &str, cause: Option<Cause>, reply: &str) -> HistoryLine {
    let line =
        HistoryLine::new(now, Happened::Failed).with(if reply.is_empty() { address.to_owned() } else { format!("{address}  {reply}") });
    cause.map_or(line.clone(), |cause| line.because(HistoryCause::Recipient(cause)))
}

/// The line of history of a message that was lost.
pub fn line(loss: &Loss, now: i64) -> HistoryLine {
    HistoryLine::new(now, if loss.is_corrupt { Happened::Corrupt } else { Happened::Vanished }).with(loss.detail.clone())
}
