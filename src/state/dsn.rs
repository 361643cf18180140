//! The DSNs that are due: which recipients of which messages have to be reported.
//!
//! In: outcomes, in the transaction that commits them. Out: rows that stay until the DSN is a message of its own. A crash can
//! therefore not lose one. The addresses, replies and times are those of the message's own rows and are not repeated here.
//!
//! ```text
//!   an outcome  ─ ask_dsn ─▶ ready = 0   the attempt is still in progress
//!   the end of the attempt ─ make_dsn_due ─▶ ready = 1, and a row in `dsn`
//!   its queue id is chosen ─ begin_dsn ─▶ who finds a message of that id need not write it again
//!   the DSN is durable in new/ ─ finish_dsn ─▶ the rows are gone
//! ```

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use crate::codes::no_code;
use crate::database::State;
use crate::errors::Result;
use crate::rows::{Message, RecipientRow, diagnosis_of};
use mail::Diagnosis;
use mail::envelope::Notify;
use mail::queue_id::QueueId;

/// Seconds that a DSN is postponed at most. One that is due later was planned by a clock that ran ahead.
pub const POSTPONED: i64 = 600;

/// What a DSN says of a recipient (RFC 3464 2.3.3). The values are also the bits of NOTIFY in the recipient's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next hop took it and will not report on it.
    Relayed = 1,
    /// Failed for good.
    Failed = 2,
    /// Not delivered yet, and tried again.
    Delayed = 4,
}

impl Action {
    fn of(number: i64) -> Option<Action> {
        [Action::Relayed, Action::Failed, Action::Delayed].into_iter().find(|action| *action as i64 == number)
    }

    fn get(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Action> {
        let number = row.get(at)?;
        Action::of(number).ok_or_else(|| no_code("action", number, at))
    }

    /// The word of RFC 3464.
    pub fn word(self) -> &'static str {
        match self {
            Action::Relayed => "relayed",
            Action::Delayed => "delayed",
            Action::Failed => "failed",
        }
    }
}

/// A DSN that is due, with everything that the rows know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDsn {
    /// The message that it is about.
    pub message: Message,
    /// When the delivery attempt that it reports ended, unix seconds.
    pub at: i64,
    /// The recipients to tell of, in the order of the envelope.
    pub recipients: Vec<(RecipientRow, Action)>,
    /// The envelope line and the header section of a message whose file is gone.
    pub head: Option<Vec<u8>>,
}

/// What DSNs that wait are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonWaiting {
    /// What the last attempt said.
    pub reply: String,
    /// Why.
    pub diagnosis: Diagnosis,
    /// Recipients.
    pub recipients: u64,
}

pub(crate) fn bits_of(notify: Notify) -> i64 {
    let bit = |on: bool, action: Action| if on { action as i64 } else { 0 };
    bit(notify.success, Action::Relayed) | bit(notify.failure, Action::Failed) | bit(notify.delay, Action::Delayed)
}

pub(crate) fn notify_of(bits: i64) -> Notify {
    let has = |action: Action| bits & action as i64 != 0;
    Notify { success: has(Action::Relayed), failure: has(Action::Failed), delay: has(Action::Delayed) }
}

