//! state.sqlite: schedule, per-recipient progress and history of every message.
//!
//! An index and a history: the files are the truth of what exists. In: facts from the daemon's one writer thread. Out: rows. The
//! caller decides how durable a commit is: [`Durability::Full`] before anything is answered or unlinked, [`Durability::Ordered`]
//! (written in order, not yet synced) for what the files repeat anyway.
//!
//! | place | where the file is | meaning |
//! |---|---|---|
//! | 0 cur | `cur/` | waiting or being sent; `next_attempt` NULL = in the daemon's hands right now |
//! | 1 hold | `hold/` | parked; `reason` says why |
//! | 2 failed | `failed/` | at least one recipient failed for good, none is open |
//! | 3 gone | nowhere | every recipient relayed; the row is history |

mod admission;
mod damage;
mod dsn;
pub mod given_up;
mod history;
mod numbers;
mod orders;
mod overview;
mod queue;
mod rows;
mod schema;
mod stats;
mod trace;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

pub use admission::Usage;
pub use damage::is_damage;
pub use dsn::{Action, DueDsn};
use mail::queue_id::QueueId;
pub use numbers::Numbers;
pub use orders::{Order, Wanted};
pub use overview::{Ended, Waits};
pub use rows::{Attempt, Event, Message, Origin, Progress, QueueDir, RecipientRow, RecipientUpdate, Transaction};
use rows::{COLUMNS, message_of};
pub use schema::{SCHEMA, is_newer};
pub use stats::{InPlace, Passed};

/// How a commit is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Written in order; a power cut may take the last ones.
    Ordered,
    /// On the disk before the call returns.
    Full,
}

/// The open database.
pub struct State {
    connection: Connection,
    durability: Durability,
    is_new: bool,
}

/// Pages that the daemon keeps in memory, in KiB (negative, as SQLite wants it).
const CACHE_KIB: i64 = -16_384;
/// The key of [`State::crashed`].
const CRASHED: &str = "crashed";

type Result<T> = rusqlite::Result<T>;

impl State {
    /// Opens or makes the database for the daemon, the only writer.
    ///
    /// Errors: SQLite's; a newer schema and a database of another program are refused ([`is_newer`], [`is_foreign`]) and left alone.
    pub fn open(path: &Path) -> Result<State> {
        let connection = Connection::open(path)?;
        // Before anything is changed: it may not be ours to change.
        let found = schema::look(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        schema::bring_forward(&connection, found)?;
        schema::add_indexes(&connection)?;
        connection.set_prepared_statement_cache_capacity(48);
        let state = State { connection, durability: Durability::Full, is_new: found == schema::Found::Empty };
        state.count_usage()?;
        Ok(state)
    }

    /// Opens the database for reading only.
    ///
    /// Errors: SQLite's; a missing file is one, and one of another schema, which the daemon brings forward when it starts.
    pub fn open_to_read(path: &Path) -> Result<State> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        schema::check(&connection)?;
        Ok(State { connection, durability: Durability::Full, is_new: false })
    }

    /// Runs `read`, which sees the database as it is now, whatever is written meanwhile. One lock for all its statements, which would
    /// otherwise take one each: of a listing, a third of its time.
    pub fn snapshot<T>(&self, read: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        self.connection.execute_batch("BEGIN")?;
        let value = read(self);
        self.connection.execute_batch("COMMIT")?;
        value
    }

