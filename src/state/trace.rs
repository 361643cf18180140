//! Look-ups in the history: by address and by Message-ID, the latest first. Each costs what it returns, not what is stored.

use rusqlite::params;

use crate::database::State;
use crate::errors::Result;
use crate::rows::Message;
use crate::rows::{COLUMNS, message_of};
use mail::queue_id::QueueId;

impl State {
    /// The messages to or from `address`, or sent to `original` that an alias replaced, in any case of ASCII letters, that came
    /// before `before`; the latest first, at most `limit`: waiting, or history. A page ends with the `before` of the next one.
    pub fn trace_by_address(&self, address: &str, original: &str, before: Option<QueueId>, limit: usize) -> Result<Vec<Message>> {
        // Without INDEXED BY: a database that is only read may be older than that index.
        let sql = format!(
            "SELECT {COLUMNS} FROM message WHERE id IN (
                 SELECT * FROM (SELECT DISTINCT message FROM recipient INDEXED BY recipient_address
                     WHERE address = ?1 COLLATE NOCASE AND message < ?2 ORDER BY message DESC LIMIT ?3)
                 UNION SELECT * FROM (SELECT DISTINCT message FROM recipient
                     WHERE original <> '' AND original = ?4 COLLATE NOCASE AND message < ?2 ORDER BY message DESC LIMIT ?3)
                 UNION SELECT * FROM (SELECT id FROM message INDEXED BY message_reverse_path
                     WHERE reverse_path <> '' AND reverse_path = ?1 COLLATE NOCASE AND id < ?2 ORDER BY id DESC LIMIT ?3)
             ) ORDER BY id DESC LIMIT ?3"
        );
        let before = before.map_or(i64::MAX, QueueId::to_i64);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![address, before, limit as i64, original], message_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The messages with this Message-ID, with or without its angle brackets, that came before `before`; the latest first, at most
    /// `limit`: waiting, or history.
    pub fn trace_by_message_id(&self, message_id: &str, before: Option<QueueId>, limit: usize) -> Result<Vec<Message>> {
        let bare = message_id.trim_start_matches('<').trim_end_matches('>');
        let sql = format!("SELECT {COLUMNS} FROM message WHERE message_id IN (?1, ?2) AND id < ?3 ORDER BY id DESC LIMIT ?4");
        let before = before.map_or(i64::MAX, QueueId::to_i64);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![message_id, format!("<{bare}>"), before, limit as i64], message_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
