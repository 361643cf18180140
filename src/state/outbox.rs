//! The outbox: the events of a transaction, kept with what they tell until every receiver has them.
//!
//! ```text
//!   tell ─▶ (in memory until the commit) ─▶ outbox, one row per transaction ─▶ told_after ─▶ receivers ─▶ acknowledge ─▶ deleted
//! ```
//!
//! | a crash | leaves |
//! |---|---|
//! | before the commit | neither the change nor its events |
//! | after the commit | both; the next start reads the row and tells |
//! | after a receiver had it, before it is acknowledged | the row: the receiver gets the same events once more, under the same ids |
//!
//! Receivers that never acknowledge must not fill the disk: beyond [`LIMIT`] the oldest rows are deleted, and counted as lost for
//! every receiver that had not come to them.

use rusqlite::{OptionalExtension, params};

use crate::database::State;
use crate::errors::Result;

/// Bytes of events that are kept for receivers at most.
const LIMIT: u64 = 64 << 20;
/// The key of the name of this spool.
const SPOOL_ID: &str = "spool_id";

/// The events of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its place in the order of all transactions.
    pub seq: i64,
    /// When it was committed, unix milliseconds.
    pub at: i64,
    /// The events as they were given to [`State::tell`].
    pub events: Vec<String>,
}

impl Told {
    /// The id of the event at this place: the same each time it is sent, and never that of another event, on this host or any other.
    /// The time is part of it because a power cut may take a transaction whose events have been told, and its number is used again.
    pub fn id(&self, spool: &str, at: usize) -> String {
        format!("{spool}-{:x}-{:x}-{at:x}", self.seq, self.at)
    }
}

/// How far one receiver has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The receiver.
    pub name: String,
    /// It has every event up to here.
    pub seq: i64,
    /// Events that were deleted before it came to them, not reported yet.
    pub lost: u64,
}

impl State {
    /// Tells receivers of an event once the transaction is committed, and only then. One line.
    pub fn tell(&self, event: String) {
        self.pending.lines.borrow_mut().push(event);
    }

    /// Writes what the transaction tells, as a part of it.
    pub(crate) fn keep_told(&self) -> Result<()> {
        let lines = std::mem::take(&mut *self.pending.lines.borrow_mut());
        if lines.is_empty() {
            return Ok(());
        }
        let records = lines.join("\n");
        self.connection.prepare_cached("INSERT INTO outbox (at, count, records) VALUES (?1, ?2, ?3)")?.execute(params![
            sys::clock::milliseconds(),
            lines.len() as i64,
            records.as_bytes()
        ])?;
        self.pending.bytes.set(self.pending.bytes.get() + records.len() as u64);
        if self.pending.bytes.get() > LIMIT {
            self.drop_oldest(LIMIT / 4 * 3)?;
        }
        Ok(())
    }

    /// Forgets what an undone transaction would have told.
    pub(crate) fn untell(&self) {
        self.pending.lines.borrow_mut().clear();
        // An undone deletion or insertion: counted anew with the next one.
        self.pending.bytes.set(self.count_outbox().unwrap_or_default());
    }

    /// Counts what is kept; once, behind the opening.
    pub(crate) fn begin_outbox(&self) -> Result<()> {
        self.pending.bytes.set(self.count_outbox()?);
        Ok(())
    }

    fn count_outbox(&self) -> Result<u64> {
        let bytes: i64 = self.connection.query_row("SELECT coalesce(sum(length(records)), 0) FROM outbox", [], |row| row.get(0))?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }

    /// Deletes the oldest rows until no more than `bytes` are left.
    fn drop_oldest(&self, bytes: u64) -> Result<()> {
        let mut left = self.pending.bytes.get();
        let (mut last, mut rows) = (None, Vec::new());
        {
            let mut oldest = self.connection.prepare_cached("SELECT seq, count, length(records) FROM outbox ORDER BY seq")?;
            let mut found = oldest.query([])?;
            while let Some(row) = found.next()?.filter(|_| left > bytes) {
                let (seq, count, length): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                left = left.saturating_sub(u64::try_from(length).unwrap_or_default());
                last = Some(seq);
                rows.push((seq, count));
            }
        }
        for (seq, count) in rows {
            self.connection.prepare_cached("UPDATE receiver SET lost = lost + ?2 WHERE seq < ?1")?.execute([seq, count])?;
        }
        self.connection.execute("DELETE FROM outbox WHERE seq <= ?1", [last])?;
        self.pending.bytes.set(left);
        Ok(())
    }

