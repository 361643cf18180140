//! Pauses and resumes delivery. The state is in state.sqlite, so it survives a restart.
//!
//! In: the open database, the user and the time. Out: one printable line for status, listings and logs. Mail is accepted meanwhile.

use mail::{Actor, date, words};
use state::State;

/// The keys in the table of values that outlive the daemon: when, and who. Empty while delivery is not paused.
const AT: &str = "paused_at";
const UID: &str = "paused_uid";
const NAME: &str = "paused_name";

/// When and by whom delivery was paused; `None` if it is not paused.
///
/// Errors: the database's.
pub fn read(state: &State) -> state::Result<Option<String>> {
    let value = |key| state.get(key).map(Option::unwrap_or_default);
    let at: String = value(AT)?;
    if at.is_empty() {
        return Ok(None);
    }
    let by = Actor { uid: value(UID)?.parse().unwrap_or_default(), name: value(NAME)? };
    let since = date::rfc5322(at.parse().unwrap_or_default(), &sys::clock::local_zone());
    Ok(Some(format!("since {since} {}", words::of_actor(&by))))
}

/// Pauses (`on`) or resumes delivery. Returns the new value of [`read`].
///
/// Errors: the database's.
pub fn write(state: &State, on: bool, by: &Actor, now: i64) -> state::Result<Option<String>> {
    // A second pause keeps the time of the first: no mail was sent since then.
    if on && read(state)?.is_none() {
        state.set(UID, &by.uid.to_string())?;
        state.set(NAME, &by.name)?;
        state.set(AT, &now.to_string())?;
    } else if !on {
        state.set(AT, "")?;
    }
    read(state)
}
