//! The queue of events for webhooks: a small database of its own, separate from that of the mail.
//!
//! In: bodies, with the id by which a receiver knows them. Out: the next due event, until it is done. The queue survives kill -9. A
//! power cut may lose the last events, or make the daemon send a delivered event again under the same id. The size is limited: an
//! event that finds the queue of its webhook full is dropped and counted, and the count is stored too.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

/// The name of the file, in the spool.
pub const FILE: &str = "webhooks.sqlite";
/// Room beyond the limit for events about alarms and about lost events.
const RESERVE: u64 = 100;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER PRIMARY KEY,
    webhook TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS delivery_next ON delivery (webhook, next, seq);
CREATE UNIQUE INDEX IF NOT EXISTS delivery_id ON delivery (webhook, id);
CREATE TABLE IF NOT EXISTS reached (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS loss (webhook TEXT PRIMARY KEY, lost INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// An event for one webhook.
#[derive(Clone, Debug)]
pub struct New {
    /// The name of the webhook.
    pub webhook: String,
    /// `webhook-id`: the same for every attempt.
    pub id: String,
    /// Unix seconds.
    pub at: i64,
    /// The body.
    pub body: String,
    /// True if it may use the reserve.
    pub urgent: bool,
}

/// An event that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its row.
    pub seq: i64,
    /// As in [`New`].
    pub id: String,
    /// As in [`New`].
    pub at: i64,
    /// As in [`New`].
    pub body: Vec<u8>,
    /// Attempts so far.
    pub attempts: u32,
}

/// The open queue.
pub struct Queue {
    connection: Connection,
    /// The number of queued events of each webhook.
    waiting: BTreeMap<String, u64>,
    /// Losses not yet in the database because of an error.
    unwritten: BTreeMap<String, u64>,
}

type Result<T> = rusqlite::Result<T>;

impl Queue {
    /// Opens or creates the queue. A damaged file is renamed to `webhooks.sqlite.damaged` and replaced by a new one: the history of
    /// the mail has all of its content.
    ///
    /// Errors: SQLite's.
    pub fn open(path: &Path) -> Result<Queue> {
        match Queue::try_open(path) {
            Err(e) if is_damage(&e) => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut from = path.as_os_str().to_owned();
                    from.push(suffix);
                    let mut to = path.as_os_str().to_owned();
                    to.push(format!(".damaged{suffix}"));
                    // A missing file needs no rename. If a rename fails, the next attempt to open finds the damage again.
                    let _ = std::fs::rename(from, to);
                }
                Queue::try_open(path)
            }
            result => result,
        }
    }

    fn try_open(path: &Path) -> Result<Queue> {
        let no_room =
            |e: std::io::Error| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), Some(e.to_string()));
        sys::wal_index::reserve(path).map_err(no_room)?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Without waiting for the disk: a power cut may lose events, not mail.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cache_size", -1024)?;
        connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.execute_batch(&format!("BEGIN; {CREATE} COMMIT;"))?;
        let waiting = counts(&connection, "SELECT webhook, count(*) FROM delivery GROUP BY webhook")?;
        Ok(Queue { connection, waiting, unwritten: BTreeMap::new() })
    }

    /// Adds events, up to `limit` for each webhook. The rest are counted as lost. An event that is in the queue already is not added
    /// again.
    ///
    /// `reached` is the last transaction of the outbox that they come from, if they do.
    ///
    /// Errors: SQLite's; then nothing was added.
    pub fn add(&mut self, events: &[New], limit: u64, reached: Option<(i64, i64)>) -> Result<()> {
        let mut waiting = self.waiting.clone();
        let mut lost = self.unwritten.clone();
        let transaction = self.connection.transaction()?;
        for event in events {
            let count = waiting.entry(event.webhook.clone()).or_default();
            if *count >= limit + if event.urgent { RESERVE } else { 0 } {
                *lost.entry(event.webhook.clone()).or_default() += 1;
                continue;
            }
            *count += insert(&transaction, event)?;
        }
        for (webhook, lost) in &lost {
            transaction
                .prepare_cached("INSERT INTO loss VALUES (?1, ?2) ON CONFLICT (webhook) DO UPDATE SET lost = lost + ?2")?
                .execute(params![webhook, *lost as i64])?;
        }
        if let Some((seq, at)) = reached {
            transaction.prepare_cached("INSERT OR REPLACE INTO reached VALUES (1, ?1, ?2)")?.execute([seq, at])?;
        }
        transaction.commit()?;
        self.waiting = waiting;
        self.unwritten.clear();
        Ok(())
    }

    /// The last transaction of the outbox whose events were added.
    ///
    /// Errors: SQLite's.
    pub fn reached(&self) -> Result<Option<(i64, i64)>> {
        self.connection.query_row("SELECT seq, at FROM reached", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// Counts events that could not be added.
    pub fn lose<'a>(&mut self, webhooks: impl Iterator<Item = &'a str>, lost: u64) {
        webhooks.for_each(|webhook| *self.unwritten.entry(webhook.to_owned()).or_default() += lost);
    }

    /// Waits until everything that was added is on the disk.
    ///
    /// Errors: SQLite's.
    pub fn sync(&self) -> Result<()> {
        // The log of the database is synced up to a commit that is.
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let synced = self.connection.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 1; COMMIT;");
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        synced
    }

    /// The first event of `webhook` that is due at `now`.
    pub fn next(&self, webhook: &str, now: i64) -> Result<Option<Due>> {
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Due { seq: row.get(0)?, id: row.get(1)?, at: row.get(2)?, body: row.get(3)?, attempts: row.get(4)? })
        };
        self.connection
            .prepare_cached(
                "SELECT seq, id, at, body, attempts FROM delivery WHERE webhook = ?1 AND next <= ?2 ORDER BY next, seq LIMIT 1",
            )?
            .query_row(params![webhook, now], row)
            .optional()
    }

    /// When the next event of `webhook` is due.
    pub(crate) fn next_at(&self, webhook: &str) -> Result<Option<i64>> {
        self.connection.prepare_cached("SELECT min(next) FROM delivery WHERE webhook = ?1")?.query_row([webhook], |row| row.get(0))
    }

    /// Deletes an event that the receiver accepted.
    pub fn done(&mut self, webhook: &str, seq: i64) -> Result<()> {
        let deleted =
            self.connection.prepare_cached("DELETE FROM delivery WHERE seq = ?1 AND webhook = ?2")?.execute(params![seq, webhook])?;
        let count = self.waiting.entry(webhook.to_owned()).or_default();
        *count = count.saturating_sub(deleted as u64);
        Ok(())
    }

    /// Schedules an event for another attempt at `next`.
    pub fn postpone(&self, seq: i64, next: i64) -> Result<()> {
        let update = "UPDATE delivery SET attempts = attempts + 1, next = ?2 WHERE seq = ?1";
        self.connection.prepare_cached(update)?.execute(params![seq, next]).map(drop)
    }

    /// Drops an event after its lifetime, and counts it as lost.
    pub fn expire(&mut self, webhook: &str, seq: i64) -> Result<()> {
        self.done(webhook, seq)?;
        self.connection.execute("INSERT INTO loss VALUES (?1, 1) ON CONFLICT (webhook) DO UPDATE SET lost = lost + 1", [webhook]).map(drop)
    }

    /// Deletes the events of webhooks that are no longer configured, and makes all others due at `now`, as after a reload.
    pub(crate) fn keep_only(&mut self, webhooks: &[String], now: i64) -> Result<()> {
        let removed: Vec<String> = self.waiting.keys().filter(|name| !webhooks.contains(name)).cloned().collect();
        for name in removed {
            self.connection.execute("DELETE FROM delivery WHERE webhook = ?1", [&name])?;
            self.connection.execute("DELETE FROM loss WHERE webhook = ?1", [&name])?;
            self.waiting.remove(&name);
        }
        // Also events that were scheduled while the clock was ahead.
        self.connection.execute("UPDATE delivery SET next = ?1 WHERE next > ?1", [now]).map(drop)
    }

    /// The number of queued events of `webhook`.
    pub fn waiting(&self, webhook: &str) -> u64 {
        self.waiting.get(webhook).copied().unwrap_or_default()
    }

    /// The number of lost events of `webhook` that were not reported yet.
    pub fn lost(&self, webhook: &str) -> Result<u64> {
        let query = "SELECT lost FROM loss WHERE webhook = ?1";
        let written: Option<i64> = self.connection.prepare_cached(query)?.query_row([webhook], |row| row.get(0)).optional()?;
        Ok(written.map_or(0, |lost| u64::try_from(lost).unwrap_or_default()) + self.unwritten.get(webhook).copied().unwrap_or_default())
    }

    /// Resets the losses of `webhook` after they were reported.
    pub fn clear_losses(&mut self, webhook: &str) -> Result<()> {
        self.unwritten.remove(webhook);
        self.connection.execute("DELETE FROM loss WHERE webhook = ?1", [webhook]).map(drop)
    }

    /// The time of the oldest event of `webhook` that was tried and is still queued.
    pub(crate) fn failing_since(&self, webhook: &str) -> Result<Option<i64>> {
        let query = "SELECT min(at) FROM delivery WHERE webhook = ?1 AND attempts > 0";
        self.connection.prepare_cached(query)?.query_row([webhook], |row| row.get(0))
    }
}

