//! Where a message was found: as a row or as a file.

use state::Message;

/// A message, as the spool has it.
pub(super) enum Found {
    /// The daemon knows it, or knew it until its end.
    Row(Box<Message>),
    /// It does not: the directory of the file.
    File(&'static str),
}
