//! The tables of state.sqlite, and how an older file becomes one of today.
//!
//! | version | since | what is new |
//! |---|---|---|
//! | 1 | 0.1.0, before its release | message, recipient, event, notice |
//! | 2 | 0.1.0 | `origin` and `attempt`: who submitted a message and each attempt at it, by column; look-up by address; no scan of the history |
//!
//! A newer file than this program knows is refused and left alone. An older one is brought forward in one transaction: a crash in
//! it leaves the older one.

use rusqlite::Connection;

use crate::errors::{FOREIGN, error, newer_than_this, of_form};

/// The version of the schema (`PRAGMA user_version`).
pub const SCHEMA: i64 = 2;

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
/// Errors: SQLite's; [`is_newer`](crate::is_newer) tells a file of a newer program, `is_foreign` one that was never ours.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<Found> {
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        0 if connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))? => Ok(Found::Empty),
        version @ 1..=SCHEMA => Ok(Found::Version(version)),
        newer if newer > SCHEMA => Err(newer_than_this(newer, SCHEMA)),
        _ => Err(error(FOREIGN)),
    }
}

/// Makes the tables, or brings them forward, in one transaction.
pub(super) fn bring_forward(connection: &Connection, found: Found) -> rusqlite::Result<()> {
    let steps = match found {
        Found::Empty => format!("{VERSION_1} {TO_2}"),
        Found::Version(1) => TO_2.to_owned(),
        Found::Version(_) => return Ok(()),
    };
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA}; COMMIT;"))
}

/// An index that a version may gain without a new number: it changes what a question costs, not what a row means, and an older
/// program keeps it up to date as it is. It holds what an alias or `admin_address` changed, and nothing else.
const LATER: &str = "CREATE INDEX IF NOT EXISTS recipient_original ON recipient (original COLLATE NOCASE) WHERE original <> '';";

/// Makes it where it is missing: once, at the cost of reading all recipients.
pub(super) fn add_indexes(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(LATER).map_err(of_form)
}

/// For those that only read: the tables must be those of today.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<()> {
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        SCHEMA => Ok(()),
        newer if newer > SCHEMA => Err(newer_than_this(newer, SCHEMA)),
        older => Err(error(&format!("it has schema {older}; mailchuted brings it to {SCHEMA} when it starts"))),
    }
}
