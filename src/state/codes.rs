//! Codes in columns. A number that is no code is damage, never a default: a flipped bit must not finish a message.

use mail::code::Code;
use rusqlite::Row;
use rusqlite::types::Type;

/// A number in a column of codes that is none.
#[derive(Debug)]
struct NoCode {
    kind: &'static str,
    number: i64,
}

impl std::fmt::Display for NoCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        write!(f, "{} is no code of {}", self.number, self.kind)
    }
}

impl std::error::Error for NoCode {}

/// The code in column `at`.
pub(crate) fn get<C: Code>(row: &Row<'_>, at: usize) -> rusqlite::Result<C> {
    decode(row.get(at)?, at)
}

/// The code in column `at`, where it may be NULL.
pub(crate) fn get_option<C: Code>(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<C>> {
    row.get::<_, Option<i64>>(at)?.map(|number| decode(number, at)).transpose()
}

fn decode<C: Code>(number: i64, at: usize) -> rusqlite::Result<C> {
    C::of_number(number).ok_or_else(|| no_code(C::KIND, number, at))
}

/// The error for a number that is no code of `kind`.
pub(crate) fn no_code(kind: &'static str, number: i64, at: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Integer, Box::new(NoCode { kind, number }))
}

/// A code for a column that may be NULL.
pub(crate) fn number<C: Code>(code: Option<C>) -> Option<i64> {
    code.map(C::number)
}
