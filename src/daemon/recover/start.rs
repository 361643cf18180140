//! The start of the database, from a closed file to rows that agree with the files.

use std::os::unix::fs::MetadataExt;

use super::reconcile;
use super::terms::{Orphans, Recovered, Recovery, Trouble, is_rebuilding};
use crate::database::{self, STATE_FILE};
use crate::plan::Policy;
use admin::settle::{self, OLDER_COPY};
use config::Params;
use exit::Failure;
use log::events;
use mail::code::Duplicate;
use state::{Durability, QueueDir, State};
use store::Store;

/// Seconds that the last run must be in the future for the clock to count as set back.
const CLOCK_STEP: i64 = 60;
/// The key of what tells this spool from a copy of it.
const IDENTITY: &str = "identity";

/// A database that can be built upon.
pub(crate) struct Started {
    /// The database.
    pub(crate) state: State,
    /// What was settled.
    pub(crate) recovered: Recovered,
    /// Files that have no row yet.
    pub(crate) orphans: Orphans,
    /// How they are to be treated.
    pub(crate) how: Recovery,
}

/// Opens the database and makes files and rows agree. Damage that shows only then is treated as damage that showed at once.
///
/// Errors: as [`database::open_state`].
pub(crate) fn start(store: &Store, params: &Params) -> Result<Started, Failure> {
    let now = sys::clock::now();
    // Before it is opened, which may change it.
    let suspect_waits = suspect_waits(store, params, now);
    let path = store.path(STATE_FILE);
    let (state, is_lost) = database::open_state(store, now)?;
    let agree = |state, is_lost| make_agree(state, store, params, is_lost, suspect_waits, now);
    match agree(state, is_lost) {
        Err(Trouble::Database(e)) if e.is_damage() => {
            let (state, is_lost) = database::begin_anew(store, &e.to_string(), now)?;
            agree(state, is_lost).map_err(|e| database::unusable(&path, &e))
        }
        agreed => agreed.map_err(|e| database::unusable(&path, &e)),
    }
}

fn make_agree(mut state: State, store: &Store, params: &Params, is_lost: bool, suspect_waits: i64, now: i64) -> Result<Started, Trouble> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let last_boot = state.get("boot_id")?;
    let clean = state.flag("clean_stop")?;
    let how = Recovery {
        now,
        // The messages that an interrupted rebuild did not come to are no less uncertain.
        state_was_lost: is_lost || last_boot.is_none() || is_rebuilding(&state)?,
        policy: Policy::of(params),
        on_uncertain: params.uncertain,
        after_crash: !clean && last_boot.is_some_and(|last| last != boot),
        suspect_waits,
    };
    settle_copies(&mut state, store, how)?;
    let (recovered, orphans) = reconcile(&mut state, store, how)?;
    state.set("boot_id", &boot)?;
    state.set_flag("clean_stop", false)?;
    if how.state_was_lost && !orphans.is_empty() {
        events::state_lost(orphans.iter().filter(|(_, place)| *place == QueueDir::Cur).count());
    }
    Ok(Started { state, recovered, orphans, how })
}

/// A database, or a whole spool, that somebody put back does not know what was delivered since.
///
/// Of an older database, `outcomes.log` knows it. Of a spool that was copied as a whole nothing does: whatever is queued or held may
/// have been delivered, and that is said when it is tried next.
fn settle_copies(state: &mut State, store: &Store, how: Recovery) -> state::Result<()> {
    settle::take_results(state, how.now)?;
    let (identity, known) = (store.identity(), state.get(IDENTITY)?);
    let is_copy = known.is_some_and(|known| known != identity);
    let suspect = if is_copy { state.transaction(Durability::Full, |state| state.suspect_all(Duplicate::Restored))? } else { 0 };
    state.set(IDENTITY, &identity)?;
    if !how.state_was_lost && (is_copy || state.flag(OLDER_COPY)?) {
        events::state_restored(suspect);
    }
    state.set_flag(OLDER_COPY, false)
}

/// See [`Recovery::suspect_waits`]. The database was last written by the clock of the last run.
fn suspect_waits(store: &Store, params: &Params, now: i64) -> i64 {
    let written = |name: &str| std::fs::metadata(store.path(name)).map(|meta| meta.mtime()).unwrap_or_default();
    let last = written(STATE_FILE).max(written(&format!("{STATE_FILE}-wal")));
    let longest = i64::try_from(params.retry_max.0.as_secs()).unwrap_or(i64::MAX / 4).saturating_mul(2);
    if last > now.saturating_add(CLOCK_STEP) { now } else { now.saturating_add(longest) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::rows::rows_of;
    use spool::layout;
    use state::{Progress, RecipientUpdate};
    use testing::Scratch;

    const DAY: i64 = 86_400;

    /// When a message is due after a start, that was tried `tried` seconds from now and planned for then and an hour, in a database
    /// that was last written `written` seconds from now.
    fn due_after_start(tried: i64, written: i64) -> i64 {
        let (scratch, now) = (Scratch::new(), sys::clock::now());
        let store = scratch.store();
        let params = Params::default();
        let Started { state, .. } = start(&store, &params).unwrap();
        let claimed = scratch.claimed(&["a@receiver.example"]);
        let (mut row, recipients, origin) = rows_of(&claimed, &Policy::of(&params).plan(&claimed, now));
        row.next_attempt = Some(now + tried + 3600);
        state.insert(&row, &recipients, &origin).unwrap();
        let text = String::new;
        let update = RecipientUpdate {
            n: 0,
            progress: Progress::Deferred,
            diagnosis: Default::default(),
            status: text(),
            reply: text(),
            relay: text(),
        };
        state.update_recipient(row.id, &update, now + tried).unwrap();
        drop(state);
        let file = std::fs::File::options().write(true).open(store.path(STATE_FILE)).unwrap();
        let written = u64::try_from(written + DAY).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(DAY as u64) + Duration::from_secs(written)).unwrap();
        let Started { state, .. } = start(&store, &params).unwrap();
        assert_eq!(scratch.names(layout::CUR).len(), 1);
        state.message(row.id).unwrap().unwrap().next_attempt.unwrap() - now
    }

    #[test]
    fn t_spool_4_a_clock_that_jumped_by_a_day_while_the_daemon_was_stopped_delays_nothing() {
        assert!(due_after_start(DAY, DAY) <= 2, "the clock ran ahead by a day and was set back");
        assert!((3598..=3602).contains(&due_after_start(0, 0)), "nothing has happened");
        assert!((3600 - DAY - 2..=3602 - DAY).contains(&due_after_start(-DAY, -DAY)), "the clock was set forward: it is due already");
        assert!(due_after_start(365 * DAY, 0) <= 2, "nobody saw how the clock was set back, but no wait of ours is as long");
    }

    #[test]
    fn damage_that_shows_while_the_rows_are_read_is_damage() {
        let scratch = Scratch::new();
        let store = scratch.store();
        let id = scratch.claimed(&["a@receiver.example"]).envelope.id;
        std::fs::write(store.path(STATE_FILE), [7; 9000]).unwrap();
        let started = start(&store, &Params::default()).unwrap();
        assert!(started.how.state_was_lost);
        assert_eq!(started.orphans, [(id, QueueDir::Cur)]);
    }
}
