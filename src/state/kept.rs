//! What is kept in `failed/` and `corrupt/` after it ended, until its time is over.

use rusqlite::{OptionalExtension, params};

use crate::database::State;
use crate::errors::Result;
use crate::rows::{COLUMNS, HistoryLine, Message, message_of};
use mail::code::{Code, Happened, QueueDir, Trigger};
use mail::queue_id::QueueId;

impl State {
    /// Messages whose file has been in `dir`, which is `failed/` or `corrupt/`, since before `before`, and that no DSN is due about: the
    /// longest first, at most `limit`.
    pub fn kept_before(&self, dir: QueueDir, before: i64, limit: usize) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM message INDEXED BY message_kept WHERE dir IN (2, 4, 5) AND dir = ?1 AND since < ?2
             AND NOT EXISTS (SELECT 1 FROM dsn WHERE dsn.message = message.id)
             AND NOT EXISTS (SELECT 1 FROM intention WHERE intention.message = message.id) ORDER BY since LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map(params![dir.number(), before, limit as i64], message_of)?.collect::<rusqlite::Result<_>>()?)
    }

    /// The file of a message that has ended is to be deleted, because its time is over: the row stays, with its outcome and history.
    pub fn discard(&self, message: &Message, now: i64) -> Result<()> {
        self.update(&Message { dir: QueueDir::NoFile, next_attempt: None, ..message.clone() })?;
        let line = HistoryLine { trigger: Some(Trigger::Lifetime), ..HistoryLine::new(now, Happened::Discarded) };
        self.record(message.id, &line)
    }

    /// True if the file of this message was deleted, or was about to be, because its time was over.
    pub fn was_discarded(&self, id: QueueId) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM history WHERE message = ?1 AND kind = ?2")?;
        Ok(statement.query_row(params![id.to_i64(), Happened::Discarded.number()], |_| Ok(())).optional()?.is_some())
    }

    /// True if a DSN about this message is due.
    pub fn is_dsn_due(&self, id: QueueId) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM dsn WHERE message = ?1")?;
        Ok(statement.query_row([id.to_i64()], |_| Ok(())).optional()?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, recipient};
    use super::super::{Action, Origin};
    use super::*;
    use mail::code::MessageEnd;

    #[test]
    fn what_failed_long_ago_is_found_unless_somebody_is_yet_to_be_told() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for (n, dir, since) in [(0, QueueDir::Failed, 100), (1, QueueDir::Failed, 100), (2, QueueDir::Failed, 200), (3, QueueDir::Hold, 1)]
        {
            let mut row = Message { reverse_path: "a@h.example".into(), ..message(n) };
            state.insert(&row, &[recipient(0, "bob@x.example")], &Origin::default()).unwrap();
            row.end(dir, MessageEnd::Failed, 50);
            state.update(&row).unwrap();
            state.connection.execute("UPDATE message SET since = ?1 WHERE id = ?2", [since, row.id.to_i64()]).unwrap();
        }
        state.ask_dsn(message(1).id, 0, Action::Failed).unwrap();
        state.make_dsn_due(message(1).id, 9).unwrap();
        let ids = |rows: Vec<Message>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        let found = |before| ids(state.kept_before(QueueDir::Failed, before, 9).unwrap());
        assert_eq!((found(100), found(200)), (vec![], vec![message(0).id]));
        assert_eq!(found(201), [message(0).id, message(2).id]);
        assert!(state.is_dsn_due(message(1).id).unwrap() && !state.is_dsn_due(message(0).id).unwrap());
        let row = state.message(message(0).id).unwrap().unwrap();
        state.discard(&row, 300).unwrap();
        assert_eq!(found(201), [message(2).id]);
        let ended = state.message(row.id).unwrap().unwrap();
        assert_eq!((ended.dir, ended.outcome, ended.ended_at), (QueueDir::NoFile, Some(MessageEnd::Failed), Some(50)));
        assert!(state.was_discarded(row.id).unwrap() && !state.was_discarded(message(2).id).unwrap());
    }
}
