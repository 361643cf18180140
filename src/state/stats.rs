//! Numbers for people: what is in the queue, and what went through.

use rusqlite::params;

use crate::codes;
use crate::database::State;
use crate::errors::Result;
use crate::rows::Message;
use crate::rows::{COLUMNS, message_of};
use mail::code::{MessageEnd, QueueDir};
use mail::queue_id::QueueId;

/// The messages of one directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InDir {
    /// Where.
    pub dir: QueueDir,
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was accepted, unix seconds.
    pub oldest: i64,
}

/// What came and ended since some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Messages accepted.
    pub accepted: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages of which every recipient was relayed.
    pub relayed: u64,
    /// Messages of which a recipient failed for good, and that were not requeued; removed later or not.
    pub failed: u64,
    /// Messages that were removed while a recipient was open.
    pub removed: u64,
    /// Messages that this host lost.
    pub lost: u64,
}

/// Kinds of the table `total` that are no [`MessageEnd`].
const ACCEPTED: i64 = 0;
const REOPENED: i64 = 100;

/// All messages since the database was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Accepted.
    pub accepted: u64,
    /// Ended and then requeued.
    pub reopened: u64,
    /// Ended, by how they did.
    pub ended: Vec<(MessageEnd, u64)>,
}

impl Passed {
    /// Where messages with this end are counted.
    fn count_of(&mut self, end: MessageEnd) -> &mut u64 {
        match end {
            MessageEnd::Relayed => &mut self.relayed,
            MessageEnd::Failed | MessageEnd::Expired | MessageEnd::Bounced => &mut self.failed,
            MessageEnd::Removed => &mut self.removed,
            MessageEnd::Corrupt | MessageEnd::Vanished => &mut self.lost,
        }
    }
}

/// How many messages ended in which way since ?1, of user ?2 or of all: those whose file is gone or parked, and those in `failed/`.
const ENDED: [&str; 2] = [
    "SELECT outcome, count(*) FROM message INDEXED BY message_finished
     WHERE dir >= 3 AND ended_at >= ?1 AND outcome IS NOT NULL AND (?2 IS NULL OR uid = ?2) GROUP BY outcome",
    "SELECT outcome, count(*) FROM message INDEXED BY message_parked
     WHERE dir IN (1, 2) AND dir = 2 AND ended_at >= ?1 AND outcome IS NOT NULL AND (?2 IS NULL OR uid = ?2) GROUP BY outcome",
];

fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, Option<i64>>(column)?.unwrap_or(0)).unwrap_or(0))
}

