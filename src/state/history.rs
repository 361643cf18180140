//! The history: who submitted each message, every attempt at it, and what else happened to it. Kept after the end of the message,
//! and deleted, the oldest first, when it is too old or too long.

use rusqlite::{OptionalExtension, params};

use crate::codes;
use crate::database::State;
use crate::errors::Result;
use crate::rows::ATTEMPT_COLUMNS;
use crate::rows::{Attempt, HistoryLine, Origin, RecipientUpdate, Transaction};
use mail::HistoryCause;
use mail::code::{Code, Happened, Op, Progress};
use mail::envelope::CallerInfo;
use mail::queue_id::QueueId;
use mail::remote_id;

impl State {
    /// Adds a line to a message's history.
    pub fn record(&self, id: QueueId, line: &HistoryLine) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO history (message, at, kind, cause, trigger, by_uid, by_name, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                id.to_i64(),
                line.at,
                line.kind.number(),
                line.cause.map(HistoryCause::number),
                codes::number(line.trigger),
                line.by.as_ref().map(|by| by.uid),
                line.by.as_ref().map_or("", |by| by.name.as_str()),
                line.detail,
            ])?;
        Ok(())
    }

    /// True if an operator had the message expire, and nobody requeued it since.
    pub fn was_expired(&self, id: QueueId) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT kind, cause FROM history WHERE message = ?1 ORDER BY seq DESC")?;
        let mut rows = statement.query([id.to_i64()])?;
        while let Some(row) = rows.next()? {
            let asked = || codes::get_option::<Op>(row, 1);
            match codes::get(row, 0)? {
                Happened::Expired => return Ok(true),
                Happened::Asked if matches!(asked()?, Some(Op::Expire | Op::Bounce)) => return Ok(true),
                Happened::Requeued => return Ok(false),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Writes down where a message came from.
    pub(super) fn record_origin(&self, id: QueueId, origin: &Origin) -> Result<()> {
        let Origin { attested, caller, warnings } = origin;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        self.connection
            .prepare_cached(
                "INSERT INTO origin (message, attested, gid, pid, exe, cwd, unit, warnings) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                id.to_i64(),
                attested,
                caller.gid,
                caller.pid,
                text(&caller.exe),
                text(&caller.cwd),
                text(&caller.unit),
                // No DSN holds a line break (Envelope::check).
                warnings.join("\n"),
            ])?;
        Ok(())
    }

    /// Where a message came from; `None` where that is not known (its row is older than schema 2).
    pub fn origin(&self, id: QueueId) -> Result<Option<Origin>> {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(self
            .connection
            .prepare_cached("SELECT attested, gid, pid, exe, cwd, unit, warnings FROM origin WHERE message = ?1")?
            .query_row([id.to_i64()], |row| {
                let (exe, cwd, unit) = (text(row.get(3)?), text(row.get(4)?), text(row.get(5)?));
                let warnings: String = row.get(6)?;
                Ok(Origin {
                    attested: row.get(0)?,
                    caller: CallerInfo { gid: row.get(1)?, pid: row.get(2)?, exe, cwd, unit },
                    warnings: warnings.lines().map(str::to_owned).collect(),
                })
            })
            .optional()?)
    }

    /// Adds an attempt at one recipient. A route that is still down for the same reason is no news: it is counted, so that a
    /// message that waits for a week behind a broken relay has one line for it.
    pub fn record_attempt(&self, id: QueueId, update: &RecipientUpdate, transaction: &Transaction, at: i64) -> Result<()> {
        if !transaction.reached && self.count_again(id, update, at)? {
            return Ok(());
        }
        let remote_id = match update.progress {
            Progress::Relayed => remote_id::of_reply(&update.reply),
            _ => None,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO attempt (message, n, seq, since, at, times, state, reached, status, reply, relay, remote_id, tls, notes, connect_ms, transaction_ms, cause, subject, stage, code)
                 SELECT ?1, ?2, ifnull(max(seq), 0) + 1, ?3, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17 FROM attempt WHERE message = ?1 AND n = ?2",
            )?
            .execute(params![
                id.to_i64(),
                update.n,
                at,
                update.progress.number(),
                transaction.reached,
                update.status,
                update.reply,
                update.relay,
                remote_id.unwrap_or_default(),
                transaction.tls,
                transaction.notes,
                transaction.connect_ms,
                transaction.transaction_ms,
                codes::number(update.diagnosis.cause),
                codes::number(update.diagnosis.subject),
                codes::number(update.diagnosis.stage),
                update.diagnosis.code,
            ])?;
        Ok(())
    }

    fn count_again(&self, id: QueueId, update: &RecipientUpdate, at: i64) -> Result<bool> {
        let counted = self
            .connection
            .prepare_cached(
                "UPDATE attempt SET at = ?6, times = times + 1
                 WHERE message = ?1 AND n = ?2 AND seq = (SELECT max(seq) FROM attempt WHERE message = ?1 AND n = ?2)
                 AND reached = 0 AND state = ?7 AND status = ?3 AND reply = ?4 AND relay = ?5",
            )?
            .execute(params![id.to_i64(), update.n, update.status, update.reply, update.relay, at, update.progress.number()])?;
        Ok(counted > 0)
    }

    /// Every attempt at a message, the oldest first.
    pub fn attempts_of(&self, id: QueueId) -> Result<Vec<Attempt>> {
        let sql = format!(
            "SELECT {ATTEMPT_COLUMNS} FROM attempt LEFT JOIN recipient ON recipient.message = attempt.message AND recipient.n = attempt.n
             WHERE attempt.message = ?1 ORDER BY attempt.at, attempt.n, attempt.seq"
        );
        Ok(self.connection.prepare_cached(&sql)?.query_map([id.to_i64()], Attempt::of)?.collect::<rusqlite::Result<_>>()?)
    }

    /// What else was recorded of a message, the oldest first.
    pub fn history(&self, id: QueueId) -> Result<Vec<HistoryLine>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT at, kind, cause, trigger, by_uid, by_name, detail FROM history WHERE message = ?1 ORDER BY seq")?;
        Ok(statement.query_map([id.to_i64()], HistoryLine::of)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets messages that ended before `before` and that no DSN is due about, the oldest first: at most `limit`, and no
    /// more once `may_go_on` says no. Returns how many.
    pub fn forget(&self, before: i64, limit: usize, mut may_go_on: impl FnMut() -> bool) -> Result<usize> {
        let ids: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT id FROM message INDEXED BY message_finished WHERE dir >= 3 AND dir <> 4 AND ended_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM dsn WHERE dsn.message = message.id) ORDER BY ended_at LIMIT ?2",
            )?
            .query_map(params![before, limit as i64], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut forgotten = 0;
        for id in ids {
            if !may_go_on() {
                break;
            }
            for table in [
                "DELETE FROM history WHERE message = ?1",
                "DELETE FROM intention WHERE message = ?1",
                "DELETE FROM attempt WHERE message = ?1",
                "DELETE FROM origin WHERE message = ?1",
                "DELETE FROM recipient WHERE message = ?1",
                "DELETE FROM dsn_recipient WHERE message = ?1",
                "DELETE FROM message WHERE id = ?1",
            ] {
                self.connection.prepare_cached(table)?.execute([id])?;
            }
            forgotten += 1;
        }
        Ok(forgotten)
    }

    /// Bytes of the database that hold something. What was deleted is used again before the file grows.
    pub fn bytes(&self) -> Result<u64> {
        let pragma = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(used.saturating_mul(pragma("page_size")?).unsigned_abs())
    }
}
