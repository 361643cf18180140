//! What is kept in `failed/` after it ended, until its time is over.

use rusqlite::{OptionalExtension, params};

use crate::database::{Result, State};
use crate::rows::{COLUMNS, Event, Message, QueueDir, message_of};
use mail::queue_id::QueueId;

/// The kind of the line of history that says that the file was deleted.
const DISCARDED: &str = "discarded";

impl State {
    /// Messages in `failed/` that failed before `before` and that no DSN is due about, at most `limit`.
    pub fn failed_before(&self, before: i64, limit: usize) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM message INDEXED BY message_parked WHERE place IN (1, 2) AND place = 2 AND finished < ?1
             AND NOT EXISTS (SELECT 1 FROM notice WHERE notice.message = message.id) ORDER BY id LIMIT ?2"
        );
        self.connection.prepare_cached(&sql)?.query_map(params![before, limit as i64], message_of)?.collect()
    }

    /// The file of a failed message is to be deleted: the row stays, with its outcome and history. `text` says why.
    pub fn discard(&self, message: &Message, text: &str, now: i64) -> Result<()> {
        self.update(&Message { place: QueueDir::Ended, next_attempt: None, ..message.clone() })?;
        self.record(message.id, &Event { at: now, kind: DISCARDED.to_owned(), text: text.to_owned() })
    }

    /// True if the file of this message was deleted, or was about to be, because its time was over.
    pub fn was_discarded(&self, id: QueueId) -> Result<bool> {
        let found = self
            .connection
            .prepare_cached("SELECT 1 FROM event WHERE message = ?1 AND kind = ?2")?
            .query_row(params![id.to_i64(), DISCARDED], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    /// True if somebody is yet to be told about this message.
    pub fn is_dsn_due(&self, id: QueueId) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM notice WHERE message = ?1")?;
        statement.query_row([id.to_i64()], |_| Ok(())).optional().map(|found| found.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, recipient};
    use super::super::{Action, Origin};
    use super::*;

    #[test]
    fn what_failed_long_ago_is_found_unless_somebody_is_yet_to_be_told() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for n in 0..4 {
            let row = Message { reverse_path: "a@h.example".into(), ..message(n) };
            state.insert(&row, &[recipient(0, "bob@x.example")], &Origin::default()).unwrap();
        }
        for (n, place, finished) in
            [(0, QueueDir::Failed, 100), (1, QueueDir::Failed, 100), (2, QueueDir::Failed, 200), (3, QueueDir::Hold, 1)]
        {
            state.update(&Message { place, finished: Some(finished), ..message(n) }).unwrap();
        }
        state.ask_dsn(message(1).id, 0, Action::Failed).unwrap();
        state.make_dsn_due(message(1).id, 9).unwrap();
        let found = |before| state.failed_before(before, 9).unwrap().into_iter().map(|message| message.id).collect::<Vec<_>>();
        assert_eq!((found(100), found(200)), (vec![], vec![message(0).id]));
        assert_eq!(found(201), [message(0).id, message(2).id]);
        assert!(state.is_dsn_due(message(1).id).unwrap() && !state.is_dsn_due(message(0).id).unwrap());
        let row = state.message(message(0).id).unwrap().unwrap();
        state.discard(&row, "over", 300).unwrap();
        assert_eq!(found(201), [message(2).id]);
        let ended = state.message(row.id).unwrap().unwrap();
        assert_eq!((ended.place, ended.finished), (QueueDir::Ended, Some(100)), "it ended when it failed");
        assert!(state.was_discarded(row.id).unwrap() && !state.was_discarded(message(2).id).unwrap());
    }
}
