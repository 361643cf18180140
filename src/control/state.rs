//! The states of messages, as listings call them and operators choose them.

use serde::{Deserialize, Serialize};

/// The state of a message, as listings call it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueState {
    /// Nobody has tried to deliver it yet.
    #[default]
    Incoming,
    /// It is being sent.
    Active,
    /// It was tried, and waits.
    Deferred,
    /// It is parked.
    Hold,
    /// It failed for good.
    Failed,
    /// One of its recipients may have got it, or not.
    Uncertain,
    /// It was removed, and lies in `trash/`.
    Removed,
    /// It has ended, and nothing of it is kept but the history.
    Finished,
    /// This host lost it: its file lies in `corrupt/`.
    Corrupt,
    /// This host lost it: its file is gone.
    Lost,
}

impl QueueState {
    /// Those that can be chosen, in the order of a message's life.
    pub const ALL: [QueueState; 7] = [
        QueueState::Incoming,
        QueueState::Active,
        QueueState::Deferred,
        QueueState::Hold,
        QueueState::Failed,
        QueueState::Uncertain,
        QueueState::Removed,
    ];

    /// Those of messages that are neither parked nor ended.
    pub(crate) const OPEN: [QueueState; 3] = [QueueState::Incoming, QueueState::Active, QueueState::Deferred];

    /// Those of the mail queue: what is queued or held.
    pub(crate) const QUEUED: [QueueState; 4] = [QueueState::Incoming, QueueState::Active, QueueState::Deferred, QueueState::Hold];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            QueueState::Incoming => "incoming",
            QueueState::Active => "active",
            QueueState::Deferred => "deferred",
            QueueState::Hold => "hold",
            QueueState::Failed => "failed",
            QueueState::Uncertain => "uncertain",
            QueueState::Removed => "removed",
            QueueState::Finished => "finished",
            QueueState::Corrupt => "corrupt",
            QueueState::Lost => "lost",
        }
    }

    /// The state of this name; `held` is `hold`.
    pub fn parse(text: &str) -> Option<Self> {
        QueueState::ALL.into_iter().find(|state| state.word() == text || (text, *state) == ("held", QueueState::Hold))
    }

    /// True for what waits, is being sent or is held.
    pub fn is_open(self) -> bool {
        matches!(self, QueueState::Incoming | QueueState::Active | QueueState::Deferred | QueueState::Hold)
    }
}
