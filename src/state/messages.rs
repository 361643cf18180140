//! Messages and their recipients: the rows of what is in the spool, and of what was.

use mail::code::{Code, Progress, QueueDir};
use mail::queue_id::QueueId;
use rusqlite::{OptionalExtension, params};

use crate::codes;
use crate::database::State;
use crate::dsn::{bits_of, notify_of};
use crate::errors::Result;
use crate::rows::{COLUMNS, Message, Origin, RecipientRow, RecipientUpdate, diagnosis_of, message_of};

impl State {
    /// Adds a message with its recipients, and where it came from.
    pub fn insert(&self, message: &Message, recipients: &[RecipientRow], origin: &Origin) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO message (id, uid, digest, size, accepted, expires, reverse_path, message_id, dir, hold, by_uid, by_name, detail, attempts, last_attempt, next_attempt, in_data, outcome, ended_at, since)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, CASE WHEN ?9 <> 0 THEN unixepoch() END)",
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
                message.dir.number(),
                codes::number(message.hold),
                message.by.as_ref().map(|by| by.uid),
                message.by.as_ref().map_or("", |by| by.name.as_str()),
                message.detail,
                message.attempts,
                message.last_attempt,
                message.next_attempt,
                message.in_data,
                codes::number(message.outcome),
                message.ended_at,
            ])?;
        for recipient in recipients {
            self.connection
                .prepare_cached(
                    "INSERT INTO recipient (message, n, address, original, notify, state, status, reply, relay, at, cause, subject, stage, code)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                )?
                .execute(params![
                    message.id.to_i64(),
                    recipient.n,
                    recipient.address,
                    recipient.original,
                    bits_of(recipient.notify),
                    recipient.progress.number(),
                    recipient.status,
                    recipient.reply,
                    recipient.relay,
                    recipient.at,
                    codes::number(recipient.diagnosis.cause),
                    codes::number(recipient.diagnosis.subject),
                    codes::number(recipient.diagnosis.stage),
                    recipient.diagnosis.code,
                ])?;
        }
        if message.dir != QueueDir::Cur || recipients.iter().any(|row| row.progress != Progress::Deferred) {
            self.changes(message.id);
        }
        self.record_origin(message.id, origin)
    }

    /// Marks that the final dot of this message may be sent from now on.
    pub fn mark_in_data(&self, id: QueueId) -> Result<()> {
        self.connection.prepare_cached("UPDATE message SET in_data = 1 WHERE id = ?1")?.execute([id.to_i64()])?;
        Ok(())
    }

    /// Records what an attempt found out about one recipient.
    pub fn update_recipient(&self, id: QueueId, update: &RecipientUpdate, at: i64) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE recipient SET state = ?3, status = ?4, reply = ?5, relay = ?6, at = ?7, cause = ?8, subject = ?9, stage = ?10, code = ?11
                 WHERE message = ?1 AND n = ?2",
            )?
            .execute(params![
                id.to_i64(),
                update.n,
                update.progress.number(),
                update.status,
                update.reply,
                update.relay,
                at,
                codes::number(update.diagnosis.cause),
                codes::number(update.diagnosis.subject),
                codes::number(update.diagnosis.stage),
                update.diagnosis.code,
            ])?;
        if update.progress != Progress::Deferred {
            self.changes(id);
        }
        Ok(())
    }

    /// Writes the message's schedule, where its file is, and how it ended, as `message` has them.
    pub fn update(&self, message: &Message) -> Result<()> {
        // A delay changes nothing that must survive the database.
        if message.dir != QueueDir::Cur || self.dir_of(message.id)? != Some(QueueDir::Cur) {
            self.changes(message.id);
        }
        self.connection
            .prepare_cached(
                "UPDATE message SET since = CASE WHEN dir = ?2 THEN since ELSE unixepoch() END,
                 dir = ?2, hold = ?3, by_uid = ?4, by_name = ?5, detail = ?6, attempts = ?7, last_attempt = ?8, next_attempt = ?9, in_data = ?10,
                 outcome = ?11, ended_at = ?12, expires = ?13 WHERE id = ?1",
            )?
            .execute(params![
                message.id.to_i64(),
                message.dir.number(),
                codes::number(message.hold),
                message.by.as_ref().map(|by| by.uid),
                message.by.as_ref().map_or("", |by| by.name.as_str()),
                message.detail,
                message.attempts,
                message.last_attempt,
                message.next_attempt,
                message.in_data,
                codes::number(message.outcome),
                message.ended_at,
                message.expires,
            ])?;
        Ok(())
    }

    fn dir_of(&self, id: QueueId) -> Result<Option<QueueDir>> {
        let mut statement = self.connection.prepare_cached("SELECT dir FROM message WHERE id = ?1")?;
        Ok(statement.query_row([id.to_i64()], |row| codes::get(row, 0)).optional()?)
    }

    /// The message, if it is known: waiting, or history.
    pub fn message(&self, id: QueueId) -> Result<Option<Message>> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE id = ?1"))?
            .query_row([id.to_i64()], message_of)
            .optional()?)
    }

    /// Its recipients, in the order of the envelope.
    pub fn recipients(&self, id: QueueId) -> Result<Vec<RecipientRow>> {
        Ok(self.connection
            .prepare_cached(
                "SELECT n, address, original, notify, state, status, reply, relay, at, cause, subject, stage, code FROM recipient WHERE message = ?1 ORDER BY n",
            )?
            .query_map([id.to_i64()], |row| {
                Ok(RecipientRow {
                    n: row.get(0)?,
                    address: row.get(1)?,
                    original: row.get(2)?,
                    notify: notify_of(row.get(3)?),
                    progress: codes::get(row, 4)?,
                    diagnosis: diagnosis_of(row, 9)?,
                    status: row.get(5)?,
                    reply: row.get(6)?,
                    relay: row.get(7)?,
                    at: row.get(8)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
    }
}
