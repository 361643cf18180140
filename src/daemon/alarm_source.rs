//! Collects the inputs of the alarms: from the database, the directories and the file system. Each check is cheap, whatever the size of
//! the queue. An input that cannot be read raises no alarm here: the part that needs it reports that.

use std::path::Path;
use std::sync::Arc;

use crate::current::Current;
use crate::database::STATE_FILE;
use crate::dispatch::Dispatch;
use crate::quota::Limits;
use crate::recover::is_rebuilding;
use config::Paths;
use mail::code::HoldCause;
use mail::printable;
use observe::alarms::judge::{AlarmInputs, BELOW_LIMIT, Space};
use observe::alarms::memory::{AlarmMemory, Resolved};
use observe::alarms::{Settings, Watched};
use observe::hooks::Hooks;
use spool::layout;
use state::State;

/// Files in `corrupt/` that are counted: one is enough for an alarm.
const COUNTED: usize = 1000;
/// Users near a limit that alarms are raised about: each is a line in `alarms.json`.
const USERS: usize = 100;

/// What the alarms look at.
pub(crate) struct AlarmSource {
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// Whether delivery is paused.
    pub(crate) dispatch: Arc<Dispatch>,
    /// The receivers of events.
    pub(crate) hooks: Arc<Hooks>,
}

impl Watched for AlarmSource {
    fn settings(&self) -> Settings {
        self.current.get().alarm_settings(&self.paths)
    }

    fn inputs(&self, now: i64) -> AlarmInputs {
        let setup = self.current.get();
        let state = State::open_to_read(&self.paths.spool.join(STATE_FILE)).ok();
        let limits = Limits::new(&setup.params, None, Arc::default());
        AlarmInputs {
            now,
            oldest: state.as_ref().and_then(|state| state.oldest().ok()).flatten(),
            usage: state.and_then(|state| limits.near(&state, BELOW_LIMIT, USERS).ok()).unwrap_or_default(),
            route: setup.router.configured().map(|route| route.to_string()),
            paused: self.dispatch.paused(),
            unusable: setup.problems.iter().map(|problem| printable::text(problem)).collect(),
            space: sys::fs::free_space(&self.paths.spool).ok().map(|(bytes, files)| Space { bytes, files }),
            corrupt: corrupt(&self.paths.spool.join(layout::CORRUPT)),
            webhooks: self.hooks.snapshots(),
        }
    }

    /// A failed message is no longer there; what was held after a lost database was decided.
    fn resolved(&self, memory: &AlarmMemory, inputs: &AlarmInputs) -> Resolved {
        let failed = self.paths.spool.join(layout::FAILED);
        let is_decided = || is_decided(&self.paths.spool.join(STATE_FILE)).unwrap_or(false);
        Resolved {
            undelivered_dsns: memory.undelivered_dsns.keys().filter(|id| failed.join(id).symlink_metadata().is_err()).cloned().collect(),
            trying: inputs.oldest.is_none(),
            routes: memory.suspended.keys().filter(|route| Some(*route) != inputs.route.as_ref()).cloned().collect(),
            state_lost: memory.state_lost && is_decided(),
        }
    }
}

/// Files in `corrupt/`, without the reasons beside them.
fn corrupt(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.take(COUNTED).filter(|entry| !entry.file_name().as_encoded_bytes().ends_with(b".why")).count()
}

/// True if no message is held any more because the database was lost, nor will be, because the files have their rows again.
fn is_decided(database: &Path) -> state::Result<bool> {
    let state = State::open_to_read(database)?;
    if is_rebuilding(&state)? {
        return Ok(false);
    }
    Ok(state.held_count(&[HoldCause::StateLost, HoldCause::ReasonLost])? == 0)
}
