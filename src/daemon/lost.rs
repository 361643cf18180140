//! A message whose file has vanished from the spool, found outside of a delivery attempt: at the start, or when the file should follow
//! its row. Its rows end as those of a lost message, and its sender gets a bounce.

use crate::outbox::outcome_event;
use crate::outcome::{self, GivenUp, Loss};
use log::events;
use log::message::MessageEvent;
use mail::HistoryCause;
use mail::code::{Cause, Happened, MessageEnd};
use state::{Action, HistoryLine, Message, State};

/// Ends the message as lost: open recipients fail, the DSN is due, the history says what was found. One that had ended keeps its end,
/// and only the file that was kept of it is gone.
pub(crate) fn record(state: &State, mut message: Message, loss: Loss, now: i64) -> state::Result<()> {
    let id = message.id;
    let mut recipients = state.recipients(id)?;
    let had_ended = message.outcome.is_some();
    let given_up = if !had_ended { outcome::give_up(&mut recipients, loss.cause()) } else { Vec::new() };
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
    let mut events: Vec<MessageEvent> =
        given_up.iter().map(|GivenUp { address, update }| outcome_event(message, address, update, now)).collect();
    if let Some(end) = message.outcome {
        match events.last_mut() {
            Some(last) => drop(last.end_with(end)),
            None => events.push(MessageEvent::Ended { from: message.reverse_path.clone(), end }),
        }
    }
    if !given_up.is_empty() {
        events.push(loss.event(message, given_up.len()));
    }
    events.iter().for_each(|event| state.tell(event.line(message.id)));
}

/// The line of history of a recipient that failed without a reply that says so.
pub(crate) fn failed(now: i64, address: &str, cause: Option<Cause>, reply: &str) -> HistoryLine {
    let line =
        HistoryLine::new(now, Happened::Failed).with(if reply.is_empty() { address.to_owned() } else { format!("{address}  {reply}") });
    cause.map_or(line.clone(), |cause| line.because(HistoryCause::Recipient(cause)))
}

/// The line of history of a message that was lost.
pub(crate) fn line(loss: &Loss, now: i64) -> HistoryLine {
    HistoryLine::new(now, if loss.is_corrupt { Happened::Corrupt } else { Happened::Vanished }).with(loss.detail.clone())
}

impl Loss {
    /// The event of a message that was lost for `recipients`.
    pub(crate) fn event(&self, message: &Message, recipients: usize) -> MessageEvent {
        MessageEvent::Lost { from: message.reverse_path.clone(), recipients, end: self.end(), detail: self.detail.clone() }
    }
}
