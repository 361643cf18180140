//! A message whose file has vanished from the spool, found outside of a delivery attempt: at the start, or when the file should follow
//! its row. Its rows end as those of a lost message, and its sender gets a bounce.

use crate::outcome::{self, GivenUp, Loss};
use log::events;
use log::events::Outcome;
use mail::HistoryCause;
use mail::code::{Cause, Happened, MessageEnd};
use mail::words;
use state::{Action, HistoryLine, Message, State};

/// What was written, to be logged after the commit.
pub(crate) struct Lost {
    message: Message,
    loss: Loss,
    given_up: Vec<GivenUp>,
}

/// Ends the message as lost: open recipients fail, the DSN is due, the history says what was found. One that had ended keeps its end,
/// and only the file that was kept of it is gone.
pub(crate) fn record(state: &State, mut message: Message, loss: Loss, now: i64) -> state::Result<Lost> {
    let id = message.id;
    let mut recipients = state.recipients(id)?;
    let given_up = if message.outcome.is_none() { outcome::give_up(&mut recipients, loss.cause()) } else { Vec::new() };
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
    state.record(id, &line(&loss, now))?;
    state.make_dsn_due(id, now)?;
    Ok(Lost { message, loss, given_up })
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

impl Lost {
    /// True where recipients were given up: else nothing was lost but a copy.
    pub(crate) fn is_loss(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Logs it.
    pub(crate) fn tell(&self, now: i64) {
        let Lost { message, loss, given_up } = self;
        for (at, GivenUp { address, update }) in given_up.iter().enumerate() {
            let end: Option<MessageEnd> = message.outcome.filter(|_| at + 1 == given_up.len());
            events::failed(Outcome {
                queue_id: message.id,
                from: &message.reverse_path,
                to: address,
                relay: &update.relay,
                delay: now.saturating_sub(message.accepted),
                dsn: &update.status,
                reply: &words::of_recipient(&update.diagnosis, &update.reply),
                diagnosis: update.diagnosis,
                end,
            });
        }
        match self.is_loss() {
            true => events::lost(message.id, loss.end(), &loss.detail, &message.reverse_path, given_up.len()),
            false => events::reconciled(message.id, "the file that was kept of it has vanished"),
        }
    }
}