    /// Runs `work` in one transaction with this durability; an error rolls all of it back.
    pub fn transaction<T>(&mut self, durability: Durability, work: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        if durability != self.durability {
            let level = if durability == Durability::Full { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        match work(self) {
            Ok(value) => self.connection.execute_batch("COMMIT").map(|()| value),
            Err(e) => {
                // The first error is the one to tell; a failed rollback ends with the connection.
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(e)
            }
        }
    }

    /// True if there were no tables before this program opened it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Adds a message with its recipients, and where it came from.
    pub fn insert(&self, message: &Message, recipients: &[RecipientRow], origin: &Origin) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO message (id, uid, digest, size, accepted, expires, reverse_path, message_id, place, reason, attempts, last_attempt, next_attempt, in_data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                message.id.to_i64(),
                message.uid,
                message.digest,
                message.size as i64,
                message.accepted,
                message.expires,
                message.reverse_path,
                message.message_id,
                message.place as i64,
                message.reason,
                message.attempts,
                message.last_attempt,
                message.next_attempt,
                message.in_data,
            ])?;
        for recipient in recipients {
            self.connection
                .prepare_cached(
                    "INSERT INTO recipient (message, n, address, original, notify, state, status, reply, relay, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    message.id.to_i64(),
                    recipient.n,
                    recipient.address,
                    recipient.original,
                    dsn::bits_of(recipient.notify),
                    recipient.progress as i64,
                    recipient.status,
                    recipient.reply,
                    recipient.relay,
                    recipient.at,
                ])?;
        }
        self.record_origin(message.id, origin)
    }

    /// Marks that the final dot of this message may be sent from now on.
    pub fn mark_in_data(&self, id: QueueId) -> Result<()> {
        self.connection.prepare_cached("UPDATE message SET in_data = 1 WHERE id = ?1")?.execute([id.to_i64()]).map(|_| ())
    }

    /// Records what an attempt found out about one recipient.
    pub fn update_recipient(&self, id: QueueId, update: &RecipientUpdate, at: i64) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE recipient SET state = ?3, status = ?4, reply = ?5, relay = ?6, at = ?7 WHERE message = ?1 AND n = ?2")?
            .execute(params![id.to_i64(), update.n, update.progress as i64, update.status, update.reply, update.relay, at])
            .map(|_| ())
    }

    /// Writes the message's schedule and place as `message` has them.
    pub fn update(&self, message: &Message) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE message SET place = ?2, reason = ?3, attempts = ?4, last_attempt = ?5, next_attempt = ?6, in_data = ?7, finished = ?8, expires = ?9 WHERE id = ?1",
            )?
            .execute(params![
                message.id.to_i64(),
                message.place as i64,
                message.reason,
                message.attempts,
                message.last_attempt,
                message.next_attempt,
                message.in_data,
                message.finished,
                message.expires,
            ])
            .map(|_| ())
    }

    /// The message, if it is known: waiting, or history.
    pub fn message(&self, id: QueueId) -> Result<Option<Message>> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE id = ?1"))?
            .query_row([id.to_i64()], message_of)
            .optional()
    }

    /// Its recipients, in the order of the envelope.
    pub fn recipients(&self, id: QueueId) -> Result<Vec<RecipientRow>> {
        self.connection
            .prepare_cached(
                "SELECT n, address, original, notify, state, status, reply, relay, at FROM recipient WHERE message = ?1 ORDER BY n",
            )?
            .query_map([id.to_i64()], |row| {
                Ok(RecipientRow {
                    n: row.get(0)?,
                    address: row.get(1)?,
                    original: row.get(2)?,
                    notify: dsn::notify_of(row.get(3)?),
                    progress: Progress::from_i64(row.get(4)?),
                    status: row.get(5)?,
                    reply: row.get(6)?,
                    relay: row.get(7)?,
                    at: row.get(8)?,
                })
            })?
            .collect()
    }

    /// A value that outlives the daemon (`boot_id`, `clean_stop`).
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        self.connection.prepare_cached("SELECT value FROM run WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
    }

    /// When the machine last stopped without a clean stop of the daemon, unix seconds: the delivery of what is older and not
    /// attempted since may have lost its record.
    pub fn crashed(&self) -> Result<Option<i64>> {
        Ok(self.get(CRASHED)?.and_then(|text| text.parse().ok()))
    }

    /// Remembers that it did so before `now`.
    pub fn set_crashed(&self, now: i64) -> Result<()> {
        self.set(CRASHED, &now.to_string())
    }

    /// Sets such a value.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        self.connection
            .prepare_cached("INSERT INTO run VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")?
            .execute([key, value])
            .map(|_| ())
    }
}

#[cfg(test)]
mod tests;
