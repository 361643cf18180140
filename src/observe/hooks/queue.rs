//! The queue of events on their way to webhooks: a small database of its own, beside that of the mail and never in its way.
//!
//! In: bodies, with the id that a receiver knows them by. Out: the next one that is due, until it is done. It survives kill -9; a
//! power cut may take the last ones, and after it an event that was delivered may be sent again under its id. Bounded: what
//! finds the queue of its webhook full is counted, and the count is kept too.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

/// The name of the file, in the spool.
pub const FILE: &str = "webhooks.sqlite";
/// Events about alarms, and about events that were lost, that find room where others find none.
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
CREATE TABLE IF NOT EXISTS loss (webhook TEXT PRIMARY KEY, lost INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// An event for one webhook.
#[derive(Clone, Debug)]
pub struct New {
    /// Whose.
    pub webhook: String,
    /// `webhook-id`: the same for every attempt.
    pub id: String,
    /// Unix seconds.
    pub at: i64,
    /// What is sent.
    pub body: String,
    /// It finds room in the reserve.
    pub urgent: bool,
}

/// An event that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its place.
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
    /// Events of each webhook.
    waiting: BTreeMap<String, u64>,
    /// Losses that are not in the database yet, because it refused.
    unwritten: BTreeMap<String, u64>,
}

type Result<T> = rusqlite::Result<T>;

