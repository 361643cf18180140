//! What a start finds and does, and how it is to be done.

use admin::moves::MoveError;
use config::OnUncertain;
use log::events;
use mail::queue_id::QueueId;
use state::{QueueDir, State};
use store::Claim;

use crate::database::STATE_FILE;
use crate::plan::Policy;

/// The key of the note that a lost database is being rebuilt.
pub(super) const REBUILDING: &str = "rebuilding";
/// The files that the start found without a row, by directory.
pub(crate) type Orphans = Vec<(QueueId, QueueDir)>;

/// What the start found and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Files without a row that were admitted.
    pub(crate) admitted: usize,
    /// Messages that were in data.
    pub(crate) uncertain: usize,
    /// Rows whose file had vanished.
    pub(crate) vanished: usize,
    /// Files that were moved or removed to follow their row.
    pub(crate) settled: usize,
    /// Files that are no messages.
    pub(crate) corrupt: usize,
}

impl Recovered {
    /// Logs it, if there is anything to tell.
    pub(crate) fn tell(&self) {
        if *self != Recovered::default() {
            events::recovered(self.admitted, self.uncertain, self.vanished, self.settled, self.corrupt);
        }
    }
}

/// How to recover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// Unix seconds.
    pub(crate) now: i64,
    /// The database was lost or damaged.
    pub(crate) state_was_lost: bool,
    /// For messages that get their row only now.
    pub(crate) policy: Policy,
    /// What to do with messages that were in data.
    pub(crate) on_uncertain: OnUncertain,
    /// The machine was started since, without a clean stop of the daemon.
    pub(crate) after_crash: bool,
    /// Waits that were planned for later than this may come from a clock that ran ahead, unix seconds: `now` where the clock is known
    /// to have been set back, else what no wait of ours reaches.
    pub(crate) suspect_waits: i64,
}

/// Why files and rows cannot be made to agree: then nothing may be delivered.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// What SQLite said; it may be damage.
    Database(state::StateError),
    /// What the kernel said, with the path.
    Disk(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Database(e) => write!(f, "{STATE_FILE}: {e}"),
            Trouble::Disk(e) => f.write_str(e),
        }
    }
}

impl From<MoveError> for Trouble {
    fn from(e: MoveError) -> Self {
        match e {
            MoveError::State(e) => Trouble::Database(e),
            MoveError::Disk(e) => Trouble::Disk(format!("the spool: {e}")),
        }
    }
}

impl From<state::StateError> for Trouble {
    fn from(e: state::StateError) -> Self {
        Trouble::Database(e)
    }
}

/// Says why a file is no message, or not now. One that the disk does not let us read must not keep all others waiting.
pub(super) fn tell_unclaimed(id: QueueId, claim: Claim, recovered: &mut Recovered) {
    match claim {
        Claim::Corrupt(why) => {
            events::corrupt(&id.to_string(), &why);
            recovered.corrupt += 1;
        }
        Claim::Newer(version) => events::newer(&id.to_string(), version),
        Claim::Unread(e) => events::storage_failed(&format!("cur/{id}"), &format!("{e}; left there until the next start")),
        Claim::Message(_) | Claim::Later | Claim::Vanished | Claim::Stuck(_) => {}
    }
}

/// True while a lost database has not been rebuilt to the end.
pub(crate) fn is_rebuilding(state: &State) -> state::Result<bool> {
    state.flag(REBUILDING)
}
