//! state.sqlite at start: opened, or put aside and rebuilt from the files. It is an index and a history; the files are the truth.
//!
//! | what is found | then |
//! |---|---|
//! | nothing, or an empty file | created; every message in the spool is uncertain |
//! | damaged, cut off, with the log of another database, of another program | renamed to `state.sqlite.damaged-TIME`, then as above |
//! | damage found while the daemon ran | the same at the next start, because of the mark `state.sqlite.suspect` |
//! | of an older version | upgraded |
//! | of a newer version | refused: EX_CONFIG, nothing is touched |
//! | the disk refuses (SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_FULL) | refused: EX_IOERR, nothing is touched, nothing is delivered |

use std::path::{Path, PathBuf};

use exit::{Exit, Failure};
use log::events;
use mail::printable;
use state::{State, StateError};
use store::Store;

/// The file name of the database in the spool.
pub(crate) const STATE_FILE: &str = "state.sqlite";
/// Says that SQLite called the database damaged while the daemon ran; its text says how.
const SUSPECT: &str = "state.sqlite.suspect";
/// Damaged databases that are kept for review.
const KEPT: usize = 3;

/// Opens the database; a damaged one is put aside and replaced by a new one. Returns it and whether it was lost.
///
/// Errors: EX_CONFIG for one of a newer program; EX_IOERR where the disk refuses, or not even a new one can be made.
pub(crate) fn open_state(store: &Store, now: i64) -> Result<(State, bool), Failure> {
    let path = store.path(STATE_FILE);
    let suspicion = std::fs::read_to_string(store.path(SUSPECT)).ok();
    if let Some(why) = suspicion {
        return begin_anew(store, printable::text(&why).trim(), now);
    }
    match open(&path) {
        Ok(state) => {
            let is_lost = state.is_new();
            Ok((state, is_lost))
        }
        Err(e) if e.is_damage() => begin_anew(store, &e.to_string(), now),
        Err(e) => Err(refused(&path, &e)),
    }
}

fn open(path: &Path) -> state::Result<State> {
    let state = State::open(path)?;
    state.examine()?;
    Ok(state)
}

/// Puts the database aside and makes a new one. The caller rebuilds it from the files.
pub(crate) fn begin_anew(store: &Store, why: &str, now: i64) -> Result<(State, bool), Failure> {
    let path = store.path(STATE_FILE);
    let failed = |e: std::io::Error| unusable(&path, &e);
    read_through(&path).map_err(failed)?;
    let aside = put_aside(&path, now).map_err(failed)?;
    let kept = aside.map(|aside| format!("kept as {}, ", aside.display())).unwrap_or_default();
    events::storage_failed(STATE_FILE, &format!("{why}; {kept}and rebuilt from the files"));
    let state = State::open(&path).map_err(|e| refused(&path, &e))?;
    // Only now: after a crash before this point, the next start does all of this again.
    match std::fs::remove_file(store.path(SUSPECT)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(e)),
        _ => Ok((state, true)),
    }
}

/// The error as the end of the program.
pub(crate) fn unusable(path: &Path, e: &impl std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("{}: {e}; no mail is delivered until it works", path.display()))
}

/// The same, where the database itself was refused.
fn refused(path: &Path, e: &StateError) -> Failure {
    let exit = if e.is_newer() { Exit::Config } else { Exit::IoErr };
    Failure { exit, ..unusable(path, e) }
}

/// Marks the database for the next start: it must not be used. Best effort, because the disk may be the cause.
pub(crate) fn mark_damaged(store: &Store, why: &str) {
    let _ = std::fs::write(store.path(SUSPECT), why).and_then(|()| std::fs::File::open(store.path("."))?.sync_all());
}

/// Reads what is to be put aside to its end: what looks like damage may be a disk that does not answer, and that must not cost the
/// record of what was delivered.
fn read_through(path: &Path) -> std::io::Result<()> {
    match std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink())) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Keeps the damaged files for review, with the latest of the earlier ones. Returns the new path.
fn put_aside(path: &Path, now: i64) -> std::io::Result<Option<PathBuf>> {
    let named = |suffix: &str, aside: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(aside);
        name.push(suffix);
        PathBuf::from(name)
    };
    let free = (now..).map(|time| format!(".damaged-{time}")).find(|aside| named("", aside).symlink_metadata().is_err());
    let aside = free.unwrap_or_default();
    let mut moved = None;
    // The database last: while it is there, a start finds it and begins here again.
    for suffix in ["-shm", "-wal", ""] {
        match std::fs::rename(named(suffix, ""), named(suffix, &aside)) {
            Ok(()) => moved = Some(named("", &aside)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    forget_older(path)?;
    Ok(moved)
}

/// Removes all but the latest of those that were put aside.
fn forget_older(path: &Path) -> std::io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Ok(()) };
    let mark = format!("{name}.damaged-");
    let time_of = |file: &str| file.strip_prefix(&mark).and_then(|rest| rest.split('-').next()?.parse::<i64>().ok());
    let mut found: Vec<(i64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        found.extend(entry.file_name().to_str().and_then(time_of).map(|time| (time, entry.path())));
    }
    let mut times: Vec<i64> = found.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    times.dedup();
    let oldest_kept = times.len().checked_sub(KEPT).and_then(|at| times.get(at)).copied().unwrap_or(i64::MIN);
    found.iter().filter(|(time, _)| *time < oldest_kept).try_for_each(|(_, path)| std::fs::remove_file(path))
}

#[cfg(test)]
mod tests;