    /// The transactions after `seq`, oldest first: the next one, and as many more as stay below `limit` events.
    pub fn told_after(&self, seq: i64, limit: usize) -> Result<Vec<Told>> {
        let mut statement = self.connection.prepare_cached("SELECT seq, at, records FROM outbox WHERE seq > ?1 ORDER BY seq")?;
        let mut rows = statement.query([seq])?;
        let (mut told, mut count) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let records: Vec<u8> = row.get(2)?;
            let events: Vec<String> = String::from_utf8_lossy(&records).lines().map(str::to_owned).collect();
            count += events.len();
            if count > limit && !told.is_empty() {
                break;
            }
            told.push(Told { seq: row.get(0)?, at: row.get(1)?, events });
        }
        Ok(told)
    }

    /// How far each of these receivers has come; a new one begins with the oldest event that is kept.
    pub fn cursors(&self, names: &[&str]) -> Result<Vec<Cursor>> {
        let mut statement = self.connection.prepare_cached("SELECT seq, lost FROM receiver WHERE name = ?1")?;
        let mut cursor = |name: &&str| {
            let found = statement.query_row([name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
            let (seq, lost) = found.unwrap_or_default();
            Ok(Cursor { name: (*name).to_owned(), seq, lost: u64::try_from(lost).unwrap_or_default() })
        };
        names.iter().map(&mut cursor).collect()
    }

    /// Receivers have come this far, and know of as many losses: what all of them have is deleted. A receiver that is not named does not
    /// count any more.
    pub fn acknowledge(&self, cursors: &[Cursor]) -> Result<()> {
        let names: Vec<&str> = cursors.iter().map(|cursor| cursor.name.as_str()).collect();
        self.forget_receivers(&names)?;
        for Cursor { name, seq, lost } in cursors {
            self.connection
                .prepare_cached(
                    "INSERT INTO receiver (name, seq, n, lost) VALUES (?1, ?2, 0, 0)
                     ON CONFLICT (name) DO UPDATE SET seq = ?2, lost = max(0, lost - ?3)",
                )?
                .execute(params![name, seq, *lost as i64])?;
        }
        let Some(all) = cursors.iter().map(|cursor| cursor.seq).min() else { return Ok(()) };
        let length = "SELECT coalesce(sum(length(records)), 0) FROM outbox WHERE seq <= ?1";
        let bytes: i64 = self.connection.prepare_cached(length)?.query_row([all], |row| row.get(0))?;
        self.connection.prepare_cached("DELETE FROM outbox WHERE seq <= ?1")?.execute([all])?;
        self.pending.bytes.set(self.pending.bytes.get().saturating_sub(u64::try_from(bytes).unwrap_or_default()));
        Ok(())
    }

    fn forget_receivers(&self, kept: &[&str]) -> Result<()> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM receiver")?;
        let known: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for name in known.iter().filter(|name| !kept.contains(&name.as_str())) {
            self.connection.execute("DELETE FROM receiver WHERE name = ?1", [name])?;
        }
        Ok(())
    }

    /// The name of this spool in the ids of events: 16 hex digits, made with the database.
    pub fn spool_id(&self) -> Result<String> {
        Ok(self.get(SPOOL_ID)?.unwrap_or_default())
    }

    /// Makes the name of this spool, unless it has one.
    pub(crate) fn keep_spool_id(&self) -> Result<()> {
        if self.get(SPOOL_ID)?.is_some() {
            return Ok(());
        }
        let random = sys::clock::random().unwrap_or_else(|_| sys::clock::milliseconds().unsigned_abs());
        self.set(SPOOL_ID, &format!("{random:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Durability;
    use crate::errors::StateError;

    fn open(scratch: &tempfile::TempDir) -> State {
        State::open(&scratch.path().join("state.sqlite")).unwrap()
    }

    fn tell(state: &mut State, events: &[&str]) {
        let telling = |state: &State| {
            events.iter().for_each(|event| state.tell((*event).to_owned()));
            Ok(())
        };
        state.transaction(Durability::Ordered, telling).unwrap();
    }

    fn cursor(name: &str, seq: i64) -> Cursor {
        Cursor { name: name.to_owned(), seq, lost: 0 }
    }

    #[test]
    fn what_is_committed_is_told_in_order_until_every_receiver_has_it() {
        let scratch = tempfile::tempdir().unwrap();
        let mut state = open(&scratch);
        tell(&mut state, &["a", "b"]);
        tell(&mut state, &[]);
        tell(&mut state, &["c"]);
        drop(state);
        let state = open(&scratch);
        let told = state.told_after(0, 9).unwrap();
        assert_eq!(told.iter().map(|told| told.events.concat()).collect::<Vec<_>>(), ["ab", "c"]);
        assert_eq!((state.told_after(0, 1).unwrap(), state.told_after(0, 2).unwrap()), (told[..1].to_vec(), told[..1].to_vec()));
        state.acknowledge(&[cursor("log", told[1].seq), cursor("hooks", told[0].seq)]).unwrap();
        assert_eq!(state.told_after(0, 9).unwrap(), told[1..]);
        assert_eq!(
            state.cursors(&["log", "hooks", "new"]).unwrap(),
            [cursor("log", told[1].seq), cursor("hooks", told[0].seq), cursor("new", 0)]
        );
        // A receiver that is gone is waited for no longer.
        state.acknowledge(&[cursor("log", told[1].seq)]).unwrap();
        assert_eq!((state.told_after(0, 9).unwrap(), state.count_outbox().unwrap()), (Vec::new(), 0));
    }

    #[test]
    fn an_undone_transaction_tells_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let mut state = open(&scratch);
        let undone = state.transaction(Durability::Full, |state| {
            state.tell("a".to_owned());
            Err::<(), _>(StateError::Damaged("x".to_owned()))
        });
        assert!(undone.is_err());
        tell(&mut state, &["b"]);
        assert_eq!(state.told_after(0, 9).unwrap().concat_events(), ["b"]);
    }

    trait Events {
        fn concat_events(&self) -> Vec<String>;
    }

    impl Events for Vec<Told> {
        fn concat_events(&self) -> Vec<String> {
            self.iter().flat_map(|told| told.events.clone()).collect()
        }
    }

    #[test]
    fn ids_are_the_same_after_a_restart_and_never_used_for_another_event() {
        let scratch = tempfile::tempdir().unwrap();
        let mut state = open(&scratch);
        tell(&mut state, &["a", "b"]);
        let id = |state: &State, at| state.told_after(0, 1).unwrap()[0].id(&state.spool_id().unwrap(), at);
        let (first, second) = (id(&state, 0), id(&state, 1));
        assert_ne!(first, second);
        drop(state);
        assert_eq!(id(&open(&scratch), 0), first);
        let again = Told { at: 7, ..open(&scratch).told_after(0, 1).unwrap()[0].clone() };
        assert_ne!(again.id(&open(&scratch).spool_id().unwrap(), 0), first, "a number that a power cut gave back");
    }

    #[test]
    fn receivers_that_acknowledge_nothing_fill_no_disk_and_are_told_what_they_lost() {
        let scratch = tempfile::tempdir().unwrap();
        let mut state = open(&scratch);
        tell(&mut state, &["first"]);
        state.acknowledge(&[cursor("log", 1), cursor("hooks", 0)]).unwrap();
        let large = "x".repeat(9 << 20);
        for _ in 0..8 {
            tell(&mut state, &[&large, "small"]);
        }
        assert!(state.count_outbox().unwrap() <= LIMIT && state.pending.bytes.get() == state.count_outbox().unwrap());
        let cursors = state.cursors(&["log", "hooks"]).unwrap();
        assert!(cursors[0].lost >= 4 && cursors[1].lost == cursors[0].lost + 1, "{cursors:?}");
        let kept = state.told_after(0, 99).unwrap();
        assert_eq!(kept.last().unwrap().events[1], "small");
        state.acknowledge(&cursors).unwrap();
        assert!(state.cursors(&["log", "hooks"]).unwrap().iter().all(|cursor| cursor.lost == 0));
    }
}