impl Queue {
    /// Opens or makes the queue. A damaged one is put aside as `webhooks.sqlite.damaged` and begun anew: it holds nothing that the
    /// history of the mail does not have.
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
                    // What is not there needs no moving; what stays is found by the next attempt to open.
                    let _ = std::fs::rename(from, to);
                }
                Queue::try_open(path)
            }
            result => result,
        }
    }

    fn try_open(path: &Path) -> Result<Queue> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // No wait for the disk: what a power cut takes is events, not mail.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cache_size", -1024)?;
        connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.execute_batch(&format!("BEGIN; {CREATE} COMMIT;"))?;
        let waiting = counts(&connection, "SELECT webhook, count(*) FROM delivery GROUP BY webhook")?;
        Ok(Queue { connection, waiting, unwritten: BTreeMap::new() })
    }

    /// Adds events, as far as each webhook has room for `limit`; the others are counted as lost.
    ///
    /// Errors: SQLite's; then all of them are counted.
    pub fn add(&mut self, events: &[New], limit: u64) -> Result<()> {
        let added = self.try_add(events, limit);
        if added.is_err() {
            events.iter().for_each(|event| *self.unwritten.entry(event.webhook.clone()).or_default() += 1);
        }
        added
    }

    fn try_add(&mut self, events: &[New], limit: u64) -> Result<()> {
        let mut waiting = self.waiting.clone();
        let mut lost = self.unwritten.clone();
        let transaction = self.connection.transaction()?;
        for event in events {
            let count = waiting.entry(event.webhook.clone()).or_default();
            if *count >= limit + if event.urgent { RESERVE } else { 0 } {
                *lost.entry(event.webhook.clone()).or_default() += 1;
                continue;
            }
            *count += 1;
            transaction
                .prepare_cached("INSERT INTO delivery (webhook, id, at, body, next) VALUES (?1, ?2, ?3, ?4, ?3)")?
                .execute(params![event.webhook, event.id, event.at, event.body.as_bytes()])?;
        }
        for (webhook, lost) in &lost {
            transaction
                .prepare_cached("INSERT INTO loss VALUES (?1, ?2) ON CONFLICT (webhook) DO UPDATE SET lost = lost + ?2")?
                .execute(params![webhook, *lost as i64])?;
        }
        transaction.commit()?;
        self.waiting = waiting;
        self.unwritten.clear();
        Ok(())
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

    /// An event was taken.
    pub fn done(&mut self, webhook: &str, seq: i64) -> Result<()> {
        let gone =
            self.connection.prepare_cached("DELETE FROM delivery WHERE seq = ?1 AND webhook = ?2")?.execute(params![seq, webhook])?;
        let count = self.waiting.entry(webhook.to_owned()).or_default();
        *count = count.saturating_sub(gone as u64);
        Ok(())
    }

    /// An event is tried again at `next`.
    pub fn postpone(&self, seq: i64, next: i64) -> Result<()> {
        let update = "UPDATE delivery SET attempts = attempts + 1, next = ?2 WHERE seq = ?1";
        self.connection.prepare_cached(update)?.execute(params![seq, next]).map(drop)
    }

    /// An event is given up, and counted.
    pub fn give_up(&mut self, webhook: &str, seq: i64) -> Result<()> {
        self.done(webhook, seq)?;
        self.connection.execute("INSERT INTO loss VALUES (?1, 1) ON CONFLICT (webhook) DO UPDATE SET lost = lost + 1", [webhook]).map(drop)
    }

    /// Forgets what waits for webhooks that are not configured any more, and makes everything else due at `now`, as after a reload.
    pub(crate) fn keep_only(&mut self, webhooks: &[String], now: i64) -> Result<()> {
        let gone: Vec<String> = self.waiting.keys().filter(|name| !webhooks.contains(name)).cloned().collect();
        for name in gone {
            self.connection.execute("DELETE FROM delivery WHERE webhook = ?1", [&name])?;
            self.connection.execute("DELETE FROM loss WHERE webhook = ?1", [&name])?;
            self.waiting.remove(&name);
        }
        // Also what a clock that ran ahead has planned.
        self.connection.execute("UPDATE delivery SET next = ?1 WHERE next > ?1", [now]).map(drop)
    }

    /// Events of `webhook` that wait.
    pub fn waiting(&self, webhook: &str) -> u64 {
        self.waiting.get(webhook).copied().unwrap_or_default()
    }

    /// Events of `webhook` that were lost and not told of.
    pub fn lost(&self, webhook: &str) -> Result<u64> {
        let query = "SELECT lost FROM loss WHERE webhook = ?1";
        let written: Option<i64> = self.connection.prepare_cached(query)?.query_row([webhook], |row| row.get(0)).optional()?;
        Ok(written.map_or(0, |lost| u64::try_from(lost).unwrap_or_default()) + self.unwritten.get(webhook).copied().unwrap_or_default())
    }

    /// The losses of `webhook` have been told of.
    pub fn told(&mut self, webhook: &str) -> Result<()> {
        self.unwritten.remove(webhook);
        self.connection.execute("DELETE FROM loss WHERE webhook = ?1", [webhook]).map(drop)
    }

    /// When the first event of `webhook` happened that was tried and is still here.
    pub(crate) fn failing_since(&self, webhook: &str) -> Result<Option<i64>> {
        let query = "SELECT min(at) FROM delivery WHERE webhook = ?1 AND attempts > 0";
        self.connection.prepare_cached(query)?.query_row([webhook], |row| row.get(0))
    }
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
        queue.add(&[event("a", 1, false), event("b", 2, false), event("a", 3, false)], 10).unwrap();
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
        queue.add(&many, 10).unwrap();
        assert_eq!((queue.waiting("a"), queue.lost("a").unwrap()), (10, 5));
        queue.add(&[event("a", 20, true)], 10).unwrap();
        assert_eq!((queue.waiting("a"), queue.lost("a").unwrap()), (11, 5));
        drop(queue);
        let mut queue = Queue::open(&path).unwrap();
        assert_eq!(queue.lost("a").unwrap(), 5, "the count is kept");
        queue.told("a").unwrap();
        assert_eq!(queue.lost("a").unwrap(), 0);
    }

    #[test]
    fn a_webhook_that_is_gone_leaves_nothing_and_a_damaged_file_is_put_aside() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(FILE);
        let mut queue = Queue::open(&path).unwrap();
        queue.add(&[event("a", 1, false), event("b", 2, false)], 10).unwrap();
        queue.keep_only(&["b".to_owned()], 0).unwrap();
        assert_eq!((queue.waiting("a"), queue.waiting("b")), (0, 1));
        assert_eq!(queue.next("b", 0).unwrap().map(|due| due.id).as_deref(), Some("evt_2"));
        drop(queue);
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert_eq!(Queue::open(&path).unwrap().waiting("b"), 0);
        assert!(scratch.path().join("webhooks.sqlite.damaged").exists());
    }
}
