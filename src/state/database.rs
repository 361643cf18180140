//! The open database: its pragmas, transactions and snapshots. What is asked of it stands in the other files, table by table.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::errors::{Result, damage, no_room};
use crate::outcome_log::OutcomeLog;
use crate::schema;
use mail::queue_id::QueueId;

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
    pub(crate) connection: Connection,
    durability: Durability,
    is_new: bool,
    pub(crate) pending: Pending,
    /// Open for the one who writes.
    pub(crate) outcomes: RefCell<Option<OutcomeLog>>,
}

/// What the transaction under way tells, and how much of the outbox there is.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Events that are written with the commit.
    pub(crate) lines: RefCell<Vec<String>>,
    /// Bytes of all that are kept.
    pub(crate) bytes: Cell<u64>,
    /// Messages that were given results, or another directory.
    pub(crate) changed: RefCell<BTreeSet<QueueId>>,
}

/// Pages that the daemon keeps in memory, in KiB (negative, as SQLite wants it).
const CACHE_KIB: i64 = -16_384;
/// The key of [`State::crashed`].
const CRASHED: &str = "crashed";

impl State {
    /// Opens or makes the database for the daemon, the only writer.
    ///
    /// Errors: SQLite's; a newer schema and a database of another program are refused and left alone.
    pub fn open(path: &Path) -> Result<State> {
        sys::wal_index::reserve(path).map_err(|e| no_room(&e))?;
        let connection = Connection::open(path)?;
        // Before anything is changed: it may not be ours to change.
        let found = schema::look(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        schema::bring_forward(&connection, found, path)?;
        schema::keep_codes(&connection)?;
        connection.set_prepared_statement_cache_capacity(48);
        let state = State {
            connection,
            durability: Durability::Full,
            is_new: found == schema::Found::Empty,
            pending: Pending::default(),
            outcomes: RefCell::default(),
        };
        state.count_usage()?;
        state.keep_spool_id()?;
        state.begin_outbox()?;
        state.open_outcomes(path)?;
        Ok(state)
    }

    /// Opens the database for reading only.
    ///
    /// Errors: SQLite's; a missing file is one, and one of another schema, which the daemon brings forward when it starts.
    pub fn open_to_read(path: &Path) -> Result<State> {
        if !sys::wal_index::is_reserved(path) {
            return Err(no_room(&sys::wal_index::full()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        schema::check(&connection)?;
        Ok(State { connection, durability: Durability::Full, is_new: false, pending: Pending::default(), outcomes: RefCell::default() })
    }

    /// Runs `read`, which sees the database as it is now, whatever is written meanwhile. One lock for all its statements, which would
    /// otherwise take one each: of a listing, a third of its time.
    pub fn snapshot<T>(&self, read: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        self.connection.execute_batch("BEGIN")?;
        let value = read(self);
        self.connection.execute_batch("COMMIT")?;
        value
    }

    /// Runs `work` in one transaction with this durability, and keeps what it tells and what became of
    /// recipients; an error rolls all of it back.
    pub fn transaction<T>(&mut self, durability: Durability, work: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        if durability != self.durability {
            let level = if durability == Durability::Full { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let kept = || self.keep_told().and_then(|()| self.keep_results(durability));
        let commit = |value| kept().and_then(|()| Ok(self.connection.execute_batch("COMMIT").map(|()| value)?));
        work(self).and_then(commit).inspect_err(|_| {
            // The first error is the one to tell; a failed rollback ends with the connection.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.untell();
            self.pending.changed.borrow_mut().clear();
        })
    }

    /// True if there were no tables before this program opened it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// A value that outlives the daemon (`boot_id`, `clean_stop`).
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        Ok(self.connection.prepare_cached("SELECT value FROM run WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()?)
    }

    /// A value that says yes or no; no where there is none.
    pub fn flag(&self, key: &str) -> Result<bool> {
        match self.get(key)?.as_deref() {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(other) => Err(damage(&format!("{key} is {other}"))),
        }
    }

    /// Sets such a value.
    pub fn set_flag(&self, key: &str, on: bool) -> Result<()> {
        self.set(key, if on { "1" } else { "0" })
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
            .execute([key, value])?;
        Ok(())
    }
}
