//! Messages and their recipients: the rows of what is in the spool, and of what was.

use mail::queue_id::QueueId;
use rusqlite::{OptionalExtension, params};

use crate::database::{Result, State};
use crate::dsn::{bits_of, notify_of};
use crate::rows::{COLUMNS, Message, Origin, Progress, RecipientRow, RecipientUpdate, message_of};

impl State {
    /// Adds a message with its recipients, and where it came from.
    pub fn insert(&self, message: &Message, recipients: &[RecipientRow], origin: &Origin) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO message (id, uid, digest, size, accepted, expires, reverse_path, message_id, place, reason, attempts, last_attempt, next_attempt, in_data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                message.id.to_i64(),
                message.uid,
                message.digest,
                message.size as i64,
                message.accepted,
                message.expires,
                message.reverse_path,
                message.message_id,
                message.place as i64,
                message.reason,
                message.attempts,
                message.last_attempt,
                message.next_attempt,
                message.in_data,
            ])?;
        for recipient in recipients {
            self.connection
                .prepare_cached(
                    "INSERT INTO recipient (message, n, address, original, notify, state, status, reply, relay, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    message.id.to_i64(),
                    recipient.n,
                    recipient.address,
                    recipient.original,
                    bits_of(recipient.notify),
                    recipient.progress as i64,
                    recipient.status,
                    recipient.reply,
                    recipient.relay,
                    recipient.at,
                ])?;
        }
        self.record_origin(message.id, origin)
    }

    /// Marks that the final dot of this message may be sent from now on.
    pub fn mark_in_data(&self, id: QueueId) -> Result<()> {
        self.connection.prepare_cached("UPDATE message SET in_data = 1 WHERE id = ?1")?.execute([id.to_i64()]).map(|_| ())
    }

    /// Records what an attempt found out about one recipient.
    pub fn update_recipient(&self, id: QueueId, update: &RecipientUpdate, at: i64) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE recipient SET state = ?3, status = ?4, reply = ?5, relay = ?6, at = ?7 WHERE message = ?1 AND n = ?2")?
            .execute(params![id.to_i64(), update.n, update.progress as i64, update.status, update.reply, update.relay, at])
            .map(|_| ())
    }

    /// Writes the message's schedule and place as `message` has them.
    pub fn update(&self, message: &Message) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE message SET place = ?2, reason = ?3, attempts = ?4, last_attempt = ?5, next_attempt = ?6, in_data = ?7, finished = ?8, expires = ?9 WHERE id = ?1",
            )?
            .execute(params![
                message.id.to_i64(),
                message.place as i64,
                message.reason,
                message.attempts,
                message.last_attempt,
                message.next_attempt,
                message.in_data,
                message.finished,
                message.expires,
            ])
            .map(|_| ())
    }

    /// The message, if it is known: waiting, or history.
    pub fn message(&self, id: QueueId) -> Result<Option<Message>> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE id = ?1"))?
            .query_row([id.to_i64()], message_of)
            .optional()
    }

    /// Its recipients, in the order of the envelope.
    pub fn recipients(&self, id: QueueId) -> Result<Vec<RecipientRow>> {
        self.connection
            .prepare_cached(
                "SELECT n, address, original, notify, state, status, reply, relay, at FROM recipient WHERE message = ?1 ORDER BY n",
            )?
            .query_map([id.to_i64()], |row| {
                Ok(RecipientRow {
                    n: row.get(0)?,
                    address: row.get(1)?,
                    original: row.get(2)?,
                    notify: notify_of(row.get(3)?),
                    progress: Progress::from_i64(row.get(4)?),
                    status: row.get(5)?,
                    reply: row.get(6)?,
                    relay: row.get(7)?,
                    at: row.get(8)?,
                })
            })?
            .collect()
    }
}
