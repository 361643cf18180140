//! A message found in the database or only as a file.

use state::Message;

/// A message in the spool.
pub(super) enum Found {
    /// It has a row, perhaps a finished one.
    Row(Box<Message>),
    /// It has only a file; the directory of the file.
    File(&'static str),
}
