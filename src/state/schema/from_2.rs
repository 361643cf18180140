//! From schema 2 to 3: sentences become codes. The only place where an old sentence is read.
//!
//! In: a file that a program of schema 2 wrote, inside a transaction. Out: the tables of today. Relayed recipients, which are nearly
//! all, are not rewritten. What no rule fits becomes `unknown`, with its text kept for people.

use mail::Actor;
use mail::code::{Cause, Code, Happened, HoldCause, MessageEnd, Op, Progress, Trigger};
use mail::queue_id::QueueId;
use rusqlite::{Connection, params};

use self::said::{actor, diagnose, hold};
use crate::codes;
use crate::errors::Result;

mod said;

/// Columns and tables whose shape changes.
const SHAPE: &str = "
DROP TRIGGER IF EXISTS usage_come;
DROP TRIGGER IF EXISTS usage_end;
DROP TRIGGER IF EXISTS usage_move;
DROP TRIGGER IF EXISTS usage_return;
DROP TRIGGER IF EXISTS usage_forget;
DROP TABLE IF EXISTS usage;
DROP INDEX message_due;
DROP INDEX message_queued;
DROP INDEX message_parked;
DROP INDEX message_finished;
ALTER TABLE message RENAME COLUMN place TO dir;
ALTER TABLE message RENAME COLUMN finished TO ended_at;
ALTER TABLE message RENAME COLUMN reason TO detail;
ALTER TABLE message ADD COLUMN outcome INTEGER;
ALTER TABLE message ADD COLUMN hold INTEGER;
ALTER TABLE message ADD COLUMN by_uid INTEGER;
ALTER TABLE message ADD COLUMN by_name TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN since INTEGER;
ALTER TABLE message ADD COLUMN suspect INTEGER;
ALTER TABLE recipient ADD COLUMN cause INTEGER;
ALTER TABLE recipient ADD COLUMN subject INTEGER;
ALTER TABLE recipient ADD COLUMN stage INTEGER;
ALTER TABLE recipient ADD COLUMN code INTEGER;
ALTER TABLE attempt ADD COLUMN cause INTEGER;
ALTER TABLE attempt ADD COLUMN subject INTEGER;
ALTER TABLE attempt ADD COLUMN stage INTEGER;
ALTER TABLE attempt ADD COLUMN code INTEGER;
ALTER TABLE origin RENAME COLUMN notices TO warnings;
CREATE TABLE history (
    seq INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    cause INTEGER,
    trigger INTEGER,
    by_uid INTEGER,
    by_name TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT ''
);
CREATE TABLE intention (
    message INTEGER PRIMARY KEY,
    op INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    source INTEGER,
    target INTEGER,
    cause INTEGER,
    trigger INTEGER NOT NULL,
    by_uid INTEGER,
    by_name TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    at INTEGER NOT NULL
);
CREATE TABLE stray (
    name TEXT PRIMARY KEY,
    uid INTEGER NOT NULL,
    size INTEGER NOT NULL,
    at INTEGER NOT NULL,
    fault INTEGER NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, count INTEGER NOT NULL, records BLOB NOT NULL);
CREATE TABLE receiver (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, n INTEGER NOT NULL, lost INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE total (kind INTEGER PRIMARY KEY, messages INTEGER NOT NULL);
CREATE TABLE code (kind TEXT NOT NULL, number INTEGER NOT NULL, word TEXT NOT NULL, PRIMARY KEY (kind, number)) WITHOUT ROWID;
CREATE TABLE dsn (message INTEGER PRIMARY KEY, at INTEGER NOT NULL, due INTEGER NOT NULL, head BLOB, queue_id INTEGER);
INSERT INTO dsn SELECT message, at, due, head, NULL FROM notice;
DROP TABLE notice;
ALTER TABLE notice_recipient RENAME TO dsn_recipient;
";

/// How each message ended, as far as rows and kinds of history say; the first rule that fits counts.
///
/// A version 2 that finds no file says `vanished`, one that finds another file says `corrupt`, and both look like relayed mail in
/// its row. What was removed less than 25 hours ago is still in `trash/`.
const ENDS: &str = "
UPDATE message SET outcome = 7 WHERE dir = 3 AND (detail = 'its file has vanished'
    OR EXISTS (SELECT 1 FROM event WHERE event.message = message.id AND kind = 'vanished'));
UPDATE message SET outcome = 6, dir = 5 WHERE dir = 3 AND outcome IS NULL
    AND EXISTS (SELECT 1 FROM event WHERE event.message = message.id AND kind = 'corrupt');
UPDATE message SET
    outcome = CASE WHEN EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND state IN (0, 3)) THEN 5
                   WHEN EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND state = 2) THEN 2 ELSE 5 END,
    dir = CASE WHEN ended_at > unixepoch() - 90000 THEN 4 ELSE 3 END
    WHERE dir = 3 AND outcome IS NULL AND detail LIKE 'removed%';
