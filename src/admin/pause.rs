//! Pauses and resumes delivery. The state is in state.sqlite, so it survives a restart.
//!
//! In: the open database, the user and the time. Out: one printable line for status, listings and logs. Mail is accepted meanwhile.

use mail::date;
use state::State;

/// The key in the table of persistent values.
const KEY: &str = "paused";

/// When and by whom delivery was paused; `None` if it is not paused.
///
/// Errors: the database's.
pub fn read(state: &State) -> rusqlite::Result<Option<String>> {
    Ok(state.get(KEY)?.filter(|text| !text.is_empty()))
}

/// Pauses (`on`) or resumes delivery. Returns the new value of [`read`].
///
/// Errors: the database's.
pub fn write(state: &State, on: bool, by: &str, now: i64) -> rusqlite::Result<Option<String>> {
    let text = match (on, read(state)?) {
        // A second pause keeps the time of the first: no mail was sent since then.
        (true, Some(since)) => since,
        (true, None) => format!("since {} {by}", date::rfc5322(now, &sys::clock::local_zone())),
        (false, _) => String::new(),
    };
    state.set(KEY, &text)?;
    read(state)
}
