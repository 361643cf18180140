//! The start of the database, from a closed file to rows that agree with the files.

use std::os::unix::fs::MetadataExt;

use super::database::{self, STATE_FILE};
use super::{Orphans, Recovered, Recovery, Trouble, is_rebuilding, reconcile};
use crate::config::Params;
use crate::exit::Failure;
use crate::log::events;
use crate::relay::plan::Policy;
use crate::spool::state::{Place, State, is_damage};
use crate::spool::store::Store;
use crate::sys;

/// Seconds that the last run must be in the future for the clock to count as set back.
const CLOCK_STEP: i64 = 60;

/// A database that can be built upon.
pub struct Started {
    /// The database.
    pub state: State,
    /// What was settled.
    pub recovered: Recovered,
    /// Files that have no row yet.
    pub orphans: Orphans,
    /// How they are to be treated.
    pub how: Recovery,
}

/// Opens the database and makes files and rows agree. Damage that shows only then is treated as damage that showed at once.
///
/// Errors: as [`database::open_state`].
pub fn start(store: &Store, params: &Params) -> Result<Started, Failure> {
    let now = sys::clock::now();
    // Before it is opened, which may change it.
    let suspect_waits = suspect_waits(store, params, now);
    let path = store.path(STATE_FILE);
    let (state, is_lost) = database::open_state(store, now)?;
    let agree = |state, is_lost| make_agree(state, store, params, is_lost, suspect_waits, now);
    match agree(state, is_lost) {
        Err(Trouble::Database(e)) if is_damage(&e) => {
            let (state, is_lost) = database::begin_anew(store, &e.to_string(), now)?;
            agree(state, is_lost).map_err(|e| database::unusable(&path, &e))
        }
        agreed => agreed.map_err(|e| database::unusable(&path, &e)),
    }
}

fn make_agree(mut state: State, store: &Store, params: &Params, is_lost: bool, suspect_waits: i64, now: i64) -> Result<Started, Trouble> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let last_boot = state.get("boot_id")?;
    let clean = state.get("clean_stop")?.is_some_and(|value| value == "1");
    let how = Recovery {
        now,
        // The messages that an interrupted rebuild did not come to are no less uncertain.
        state_was_lost: is_lost || last_boot.is_none() || is_rebuilding(&state)?,
        policy: Policy::of(params),
        on_uncertain: params.uncertain,
        after_crash: !clean && last_boot.is_some_and(|last| last != boot),
        suspect_waits,
    };
    let (recovered, orphans) = reconcile(&mut state, store, how)?;
    state.set("boot_id", &boot)?;
    state.set("clean_stop", "0")?;
    if how.state_was_lost && !orphans.is_empty() {
        events::state_lost(orphans.iter().filter(|(_, place)| *place == Place::Cur).count());
    }
    Ok(Started { state, recovered, orphans, how })
}

/// See [`Recovery::suspect_waits`]. The database was last written by the clock of the last run.
fn suspect_waits(store: &Store, params: &Params, now: i64) -> i64 {
    let written = |name: &str| std::fs::metadata(store.path(name)).map(|meta| meta.mtime()).unwrap_or_default();
    let last = written(STATE_FILE).max(written(&format!("{STATE_FILE}-wal")));
    let longest = i64::try_from(params.retry_max.0.as_secs()).unwrap_or(i64::MAX / 4).saturating_mul(2);
    if last > now.saturating_add(CLOCK_STEP) { now } else { now.saturating_add(longest) }
}
