//! The schedule: what is due when, what has a file, and how much of it there is.
//!
//! Every question here costs what is queued, or less: none looks at the history, which may be ten thousand times as long. That is
//! why the conditions of the partial indexes (`dir < 3`, `dir IN (1, 2)`) are repeated word for word; a test holds the plans.

use rusqlite::params;

use crate::codes;
use crate::database::State;
use crate::dsn::POSTPONED;
use crate::errors::Result;
use crate::rows::Message;
use crate::rows::{COLUMNS, message_of};
use mail::code::{Code, HoldCause, QueueDir};
use mail::queue_id::QueueId;

/// Seconds that a time may lie ahead before the clock counts as set back.
const CLOCK_STEP: i64 = 60;

impl State {
    /// Sets only the time of the next attempt; `None` = in the daemon's hands.
    pub fn schedule(&self, id: QueueId, next_attempt: Option<i64>) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE message SET next_attempt = ?2 WHERE id = ?1 AND dir = 0")?
            .execute(params![id.to_i64(), next_attempt])?;
        Ok(())
    }

    /// The next messages that are due at `now`, the longest waiting first; not those whose file is about to move.
    pub fn due(&self, now: i64, limit: usize) -> Result<Vec<Message>> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE dir = 0 AND next_attempt <= ?1 AND id NOT IN (SELECT message FROM intention WHERE phase = 1)
                 ORDER BY next_attempt LIMIT ?2"
            ))?
            .query_map(params![now, limit as i64], message_of)?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// When the next message after `now` is due.
    pub fn next_due(&self) -> Result<Option<i64>> {
        Ok(self.connection.prepare_cached("SELECT min(next_attempt) FROM message WHERE dir = 0")?.query_row([], |row| row.get(0))?)
    }

    /// After a start: what the last run had in hand is due again. Returns how many.
    pub fn reclaim(&self, now: i64) -> Result<usize> {
        Ok(self.connection.execute("UPDATE message SET next_attempt = ?1 WHERE dir = 0 AND next_attempt IS NULL", [now])?)
    }

    /// After a start: what the last run had in hand, which is all that can be "in data".
    pub fn in_hand(&self) -> Result<Vec<Message>> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE dir = 0 AND next_attempt IS NULL"))?
            .query_map([], message_of)?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// What was planned for later than `from` by a clock that ran ahead, because it was last tried after `now`, is due now instead
    /// of then. So is a DSN that would wait longer than any is postponed. Costs what is planned for later than `from`, and such DSNs.
    /// Returns how many messages.
    pub fn heal_clock(&self, now: i64, from: i64) -> Result<usize> {
        self.connection.execute("UPDATE dsn SET due = ?1 WHERE due > ?1 + ?2", [now, POSTPONED + CLOCK_STEP])?;
        Ok(self.connection.execute(
            "UPDATE message SET next_attempt = ?1 WHERE dir = 0 AND next_attempt > ?2
             AND EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND recipient.at > ?1 + ?3)",
            [now, from.max(now), CLOCK_STEP],
        )?)
    }

    /// Calls `each` for every message that has a file, by queue id, after `after`, at most `limit`; returns how many there were.
    pub fn queued(&self, after: Option<QueueId>, limit: usize, mut each: impl FnMut(Message)) -> Result<usize> {
        let sql = format!("SELECT {COLUMNS} FROM message INDEXED BY message_queued WHERE dir < 3 AND id > ?1 ORDER BY id LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let after = after.map_or(i64::MIN, QueueId::to_i64);
        let mut rows = statement.query(params![after, limit as i64])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            each(message_of(row)?);
            count += 1;
        }
        Ok(count)
    }

    /// Calls `each` with the id and directory of every message that has a file, in the order of [`QueueId::to_i64`]. Reads the index
    /// alone: a million of them are a fraction of a second.
    pub fn each_dir(&self, mut each: impl FnMut(QueueId, QueueDir)) -> Result<()> {
        let mut statement =
            self.connection.prepare_cached("SELECT id, dir FROM message INDEXED BY message_queued WHERE dir < 3 ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(QueueId::from_i64(row.get(0)?), codes::get(row, 1)?);
        }
        Ok(())
    }

    /// The messages that are held for this cause, after `after`, at most `limit`.
    pub fn held_for(&self, cause: HoldCause, after: Option<QueueId>, limit: usize) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM message INDEXED BY message_held WHERE dir = 1 AND hold = ?2 AND id > ?1
             AND id NOT IN (SELECT message FROM intention WHERE phase = 1) ORDER BY id LIMIT ?3"
        );
        let after = after.map_or(i64::MIN, QueueId::to_i64);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![after, cause.number(), limit as i64], message_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many messages are held for one of these causes.
    pub fn held_count(&self, causes: &[HoldCause]) -> Result<usize> {
        let mut statement =
            self.connection.prepare_cached("SELECT count(*) FROM message INDEXED BY message_held WHERE dir = 1 AND hold = ?1")?;
        let mut held = 0;
        for cause in causes {
            held += usize::try_from(statement.query_row([cause.number()], |row| row.get::<_, i64>(0))?).unwrap_or(0);
        }
        Ok(held)
    }

    /// The removed messages that `trash/` should still have, by queue id.
    pub fn in_trash(&self) -> Result<Vec<Message>> {
        let sql = format!("SELECT {COLUMNS} FROM message INDEXED BY message_kept WHERE dir IN (2, 4, 5) AND dir = 4 ORDER BY id");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([], message_of)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Of what was removed before `before`, `trash/` has nothing any more. Returns how many rows that changed.
    pub fn empty_trash(&self, before: i64) -> Result<usize> {
        let sql = "UPDATE message INDEXED BY message_kept SET dir = 3 WHERE dir IN (2, 4, 5) AND dir = 4 AND since < ?1";
        Ok(self.connection.prepare_cached(sql)?.execute([before])?)
    }

    /// How many messages are in `cur/`, `hold/` and `failed/`.
    pub fn counts(&self) -> Result<[u64; 3]> {
        let mut counts = [0; 3];
        let mut statement =
            self.connection.prepare_cached("SELECT dir, count(*) FROM message INDEXED BY message_queued WHERE dir < 3 GROUP BY dir")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let dir = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
            if let Some(count) = counts.get_mut(dir) {
                *count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            }
        }
        Ok(counts)
    }

    /// When the oldest message in `cur/` was accepted: that with the lowest id, which begins with the time.
    pub fn oldest(&self) -> Result<Option<i64>> {
        let sql = "SELECT accepted FROM message INDEXED BY message_queued WHERE dir < 3 AND dir = 0 ORDER BY id LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }
}
