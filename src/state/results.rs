//! Keeps the log of outcomes in step with the database, and takes from it what the database does not know.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::OptionalExtension;

use crate::codes;
use crate::database::{Durability, State};
use crate::dsn::Action;
use crate::errors::{Result, StateError, of_disk};
use crate::outcome_log::{Known, OutcomeLog};
use crate::rows::{Message, RecipientRow, RecipientUpdate};
use mail::Diagnosis;
use mail::code::{Cause, Code, Duplicate, Progress, QueueDir, Subject};
use mail::queue_id::QueueId;

/// The key of the number of the last transaction with results.
const SEQ: &str = "outcome_seq";
/// Messages that are read together when the log is written anew.
const PAGE: usize = 500;

/// How the log and the database agree when they are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The log has nothing that the database has not.
    Same,
    /// The log is ahead by the transaction that a crash kept from its commit.
    Ahead,
    /// The log is ahead by more: the database is an older copy.
    OlderCopy,
}

impl State {
    /// The message was given results, or another directory, in this transaction.
    pub(crate) fn changes(&self, id: QueueId) {
        self.pending.changed.borrow_mut().insert(id);
    }

    /// Opens the log beside the database. One that is gone or behind is written anew from the rows.
    pub(crate) fn open_outcomes(&self, database: &Path) -> Result<()> {
        let log = OutcomeLog::open(database).map_err(of_disk)?;
        let is_behind = log.last_seq().map_err(of_disk)? < self.outcome_seq()?;
        *self.outcomes.borrow_mut() = Some(log);
        if is_behind { self.renew_outcomes() } else { Ok(()) }
    }