impl State {
    /// Records that a DSN must report `action` for recipient `n`, if its NOTIFY asks for that and the reverse-path is not null
    /// (RFC 5321 6.1). A later action replaces an earlier one.
    pub fn ask_dsn(&self, id: QueueId, n: u32, action: Action) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO dsn_recipient (message, n, action)
                 SELECT recipient.message, recipient.n, ?3 FROM recipient JOIN message ON message.id = recipient.message
                 WHERE recipient.message = ?1 AND recipient.n = ?2 AND recipient.notify & ?3 AND message.reverse_path <> ''",
            )?
            .execute(params![id.to_i64(), n, action as i64])?;
        Ok(())
    }

    /// True the first time it is called for a message: a delay is reported once.
    pub fn begin_warning(&self, id: QueueId) -> Result<bool> {
        let changed =
            self.connection.prepare_cached("UPDATE message SET warned = 1 WHERE id = ?1 AND warned = 0")?.execute([id.to_i64()])?;
        Ok(changed > 0)
    }

    /// The delivery attempt has ended: the DSNs that were asked for are due from now on. Returns false if nothing was.
    pub fn make_dsn_due(&self, id: QueueId, now: i64) -> Result<bool> {
        let asked = self
            .connection
            .prepare_cached("UPDATE dsn_recipient SET ready = 1 WHERE message = ?1 AND ready = 0")?
            .execute([id.to_i64()])?;
        if asked > 0 {
            self.connection
                .prepare_cached("INSERT INTO dsn (message, at, due) VALUES (?1, ?2, ?2) ON CONFLICT (message) DO UPDATE SET due = ?2")?
                .execute(params![id.to_i64(), now])?;
        }
        Ok(asked > 0)
    }

    /// Keeps the envelope line and header section of a message whose file is about to go, for its DSN.
    pub fn keep_head(&self, id: QueueId, head: &[u8]) -> Result<()> {
        self.connection.prepare_cached("UPDATE dsn SET head = ?2 WHERE message = ?1")?.execute(params![id.to_i64(), head])?;
        Ok(())
    }

    /// The DSN that has been due for longest at `now`.
    pub fn next_dsn(&self, now: i64) -> Result<Option<DueDsn>> {
        let next = self
            .connection
            .prepare_cached("SELECT message, at, head FROM dsn WHERE due <= ?1 ORDER BY due, message LIMIT 1")?
            .query_row([now], |row| Ok((QueueId::from_i64(row.get(0)?), row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((id, at, head)) = next else { return Ok(None) };
        // History is kept while a DSN is due, so the row is there; without it nothing could be said, and nothing is.
        let Some(message) = self.message(id)? else {
            self.finish_dsn(id, &[])?;
            return Ok(None);
        };
        let actions = self.due_actions(id)?;
        let recipients = self.recipients(id)?.into_iter().filter_map(|row| actions.get(&row.n).map(|action| (row, *action))).collect();
        Ok(Some(DueDsn { message, at, recipients, head }))
    }

    fn due_actions(&self, id: QueueId) -> Result<HashMap<u32, Action>> {
        Ok(self
            .connection
            .prepare_cached("SELECT n, action FROM dsn_recipient WHERE message = ?1 AND ready = 1")?
            .query_map([id.to_i64()], |row| Ok((row.get(0)?, Action::get(row, 1)?)))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// How many DSNs are due at `now`.
    pub fn dsns_waiting(&self, now: i64) -> Result<u64> {
        let count: i64 = self.connection.prepare_cached("SELECT count(*) FROM dsn WHERE due <= ?1")?.query_row([now], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The commonest last replies about which DSNs wait at `now`, at most `limit`, the commonest first, with why each came and how
    /// many recipients it has; of the ten thousand that have waited longest, so that its time is bounded.
    pub fn reasons_waiting(&self, now: i64, limit: usize) -> Result<Vec<ReasonWaiting>> {
        let sql = "SELECT recipient.reply, count(*), recipient.cause, recipient.subject, recipient.stage, recipient.code
                   FROM (SELECT message FROM dsn WHERE due <= ?1 ORDER BY due LIMIT 10000) dsn_waiting
                   JOIN recipient ON recipient.message = dsn_waiting.message WHERE recipient.reply <> '' OR recipient.cause IS NOT NULL
                   GROUP BY 1, 3, 4, 5, 6 ORDER BY count(*) DESC, recipient.reply LIMIT ?2";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(ReasonWaiting { reply: row.get(0)?, recipients: row.get::<_, i64>(1)?.unsigned_abs(), diagnosis: diagnosis_of(row, 2)? })
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_map(params![now, limit as i64], row)?.collect::<rusqlite::Result<_>>()?)
    }

    /// When the next DSN after `now` is due.
    pub fn next_dsn_after(&self, now: i64) -> Result<Option<i64>> {
        Ok(self.connection.prepare_cached("SELECT min(due) FROM dsn WHERE due > ?1")?.query_row([now], |row| row.get(0))?)
    }

    /// The DSN about this message is going to be the message `dsn`, and to tell this. Kept in `run`, as orders are.
    pub fn begin_dsn(&self, id: QueueId, dsn: QueueId, told: &[(u32, Action)]) -> Result<()> {
        let told: String = told.iter().map(|(n, action)| format!(" {n}.{}", *action as i64)).collect();
        self.set(&begun_key(id), &format!("{dsn}{told}"))
    }

    /// The DSN that was begun about this message, and what it tells; it may have been written or not.
    pub fn begun_dsn(&self, id: QueueId) -> Result<Option<BegunDsn>> {
        Ok(self.get(&begun_key(id))?.and_then(|text| begun_of(&text)))
    }

    /// The DSN waits until then, at most [`POSTPONED`].
    pub fn postpone_dsn(&self, id: QueueId, until: i64) -> Result<()> {
        self.connection.prepare_cached("UPDATE dsn SET due = ?2 WHERE message = ?1")?.execute(params![id.to_i64(), until])?;
        Ok(())
    }

    /// These have been told, or need not be. What came up meanwhile stays due.
    pub fn finish_dsn(&self, id: QueueId, told: &[(u32, Action)]) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM run WHERE key = ?1")?.execute([begun_key(id)])?;
        for (n, action) in told {
            self.connection.prepare_cached("DELETE FROM dsn_recipient WHERE message = ?1 AND n = ?2 AND action = ?3")?.execute(params![
                id.to_i64(),
                n,
                *action as i64
            ])?;
        }
        self.connection
            .prepare_cached(
                "DELETE FROM dsn WHERE message = ?1
                 AND NOT EXISTS (SELECT 1 FROM dsn_recipient WHERE message = ?1 AND ready = 1)",
            )?
            .execute([id.to_i64()])?;
        Ok(())
    }
}

/// The id of a DSN that was begun, and what it tells: the number of each recipient and its action.
pub type BegunDsn = (QueueId, Vec<(u32, Action)>);

/// The key in `run` of a DSN that was begun.
fn begun_key(id: QueueId) -> String {
    format!("dsn:{id}")
}

fn begun_of(text: &str) -> Option<BegunDsn> {
    let mut words = text.split(' ');
    let dsn = QueueId::parse(words.next()?.as_bytes())?;
    let told = |word: &str| {
        let (n, action) = word.split_once('.')?;
        Some((n.parse().ok()?, Action::of(action.parse().ok()?)?))
    };
    Some((dsn, words.map(told).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, origin};
    use super::super::{Progress, QueueDir};
    use super::*;

    fn recipient(n: u32, notify: &str) -> RecipientRow {
        RecipientRow {
            n,
            address: format!("r{n}@x.example"),
            original: String::new(),
            notify: Notify::parse(notify).unwrap(),
            progress: Progress::Deferred,
            diagnosis: Diagnosis::default(),
            status: String::new(),
            reply: String::new(),
            relay: String::new(),
            at: None,
        }
    }

    fn with_message(reverse_path: &str, recipients: &[RecipientRow]) -> (tempfile::TempDir, State, QueueId) {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        let row = Message { reverse_path: reverse_path.into(), ..message(0) };
        state.insert(&row, recipients, &origin()).unwrap();
        (scratch, state, row.id)
    }

    #[test]
    fn a_dsn_that_was_begun_is_known_until_it_is_finished() {
        let (_scratch, state, id) = with_message("me@x.example", &[recipient(0, "failure")]);
        let told = [(0, Action::Failed), (7, Action::Delayed)];
        assert_eq!(state.begun_dsn(id).unwrap(), None);
        for (dsn, told) in [(QueueId::new(9, 8), &told[..]), (QueueId::new(9, 9), &[])] {
            state.begin_dsn(id, dsn, told).unwrap();
            assert_eq!(state.begun_dsn(id).unwrap(), Some((dsn, told.to_vec())));
        }
        assert_eq!(state.begun_dsn(QueueId::new(1, 99)).unwrap(), None);
        state.finish_dsn(id, &[]).unwrap();
        assert_eq!(state.begun_dsn(id).unwrap(), None);
    }

    fn due(state: &State, now: i64) -> Vec<(u32, Action)> {
        state.next_dsn(now).unwrap().map(|due| due.recipients.iter().map(|(row, action)| (row.n, *action)).collect()).unwrap_or_default()
    }

    #[test]
    fn s8_a_recipient_is_told_of_only_where_its_notify_asks_for_it() {
        let wishes = ["never", "failure", "delay", "success", "failure,delay"];
        let rows: Vec<RecipientRow> = (0u32..).zip(wishes).map(|(n, wish)| recipient(n, wish)).collect();
        for (action, told) in [(Action::Failed, vec![1, 4]), (Action::Delayed, vec![2, 4]), (Action::Relayed, vec![3])] {
            let (_scratch, state, id) = with_message("me@h.example", &rows);
            rows.iter().for_each(|row| state.ask_dsn(id, row.n, action).unwrap());
            assert!(due(&state, 99).is_empty(), "the attempt is still in progress");
            assert!(state.make_dsn_due(id, 50).unwrap());
            assert_eq!(due(&state, 99), told.into_iter().map(|n| (n, action)).collect::<Vec<_>>());
            assert!(due(&state, 49).is_empty());
        }
    }

    #[test]
    fn t_dsn_1_nothing_is_ever_due_about_a_message_with_the_null_reverse_path() {
        let (_scratch, state, id) = with_message("", &[recipient(0, "success,failure,delay")]);
        for action in [Action::Failed, Action::Delayed, Action::Relayed] {
            state.ask_dsn(id, 0, action).unwrap();
        }
        assert!(!state.make_dsn_due(id, 50).unwrap());
        assert_eq!((state.dsns_waiting(99).unwrap(), state.next_dsn(99).unwrap()), (0, None));
    }

    #[test]
    fn what_comes_up_while_a_dsn_is_written_stays_due() {
        let (_scratch, state, id) = with_message("me@h.example", &[recipient(0, "failure,delay"), recipient(1, "failure")]);
        state.ask_dsn(id, 0, Action::Delayed).unwrap();
        state.make_dsn_due(id, 50).unwrap();
        let told = due(&state, 50);
        for n in 0..2 {
            state.ask_dsn(id, n, Action::Failed).unwrap();
        }
        state.make_dsn_due(id, 60).unwrap();
        state.finish_dsn(id, &told).unwrap();
        assert_eq!(due(&state, 60), [(0, Action::Failed), (1, Action::Failed)]);
        state.finish_dsn(id, &due(&state, 60)).unwrap();
        assert_eq!(state.dsns_waiting(99).unwrap(), 0);
    }

    #[test]
    fn what_waits_is_told_by_its_commonest_replies() {
        let with_reply = |n, reply: &str| RecipientRow { reply: reply.into(), ..recipient(n, "failure") };
        let rows = [with_reply(0, "550 b"), with_reply(1, "550 a"), with_reply(2, "550 b"), with_reply(3, "")];
        let (_scratch, state, id) = with_message("me@h.example", &rows);
        state.ask_dsn(id, 0, Action::Failed).unwrap();
        state.make_dsn_due(id, 50).unwrap();
        let reasons = |now| state.reasons_waiting(now, 5).unwrap().into_iter().map(|one| (one.reply, one.recipients)).collect::<Vec<_>>();
        assert_eq!(reasons(49), []);
        assert_eq!(reasons(50), [("550 b".to_owned(), 2), ("550 a".to_owned(), 1)]);
        assert_eq!(state.reasons_waiting(50, 1).unwrap().len(), 1);
    }

    #[test]
    fn a_delay_is_told_once_and_a_postponed_dsn_waits() {
        let (_scratch, state, id) = with_message("me@h.example", &[recipient(0, "delay")]);
        assert!(state.begin_warning(id).unwrap() && !state.begin_warning(id).unwrap());
        state.ask_dsn(id, 0, Action::Delayed).unwrap();
        state.make_dsn_due(id, 50).unwrap();
        state.postpone_dsn(id, 70).unwrap();
        assert_eq!((state.dsns_waiting(69).unwrap(), state.next_dsn_after(69).unwrap()), (0, Some(70)));
        assert_eq!(due(&state, 70), [(0, Action::Delayed)]);
    }

    #[test]
    fn history_is_kept_while_a_dsn_about_it_is_due() {
        let (_scratch, state, id) = with_message("me@h.example", &[recipient(0, "success")]);
        state.ask_dsn(id, 0, Action::Relayed).unwrap();
        state.make_dsn_due(id, 50).unwrap();
        state.keep_head(id, b"head").unwrap();
        let row = state.message(id).unwrap().unwrap();
        state.update(&Message { dir: QueueDir::NoFile, ended_at: Some(50), ..row }).unwrap();
        assert_eq!(state.forget(99, 9, || true).unwrap(), 0);
        let due = state.next_dsn(99).unwrap().unwrap();
        assert_eq!(due.head.as_deref(), Some(&b"head"[..]));
        state.finish_dsn(id, &[(0, Action::Relayed)]).unwrap();
        assert_eq!(state.forget(99, 9, || true).unwrap(), 1);
    }
}
