//! What a failure of the database is. Decided once, from SQLite's codes, and never from a text.

use rusqlite::ErrorCode;

/// Why the database cannot be used, or a statement did not work.
#[derive(Debug)]
pub enum StateError {
    /// Made by a newer mailchute.
    Newer {
        /// The schema that it has.
        found: i64,
        /// The schema that this program knows.
        known: i64,
    },
    /// Made by an older mailchute, and opened for reading: the daemon brings it forward when it starts.
    Older {
        /// The schema that it has.
        found: i64,
        /// The schema that this program knows.
        known: i64,
    },
    /// A database of another program.
    Foreign,
    /// The file or its rows are damaged; what was found, printable.
    Damaged(String),
    /// The migration needs more room than there is. Bytes.
    NoRoom {
        /// What it needs.
        need: u64,
        /// What is free.
        free: u64,
    },
    /// Another program has it.
    Busy(rusqlite::Error),
    /// The disk refused.
    Disk(rusqlite::Error),
    /// Anything else that SQLite said.
    Sql(rusqlite::Error),
}

/// What the database answers.
pub type Result<T> = std::result::Result<T, StateError>;

impl StateError {
    /// True where the file itself is damaged, or is none of ours: it has to be put aside, and trying again does not help. False for
    /// errors of the disk.
    pub fn is_damage(&self) -> bool {
        matches!(self, StateError::Damaged(_) | StateError::Foreign)
    }

    /// True where a newer program made it: it is left alone.
    pub fn is_newer(&self) -> bool {
        matches!(self, StateError::Newer { .. })
    }

    /// True where SQLite met a full disk. It has then undone the transaction.
    pub fn is_full(&self) -> bool {
        matches!(self, StateError::Disk(e) if e.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StateError::Newer { found, known } => {
                write!(f, "written by a newer mailchute: it has schema {found}, and this program knows {known}: upgrade it")
            }
            StateError::Older { found, known } => write!(f, "it has schema {found}; mailchuted brings it to {known} when it starts"),
            StateError::Foreign => f.write_str("a database of another program"),
            StateError::Damaged(found) => write!(f, "damaged: {found}"),
            StateError::NoRoom { need, free } => {
                write!(f, "the new schema needs {} MiB on the disk, and {} MiB are free: free some space", mib(*need), free >> 20)
            }
            StateError::Busy(e) | StateError::Disk(e) | StateError::Sql(e) => e.fmt(f),
        }
    }
}

/// Rounded up: what is needed is never less than said.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

impl std::error::Error for StateError {}

impl From<rusqlite::Error> for StateError {
    fn from(e: rusqlite::Error) -> StateError {
        match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => return damage(&e.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return StateError::Busy(e),
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::NoLargeFileSupport,
            ) => return StateError::Disk(e),
            _ => {}
        }
        match e {
            // A value of another type, or a number that is no code, is in no row of ours.
            e @ (rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)) => damage(&e.to_string()),
            e => StateError::Sql(e),
        }
    }
}

/// The disk has no room for the index of the log, which could not be mapped without danger.
pub(crate) fn no_room(e: &std::io::Error) -> StateError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    rusqlite::Error::SqliteFailure(code, Some(format!("no room for its -shm: {e}"))).into()
}

/// What the disk said of a file beside the database.
pub(crate) fn of_disk(e: std::io::Error) -> StateError {
    let is_full = matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    let code = if is_full { rusqlite::ffi::SQLITE_FULL } else { rusqlite::ffi::SQLITE_IOERR };
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(format!("outcomes.log: {e}"))).into()
}

/// A table, or a column, that is not there, is damage.
pub(crate) fn of_form(e: rusqlite::Error) -> StateError {
    match e {
        rusqlite::Error::SqlInputError { .. } => damage(&e.to_string()),
        // The same, where SQLite cannot say at which letter of the statement it is wrong.
        rusqlite::Error::SqliteFailure(code, _) if code.extended_code == rusqlite::ffi::SQLITE_ERROR => damage(&e.to_string()),
        e => e.into(),
    }
}

pub(crate) fn damage(found: &str) -> StateError {
    StateError::Damaged(mail::printable::text(found))
}