UPDATE message SET outcome = 7 WHERE dir = 3 AND outcome IS NULL
    AND EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND state IN (0, 3));
UPDATE message SET outcome = 2 WHERE dir = 3 AND outcome IS NULL
    AND EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND state = 2);
UPDATE message SET outcome = 1 WHERE dir = 3 AND outcome IS NULL;
UPDATE message SET since = coalesce(ended_at, accepted) WHERE dir IN (1, 2, 4, 5);
";

/// What the tables are looked up and counted by.
///
/// * `message_queued` holds what has a file in the queue and nothing else: a start, a listing and a count cost what is queued, however
///   long the history is. It covers what a start compares with the directories.
/// * `message_finished` leaves out `failed/`: what is kept for a person must not be looked at each time that history is deleted.
/// * `message_lost` is as small as what was lost.
/// * `total` is raised by triggers, so that no program that changes rows can forget to count.
const INDEXES: &str = "
DROP TABLE event;
CREATE INDEX history_message ON history (message);
CREATE INDEX dsn_due ON dsn (due);
CREATE INDEX message_due ON message (next_attempt) WHERE dir = 0;
CREATE INDEX message_queued ON message (id, dir) WHERE dir < 3;
CREATE INDEX message_parked ON message (dir, id) WHERE dir IN (1, 2);
CREATE INDEX message_held ON message (hold, id) WHERE dir = 1;
CREATE INDEX message_kept ON message (dir, since) WHERE dir IN (2, 4, 5);
CREATE INDEX message_finished ON message (ended_at, outcome) WHERE dir >= 3;
CREATE INDEX message_lost ON message (ended_at) WHERE outcome IN (6, 7);
CREATE INDEX IF NOT EXISTS recipient_original ON recipient (original COLLATE NOCASE) WHERE original <> '';
INSERT INTO total SELECT 0, count(*) FROM message;
INSERT INTO total SELECT outcome, count(*) FROM message WHERE outcome IS NOT NULL GROUP BY outcome;
CREATE TRIGGER total_insert AFTER INSERT ON message BEGIN
    INSERT INTO total VALUES (0, 1) ON CONFLICT (kind) DO UPDATE SET messages = messages + 1;
    INSERT INTO total SELECT NEW.outcome, 1 WHERE NEW.outcome IS NOT NULL
        ON CONFLICT (kind) DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER total_end AFTER UPDATE OF outcome ON message WHEN OLD.outcome IS NOT NEW.outcome BEGIN
    INSERT INTO total SELECT 100, 1 WHERE OLD.outcome IS NOT NULL ON CONFLICT (kind) DO UPDATE SET messages = messages + 1;
    INSERT INTO total SELECT NEW.outcome, 1 WHERE NEW.outcome IS NOT NULL
        ON CONFLICT (kind) DO UPDATE SET messages = messages + 1;
END;
";

/// Brings the tables forward, in the transaction of the caller.
///
/// Errors: SQLite's.
pub(super) fn bring_forward(connection: &Connection) -> Result<()> {
    connection.execute_batch(SHAPE)?;
    connection.execute_batch(ENDS)?;
    recipients(connection)?;
    attempts(connection)?;
    ends_of_failed(connection)?;
    holds(connection)?;
    removals(connection)?;
    history(connection)?;
    orders(connection)?;
    pause(connection)?;
    connection.execute_batch("UPDATE run SET key = 'dsn_window' WHERE key = 'notice_window'")?;
    Ok(connection.execute_batch(INDEXES)?)
}

