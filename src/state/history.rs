//! The history: who submitted each message, every attempt at it, and what else happened to it. Kept after the end of the message,
//! and deleted, the oldest first, when it is too old or too long.

use rusqlite::{OptionalExtension, params};

use crate::database::{Result, State};
use crate::rows::ATTEMPT_COLUMNS;
use crate::rows::{Attempt, Event, Origin, Progress, RecipientUpdate, Transaction};
use mail::envelope::CallerInfo;
use mail::printable::counted;
use mail::queue_id::QueueId;
use mail::remote_id;

impl State {
    /// Adds a line to a message's history.
    pub fn record(&self, id: QueueId, event: &Event) -> Result<()> {
        self.connection
            .prepare_cached("INSERT INTO event (message, at, kind, text) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id.to_i64(), event.at, event.kind, event.text])
            .map(|_| ())
    }

    /// True if an operator had the message expire, and nobody requeued it since.
    pub fn was_expired(&self, id: QueueId) -> Result<bool> {
        let last: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT kind FROM event WHERE message = ?1 AND kind IN ('expired', 'to be expired', 'to be bounced', 'requeued')
                 ORDER BY seq DESC LIMIT 1",
            )?
            .query_row([id.to_i64()], |row| row.get(0))
            .optional()?;
        Ok(last.is_some_and(|kind| kind != "requeued"))
    }

    /// Writes down where a message came from.
    pub(super) fn record_origin(&self, id: QueueId, origin: &Origin) -> Result<()> {
        let Origin { attested, caller, warnings } = origin;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        self.connection
            .prepare_cached(
                "INSERT INTO origin (message, attested, gid, pid, exe, cwd, unit, notices) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
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
            ])
            .map(|_| ())
    }

    /// Where a message came from; `None` where that is not known (its row is older than schema 2).
    pub fn origin(&self, id: QueueId) -> Result<Option<Origin>> {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        self.connection
            .prepare_cached("SELECT attested, gid, pid, exe, cwd, unit, notices FROM origin WHERE message = ?1")?
            .query_row([id.to_i64()], |row| {
                let (exe, cwd, unit) = (text(row.get(3)?), text(row.get(4)?), text(row.get(5)?));
                let warnings: String = row.get(6)?;
                Ok(Origin {
                    attested: row.get(0)?,
                    caller: CallerInfo { gid: row.get(1)?, pid: row.get(2)?, exe, cwd, unit },
                    warnings: warnings.lines().map(str::to_owned).collect(),
                })
            })
            .optional()
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
                "INSERT INTO attempt (message, n, seq, since, at, times, state, reached, status, reply, relay, remote_id, tls, notes, connect_ms, transaction_ms)
                 SELECT ?1, ?2, ifnull(max(seq), 0) + 1, ?3, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 FROM attempt WHERE message = ?1 AND n = ?2",
            )?
            .execute(params![
                id.to_i64(),
                update.n,
                at,
                update.progress as i64,
                transaction.reached,
                update.status,
                update.reply,
                update.relay,
                remote_id.unwrap_or_default(),
                transaction.tls,
                transaction.notes,
                transaction.connect_ms,
                transaction.transaction_ms,
            ])
            .map(|_| ())
    }

    fn count_again(&self, id: QueueId, update: &RecipientUpdate, at: i64) -> Result<bool> {
        let counted = self
            .connection
            .prepare_cached(
                "UPDATE attempt SET at = ?6, times = times + 1
                 WHERE message = ?1 AND n = ?2 AND seq = (SELECT max(seq) FROM attempt WHERE message = ?1 AND n = ?2)
                 AND reached = 0 AND state = ?7 AND status = ?3 AND reply = ?4 AND relay = ?5",
            )?
            .execute(params![id.to_i64(), update.n, update.status, update.reply, update.relay, at, update.progress as i64])?;
        Ok(counted > 0)
    }

    /// Every attempt at a message, the oldest first.
    pub fn attempts_of(&self, id: QueueId) -> Result<Vec<Attempt>> {
        let sql = format!(
            "SELECT {ATTEMPT_COLUMNS} FROM attempt LEFT JOIN recipient ON recipient.message = attempt.message AND recipient.n = attempt.n
             WHERE attempt.message = ?1 ORDER BY attempt.at, attempt.n, attempt.seq"
        );
        self.connection.prepare_cached(&sql)?.query_map([id.to_i64()], Attempt::of)?.collect()
    }

    /// The history of a message as lines, the oldest first: its acceptance, its attempts, and what else was recorded.
    pub fn events(&self, id: QueueId) -> Result<Vec<Event>> {
        let mut events: Vec<Event> = self.acceptance(id)?.into_iter().collect();
        events.extend(
            self.connection
                .prepare_cached("SELECT at, kind, text FROM event WHERE message = ?1 ORDER BY seq")?
                .query_map([id.to_i64()], |row| Ok(Event { at: row.get(0)?, kind: row.get(1)?, text: row.get(2)? }))?
                .collect::<Result<Vec<_>>>()?,
        );
        events.extend(self.attempts_of(id)?.iter().map(Event::of_attempt));
        // A stable sort: what was recorded in one second stays in its order.
        events.sort_by_key(|event| event.at);
        Ok(events)
    }

    /// The first line. Rows of schema 1 have it as an event.
    fn acceptance(&self, id: QueueId) -> Result<Option<Event>> {
        self.connection
            .prepare_cached(
                "SELECT accepted, uid, size, (SELECT count(*) FROM recipient WHERE recipient.message = message.id)
                 FROM message JOIN origin ON origin.message = message.id WHERE message.id = ?1",
            )?
            .query_row([id.to_i64()], |row| {
                let (uid, size, count): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
                let recipients = counted(usize::try_from(count).unwrap_or(0), "recipient");
                Ok(Event { at: row.get(0)?, kind: "accepted".to_owned(), text: format!("uid {uid}, {size} bytes, {recipients}") })
            })
            .optional()
    }

    /// Forgets messages that finished before `before` and that no DSN is due about, the oldest first: at most `limit`, and no
    /// more once `may_go_on` says no. Returns how many.
    pub fn forget(&self, before: i64, limit: usize, mut may_go_on: impl FnMut() -> bool) -> Result<usize> {
        let ids: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT id FROM message INDEXED BY message_finished WHERE place = 3 AND finished < ?1
                 AND NOT EXISTS (SELECT 1 FROM notice WHERE notice.message = message.id) ORDER BY finished LIMIT ?2",
            )?
            .query_map(params![before, limit as i64], |row| row.get(0))?
            .collect::<Result<_>>()?;
        let mut forgotten = 0;
        for id in ids {
            if !may_go_on() {
                break;
            }
            for table in [
                "DELETE FROM event WHERE message = ?1",
                "DELETE FROM attempt WHERE message = ?1",
                "DELETE FROM origin WHERE message = ?1",
                "DELETE FROM recipient WHERE message = ?1",
                "DELETE FROM notice_recipient WHERE message = ?1",
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
