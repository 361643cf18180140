//! A message that this host lost: its file is gone, or is not what was claimed. Its rows end as lost, and its sender is told.

use mail::code::{Cause, Happened, MessageEnd, Subject};
use mail::status::EnhancedStatus;
use mail::{Diagnosis, HistoryCause};
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

/// What was written, to be logged after the commit.
#[derive(Debug)]
pub struct Lost {
    /// The message, as it ended.
    pub message: Message,
    /// What was found.
    pub loss: Loss,
    /// Its recipients that were open.
    pub given_up: Vec<GivenUp>,
}

/// Ends the message as lost: open recipients fail, the DSN is due, the history says what was found. One that had ended keeps its end,
/// and only the file that was kept of it is gone.
///
/// Errors: the database's.
pub fn record(state: &State, mut message: Message, loss: Loss, now: i64) -> state::Result<Lost> {
    let id = message.id;
    let mut recipients = state.recipients(id)?;
    let given_up = if message.outcome.is_none() { give_up(&mut recipients, loss.cause()) } else { Vec::new() };
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
pub fn failed(now: i64, address: &str, cause: Option<Cause>, reply: &str) -> HistoryLine {
    let line =
        HistoryLine::new(now, Happened::Failed).with(if reply.is_empty() { address.to_owned() } else { format!("{address}  {reply}") });
    cause.map_or(line.clone(), |cause| line.because(HistoryCause::Recipient(cause)))
}

/// The line of history of a message that was lost.
pub fn line(loss: &Loss, now: i64) -> HistoryLine {
    HistoryLine::new(now, if loss.is_corrupt { Happened::Corrupt } else { Happened::Vanished }).with(loss.detail.clone())
}