/// Why each recipient is as it is that was not relayed.
fn recipients(connection: &Connection) -> Result<()> {
    let mut rows = connection.prepare(
        "SELECT recipient.message, n, state, reply, status, relay, outcome FROM recipient JOIN message ON message.id = recipient.message
         WHERE state <> 1",
    )?;
    let mut lose =
        connection.prepare("UPDATE recipient SET state = 2, cause = ?3, subject = 8, status = '5.3.0' WHERE message = ?1 AND n = ?2")?;
    let mut set = connection
        .prepare("UPDATE recipient SET cause = ?3, subject = ?4, stage = ?5, code = ?6, reply = ?7 WHERE message = ?1 AND n = ?2")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (id, n, progress): (i64, u32, Progress) = (row.get(0)?, row.get(1)?, codes::get(row, 2)?);
        let lost = match codes::get_option(row, 6)? {
            Some(MessageEnd::Corrupt) => Some(Cause::Corrupt),
            Some(MessageEnd::Vanished) => Some(Cause::Vanished),
            _ => None,
        };
        // No DSN is made due about the past.
        if let Some(cause) = lost.filter(|_| progress.is_open()) {
            lose.execute(params![id, n, cause.number()])?;
            continue;
        }
        let (reply, status, relay): (String, String, String) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let (found, reply) = diagnose(progress, &reply, &status, &relay);
        let (cause, subject, stage) = (codes::number(found.cause), codes::number(found.subject), codes::number(found.stage));
        set.execute(params![id, n, cause, subject, stage, found.code, reply])?;
    }
    Ok(())
}

/// The same for the attempts of messages that have not ended. History of ended ones is shown by its text.
fn attempts(connection: &Connection) -> Result<()> {
    let mut rows = connection.prepare(
        "SELECT attempt.message, n, seq, state, reply, status, relay FROM attempt JOIN message ON message.id = attempt.message
         WHERE dir < 3 AND state <> 1",
    )?;
    let mut set = connection
        .prepare("UPDATE attempt SET cause = ?4, subject = ?5, stage = ?6, code = ?7 WHERE message = ?1 AND n = ?2 AND seq = ?3")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let key: (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (reply, status, relay): (String, String, String) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let (found, _) = diagnose(codes::get(row, 3)?, &reply, &status, &relay);
        let (cause, subject, stage) = (codes::number(found.cause), codes::number(found.subject), codes::number(found.stage));
        set.execute(params![key.0, key.1, key.2, cause, subject, stage, found.code])?;
    }
    Ok(())
}

/// What failed, failed by the gravest of its recipients.
fn ends_of_failed(connection: &Connection) -> Result<()> {
    let (bounced, expired) = (Cause::Bounced.number(), [Cause::Expired, Cause::ExpiredByOperator, Cause::DeliverBy].map(Cause::number));
    connection.execute(
        "UPDATE message SET outcome = CASE
             WHEN EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND state = 2 AND cause = ?1) THEN 4
             WHEN EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.id AND state = 2 AND cause IN (?2, ?3, ?4)) THEN 3
             ELSE 2 END
         WHERE dir = 2 OR (outcome = 2 AND dir >= 3)",
        params![bounced, expired[0], expired[1], expired[2]],
    )?;
    connection.execute("UPDATE message SET detail = '' WHERE dir = 2", [])?;
    Ok(())
}

fn holds(connection: &Connection) -> Result<()> {
    let mut rows = connection.prepare("SELECT id, detail FROM message WHERE dir = 1")?;
    let mut set = connection.prepare("UPDATE message SET hold = ?2, detail = ?3, by_uid = ?4, by_name = ?5 WHERE id = ?1")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let hold = hold(&row.get::<_, String>(1)?);
        let (uid, name) = columns_of(hold.by.as_ref());
        set.execute(params![row.get::<_, i64>(0)?, hold.cause.number(), hold.detail, uid, name])?;
    }
    Ok(())
}

/// A uid or NULL, and the name.
fn columns_of(actor: Option<&Actor>) -> (Option<u32>, &str) {
    (actor.map(|actor| actor.uid), actor.map_or("", |actor| &actor.name))
}

fn removals(connection: &Connection) -> Result<()> {
    let mut rows = connection.prepare("SELECT id, detail FROM message WHERE outcome = 5 OR (dir >= 3 AND detail LIKE 'removed%')")?;
    let mut set = connection.prepare("UPDATE message SET detail = '', by_uid = ?2, by_name = ?3 WHERE id = ?1")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let by = actor(text.strip_prefix("removed ").unwrap_or(&text));
        let (uid, name) = columns_of(by.as_ref());
        set.execute(params![row.get::<_, i64>(0)?, uid, name])?;
    }
    Ok(())
}

