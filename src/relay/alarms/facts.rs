//! Looking up what alarms are judged by: the database, the directories, the file system. Each costs little, whatever the size of
//! the queue; what cannot be looked up now makes no alarm by itself, because whoever needs it will say so loudly.

use std::path::Path;

use super::judge::{Facts, Space};
use super::observed::{Over, Remembered};
use crate::mail::printable;
use crate::relay::daemon::Daemon;
use crate::relay::recover::{STATE_FILE, WAS_LOST, is_rebuilding};
use crate::relay::setup::Setup;
use crate::spool::layout;
use crate::spool::state::{Place, State};
use crate::sys;

/// Files in `corrupt/` that are counted: one is enough for an alarm.
const COUNTED: usize = 1000;

/// What is so at `now`.
pub(super) fn gather(daemon: &Daemon, setup: &Setup, now: i64) -> Facts {
    let state = State::open_to_read(&daemon.store.path(STATE_FILE)).ok();
    Facts {
        now,
        oldest: state.and_then(|state| state.oldest().ok()).flatten(),
        route: setup.router.configured().map(|route| route.to_string()),
        paused: daemon.paused(),
        unusable: setup.problems.iter().map(|problem| printable::text(problem)).collect(),
        space: sys::fs::free_space(&daemon.paths.spool).ok().map(|(octets, files)| Space { octets, files }),
        corrupt: corrupt(&daemon.store.path(layout::CORRUPT)),
        webhooks: daemon.hooks.facts(),
    }
}

/// Files in `corrupt/`, without the reasons beside them.
fn corrupt(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.take(COUNTED).filter(|entry| !entry.file_name().as_encoded_bytes().ends_with(b".why")).count()
}

/// What is over by what operators did: a failed message is no longer there, what was held after a lost database was decided.
pub(super) fn over(remembered: &Remembered, daemon: &Daemon, facts: &Facts) -> Over {
    let failed = daemon.store.path(layout::FAILED);
    Over {
        told: remembered.untold.keys().filter(|id| failed.join(id).symlink_metadata().is_err()).cloned().collect(),
        trying: facts.oldest.is_none(),
        routes: remembered.suspended.keys().filter(|route| Some(*route) != facts.route.as_ref()).cloned().collect(),
        state_lost: remembered.state_lost && is_decided(daemon).unwrap_or(false),
    }
}

/// True if no message is held any more because the database was lost, nor will be, because the files have their rows again.
fn is_decided(daemon: &Daemon) -> rusqlite::Result<bool> {
    let state = State::open_to_read(&daemon.store.path(STATE_FILE))?;
    if is_rebuilding(&state)? {
        return Ok(false);
    }
    let mut held = 0;
    state.queued(None, usize::MAX >> 1, |row| held += usize::from(row.place == Place::Hold && row.reason.starts_with(WAS_LOST)))?;
    Ok(held == 0)
}
