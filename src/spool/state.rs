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

mod notices;
mod rows;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::mail::queue_id::QueueId;
pub use notices::{Action, DueNotice};
use rows::{COLUMNS, message_of};
pub use rows::{Event, Message, Place, Progress, RecipientRow, RecipientUpdate};

/// The version of the schema (`PRAGMA user_version`).
pub const SCHEMA: i64 = 1;

const CREATE: &str = "
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
PRAGMA user_version = 1;
";

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
}

type Result<T> = rusqlite::Result<T>;

impl State {
    /// Opens or makes the database for the daemon, the only writer.
    ///
    /// Errors: SQLite's; a newer schema is refused.
    pub fn open(path: &Path) -> Result<State> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -4096)?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
            0 => connection.execute_batch(&format!("BEGIN; {CREATE} {} COMMIT;", notices::CREATE))?,
            SCHEMA => {}
            newer => {
                return Err(rusqlite::Error::ToSqlConversionFailure(
                    format!("schema {newer} is newer than {SCHEMA}, the one that this program knows").into(),
                ));
            }
        }
        connection.set_prepared_statement_cache_capacity(32);
        Ok(State { connection, durability: Durability::Full })
    }

    /// Opens the database for reading only.
    ///
    /// Errors: SQLite's; a missing file is one.
    pub fn open_to_read(path: &Path) -> Result<State> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(State { connection, durability: Durability::Full })
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

    /// Adds a message with its recipients, and the first line of its history.
    pub fn insert(&self, message: &Message, recipients: &[RecipientRow], event: &Event) -> Result<()> {
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
                .prepare_cached("INSERT INTO recipient (message, n, address, original, notify) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    message.id.to_i64(),
                    recipient.n,
                    recipient.address,
                    recipient.original,
                    notices::bits_of(recipient.notify)
                ])?;
        }
        self.record(message.id, event)
    }

    /// Adds a line to a message's history.
    pub fn record(&self, id: QueueId, event: &Event) -> Result<()> {
        self.connection
            .prepare_cached("INSERT INTO event (message, at, kind, text) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id.to_i64(), event.at, event.kind, event.text])
            .map(|_| ())
    }

    /// Marks that the final dot of this message may be sent from now on.
    pub fn mark_in_data(&self, id: QueueId) -> Result<()> {
        self.connection.prepare_cached("UPDATE message SET in_data = 1 WHERE id = ?1")?.execute([id.to_i64()]).map(|_| ())
    }

    /// Records what an attempt found out about one recipient. Returns its address; empty where it has no row.
    pub fn update_recipient(&self, id: QueueId, update: &RecipientUpdate, at: i64) -> Result<String> {
        self.connection
            .prepare_cached("UPDATE recipient SET state = ?3, status = ?4, reply = ?5, relay = ?6, at = ?7 WHERE message = ?1 AND n = ?2 RETURNING address")?
            .query_row(params![id.to_i64(), update.n, update.progress as i64, update.status, update.reply, update.relay, at], |row| row.get(0))
            .optional()
            .map(Option::unwrap_or_default)
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

    /// Sets only the time of the next attempt; `None` = in the daemon's hands.
    pub fn schedule(&self, id: QueueId, next_attempt: Option<i64>) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE message SET next_attempt = ?2 WHERE id = ?1 AND place = 0")?
            .execute(params![id.to_i64(), next_attempt])
            .map(|_| ())
    }

    /// The message, if it is known: waiting, or history.
    pub fn message(&self, id: QueueId) -> Result<Option<Message>> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE id = ?1"))?
            .query_row([id.to_i64()], message_of)
            .optional()
    }

    /// The messages with this Message-ID, the latest first, at most `limit`: waiting, or history.
    pub fn with_message_id(&self, message_id: &str, limit: usize) -> Result<Vec<Message>> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE message_id = ?1 ORDER BY id DESC LIMIT ?2"))?
            .query_map(params![message_id, limit as i64], message_of)?
            .collect()
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
                    notify: notices::notify_of(row.get(3)?),
                    progress: Progress::from_i64(row.get(4)?),
                    status: row.get(5)?,
                    reply: row.get(6)?,
                    relay: row.get(7)?,
                    at: row.get(8)?,
                })
            })?
            .collect()
    }

    /// Its history, oldest first.
    pub fn events(&self, id: QueueId) -> Result<Vec<Event>> {
        self.connection
            .prepare_cached("SELECT at, kind, text FROM event WHERE message = ?1 ORDER BY seq")?
            .query_map([id.to_i64()], |row| Ok(Event { at: row.get(0)?, kind: row.get(1)?, text: row.get(2)? }))?
            .collect()
    }

    /// The next messages that are due at `now`, the longest waiting first.
    pub fn due(&self, now: i64, limit: usize) -> Result<Vec<Message>> {
        self.connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM message WHERE place = 0 AND next_attempt <= ?1 ORDER BY next_attempt LIMIT ?2"
            ))?
            .query_map(params![now, limit as i64], message_of)?
            .collect()
    }

    /// When the next message after `now` is due.
    pub fn next_due(&self) -> Result<Option<i64>> {
        self.connection.prepare_cached("SELECT min(next_attempt) FROM message WHERE place = 0")?.query_row([], |row| row.get(0))
    }

    /// Makes every waiting message due at `now`. Returns how many.
    pub fn make_all_due(&self, now: i64) -> Result<usize> {
        self.connection.prepare_cached("UPDATE message SET next_attempt = ?1 WHERE place = 0 AND next_attempt > ?1")?.execute([now])
    }

    /// After a start: what the last run had in hand is due again. Returns how many.
    pub fn reclaim(&self, now: i64) -> Result<usize> {
        self.connection.execute("UPDATE message SET next_attempt = ?1 WHERE place = 0 AND next_attempt IS NULL", [now])
    }

    /// After the clock was set back: what was planned by a clock that ran ahead, because it was last tried after `now`, is due now
    /// instead of then. Returns how many.
    pub fn heal_clock(&self, now: i64) -> Result<usize> {
        self.connection.execute(
            "UPDATE message SET next_attempt = ?1 WHERE place = 0 AND next_attempt > ?1
             AND EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND recipient.at > ?1 + 60)",
            [now],
        )
    }

    /// Calls `each` for every message that has a file, by queue id, after `after`, at most `limit`; returns how many there were.
    pub fn queued(&self, after: Option<QueueId>, limit: usize, mut each: impl FnMut(Message)) -> Result<usize> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE place < 3 AND id > ?1 ORDER BY id LIMIT ?2"))?;
        let after = after.map_or(i64::MIN, QueueId::to_i64);
        let mut rows = statement.query(params![after, limit as i64])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            each(message_of(row)?);
            count += 1;
        }
        Ok(count)
    }

    /// How many messages are in each place: cur, hold, failed, gone.
    pub fn counts(&self) -> Result<[u64; 4]> {
        let mut counts = [0; 4];
        let mut statement = self.connection.prepare_cached("SELECT place, count(*) FROM message GROUP BY place")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let place = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(3);
            if let Some(count) = counts.get_mut(place) {
                *count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            }
        }
        Ok(counts)
    }

    /// When the oldest message in `cur/` was accepted.
    pub fn oldest(&self) -> Result<Option<i64>> {
        self.connection.prepare_cached("SELECT min(accepted) FROM message WHERE place = 0")?.query_row([], |row| row.get(0))
    }

    /// Forgets at most `limit` messages that finished before `before` and that no notice is due about. Returns how many.
    pub fn forget(&self, before: i64, limit: usize) -> Result<usize> {
        let ids: Vec<i64> = self
            .connection
            .prepare_cached("SELECT id FROM message WHERE place = 3 AND finished < ?1 AND id NOT IN (SELECT message FROM notice) LIMIT ?2")?
            .query_map(params![before, limit as i64], |row| row.get(0))?
            .collect::<Result<_>>()?;
        for id in &ids {
            for table in [
                "DELETE FROM event WHERE message = ?1",
                "DELETE FROM recipient WHERE message = ?1",
                "DELETE FROM notice_recipient WHERE message = ?1",
                "DELETE FROM message WHERE id = ?1",
            ] {
                self.connection.prepare_cached(table)?.execute([id])?;
            }
        }
        Ok(ids.len())
    }

    /// A value that outlives the daemon (`boot_id`, `clean_stop`).
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        self.connection.prepare_cached("SELECT value FROM run WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
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
mod tests {
    use super::*;

    pub(super) fn message(n: u32) -> Message {
        Message {
            id: QueueId::new(1000 + n, n),
            uid: 7,
            digest: vec![9; 32],
            size: 10,
            accepted: 1000,
            expires: 2000,
            reverse_path: String::new(),
            message_id: "<m@x>".into(),
            place: Place::Cur,
            reason: String::new(),
            attempts: 0,
            last_attempt: None,
            next_attempt: Some(1000 + i64::from(n)),
            in_data: false,
            finished: None,
        }
    }

    pub(super) fn event() -> Event {
        Event { at: 1000, kind: "accepted".into(), text: "uid 7".into() }
    }

    #[test]
    fn a_message_comes_back_as_it_went_in_and_is_due_in_its_order() {
        let scratch = tempfile::tempdir().unwrap();
        let mut state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        state.transaction(Durability::Full, |s| (0..3).rev().try_for_each(|n| s.insert(&message(n), &[], &event()))).unwrap();
        assert_eq!(state.message(message(1).id).unwrap(), Some(message(1)));
        let due: Vec<QueueId> = state.due(1001, 9).unwrap().iter().map(|m| m.id).collect();
        assert_eq!(due, [message(0).id, message(1).id]);
        state.schedule(message(0).id, None).unwrap();
        assert_eq!(state.due(1001, 9).unwrap().len(), 1);
        assert_eq!(state.reclaim(900).unwrap(), 1);
        assert_eq!(state.counts().unwrap(), [3, 0, 0, 0]);
        assert_eq!(state.events(message(2).id).unwrap(), [event()]);
    }

    #[test]
    fn an_error_rolls_the_whole_transaction_back() {
        let scratch = tempfile::tempdir().unwrap();
        let mut state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        let twice = state
            .transaction(Durability::Ordered, |s| s.insert(&message(0), &[], &event()).and_then(|()| s.insert(&message(0), &[], &event())));
        assert!(twice.is_err());
        assert_eq!(state.counts().unwrap(), [0; 4]);
    }

    #[test]
    fn history_is_forgotten_only_after_its_time_and_only_when_finished() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for n in 0..2 {
            state.insert(&message(n), &[], &event()).unwrap();
        }
        state.update(&Message { place: Place::Gone, finished: Some(1500), next_attempt: None, ..message(0) }).unwrap();
        assert_eq!(state.forget(1500, 10).unwrap(), 0);
        assert_eq!(state.forget(1501, 10).unwrap(), 1);
        assert_eq!(state.message(message(0).id).unwrap(), None);
        assert!(state.message(message(1).id).unwrap().is_some());
    }
}
