//! Numbers for people: what is in the queue, and what went through.

use rusqlite::params;

use crate::database::{Result, State};
use crate::rows::{COLUMNS, message_of};
use crate::rows::{Message, QueueDir};
use mail::queue_id::QueueId;

/// The messages of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// Where.
    pub place: QueueDir,
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
    /// Messages that ended with a recipient that failed for good, and were not requeued; removed later or not.
    pub failed: u64,
    /// Messages that were removed, failed ones too.
    pub removed: u64,
}

/// When a message that was removed later had failed for good; null where it never had. It costs its recipients, found by their key.
pub(super) const HAD_FAILED: &str = "(SELECT CASE WHEN max(state = 2) AND NOT max(state IN (0, 3)) THEN max(at) END
    FROM recipient WHERE recipient.message = message.id)";

fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> Result<u64> {
    Ok(u64::try_from(row.get::<_, Option<i64>>(column)?.unwrap_or(0)).unwrap_or(0))
}

impl State {
    /// What has a file, by place; of this user, or of all.
    pub fn in_places(&self, uid: Option<u32>) -> Result<Vec<InPlace>> {
        self.connection
            .prepare_cached(
                "SELECT place, count(*), sum(size), min(accepted) FROM message INDEXED BY message_queued
                 WHERE place < 3 AND (?1 IS NULL OR uid = ?1) GROUP BY place ORDER BY place",
            )?
            .query_map([uid], |row| {
                Ok(InPlace {
                    place: QueueDir::from_i64(row.get(0)?),
                    messages: unsigned(row, 1)?,
                    bytes: unsigned(row, 2)?,
                    oldest: row.get(3)?,
                })
            })?
            .collect()
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
        // What failed before it was removed, was so later: what ended since then is all that has to be looked at.
        let mut gone = self.connection.prepare_cached(&format!(
            "SELECT reason LIKE 'removed%', count(*), sum(CASE WHEN reason LIKE 'removed%' THEN ifnull({HAD_FAILED} >= ?1, 0) END)
             FROM message WHERE place = 3 AND finished >= ?1 AND (?2 IS NULL OR uid = ?2) GROUP BY 1"
        ))?;
        let mut rows = gone.query(params![since, uid])?;
        while let Some(row) = rows.next()? {
            *(if row.get(0)? { &mut passed.removed } else { &mut passed.relayed }) += unsigned(row, 1)?;
            passed.failed += unsigned(row, 2)?;
        }
        passed.failed += self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM message INDEXED BY message_parked
                 WHERE place IN (1, 2) AND place = 2 AND finished >= ?1 AND (?2 IS NULL OR uid = ?2)",
            )?
            .query_row(params![since, uid], |row| unsigned(row, 0))?;
        Ok(passed)
    }

    /// The latest messages that ended, delivered, removed or failed, at most `limit` of each kind; the latest first.
    pub fn latest_ended(&self, limit: usize, uid: Option<u32>) -> Result<Vec<Message>> {
        let mut latest: Vec<Message> = Vec::new();
        for (index, condition, order) in [
            ("message_finished", "place = 3 AND finished IS NOT NULL", "finished"),
            ("message_parked", "place IN (1, 2) AND place = 2", "id"),
        ] {
            let sql = format!(
                "SELECT {COLUMNS} FROM message INDEXED BY {index} WHERE {condition} AND (?1 IS NULL OR uid = ?1) ORDER BY {order} DESC LIMIT ?2"
            );
            let rows =
                self.connection.prepare_cached(&sql)?.query_map(params![uid, limit as i64], message_of)?.collect::<Result<Vec<_>>>()?;
            latest.extend(rows);
        }
        latest.sort_by_key(|message| std::cmp::Reverse((message.finished, message.id)));
        latest.truncate(limit);
        Ok(latest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, origin, recipient};
    use super::super::{Progress, RecipientRow};
    use super::*;

    #[test]
    fn what_failed_has_failed_also_when_it_is_removed_later() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        let row = |n: u32, progress, at| RecipientRow { progress, at: Some(at), ..recipient(n, "a@x.example") };
        let (waiting, relayed, failed) = (Progress::Deferred, Progress::Relayed, Progress::Failed);
        for (n, recipients) in [
            (0, [row(0, failed, 1100), row(1, relayed, 1110)]),
            (1, [row(0, failed, 1050), row(1, failed, 1060)]),
            // These never ended as failed.
            (2, [row(0, failed, 1100), row(1, waiting, 1100)]),
            (3, [row(0, relayed, 1100), row(1, relayed, 1100)]),
        ] {
            state.insert(&message(n), &recipients, &origin()).unwrap();
            let removed = Message { place: QueueDir::Ended, reason: "removed by root (uid 0)".into(), finished: Some(1200), ..message(n) };
            state.update(&removed).unwrap();
        }
        for (since, failed) in [(0, 2), (1060, 2), (1061, 1), (1110, 1), (1111, 0)] {
            assert_eq!((state.passed(since, None).unwrap().failed, state.passed(since, None).unwrap().removed), (failed, 4), "{since}");
        }
        let spans = state.ended_by_span(1000, 100, 3, None).unwrap();
        assert_eq!(spans.iter().map(|span| (span.relayed, span.failed)).collect::<Vec<_>>(), [(0, 1), (0, 1), (0, 0)]);
    }

    #[test]
    fn the_queue_by_place_and_what_ended_since() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        let ended = |n: u32, place: QueueDir, reason: &str| {
            let row = Message { place, reason: reason.into(), finished: Some(1100 + i64::from(n)), next_attempt: None, ..message(n) };
            state.insert(&message(n), &[], &origin()).unwrap();
            state.update(&row).unwrap();
        };
        state.insert(&message(0), &[], &origin()).unwrap();
        ended(1, QueueDir::Ended, "");
        ended(2, QueueDir::Ended, "removed by root (uid 0)");
        ended(3, QueueDir::Failed, "");
        let [queued, failed] = state.in_places(None).unwrap()[..] else { panic!("two places") };
        assert_eq!((queued.place, queued.messages, queued.bytes, queued.oldest), (QueueDir::Cur, 1, 10, 1000));
        assert_eq!((failed.place, failed.messages), (QueueDir::Failed, 1));
        assert_eq!(state.passed(0, Some(7)).unwrap(), Passed { accepted: 4, bytes: 40, relayed: 1, failed: 1, removed: 1 });
        assert_eq!(state.passed(1002, None).unwrap(), Passed { accepted: 2, bytes: 20, relayed: 1, failed: 1, removed: 1 });
        assert_eq!(state.passed(1102, None).unwrap(), Passed { relayed: 0, removed: 1, failed: 1, ..Passed::default() });
        assert_eq!(state.passed(0, Some(8)).unwrap(), Passed::default());
        assert!(state.in_places(Some(8)).unwrap().is_empty());
        let latest: Vec<_> = state.latest_ended(2, None).unwrap().iter().map(|m| m.id).collect();
        assert_eq!(latest, [message(3).id, message(2).id]);
        assert!(state.latest_ended(2, Some(8)).unwrap().is_empty());
    }
}
