//! What a page about the whole system shows: what waits for whom, what ended when, what failed last.

use rusqlite::params;

use crate::database::{Result, State};
use crate::rows::Message;
use crate::rows::{COLUMNS, message_of};
use crate::stats::HAD_FAILED;
use mail::queue_id::QueueId;

/// A recipient who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The forward-path.
    pub address: String,
    /// When the message was accepted, unix seconds.
    pub accepted: i64,
    /// What the last attempt said; empty before the first.
    pub reply: String,
    /// When it was, unix seconds.
    pub at: Option<i64>,
}

/// Messages of one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Accepted in it.
    pub accepted: u64,
    /// Those of which every recipient was relayed in it.
    pub relayed: u64,
    /// Those that failed in it, and were not requeued; removed later or not.
    pub failed: u64,
}

/// The count of a span that a question is about.
type Count = fn(&mut Ended) -> &mut u64;

impl State {
    /// Calls `each` for every recipient of `cur/` and `hold/` who still waits; of this user's messages, or of all.
    pub fn each_waiting(&self, uid: Option<u32>, mut each: impl FnMut(Waits)) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT recipient.address, message.accepted, recipient.reply, recipient.at
             FROM message INDEXED BY message_queued CROSS JOIN recipient ON recipient.message = message.id
             WHERE message.place < 3 AND message.place < 2 AND recipient.state IN (0, 3) AND (?1 IS NULL OR message.uid = ?1)",
        )?;
        let mut rows = statement.query([uid])?;
        while let Some(row) = rows.next()? {
            each(Waits { address: row.get(0)?, accepted: row.get(1)?, reply: row.get(2)?, at: row.get(3)? });
        }
        Ok(())
    }

    /// What came and ended in each of `count` spans of `width` seconds from `since` on, unix seconds; of this user, or of all. What
    /// history forgot is not counted, and a message that was removed is not relayed, and failed only if it had failed before.
    pub fn ended_by_span(&self, since: i64, width: i64, count: usize, uid: Option<u32>) -> Result<Vec<Ended>> {
        let mut spans = vec![Ended::default(); count];
        // The id begins with the time of arrival, so that nothing older is read.
        let first = QueueId::new(u32::try_from(since).unwrap_or(0), 0).to_i64();
        let removed = format!(
            "SELECT (had_failed - ?3) / ?4, count(*) FROM
                 (SELECT {HAD_FAILED} AS had_failed FROM message INDEXED BY message_finished
                  WHERE place = 3 AND finished >= ?1 AND (?2 IS NULL OR uid = ?2) AND reason LIKE 'removed%')
             WHERE had_failed >= ?1 GROUP BY 1"
        );
        let queries: [(&str, i64, Count); 4] = [
            ("SELECT (accepted - ?3) / ?4, count(*) FROM message WHERE id >= ?1 AND (?2 IS NULL OR uid = ?2) GROUP BY 1", first, |span| {
                &mut span.accepted
            }),
            (
                "SELECT (finished - ?3) / ?4, count(*) FROM message INDEXED BY message_finished
                 WHERE place = 3 AND finished >= ?1 AND (?2 IS NULL OR uid = ?2) AND reason NOT LIKE 'removed%' GROUP BY 1",
                since,
                |span| &mut span.relayed,
            ),
            (
                "SELECT (finished - ?3) / ?4, count(*) FROM message INDEXED BY message_parked
                 WHERE place IN (1, 2) AND place = 2 AND finished >= ?1 AND (?2 IS NULL OR uid = ?2) GROUP BY 1",
                since,
                |span| &mut span.failed,
            ),
            (&removed, since, |span| &mut span.failed),
        ];
        for (sql, from, count_of) in queries {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![from, uid, since, width])?;
            while let Some(row) = rows.next()? {
                let span = usize::try_from(row.get::<_, i64>(0)?).ok().and_then(|at| spans.get_mut(at));
                if let Some(span) = span {
                    *count_of(span) += u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                }
            }
        }
        Ok(spans)
    }

    /// The messages in `failed/`, the latest accepted first, at most `limit`; of this user, or of all.
    pub fn latest_failed(&self, limit: usize, uid: Option<u32>) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM message INDEXED BY message_parked
             WHERE place IN (1, 2) AND place = 2 AND (?1 IS NULL OR uid = ?1) ORDER BY id DESC LIMIT ?2"
        );
        self.connection.prepare_cached(&sql)?.query_map(params![uid, limit as i64], message_of)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::super::{Origin, Progress, QueueDir, RecipientRow, RecipientUpdate};
    use super::*;
    use mail::envelope::Notify;

    fn recipient(n: u32, address: &str) -> RecipientRow {
        RecipientRow {
            n,
            address: address.to_owned(),
            original: String::new(),
            notify: Notify::parse("failure").unwrap(),
            progress: Progress::Deferred,
            status: String::new(),
            reply: String::new(),
            relay: String::new(),
            at: None,
        }
    }

    /// Messages accepted at 1000: waiting, failed at 1070, relayed at 1010, removed at 1010; the last is another user's.
    fn state() -> (tempfile::TempDir, State) {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        let rows = [
            (QueueDir::Cur, None, "", 7),
            (QueueDir::Failed, Some(1070), "", 7),
            (QueueDir::Ended, Some(1010), "", 7),
            (QueueDir::Ended, Some(1010), "removed", 7),
            (QueueDir::Hold, None, "", 8),
        ];
        for (n, (place, finished, reason, uid)) in (0u32..).zip(rows) {
            let row = Message { place, finished, reason: reason.to_owned(), uid, ..message(n) };
            let recipients = [recipient(0, "a@x.example"), recipient(1, "b@y.example")];
            state.insert(&row, &recipients, &Origin::default()).unwrap();
            state.update(&row).unwrap();
        }
        let update =
            RecipientUpdate { n: 1, progress: Progress::Relayed, status: String::new(), reply: String::new(), relay: String::new() };
        state.update_recipient(message(0).id, &update, 1005).unwrap();
        (scratch, state)
    }

    #[test]
    fn who_waits_is_named_and_nobody_else() {
        let (_scratch, state) = state();
        let waiting = |uid| {
            let mut found = Vec::new();
            state.each_waiting(uid, |one| found.push(one.address)).unwrap();
            found
        };
        assert_eq!(waiting(Some(7)), ["a@x.example"]);
        assert_eq!(waiting(None), ["a@x.example", "a@x.example", "b@y.example"]);
    }

    #[test]
    fn what_ended_is_counted_in_its_span_and_what_was_removed_is_not() {
        let (_scratch, state) = state();
        let spans = state.ended_by_span(1000, 60, 2, Some(7)).unwrap();
        assert_eq!(spans, [Ended { accepted: 4, relayed: 1, failed: 0 }, Ended { accepted: 0, relayed: 0, failed: 1 }]);
        assert_eq!(state.ended_by_span(1000, 60, 1, None).unwrap(), [Ended { accepted: 5, relayed: 1, failed: 0 }]);
        assert_eq!(state.latest_failed(9, None).unwrap().len(), 1);
        assert!(state.latest_failed(9, Some(8)).unwrap().is_empty());
    }
}
