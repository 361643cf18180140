//! Whether an administrator has stopped delivery: kept in state.sqlite, so that it outlives the daemon and the machine.
//!
//! In: the open database, who and when. Out: one printable line for status, listings and logs. Mail is accepted meanwhile.

use mail::date;
use state::State;

/// The key in the table of values that outlive the daemon.
const KEY: &str = "paused";

/// Since when delivery is stopped, and who stopped it; `None` where nobody has.
///
/// Errors: the database's.
pub fn read(state: &State) -> rusqlite::Result<Option<String>> {
    Ok(state.get(KEY)?.filter(|text| !text.is_empty()))
}

/// Stops delivery (`on`), or lets it go on, from the next look on. Returns what [`read`] says then.
///
/// Errors: the database's.
pub fn write(state: &State, on: bool, by: &str, now: i64) -> rusqlite::Result<Option<String>> {
    let text = match (on, read(state)?) {
        // The first one counts: since then no mail has left.
        (true, Some(since)) => since,
        (true, None) => format!("since {} {by}", date::rfc5322(now, &sys::clock::local_zone())),
        (false, _) => String::new(),
    };
    state.set(KEY, &text)?;
    read(state)
}
