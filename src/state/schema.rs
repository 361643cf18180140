//! The tables of state.sqlite, and how an older file becomes one of today.
//!
//! | version | since | what is new |
//! |---|---|---|
//! | 1 | 0.1.0, before its release | message, recipient, event, notice |
//! | 2 | 0.1.0 | `origin` and `attempt`: who submitted a message and each attempt at it, by column; look-up by address; no scan of the history |
//! | 3 | 0.1.0 | codes instead of sentences; where the file is and how the message ended are two columns ([`from_2`]) |
//!
//! A newer file than this program knows is refused and left alone. An older one is brought forward in one transaction: a crash in
//! it leaves the older one.

use rusqlite::Connection;

use crate::errors::{Result, StateError, of_form};
use mail::code;
use std::path::Path;

mod from_2;

/// The version of the schema (`PRAGMA user_version`).
pub const SCHEMA: i64 = 3;

/// Version 1, as its last program made it.
const VERSION_1: &str = "
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    uid INTEGER NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    reverse_path TEXT NOT NULL,
    message_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    last_attempt INTEGER,
    next_attempt INTEGER,
    in_data INTEGER NOT NULL DEFAULT 0,
    finished INTEGER,
    warned INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX message_due ON message (next_attempt) WHERE place = 0;
CREATE INDEX message_message_id ON message (message_id);
CREATE INDEX message_finished ON message (finished) WHERE finished IS NOT NULL;
CREATE TABLE recipient (
    message INTEGER NOT NULL,
    n INTEGER NOT NULL,
    address TEXT NOT NULL,
    original TEXT NOT NULL DEFAULT '',
    notify INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT '',
    reply TEXT NOT NULL DEFAULT '',
    relay TEXT NOT NULL DEFAULT '',
    at INTEGER,
    PRIMARY KEY (message, n)
) WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX event_message ON event (message);
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE notice (
    message INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    due INTEGER NOT NULL,
    head BLOB
);
CREATE INDEX notice_due ON notice (due);
CREATE TABLE notice_recipient (
    message INTEGER NOT NULL,
    n INTEGER NOT NULL,
    action INTEGER NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (message, n)
) WITHOUT ROWID;
";

/// From 1 to 2.
///
/// * `message_queued` holds what has a file and nothing else: a start, a listing and a count cost what is queued, however long the
///   history is. It covers what a start compares with the directories.
/// * `message_finished` leaves out `failed/`: what is kept for a person must not be looked at each time that history is deleted.
/// * Addresses are found in any case (`NOCASE` is ASCII alone; RFC 5321 2.4 lets local-parts differ by case, people do not).
/// * A primary key of (message, …) puts the rows of one message side by side, and those of the oldest messages at the front.
const TO_2: &str = "
CREATE INDEX message_queued ON message (id, place) WHERE place < 3;
CREATE INDEX message_parked ON message (place, id) WHERE place IN (1, 2);
DROP INDEX message_finished;
CREATE INDEX message_finished ON message (finished) WHERE place = 3;
CREATE INDEX message_reverse_path ON message (reverse_path COLLATE NOCASE) WHERE reverse_path <> '';
CREATE INDEX recipient_address ON recipient (address COLLATE NOCASE);
CREATE TABLE origin (
    message INTEGER PRIMARY KEY,
    attested INTEGER NOT NULL,
    gid INTEGER,
    pid INTEGER,
    exe TEXT NOT NULL,
    cwd TEXT NOT NULL,
    unit TEXT NOT NULL,
    notices TEXT NOT NULL
);
CREATE TABLE attempt (
    message INTEGER NOT NULL,
    n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    since INTEGER NOT NULL,
    at INTEGER NOT NULL,
    times INTEGER NOT NULL,
    state INTEGER NOT NULL,
    reached INTEGER NOT NULL,
    status TEXT NOT NULL,
    reply TEXT NOT NULL,
    relay TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    tls TEXT NOT NULL,
    notes TEXT NOT NULL,
    connect_ms INTEGER,
    transaction_ms INTEGER,
    PRIMARY KEY (message, n, seq)
) WITHOUT ROWID;
";

/// What a file is, before anything is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// Made by this program or an older one.
    Version(i64),
}

/// Looks at a file that the daemon is about to use.
///
/// Errors: SQLite's; [`StateError::Newer`] for a file of a newer program, [`StateError::Foreign`] for one that was never ours.
pub(super) fn look(connection: &Connection) -> Result<Found> {
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        0 if connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))? => Ok(Found::Empty),
        version @ 1..=SCHEMA => Ok(Found::Version(version)),
        found if found > SCHEMA => Err(StateError::Newer { found, known: SCHEMA }),
        _ => Err(StateError::Foreign),
    }
}

/// Makes the tables, or brings them forward, in one transaction: an error, or a crash, leaves the file as it was.
///
/// Errors: SQLite's; [`StateError::NoRoom`] before anything is written.
pub(super) fn bring_forward(connection: &Connection, found: Found, path: &Path) -> Result<()> {
    let steps = match found {
        Found::Empty => format!("{VERSION_1} {TO_2}"),
        Found::Version(1) => TO_2.to_owned(),
        Found::Version(2) => String::new(),
        Found::Version(_) => return Ok(()),
    };
    if found != Found::Empty {
        check_room(path)?;
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let forward = || -> Result<()> {
        connection.execute_batch(&steps)?;
        from_2::bring_forward(connection)?;
        Ok(connection.execute_batch(&format!("PRAGMA user_version = {SCHEMA}; COMMIT;"))?)
    };
    forward().map_err(|e| {
        // The first error is the one to tell.
        let _ = connection.execute_batch("ROLLBACK");
        match e {
            StateError::Sql(e) => of_form(e),
            e => e,
        }
    })
}

/// The log of the transaction may become as large as the file.
fn check_room(path: &Path) -> Result<()> {
    let need = std::fs::metadata(path).map(|meta| meta.len()).unwrap_or_default();
    match sys::fs::free_space(path) {
        Ok((free, _)) if free < need => Err(StateError::NoRoom { need, free }),
        // The disk itself will say what it refuses.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes the words of the codes where some are missing: they are for people who look into the file.
pub(super) fn keep_codes(connection: &Connection) -> Result<()> {
    let codes = code::all();
    let known: i64 = connection.query_row("SELECT count(*) FROM code", [], |row| row.get(0)).map_err(of_form)?;
    if usize::try_from(known).is_ok_and(|known| known == codes.len()) {
        return Ok(());
    }
    let mut insert = connection.prepare("INSERT OR REPLACE INTO code (kind, number, word) VALUES (?1, ?2, ?3)")?;
    codes.iter().try_for_each(|(kind, number, word)| insert.execute(rusqlite::params![kind, number, word]).map(drop))?;
    Ok(())
}

/// For those that only read: the tables must be those of today.
pub(super) fn check(connection: &Connection) -> Result<()> {
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        SCHEMA => Ok(()),
        found if found > SCHEMA => Err(StateError::Newer { found, known: SCHEMA }),
        found => Err(StateError::Older { found, known: SCHEMA }),
    }
}
