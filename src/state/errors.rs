//! What a failure of the database is: damage, a file of a newer program or of another one, or trouble with the disk.

use rusqlite::{Error, ErrorCode};

const NEWER: &str = "written by a newer mailchute: it has schema";
pub(crate) const FOREIGN: &str = "a database of another program";

pub(crate) fn newer_than_this(version: i64, known: i64) -> Error {
    error(&format!("{NEWER} {version}, and this program knows {known}: upgrade it"))
}

pub(crate) fn error(text: &str) -> Error {
    Error::ToSqlConversionFailure(text.into())
}

/// True for the refusal of a file that a newer program made.
pub fn is_newer(e: &Error) -> bool {
    says(e, NEWER)
}

/// True for a file that is a database, but never was a state of ours.
pub(crate) fn is_foreign(e: &Error) -> bool {
    says(e, FOREIGN)
}

fn says(e: &Error, text: &str) -> bool {
    matches!(e, Error::ToSqlConversionFailure(inner) if inner.to_string().starts_with(text))
}

/// True where the file itself is damaged, or is none of ours: it has to be put aside, and trying again does not help. False for
/// errors of the disk.
pub fn is_damage(e: &Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) || is_foreign(e)
}

/// The disk has no room for the index of the log, which could not be mapped without danger.
pub(crate) fn no_room(e: &std::io::Error) -> Error {
    Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), Some(format!("no room for its -shm: {e}")))
}

/// A table, or a column, that is not there, is damage.
pub(crate) fn of_form(e: Error) -> Error {
    match e {
        Error::SqlInputError { .. } => damage(&e.to_string()),
        // The same, where SQLite cannot say at which letter of the statement it is wrong.
        Error::SqliteFailure(code, _) if code.extended_code == rusqlite::ffi::SQLITE_ERROR => damage(&e.to_string()),
        e => e,
    }
}

pub(crate) fn damage(found: &str) -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Error::SqliteFailure(code, Some(format!("damaged: {}", mail::printable::text(found))))
}
