//! What a page about the whole system shows: what waits for whom, what ended when, what failed last.

use rusqlite::params;

use crate::codes;
use crate::database::State;
use crate::errors::Result;
use crate::rows::Message;
use crate::rows::{COLUMNS, diagnosis_of, message_of};
use mail::Diagnosis;
use mail::code::MessageEnd;
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
    /// Why it waits.
    pub diagnosis: Diagnosis,
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
    /// Those that this host lost in it.
    pub lost: u64,
}

impl Ended {
    /// Where messages with this end are counted, if they are.
    fn count_of(&mut self, end: MessageEnd) -> Option<&mut u64> {
        match end {
            MessageEnd::Relayed => Some(&mut self.relayed),
            MessageEnd::Failed | MessageEnd::Expired | MessageEnd::Bounced => Some(&mut self.failed),
            MessageEnd::Corrupt | MessageEnd::Vanished => Some(&mut self.lost),
            MessageEnd::Removed => None,
        }
    }
}

/// What ended in which span and how: those whose file is gone or parked, and those in `failed/`.
const ENDED: [&str; 2] = [
    "SELECT (ended_at - ?3) / ?4, count(*), outcome FROM message INDEXED BY message_finished
     WHERE dir >= 3 AND ended_at >= ?1 AND outcome IS NOT NULL AND (?2 IS NULL OR uid = ?2) GROUP BY 1, 3",
    "SELECT (ended_at - ?3) / ?4, count(*), outcome FROM message INDEXED BY message_parked
     WHERE dir IN (1, 2) AND dir = 2 AND ended_at >= ?1 AND outcome IS NOT NULL AND (?2 IS NULL OR uid = ?2) GROUP BY 1, 3",
];
const ACCEPTED: &str = "SELECT (accepted - ?3) / ?4, count(*), NULL FROM message WHERE id >= ?1 AND (?2 IS NULL OR uid = ?2) GROUP BY 1";

impl State {
    /// Calls `each` for every recipient of `cur/` and `hold/` who still waits; of this user's messages, or of all.
    pub fn each_waiting(&self, uid: Option<u32>, mut each: impl FnMut(Waits)) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT recipient.address, message.accepted, recipient.reply, recipient.at, recipient.cause, recipient.subject, recipient.stage, recipient.code
             FROM message INDEXED BY message_queued CROSS JOIN recipient ON recipient.message = message.id
             WHERE message.dir < 3 AND message.dir < 2 AND recipient.state IN (0, 3) AND (?1 IS NULL OR message.uid = ?1)",
        )?;
        let mut rows = statement.query([uid])?;
        while let Some(row) = rows.next()? {
            each(Waits {
                address: row.get(0)?,
                accepted: row.get(1)?,
                reply: row.get(2)?,
                at: row.get(3)?,
                diagnosis: diagnosis_of(row, 4)?,
            });
        }
        Ok(())
    }

    /// What came and ended in each of `count` spans of `width` seconds from `since` on, unix seconds; of this user, or of all. What
    /// history forgot is not counted, and a message that was removed is not relayed, and failed only if it had failed before.
    pub fn ended_by_span(&self, since: i64, width: i64, count: usize, uid: Option<u32>) -> Result<Vec<Ended>> {
        let mut spans = vec![Ended::default(); count];
        // The id begins with the time of arrival, so that nothing older is read.
        let first = QueueId::new(u32::try_from(since).unwrap_or(0), 0).to_i64();
        for (sql, from) in [(ACCEPTED, first), (ENDED[0], since), (ENDED[1], since)] {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![from, uid, since, width])?;
            while let Some(row) = rows.next()? {
                let Some(span) = usize::try_from(row.get::<_, i64>(0)?).ok().and_then(|at| spans.get_mut(at)) else { continue };
                let count = match codes::get_option(row, 2)? {
                    None => Some(&mut span.accepted),
                    Some(end) => span.count_of(end),
                };
                if let Some(count) = count {
                    *count += u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                }
            }
        }
        Ok(spans)
    }

    /// The latest messages that this host lost, at most `limit`; of this user, or of all.
    pub fn latest_lost(&self, limit: usize, uid: Option<u32>) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM message INDEXED BY message_lost
             WHERE outcome IN (6, 7) AND (?1 IS NULL OR uid = ?1) ORDER BY ended_at DESC LIMIT ?2"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map(params![uid, limit as i64], message_of)?.collect::<rusqlite::Result<_>>()?)
    }

    /// The messages in `failed/`, the latest accepted first, at most `limit`; of this user, or of all.
    pub fn latest_failed(&self, limit: usize, uid: Option<u32>) -> Result<Vec<Message>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM message INDEXED BY message_parked
             WHERE dir IN (1, 2) AND dir = 2 AND (?1 IS NULL OR uid = ?1) ORDER BY id DESC LIMIT ?2"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map(params![uid, limit as i64], message_of)?.collect::<rusqlite::Result<_>>()?)
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
            diagnosis: Diagnosis::default(),
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
            (QueueDir::Cur, None, 7),
            (QueueDir::Failed, Some((MessageEnd::Failed, 1070)), 7),
            (QueueDir::NoFile, Some((MessageEnd::Relayed, 1010)), 7),
            (QueueDir::Trash, Some((MessageEnd::Removed, 1010)), 7),
            (QueueDir::Hold, None, 8),
        ];
        for (n, (dir, end, uid)) in (0u32..).zip(rows) {
            let (outcome, ended_at) = end.unzip();
            let row = Message { dir, outcome, ended_at, uid, ..message(n) };
            let recipients = [recipient(0, "a@x.example"), recipient(1, "b@y.example")];
            state.insert(&row, &recipients, &Origin::default()).unwrap();
            state.update(&row).unwrap();
        }
        let update = RecipientUpdate {
            n: 1,
            progress: Progress::Relayed,
            diagnosis: Diagnosis::default(),
            status: String::new(),
            reply: String::new(),
            relay: String::new(),
        };
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
        assert_eq!(spans, [Ended { accepted: 4, relayed: 1, failed: 0, lost: 0 }, Ended { accepted: 0, relayed: 0, failed: 1, lost: 0 }]);
        assert_eq!(state.ended_by_span(1000, 60, 1, None).unwrap(), [Ended { accepted: 5, relayed: 1, failed: 0, lost: 0 }]);
        assert_eq!(state.latest_failed(9, None).unwrap().len(), 1);
        assert!(state.latest_failed(9, Some(8)).unwrap().is_empty());
    }
}
