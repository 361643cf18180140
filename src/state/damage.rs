//! Whether the file can be used at all: what SQLite says when it cannot, and a look that costs little.

use rusqlite::Connection;

use crate::database::State;
use crate::errors::{Result, StateError, damage, of_form};
use crate::schema::SCHEMA;

/// A file up to this size, in bytes, is checked from end to end: some tenths of a second.
const WHOLE: u64 = 32 << 20;

/// Where rows of each table begin and end. In a larger file these are looked at, each by a way from the root to a leaf.
const EDGES: &[(&str, &str)] = &[
    ("message", "id"),
    ("recipient", "message"),
    ("origin", "message"),
    ("attempt", "message"),
    ("history", "seq"),
    ("intention", "message"),
    ("dsn", "message"),
    ("dsn_recipient", "message"),
    ("total", "kind"),
    ("run", "key"),
];

impl State {
    /// Looks for damage before anything is built on the rows: every page of a small file, and the edges of each table of a large one.
    /// What it does not see shows itself later as an error for which [`StateError::is_damage`] is true.
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
        if self.bytes()? > WHOLE {
            return Ok(());
        }
        let found = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
        if found == "ok" { Ok(()) } else { Err(verdict(&found)) }
    }
}

fn edge(connection: &Connection, table: &str, key: &str, order: &str) -> Result<()> {
    let sql = format!("SELECT * FROM {table} ORDER BY {key} {order} LIMIT 1");
    let mut statement = connection.prepare(&sql).map_err(of_form)?;
    Ok(statement.query([])?.next().map(drop)?)
}

/// What the check says, as an error. It tells of pages that the disk did not let it read as if they were damaged, but with the code:
/// SQLite has no other form for it, and the code is all that is read.
fn verdict(found: &str) -> StateError {
    let code = found.rsplit_once("error code=").and_then(|(_, code)| code.trim().parse::<i32>().ok());
    match code {
        Some(code) if code & 0xFF != rusqlite::ffi::SQLITE_CORRUPT => {
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(mail::printable::text(found))).into()
        }
        _ => damage(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_the_disk_does_not_give_is_no_damage() {
        for (found, is_damaged) in [
            ("Tree 4 page 7: unable to get the page. error code=266", false),
            ("Tree 4 page 7: unable to get the page. error code=11", true),
            ("Tree 4 page 7: btreeInitPage() returns error code 11", true),
            ("Page 9 is never used", true),
        ] {
            assert_eq!(verdict(found).is_damage(), is_damaged, "{found}");
        }
    }
}