    fn outcome_seq(&self) -> Result<u64> {
        Ok(self.get(SEQ)?.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    /// Writes what the transaction found out to the log, before its commit.
    pub(crate) fn keep_results(&self, durability: Durability) -> Result<()> {
        let changed = std::mem::take(&mut *self.pending.changed.borrow_mut());
        if changed.is_empty() || self.outcomes.borrow().is_none() {
            return Ok(());
        }
        if self.outcomes.borrow().as_ref().is_some_and(OutcomeLog::is_large) {
            self.renew_outcomes()?;
        }
        let seq = self.outcome_seq()? + 1;
        let mut lines = Vec::with_capacity(changed.len());
        for id in changed {
            lines.extend(self.message(id)?.map(|row| self.known_of(seq, &row)).transpose()?);
        }
        self.set(SEQ, &seq.to_string())?;
        let mut log = self.outcomes.borrow_mut();
        log.as_mut().map_or(Ok(()), |log| log.append(&lines, durability == Durability::Full)).map_err(of_disk)
    }

    fn known_of(&self, seq: u64, row: &Message) -> Result<Known> {
        // Of what has no file, nobody asks for its recipients.
        let recipients = if row.dir == QueueDir::NoFile { Vec::new() } else { self.recipients(row.id)? };
        Ok(Known::of(seq, row, &recipients))
    }

    /// Writes the log anew, with what still counts: messages that have a file.
    fn renew_outcomes(&self) -> Result<()> {
        let seq = self.outcome_seq()?;
        let (mut lines, mut after) = (Vec::new(), None);
        loop {
            let mut page = Vec::new();
            self.queued(after, PAGE, |row| page.push(row))?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for row in &page {
                let known = self.known_of(seq, row)?;
                lines.extend(Some(known).filter(|known| row.dir != QueueDir::Cur || known.has_results()));
            }
        }
        // The number, even where nothing counts any more.
        lines.extend(lines.is_empty().then(|| Known::nothing(seq)));
        let mut log = self.outcomes.borrow_mut();
        log.as_mut().map_or(Ok(()), |log| log.renew(lines.into_iter())).map_err(of_disk)
    }

    /// What the log says of these messages.
    ///
    /// Errors: the disk's.
    pub fn known(&self, ids: &HashSet<QueueId>) -> Result<HashMap<QueueId, Known>> {
        let log = self.outcomes.borrow();
        log.as_ref().map_or(Ok(HashMap::new()), |log| log.read(|known| ids.contains(&known.id))).map_err(of_disk)
    }

    /// Compares the log with the database, which has just been opened.
    ///
    /// Errors: the disk's.
    pub fn agreement(&self) -> Result<Agreement> {
        let last = self.outcomes.borrow().as_ref().map_or(Ok(0), OutcomeLog::last_seq).map_err(of_disk)?;
        Ok(match last.checked_sub(self.outcome_seq()?) {
            None | Some(0) => Agreement::Same,
            Some(1) => Agreement::Ahead,
            Some(_) => Agreement::OlderCopy,
        })
    }

    /// Takes results that only the log has: what was relayed or failed stays so. Returns the messages that it changed, in the transaction
    /// of the caller.
    ///
    /// Errors: the disk's, SQLite's.
    pub fn take_results(&self, now: i64) -> Result<Vec<QueueId>> {
        let seq = self.outcome_seq()?;
        let (newer, is_ahead) = {
            let log = self.outcomes.borrow();
            let Some(log) = log.as_ref() else { return Ok(Vec::new()) };
            let last = log.last_seq().map_err(of_disk)?;
            self.set(SEQ, &last.max(seq).to_string())?;
            (log.read(|known| known.seq > seq).map_err(of_disk)?, last == seq + 1)
        };
        let mut changed = Vec::new();
        for known in newer.values() {
            if let Some(row) = self.message(known.id)?.filter(|row| row.outcome.is_none() && known.is_of(&row.digest))
                && self.take(&row, known, is_ahead, now)?
            {
                changed.push(row.id);
            }
        }
        Ok(changed)
    }

    /// Whatever is queued or held may have been delivered by another copy of this spool. Returns how many messages.
    pub fn suspect_all(&self, cause: Duplicate) -> Result<usize> {
        Ok(self.connection.execute("UPDATE message SET suspect = ?1 WHERE dir < 3 AND dir IN (0, 1)", [cause.number()])?)
    }

    /// Why the next attempt of this message may be a second delivery, if it may; asked once.
    pub fn take_suspicion(&self, id: QueueId) -> Result<Option<Duplicate>> {
        let mut statement = self.connection.prepare_cached("SELECT suspect FROM message WHERE id = ?1 AND suspect IS NOT NULL")?;
        let found = statement.query_row([id.to_i64()], |row| codes::get(row, 0)).optional()?;
        if found.is_some() {
            self.connection.execute("UPDATE message SET suspect = NULL WHERE id = ?1", [id.to_i64()])?;
        }
        Ok(found)
    }

    /// What a crash kept from its commit has not been told either: then the DSNs that go with it are asked for.
    fn take(&self, row: &Message, known: &Known, is_untold: bool, now: i64) -> Result<bool> {
        let mut recipients = self.recipients(row.id)?;
        let results = known.recipients(recipients.len());
        let is_relayed = known.end() == Some(mail::code::MessageEnd::Relayed);
        let mut is_news = false;
        for recipient in recipients.iter_mut().filter(|row| row.progress.is_open()) {
            let taken = match results.get(&recipient.n) {
                Some(result) if !result.progress.is_open() => update(recipient, result.progress, result.cause, &result.status),
                // Of what has no file any more the log has its end alone.
                None if is_relayed => update(recipient, Progress::Relayed, None, "2.0.0"),
                _ => continue,
            };
            self.update_recipient(row.id, &taken, now)?;
            if is_untold && taken.progress == Progress::Failed {
                self.ask_dsn(row.id, taken.n, Action::Failed)?;
            }
            is_news = true;
        }
        if is_news && row.in_data {
            // What was being sent has its result.
            self.update(&Message { in_data: false, ..row.clone() })?;
        }
        Ok(is_news)
    }
}

fn update(row: &RecipientRow, progress: Progress, cause: Option<Cause>, status: &str) -> RecipientUpdate {
    let diagnosis = cause.map_or_else(Diagnosis::default, |cause| Diagnosis::of(cause, Subject::Recipient));
    RecipientUpdate { n: row.n, progress, diagnosis, status: status.to_owned(), reply: row.reply.clone(), relay: row.relay.clone() }
}

impl StateError {
    /// True where the log, and not the database, was refused by the disk.
    #[cfg(test)]
    fn is_disk(&self) -> bool {
        matches!(self, StateError::Disk(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Origin;
    use crate::tests::{message, recipient};
    use mail::Hold;
    use mail::code::{HoldCause, MessageEnd};

    struct Spool {
        scratch: tempfile::TempDir,
        state: State,
    }

    impl Spool {
        fn new() -> Spool {
            let scratch = tempfile::tempdir().unwrap();
            let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
            Spool { scratch, state }
        }

        fn again(self) -> Spool {
            let Spool { scratch, state } = self;
            drop(state);
            let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
            Spool { scratch, state }
        }

        fn insert(&mut self, n: u32) -> Message {
            let rows = [recipient(0, "a@x.example"), recipient(1, "b@x.example")];
            self.state.transaction(Durability::Ordered, |state| state.insert(&message(n), &rows, &Origin::default())).unwrap();
            message(n)
        }

        fn result(&mut self, id: QueueId, n: u32, progress: Progress) {
            let found = update(&recipient(n, ""), progress, Some(Cause::Reply), "5.1.1");
            self.state.transaction(Durability::Full, |state| state.update_recipient(id, &found, 5)).unwrap();
        }

        fn known(&self, id: QueueId) -> Option<Known> {
            self.state.known(&HashSet::from([id])).unwrap().remove(&id)
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.scratch.path().join(name)
        }
    }

    #[test]
    fn results_and_holds_are_known_and_delays_are_no_lines() {
        let mut spool = Spool::new();
        let (one, two) = (spool.insert(1), spool.insert(2));
        spool.result(one.id, 0, Progress::Deferred);
        let mut row = two.clone();
        row.next_attempt = Some(9);
        spool.state.transaction(Durability::Ordered, |state| state.update(&row)).unwrap();
        assert_eq!((spool.known(one.id), spool.known(two.id)), (None, None));
        spool.result(one.id, 1, Progress::Relayed);
        row.park(Hold::with(HoldCause::Dkim, "no key"));
        spool.state.transaction(Durability::Full, |state| state.update(&row)).unwrap();
        let known = spool.known(one.id).unwrap();
        assert_eq!(known.recipients(2).iter().map(|(n, known)| (*n, known.progress)).collect::<Vec<_>>(), [(1, Progress::Relayed)]);
        assert_eq!(spool.known(two.id).unwrap().hold().unwrap().cause, HoldCause::Dkim);
        // Released: it is known that it is not held any more.
        row.open(10);
        spool.state.transaction(Durability::Full, |state| state.update(&row)).unwrap();
        assert_eq!(spool.known(two.id).unwrap().hold(), None);
        assert_eq!(spool.state.agreement().unwrap(), Agreement::Same);
    }

    #[test]
    fn an_older_database_takes_what_only_the_log_has() {
        let mut spool = Spool::new();
        let (one, two) = (spool.insert(1), spool.insert(2));
        spool = spool.again();
        std::fs::copy(spool.path("state.sqlite"), spool.path("older")).unwrap();
        spool.result(one.id, 0, Progress::Relayed);
        spool.result(one.id, 1, Progress::Failed);
        let mut row = spool.state.message(two.id).unwrap().unwrap();
        row.end(QueueDir::NoFile, MessageEnd::Relayed, 7);
        spool.state.transaction(Durability::Ordered, |state| state.update(&row)).unwrap();
        spool = spool.again();
        std::fs::rename(spool.path("older"), spool.path("state.sqlite")).unwrap();
        for rest in ["state.sqlite-wal", "state.sqlite-shm"] {
            let _ = std::fs::remove_file(spool.path(rest));
        }
        let scratch = spool.scratch;
        std::mem::forget(spool.state);
        let mut state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        assert_eq!(state.agreement().unwrap(), Agreement::OlderCopy);
        let mut taken = state.transaction(Durability::Full, |state| state.take_results(8)).unwrap();
        taken.sort();
        assert_eq!(taken, [one.id, two.id]);
        let progress = |id| state.recipients(id).unwrap().iter().map(|row| row.progress).collect::<Vec<_>>();
        assert_eq!(progress(one.id), [Progress::Relayed, Progress::Failed]);
        assert_eq!(progress(two.id), [Progress::Relayed; 2]);
        assert_eq!(state.agreement().unwrap(), Agreement::Same);
    }

    #[test]
    fn a_log_that_is_gone_is_written_anew_and_a_disk_that_refuses_it_undoes_the_transaction() {
        let mut spool = Spool::new();
        let one = spool.insert(1);
        spool.result(one.id, 0, Progress::Failed);
        let known = spool.known(one.id).unwrap();
        std::fs::remove_file(spool.path(crate::OUTCOMES_FILE)).unwrap();
        spool = spool.again();
        assert_eq!(spool.known(one.id), Some(known));
        // A directory in its place.
        std::fs::remove_file(spool.path(crate::OUTCOMES_FILE)).unwrap();
        std::fs::create_dir(spool.path(crate::OUTCOMES_FILE)).unwrap();
        let Spool { scratch, state } = spool;
        drop(state);
        assert!(State::open(&scratch.path().join("state.sqlite")).err().unwrap().is_disk());
    }
}