/// Adds an event, unless it is there. Returns how many were added.
fn insert(connection: &Connection, event: &New) -> Result<u64> {
    let added = connection
        .prepare_cached(
            "INSERT INTO delivery (webhook, id, at, body, next) VALUES (?1, ?2, ?3, ?4, ?3) ON CONFLICT (webhook, id) DO NOTHING",
        )?
        .execute(params![event.webhook, event.id, event.at, event.body.as_bytes()])?;
    Ok(added as u64)
}

fn is_damage(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase))
}

fn counts(connection: &Connection, query: &str) -> Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare(query)?;
    let pairs = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    pairs.map(|pair| pair.map(|(name, count)| (name, u64::try_from(count).unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(webhook: &str, n: i64, urgent: bool) -> New {
        New { webhook: webhook.to_owned(), id: format!("evt_{n}"), at: n, body: format!("{{\"n\":{n}}}"), urgent }
    }

    #[test]
    fn events_wait_in_their_order_over_a_kill_and_each_webhook_for_itself() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(FILE);
        let mut queue = Queue::open(&path).unwrap();
        queue.add(&[event("a", 1, false), event("b", 2, false), event("a", 3, false)], 10, None).unwrap();
        // No destructor runs when a process is killed.
        std::mem::forget(queue);
        let mut queue = Queue::open(&path).unwrap();
        assert_eq!((queue.waiting("a"), queue.waiting("b")), (2, 1));
        let first = queue.next("a", 100).unwrap().unwrap();
        assert_eq!((first.id.as_str(), first.body.as_slice(), first.attempts), ("evt_1", br#"{"n":1}"#.as_slice(), 0));
        queue.postpone(first.seq, 200).unwrap();
        let second = queue.next("a", 100).unwrap().unwrap();
        assert_eq!(second.id, "evt_3");
        queue.done("a", second.seq).unwrap();
        assert_eq!(queue.next("a", 100).unwrap(), None);
        assert_eq!((queue.next_at("a").unwrap(), queue.failing_since("a").unwrap()), (Some(200), Some(1)));
        assert_eq!(queue.next("a", 200).unwrap(), Some(Due { attempts: 1, ..first }));
    }

    #[test]
    fn a_full_queue_counts_what_it_loses_and_keeps_room_for_alarms() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(FILE);
        let mut queue = Queue::open(&path).unwrap();
        let many: Vec<New> = (0..15).map(|n| event("a", n, false)).collect();
        queue.add(&many, 10, None).unwrap();
        assert_eq!((queue.waiting("a"), queue.lost("a").unwrap()), (10, 5));
        queue.add(&[event("a", 20, true)], 10, None).unwrap();
        assert_eq!((queue.waiting("a"), queue.lost("a").unwrap()), (11, 5));
        drop(queue);
        let mut queue = Queue::open(&path).unwrap();
        assert_eq!(queue.lost("a").unwrap(), 5, "the count is kept");
        queue.clear_losses("a").unwrap();
        assert_eq!(queue.lost("a").unwrap(), 0);
    }

    #[test]
    fn a_webhook_that_is_gone_leaves_nothing_and_a_damaged_file_is_put_aside() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(FILE);
        let mut queue = Queue::open(&path).unwrap();
        queue.add(&[event("a", 1, false), event("b", 2, false)], 10, None).unwrap();
        queue.keep_only(&["b".to_owned()], 0).unwrap();
        assert_eq!((queue.waiting("a"), queue.waiting("b")), (0, 1));
        assert_eq!(queue.next("b", 0).unwrap().map(|due| due.id).as_deref(), Some("evt_2"));
        drop(queue);
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert_eq!(Queue::open(&path).unwrap().waiting("b"), 0);
        assert!(scratch.path().join("webhooks.sqlite.damaged").exists());
    }
}
