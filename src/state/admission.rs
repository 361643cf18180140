//! How much mail each user has in the spool, and whether an administrator closed admission.
//!
//! In: every change of a message's row, by triggers, so that no program that changes rows can forget to count. Out: sums that are
//! right after any crash, because they change in the transaction of the row. A database of a version without them gets them when it
//! is opened.

use rusqlite::OptionalExtension;

use crate::database::State;
use crate::errors::{Result, of_form};

/// Messages count while they are queued or held. Bytes count as long as there is a file: failed mail waits for nothing, and fills the
/// disk all the same.
const CREATE: &str = "
BEGIN IMMEDIATE;
CREATE TABLE usage (uid INTEGER PRIMARY KEY, messages INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO usage SELECT uid, sum(dir < 2), sum(size) FROM message WHERE dir <> 3 GROUP BY uid;
CREATE TRIGGER usage_come AFTER INSERT ON message WHEN NEW.dir <> 3 BEGIN
    INSERT INTO usage VALUES (NEW.uid, NEW.dir < 2, NEW.size)
    ON CONFLICT (uid) DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER usage_move AFTER UPDATE OF dir ON message WHEN OLD.dir <> NEW.dir BEGIN
    INSERT INTO usage VALUES (NEW.uid, (NEW.dir < 2) - (OLD.dir < 2), NEW.size * ((NEW.dir <> 3) - (OLD.dir <> 3)))
    ON CONFLICT (uid) DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER usage_forget AFTER DELETE ON message WHEN OLD.dir <> 3 BEGIN
    UPDATE usage SET messages = messages - (OLD.dir < 2), bytes = bytes - OLD.size WHERE uid = OLD.uid;
END;
COMMIT;
";
/// Where the reason of closed admission is kept; empty while it is open.
const CLOSED: &str = "closed";

/// What one user has in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages that are queued or held.
    pub messages: u64,
    /// Bytes of all messages that have a file.
    pub bytes: u64,
}

impl State {
    /// Makes table and triggers where they are missing.
    pub(super) fn count_usage(&self) -> Result<()> {
        let has = "SELECT 1 FROM sqlite_schema WHERE name = 'usage'";
        match self.connection.query_row(has, [], |_| Ok(())).optional()? {
            Some(()) => Ok(()),
            None => self.connection.execute_batch(CREATE).map_err(of_form),
        }
    }

    /// What `uid` has in the spool.
    pub fn usage(&self, uid: u32) -> Result<Usage> {
        let found = self
            .connection
            .prepare_cached("SELECT messages, bytes FROM usage WHERE uid = ?1")?
            .query_row([uid], |row| Ok(usage_of(row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// The users who have at least `messages` messages or `bytes` bytes, and what they have.
    pub fn users_from(&self, messages: u64, bytes: u64) -> Result<Vec<(u32, Usage)>> {
        let bound = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Ok(self
            .connection
            .prepare_cached("SELECT uid, messages, bytes FROM usage WHERE messages >= ?1 OR bytes >= ?2 ORDER BY uid")?
            .query_map([bound(messages), bound(bytes)], |row| Ok((row.get(0)?, usage_of(row.get(1)?, row.get(2)?))))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// Why admission is closed; `None` while it is open.
    pub fn closed(&self) -> Result<Option<String>> {
        Ok(self.get(CLOSED)?.filter(|reason| !reason.is_empty()))
    }

    /// Closes admission for this reason, or opens it. It stays so over restarts.
    pub fn set_closed(&self, reason: Option<&str>) -> Result<()> {
        self.set(CLOSED, reason.unwrap_or_default())
    }
}

/// Sums are never negative; where a damaged database has one, it puts nobody over a quota.
fn usage_of(messages: i64, bytes: i64) -> Usage {
    Usage { messages: u64::try_from(messages).unwrap_or(0), bytes: u64::try_from(bytes).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::super::{Durability, Message, Origin, QueueDir};
    use super::*;

    fn opened() -> (tempfile::TempDir, State) {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        (scratch, state)
    }

    fn usage(messages: u64) -> Usage {
        Usage { messages, bytes: messages * 10 }
    }

    #[test]
    fn t_spool_5_what_a_user_has_in_the_spool_is_counted_whoever_changes_the_row() {
        let (_scratch, mut state) = opened();
        for n in 0..4 {
            state.insert(&Message { uid: n % 2, ..message(n) }, &[], &Origin::default()).unwrap();
        }
        assert_eq!((state.usage(0).unwrap(), state.usage(1).unwrap(), state.usage(9).unwrap()), (usage(2), usage(2), usage(0)));
        for (dir, messages) in [
            (QueueDir::Hold, 2),
            (QueueDir::Failed, 1),
            (QueueDir::Failed, 1),
            (QueueDir::Hold, 2),
            (QueueDir::Trash, 1),
            (QueueDir::Corrupt, 1),
            (QueueDir::Cur, 2),
        ] {
            state.update(&Message { dir, ..message(0) }).unwrap();
            assert_eq!(state.usage(0).unwrap(), Usage { messages, ..usage(2) }, "what failed waits for nothing, and still has its file");
        }
        state.update(&Message { dir: QueueDir::NoFile, ended_at: Some(5), ..message(0) }).unwrap();
        state.update(&Message { dir: QueueDir::NoFile, ended_at: Some(5), ..message(0) }).unwrap();
        assert_eq!(state.usage(0).unwrap(), usage(1));
        assert_eq!(state.users_from(2, u64::MAX).unwrap(), [(1, usage(2))]);
        assert_eq!(state.users_from(u64::MAX, 10).unwrap(), [(0, usage(1)), (1, usage(2))]);
        state.update(&message(0)).unwrap();
        assert_eq!(state.usage(0).unwrap(), usage(2));
        let undone = state.transaction(Durability::Full, |state| {
            state.insert(&Message { uid: 0, ..message(9) }, &[], &Origin::default())?;
            state.insert(&Message { uid: 0, ..message(9) }, &[], &Origin::default())
        });
        assert!(undone.is_err());
        assert_eq!(state.usage(0).unwrap(), usage(2));
    }

    #[test]
    fn a_database_without_sums_gets_them_when_it_is_opened() {
        let (scratch, state) = opened();
        for n in 0..3 {
            state.insert(&message(n), &[], &Origin::default()).unwrap();
        }
        state.update(&Message { dir: QueueDir::NoFile, ended_at: Some(5), ..message(0) }).unwrap();
        let drop_all = "DROP TRIGGER usage_come; DROP TRIGGER usage_move; DROP TRIGGER usage_forget; DROP TABLE usage;";
        state.connection.execute_batch(drop_all).unwrap();
        drop(state);
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        assert_eq!(state.usage(7).unwrap(), usage(2));
        state.insert(&message(3), &[], &Origin::default()).unwrap();
        assert_eq!(state.usage(7).unwrap(), usage(3));
    }

    #[test]
    fn closed_stays_closed() {
        let (scratch, state) = opened();
        assert_eq!(state.closed().unwrap(), None);
        state.set_closed(Some("moving house")).unwrap();
        drop(state);
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        assert_eq!(state.closed().unwrap().as_deref(), Some("moving house"));
        state.set_closed(None).unwrap();
        assert_eq!(state.closed().unwrap(), None);
    }
}
