//! A real database of version 2, made by the release before: 64 messages in every state that it could make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::schema;
use crate::{Durability, Phase, State, StateError};
use mail::code::{Code, Op, QueueDir};
use mail::queue_id::QueueId;

const KEPT: &[u8] = include_bytes!("../../../../tests/data/state/schema-2.sqlite");
const EXPECTED: &str = include_str!("../../../../tests/data/state/schema-3.txt");

fn kept(scratch: &tempfile::TempDir) -> PathBuf {
    let path = scratch.path().join("state.sqlite");
    std::fs::write(&path, KEPT).unwrap();
    // What was removed lately is still in trash/: the database is as young as when it was kept.
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE message SET finished = unixepoch() - 60 WHERE reason LIKE 'removed%'", []).unwrap();
    path
}

fn word<C: Code>(code: Option<C>) -> &'static str {
    code.map_or("-", C::word)
}

/// One message in codes: `id dir outcome hold actor order` and its recipients as `state/cause/subject/stage/code`.
fn line(state: &State, id: QueueId, orders: &BTreeMap<QueueId, Op>) -> String {
    let message = state.message(id).unwrap().unwrap();
    let actor = message.by.as_ref().map_or("-".to_owned(), |by| format!("{}:{}", by.uid, by.name));
    let order = orders.get(&id).map_or("-".to_owned(), |wanted| format!("{wanted:?}").to_lowercase());
    let mut line = format!("{id} {} {} {} {actor} {order}", message.dir.word(), word(message.outcome), word(message.hold));
    for recipient in state.recipients(id).unwrap() {
        let found = recipient.diagnosis;
        let code = found.code.map_or("-".to_owned(), |code| code.to_string());
        line += &format!(" {}/{}/{}/{}/{code}", recipient.progress.word(), word(found.cause), word(found.subject), word(found.stage));
    }
    line
}

fn lines(state: &State) -> Vec<String> {
    let orders = state.intentions(Phase::AfterAttempt, 99).unwrap().into_iter().map(|kept| (kept.id, kept.op)).collect();
    let mut ids = state.connection.prepare("SELECT id FROM message ORDER BY id").unwrap();
    let ids: Vec<QueueId> = ids.query_map([], |row| row.get(0).map(QueueId::from_i64)).unwrap().map(Result::unwrap).collect();
    ids.into_iter().map(|id| line(state, id, &orders)).collect()
}

#[test]
fn every_row_of_the_kept_database_has_its_code() {
    let scratch = tempfile::tempdir().unwrap();
    let path = kept(&scratch);
    let state = State::open(&path).unwrap();
    let (found, expected) = (lines(&state), EXPECTED.lines().collect::<Vec<_>>());
    assert_eq!(found.len(), 64);
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
    state.examine().unwrap();
    let totals = state.totals().unwrap();
    let ended: u64 = totals.ended.iter().map(|(_, messages)| messages).sum();
    let open: i64 = state.connection.query_row("SELECT count(*) FROM message WHERE outcome IS NULL", [], |row| row.get(0)).unwrap();
    assert_eq!((totals.accepted, ended + open.unsigned_abs()), (64, 64));
    assert_eq!(state.get("paused_name").unwrap().as_deref(), Some("root"));
    assert_eq!(state.get("paused_at").unwrap().as_deref(), Some("1796055414"));
    assert_eq!(state.dsns_waiting(i64::MAX).unwrap(), 3);
    assert_eq!(state.usage(4303).unwrap().messages, 3);
    // Every line of every history can be read.
    for message in state.latest_ended(100, None).unwrap() {
        state.history(message.id).unwrap();
        state.attempts_of(message.id).unwrap();
    }
    drop(state);
    let again = lines(&State::open(&path).unwrap());
    assert_eq!(again, found, "once");
}

#[test]
fn a_migrated_file_has_the_tables_of_a_new_one() {
    let scratch = tempfile::tempdir().unwrap();
    let schema = |path: &Path| {
        let state = State::open(path).unwrap();
        let mut all = state.connection.prepare("SELECT name || ifnull(sql, '') FROM sqlite_schema ORDER BY name").unwrap();
        all.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(schema(&kept(&scratch)), schema(&scratch.path().join("new.sqlite")));
}

#[test]
fn a_migration_that_fails_in_the_middle_leaves_version_2() {
    let mut failures = 0;
    // A database that may not grow by more than so many pages: each stops the migration at another statement.
    for pages in 0..40 {
        let scratch = tempfile::tempdir().unwrap();
        let path = kept(&scratch);
        let connection = Connection::open(&path).unwrap();
        let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", now + pages).unwrap();
        let Err(e) = schema::bring_forward(&connection, schema::Found::Version(2), &path) else { break };
        assert!(e.is_full(), "{e}");
        failures += 1;
        drop(connection);
        let connection = Connection::open(&path).unwrap();
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        let rows: i64 = connection.query_row("SELECT count(*) FROM message WHERE place < 9", [], |row| row.get(0)).unwrap();
        assert_eq!((version, rows), (2, 64), "{pages}");
        assert_eq!(lines(&State::open(&path).unwrap()).len(), 64);
    }
    assert!(failures > 2, "{failures}");
}

#[test]
fn a_migrated_database_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let mut state = State::open(&kept(&scratch)).unwrap();
    let held = state.held_count(mail::code::HoldCause::ALL).unwrap();
    assert_eq!(held, usize::try_from(state.counts().unwrap()[1]).unwrap());
    let removed = state.in_trash().unwrap();
    assert!(!removed.is_empty() && removed.iter().all(|row| row.dir == QueueDir::Trash));
    let work = state.transaction(Durability::Full, |state| state.empty_trash(i64::MAX));
    assert_eq!(work.unwrap(), removed.len());
    assert!(matches!(State::open_to_read(&scratch.path().join("none")), Err(StateError::Disk(_))));
}
