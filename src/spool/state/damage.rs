//! Whether the file can be used at all: what SQLite says when it cannot, and a look that costs little.

use rusqlite::{Connection, Error, ErrorCode};

use super::schema::{SCHEMA, is_foreign};
use super::{Result, State};

/// A file up to this size, in octets, is checked from end to end: some tenths of a second.
const WHOLE: u64 = 32 << 20;

/// Where rows of each table begin and end. In a larger file these are looked at, each by a way from the root to a leaf.
const EDGES: &[(&str, &str)] = &[
    ("message", "id"),
    ("recipient", "message"),
    ("origin", "message"),
    ("attempt", "message"),
    ("event", "seq"),
    ("notice", "message"),
    ("notice_recipient", "message"),
    ("run", "key"),
];

/// True where the file itself is damaged, or is none of ours: it has to be put aside, and trying again does not help. False for
/// errors of the disk.
pub fn is_damage(e: &Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) || is_foreign(e)
}

impl State {
    /// Looks for damage before anything is built on the rows: every page of a small file, and the edges of each table of a large one.
    /// What it does not see shows itself later as an error for which [`is_damage`] is true.
    ///
    /// Errors: SQLite's; what was found, as damage.
    pub fn examine(&self) -> Result<()> {
        let version = self.connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
        if version != SCHEMA {
            return Err(damage(&format!("its schema is {version} now")));
        }
        for (table, key) in EDGES {
            for order in ["ASC", "DESC"] {
                edge(&self.connection, table, key, order)?;
            }
        }
        if self.octets()? > WHOLE {
            return Ok(());
        }
        let found = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
        if found == "ok" { Ok(()) } else { Err(damage(&found)) }
    }
}

fn edge(connection: &Connection, table: &str, key: &str, order: &str) -> Result<()> {
    let sql = format!("SELECT * FROM {table} ORDER BY {key} {order} LIMIT 1");
    let mut statement = connection.prepare(&sql).map_err(of_form)?;
    statement.query([])?.next().map(drop)
}

/// A table, or a column, that is not there, is damage.
pub(super) fn of_form(e: Error) -> Error {
    match e {
        Error::SqlInputError { .. } => damage(&e.to_string()),
        e => e,
    }
}

fn damage(found: &str) -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Error::SqliteFailure(code, Some(format!("damaged: {}", crate::mail::printable::text(found))))
}