impl State {
    /// What has a file, by directory; of this user, or of all.
    pub fn in_dirs(&self, uid: Option<u32>) -> Result<Vec<InDir>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT dir, count(*), sum(size), min(accepted) FROM message INDEXED BY message_queued
             WHERE dir < 3 AND (?1 IS NULL OR uid = ?1) GROUP BY dir ORDER BY dir",
        )?;
        let in_dir = |row: &rusqlite::Row<'_>| {
            Ok(InDir { dir: codes::get(row, 0)?, messages: unsigned(row, 1)?, bytes: unsigned(row, 2)?, oldest: row.get(3)? })
        };
        Ok(statement.query_map([uid], in_dir)?.collect::<rusqlite::Result<_>>()?)
    }

    /// What came and ended from `since` on, unix seconds; of this user, or of all. What is forgotten is not counted.
    pub fn passed(&self, since: i64, uid: Option<u32>) -> Result<Passed> {
        // The id begins with the time, so the table is in the order of arrival.
        let first = QueueId::new(u32::try_from(since).unwrap_or(0), 0).to_i64();
        let mut passed = self
            .connection
            .prepare_cached("SELECT count(*), sum(size) FROM message WHERE id >= ?1 AND (?2 IS NULL OR uid = ?2)")?
            .query_row(params![first, uid], |row| {
                Ok(Passed { accepted: unsigned(row, 0)?, bytes: unsigned(row, 1)?, ..Passed::default() })
            })?;
        for sql in ENDED {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![since, uid])?;
            while let Some(row) = rows.next()? {
                *passed.count_of(codes::get(row, 0)?) += unsigned(row, 1)?;
            }
        }
        Ok(passed)
    }

    /// Every message ever: those accepted, those that ended in each way, and those that were open again after they had ended. What
    /// history forgot is counted: accepted and reopened = all ends + what has none.
    pub fn totals(&self) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut statement = self.connection.prepare_cached("SELECT kind, messages FROM total")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let messages = unsigned(row, 1)?;
            match row.get::<_, i64>(0)? {
                ACCEPTED => totals.accepted = messages,
                REOPENED => totals.reopened = messages,
                _ => totals.ended.push((codes::get(row, 0)?, messages)),
            }
        }
        Ok(totals)
    }

    /// The latest messages that ended, delivered, removed or failed, at most `limit` of each kind; the latest first.
    pub fn latest_ended(&self, limit: usize, uid: Option<u32>) -> Result<Vec<Message>> {
        let mut latest: Vec<Message> = Vec::new();
        for (index, condition, order) in
            [("message_finished", "dir >= 3 AND ended_at IS NOT NULL", "ended_at"), ("message_parked", "dir IN (1, 2) AND dir = 2", "id")]
        {
            let sql = format!(
                "SELECT {COLUMNS} FROM message INDEXED BY {index} WHERE {condition} AND (?1 IS NULL OR uid = ?1) ORDER BY {order} DESC LIMIT ?2"
            );
            let rows = self
                .connection
                .prepare_cached(&sql)?
                .query_map(params![uid, limit as i64], message_of)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            latest.extend(rows);
        }
        latest.sort_by_key(|message| std::cmp::Reverse((message.ended_at, message.id)));
        latest.truncate(limit);
        Ok(latest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, origin};
    use super::*;
    use mail::code::Code;

    #[test]
    fn what_failed_has_failed_also_when_it_is_removed_later() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for (n, failed_at) in [(0, Some(1110)), (1, Some(1060)), (2, None), (3, None)] {
            state.insert(&message(n), &[], &origin()).unwrap();
            let mut row = message(n);
            if let Some(at) = failed_at {
                row.end(QueueDir::Failed, MessageEnd::Failed, at);
            }
            row.end(QueueDir::Trash, MessageEnd::Removed, 1200);
            state.update(&row).unwrap();
        }
        for (since, failed) in [(0, 2), (1060, 2), (1061, 1), (1110, 1), (1111, 0)] {
            assert_eq!((state.passed(since, None).unwrap().failed, state.passed(since, None).unwrap().removed), (failed, 2), "{since}");
        }
        let spans = state.ended_by_span(1000, 100, 3, None).unwrap();
        assert_eq!(spans.iter().map(|span| (span.relayed, span.failed)).collect::<Vec<_>>(), [(0, 1), (0, 1), (0, 0)]);
    }

    #[test]
    fn the_books_balance_whatever_happens_to_a_message() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for (n, end) in (0u32..).zip(MessageEnd::ALL) {
            state.insert(&message(n), &[], &origin()).unwrap();
            let mut row = message(n);
            row.end(QueueDir::NoFile, *end, 1100);
            state.update(&row).unwrap();
        }
        let mut again = state.message(message(1).id).unwrap().unwrap();
        again.open(1200);
        state.update(&again).unwrap();
        state.forget(5000, 9, || true).unwrap();
        let totals = state.totals().unwrap();
        let ended: u64 = totals.ended.iter().map(|(_, messages)| messages).sum();
        assert_eq!((totals.accepted, totals.reopened, ended), (7, 1, 7));
        assert_eq!(totals.accepted + totals.reopened, ended + state.counts().unwrap()[0]);
    }

    #[test]
    fn the_queue_by_directory_and_what_ended_since() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        let ended = |n: u32, dir, end| {
            let mut row = message(n);
            row.end(dir, end, 1100 + i64::from(n));
            state.insert(&message(n), &[], &origin()).unwrap();
            state.update(&row).unwrap();
        };
        state.insert(&message(0), &[], &origin()).unwrap();
        ended(1, QueueDir::NoFile, MessageEnd::Relayed);
        ended(2, QueueDir::Trash, MessageEnd::Removed);
        ended(3, QueueDir::Failed, MessageEnd::Expired);
        ended(4, QueueDir::NoFile, MessageEnd::Vanished);
        ended(5, QueueDir::Corrupt, MessageEnd::Corrupt);
        let [queued, failed] = state.in_dirs(None).unwrap()[..] else { panic!("two directories") };
        assert_eq!((queued.dir, queued.messages, queued.bytes, queued.oldest), (QueueDir::Cur, 1, 10, 1000));
        assert_eq!((failed.dir, failed.messages), (QueueDir::Failed, 1));
        let all = Passed { accepted: 6, bytes: 60, relayed: 1, failed: 1, removed: 1, lost: 2 };
        assert_eq!(state.passed(0, Some(7)).unwrap(), all);
        assert_eq!(state.passed(1004, None).unwrap(), Passed { accepted: 2, bytes: 20, ..all });
        assert_eq!(state.passed(1104, None).unwrap(), Passed { lost: 2, ..Passed::default() });
        assert_eq!(state.passed(0, Some(8)).unwrap(), Passed::default());
        assert!(state.in_dirs(Some(8)).unwrap().is_empty());
        let latest: Vec<_> = state.latest_ended(2, None).unwrap().iter().map(|m| m.id).collect();
        assert_eq!(latest, [message(5).id, message(4).id]);
        assert!(state.latest_ended(2, Some(8)).unwrap().is_empty());
    }
}