/// A kind of history of version 2, and what an order was about.
fn happened(kind: &str, text: &str) -> (Happened, Option<Op>) {
    let kind = match kind {
        "held" | "placed on hold" => Happened::Held,
        "released" | "released from hold" => Happened::Released,
        "requeued" => Happened::Requeued,
        "restored" => Happened::Restored,
        "removed" => Happened::Removed,
        "expired" => Happened::Expired,
        "bounced" => Happened::Bounced,
        "made due now" | "scheduled for retry" => Happened::Flushed,
        "failed" => Happened::Failed,
        "corrupt" if text == "its file has vanished" => Happened::Vanished,
        "corrupt" => Happened::Corrupt,
        "vanished" => Happened::Vanished,
        "uncertain" => Happened::Uncertain,
        "notice" => Happened::Dsn,
        "no notice" => Happened::NoDsn,
        "to be placed on hold" => return (Happened::Asked, Some(Op::Hold)),
        "to be removed" => return (Happened::Asked, Some(Op::Remove)),
        "to be expired" => return (Happened::Asked, Some(Op::Expire)),
        "to be bounced" => return (Happened::Asked, Some(Op::Bounce)),
        _ => Happened::Note,
    };
    (kind, None)
}

fn history(connection: &Connection) -> Result<()> {
    let mut rows = connection.prepare("SELECT seq, message, at, kind, text FROM event ORDER BY seq")?;
    let mut add = connection.prepare("INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (word, text): (String, String) = (row.get(3)?, row.get(4)?);
        let (kind, op) = happened(&word, &text);
        let by = actor(&text);
        let (uid, name) = columns_of(by.as_ref());
        let detail = match (&by, kind) {
            (Some(_), _) => String::new(),
            (None, Happened::Note) => format!("{word}  {text}"),
            (None, _) => text,
        };
        let cause = match (kind, &by) {
            (Happened::Held, Some(_)) => Some(HoldCause::Operator.number()),
            _ => codes::number(op),
        };
        let trigger = by.as_ref().map(|_| Trigger::Operator.number());
        let (seq, message, at): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        add.execute(params![seq, message, at, kind.number(), cause, trigger, uid, name, detail])?;
    }
    Ok(())
}

/// What operators wanted done after an attempt.
fn orders(connection: &Connection) -> Result<()> {
    const KEY: &str = "order:";
    let mut rows = connection.prepare("SELECT key, value FROM run WHERE substr(key, 1, 6) = ?1")?;
    let mut add = connection
        .prepare("INSERT INTO intention (message, op, phase, trigger, by_uid, by_name, at) VALUES (?1, ?2, 0, ?3, ?4, ?5, unixepoch())")?;
    let mut found = rows.query([KEY])?;
    while let Some(row) = found.next()? {
        let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
        let id = key.strip_prefix(KEY).and_then(|id| QueueId::parse(id.as_bytes()));
        let (Some(id), Some((word, by))) = (id, value.split_once(' ')) else { continue };
        let op = if word == "hold" { Op::Hold } else { Op::Remove };
        let by = actor(by);
        let (uid, name) = columns_of(by.as_ref());
        add.execute(params![id.to_i64(), op.number(), Trigger::Operator.number(), uid, name])?;
    }
    connection.execute("DELETE FROM run WHERE substr(key, 1, 6) = ?1", [KEY])?;
    Ok(())
}

/// Since when delivery is paused, and by whom.
fn pause(connection: &Connection) -> Result<()> {
    let since = connection.prepare("SELECT value FROM run WHERE key = 'paused'")?.query_map([], |row| row.get::<_, String>(0))?.next();
    let Some((at, by)) = since.transpose()?.as_deref().and_then(said::paused) else { return Ok(()) };
    let mut set = connection.prepare("INSERT INTO run VALUES (?1, ?2)")?;
    for (key, value) in [("paused_at", at.to_string()), ("paused_uid", by.uid.to_string()), ("paused_name", by.name)] {
        set.execute([key, &value])?;
    }
    connection.execute("DELETE FROM run WHERE key = 'paused'", [])?;
    Ok(())
}

#[cfg(test)]
mod tests;
