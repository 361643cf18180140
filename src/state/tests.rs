//! What the database answers.

use super::*;
use mail::code::{Happened, HoldCause, Op};
use mail::envelope::CallerInfo;
use mail::queue_id::QueueId;
use mail::{Diagnosis, Hold};

pub(super) fn message(n: u32) -> Message {
    Message {
        id: QueueId::new(1000 + n, n),
        uid: 7,
        digest: vec![9; 32],
        size: 10,
        accepted: 1000,
        expires: 2000,
        reverse_path: String::new(),
        message_id: "<m@x>".into(),
        dir: QueueDir::Cur,
        hold: None,
        by: None,
        detail: String::new(),
        attempts: 0,
        last_attempt: None,
        next_attempt: Some(1000 + i64::from(n)),
        in_data: false,
        outcome: None,
        ended_at: None,
        suspect: None,
    }
}

pub(super) fn origin() -> Origin {
    let caller = CallerInfo { gid: Some(8), pid: Some(9), exe: Some("/usr/bin/php".into()), cwd: None, unit: Some("cron.service".into()) };
    Origin { attested: false, caller, warnings: vec!["Date added".into(), "8-bit kept".into()] }
}

#[test]
fn a_message_comes_back_as_it_went_in_and_is_due_in_its_order() {
    let scratch = tempfile::tempdir().unwrap();
    let mut state = State::open(&scratch.path().join("state.sqlite")).unwrap();
    state.transaction(Durability::Full, |s| (0..3).rev().try_for_each(|n| s.insert(&message(n), &[], &origin()))).unwrap();
    assert_eq!(state.message(message(1).id).unwrap(), Some(message(1)));
    let due: Vec<QueueId> = state.due(1001, 9).unwrap().iter().map(|m| m.id).collect();
    assert_eq!(due, [message(0).id, message(1).id]);
    state.schedule(message(0).id, None).unwrap();
    assert_eq!(state.due(1001, 9).unwrap().len(), 1);
    assert_eq!(state.reclaim(900).unwrap(), 1);
    assert_eq!(state.counts().unwrap(), [3, 0, 0]);
    assert_eq!(state.origin(message(2).id).unwrap(), Some(origin()));
}

#[test]
fn an_error_rolls_the_whole_transaction_back() {
    let scratch = tempfile::tempdir().unwrap();
    let mut state = State::open(&scratch.path().join("state.sqlite")).unwrap();
    let twice = state
        .transaction(Durability::Ordered, |s| s.insert(&message(0), &[], &origin()).and_then(|()| s.insert(&message(0), &[], &origin())));
    assert!(twice.is_err());
    assert_eq!(state.counts().unwrap(), [0; 3]);
}

#[test]
fn history_is_forgotten_only_after_its_time_and_only_when_finished() {
    let scratch = tempfile::tempdir().unwrap();
    let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
    for n in 0..2 {
        state.insert(&message(n), &[], &origin()).unwrap();
    }
    state.update(&Message { dir: QueueDir::NoFile, ended_at: Some(1500), next_attempt: None, ..message(0) }).unwrap();
    assert_eq!(state.forget(1500, 10, || true).unwrap(), 0);
    assert_eq!(state.forget(1501, 10, || true).unwrap(), 1);
    assert_eq!(state.message(message(0).id).unwrap(), None);
    assert!(state.message(message(1).id).unwrap().is_some());
}

pub(super) fn recipient(n: u32, address: &str) -> RecipientRow {
    RecipientRow {
        n,
        address: address.into(),
        original: String::new(),
        notify: mail::envelope::Notify::UNSAID,
        progress: Progress::Deferred,
        diagnosis: Diagnosis::default(),
        status: String::new(),
        reply: String::new(),
        relay: String::new(),
        at: None,
    }
}

fn update(n: u32, progress: Progress, reply: &str) -> RecipientUpdate {
    RecipientUpdate {
        n,
        progress,
        diagnosis: Diagnosis::default(),
        status: "4.0.0".into(),
        reply: reply.into(),
        relay: "mx.example[192.0.2.1]:25".into(),
    }
}

fn scratch() -> (tempfile::TempDir, State) {
    let scratch = tempfile::tempdir().unwrap();
    let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
    (scratch, state)
}

#[test]
fn the_history_has_the_acceptance_each_attempt_and_the_id_that_the_next_hop_gave() {
    let (_scratch, state) = scratch();
    state.insert(&message(0), &[recipient(0, "a@x.example"), recipient(1, "b@x.example")], &origin()).unwrap();
    let id = message(0).id;
    let transaction = Transaction {
        reached: true,
        tls: "TLSv1.3 X verified".into(),
        connect_ms: Some(30),
        transaction_ms: Some(7),
        ..Transaction::default()
    };
    state.record_attempt(id, &update(0, Progress::Deferred, "450 4.2.1 busy"), &transaction, 1010).unwrap();
    state.record(id, &HistoryLine::new(1015, Happened::Flushed)).unwrap();
    state.record_attempt(id, &update(0, Progress::Relayed, "250 2.0.0 Ok: queued as 4XyZ"), &transaction, 1020).unwrap();
    assert_eq!(state.history(id).unwrap(), [HistoryLine::new(1015, Happened::Flushed)]);
    let attempts = state.attempts_of(id).unwrap();
    let last = attempts.last().unwrap();
    assert_eq!((attempts.len(), last.remote_id.as_str(), last.address.as_str()), (2, "4XyZ", "a@x.example"));
    assert_eq!((last.reached, last.connect_ms, last.transaction_ms, last.tls.as_str()), (true, Some(30), Some(7), "TLSv1.3 X verified"));
}

#[test]
fn a_route_that_stays_down_is_one_line_however_long_it_is_down() {
    let (_scratch, state) = scratch();
    state.insert(&message(0), &[recipient(0, "a@x.example"), recipient(1, "b@x.example")], &origin()).unwrap();
    let (id, waits) = (message(0).id, Transaction::default());
    for at in 0..50 {
        for n in 0..2 {
            state.record_attempt(id, &update(n, Progress::Deferred, "connect: refused"), &waits, 1000 + at).unwrap();
        }
    }
    state.record_attempt(id, &update(0, Progress::Deferred, "connect: timed out"), &waits, 1100).unwrap();
    let attempts: Vec<(u32, i64, i64, u32)> = state.attempts_of(id).unwrap().iter().map(|a| (a.n, a.since, a.at, a.times)).collect();
    assert_eq!(attempts, [(0, 1000, 1049, 50), (1, 1000, 1049, 50), (0, 1100, 1100, 1)]);
    // What a server said is an attempt each time.
    let reached = Transaction { reached: true, ..Transaction::default() };
    (0..2).for_each(|_| state.record_attempt(id, &update(1, Progress::Deferred, "450 busy"), &reached, 1200).unwrap());
    assert_eq!(state.attempts_of(id).unwrap().len(), 5);
}

#[test]
fn messages_are_found_by_address_and_message_id_the_latest_first() {
    let (_scratch, state) = scratch();
    for n in 0..6 {
        let row = Message { reverse_path: "Root@h.example".into(), message_id: format!("<{}@x>", n / 2), ..message(n) };
        state
            .insert(
                &row,
                &[recipient(0, "Bob@x.example"), recipient(1, "bob@X.example"), recipient(2, &format!("r{n}@x.example"))],
                &origin(),
            )
            .unwrap();
    }
    let ids = |found: Vec<Message>| found.iter().map(|row| row.id.seconds() - 1000).collect::<Vec<u32>>();
    assert_eq!(ids(state.trace_by_address("bob@x.example", "bob@x.example", None, 4).unwrap()), [5, 4, 3, 2]);
    assert_eq!(ids(state.trace_by_address("bob@x.example", "bob@x.example", Some(message(2).id), 4).unwrap()), [1, 0]);
    assert_eq!(ids(state.trace_by_address("r3@x.example", "r3@x.example", None, 4).unwrap()), [3]);
    assert_eq!(ids(state.trace_by_address("root@H.EXAMPLE", "root@H.EXAMPLE", None, 9).unwrap()), [5, 4, 3, 2, 1, 0]);
    let aliased = |n: u32, original: &str| {
        let row = RecipientRow { original: original.into(), ..recipient(0, "ops@y.example") };
        state.insert(&message(n), &[row.clone(), RecipientRow { n: 1, ..row }], &origin()).unwrap();
    };
    aliased(6, "root");
    aliased(7, "Root");
    aliased(8, "");
    assert_eq!(ids(state.trace_by_address("root", "root", None, 9).unwrap()), [7, 6], "what an alias replaced");
    assert_eq!(ids(state.trace_by_address("x@localhost", "root", Some(message(7).id), 9).unwrap()), [6]);
    assert_eq!(ids(state.trace_by_message_id("<1@x>", None, 9).unwrap()), [3, 2]);
    assert_eq!(ids(state.trace_by_message_id("1@x", Some(message(3).id), 9).unwrap()), [2]);
    assert!(state.trace_by_address("", "", None, 9).unwrap().is_empty());
}

#[test]
fn nothing_is_left_of_a_message_whose_history_is_forgotten() {
    let (_scratch, state) = scratch();
    for n in 0..3 {
        state.insert(&message(n), &[recipient(0, "a@x.example")], &origin()).unwrap();
        state.record(message(n).id, &HistoryLine::held(1, &Hold::of(HoldCause::Dkim))).unwrap();
        state.record_attempt(message(n).id, &update(0, Progress::Relayed, "250 ok"), &Transaction::default(), 1).unwrap();
        state.update(&Message { dir: QueueDir::NoFile, ended_at: Some(1500 - i64::from(n)), next_attempt: None, ..message(n) }).unwrap();
    }
    assert_eq!(state.forget(2000, 2, || true).unwrap(), 2);
    assert!(state.message(message(0).id).unwrap().is_some(), "the oldest go first");
    let mut left = 1;
    assert_eq!(state.forget(2000, 9, || std::mem::replace(&mut left, 0) > 0).unwrap(), 1);
    for table in ["message", "recipient", "origin", "attempt", "history"] {
        let rows: i64 = state.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

/// How SQLite goes about a query, one line per step.
fn plan(state: &State, sql: &str) -> String {
    let mut statement = state.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3)).unwrap();
    steps.map(|step| step.unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_question_of_the_daemon_reads_the_whole_history() {
    let (_scratch, state) = scratch();
    let sources = [
        include_str!("queue.rs"),
        include_str!("history.rs"),
        include_str!("trace.rs"),
        include_str!("dsn.rs"),
        include_str!("numbers.rs"),
        include_str!("database.rs"),
        include_str!("messages.rs"),
    ];
    let mut seen = 0;
    for text in sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)) {
        let sql = text.replace("{COLUMNS}", rows::COLUMNS).replace("{ATTEMPT_COLUMNS}", rows::ATTEMPT_COLUMNS);
        let sql: String = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        if !["SELECT ", "UPDATE ", "DELETE "].iter().any(|verb| sql.starts_with(verb)) || sql.contains("sqlite_schema") {
            continue;
        }
        seen += 1;
        for step in plan(&state, &sql).lines().filter(|step| step.starts_with("SCAN ")) {
            let is_bounded =
                ["message_queued", "message_parked", "(subquery", "dsn", "intention", "total"].iter().any(|good| step.contains(good));
            assert!(is_bounded, "{sql}\n{step}");
        }
    }
    assert!(seen > 25, "{seen}");
}

/// Every table and index with its text.
fn schema_of(state: &State) -> Vec<String> {
    let mut statement = state.connection.prepare("SELECT name || ': ' || ifnull(sql, '') FROM sqlite_schema ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(|text| text.unwrap()).collect()
}

#[test]
fn a_file_of_schema_1_is_brought_forward_with_everything_in_it() {
    let (scratch, fresh) = scratch();
    let path = scratch.path().join("old.sqlite");
    std::fs::write(&path, include_bytes!("../../tests/data/state/schema-1.sqlite")).unwrap();
    assert!(State::open_to_read(&path).is_err());
    let state = State::open(&path).unwrap();
    assert!(!state.is_new());
    assert_eq!(schema_of(&state), schema_of(&fresh));
    let id = |text: &str| QueueId::parse(text.as_bytes()).unwrap();
    let (gone, failed, held) = (id("6B032C74516CF56A"), id("6B032C75DA9ECA6E"), id("6B032C75B304E0EA"));
    let (retried, in_data) = (id("6B032C758F230D40"), id("6B032C754D29A9C8"));
    assert_eq!(state.counts().unwrap(), [3, 1, 1]);
    let dir = |id| state.message(id).unwrap().unwrap().dir;
    assert_eq!([gone, failed, held, retried].map(dir), [QueueDir::NoFile, QueueDir::Failed, QueueDir::Hold, QueueDir::Cur]);
    assert_eq!(state.in_hand().unwrap().iter().filter(|row| row.in_data).map(|row| row.id).collect::<Vec<_>>(), [in_data]);
    assert!(state.message(retried).unwrap().unwrap().next_attempt.is_some());
    let kinds = |id| state.history(id).unwrap().into_iter().map(|line| line.kind).collect::<Vec<_>>();
    assert_eq!((kinds(gone), kinds(held)), (vec![Happened::Note, Happened::Note], vec![Happened::Note, Happened::Held]));
    assert_eq!(state.trace_by_address("BOB@receiver.example", "BOB@receiver.example", None, 9).unwrap().len(), 6);
    assert!(State::open_to_read(&path).is_ok());
    assert_eq!(State::open(&path).unwrap().counts().unwrap(), [3, 1, 1], "once");
}

#[test]
fn a_newer_file_and_one_of_another_program_are_refused_and_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    for (sql, is_refused) in
        [("PRAGMA user_version = 99", StateError::is_newer as fn(&StateError) -> bool), ("CREATE TABLE t (x)", StateError::is_damage)]
    {
        let path = scratch.path().join(format!("{}.sqlite", sql.len()));
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = State::open(&path).err().unwrap();
        assert!(is_refused(&refused), "{refused}");
        assert!(std::fs::read(&path).unwrap() == before, "{refused}");
    }
}

#[test]
fn a_number_that_is_no_code_is_damage_and_never_an_end() {
    for (table, column) in [
        ("message", "dir"),
        ("message", "hold"),
        ("message", "outcome"),
        ("recipient", "state"),
        ("recipient", "cause"),
        ("recipient", "subject"),
        ("recipient", "stage"),
        ("history", "kind"),
        ("history", "cause"),
        ("history", "trigger"),
        ("intention", "op"),
    ] {
        let (_scratch, state) = scratch();
        let id = message(0).id;
        state.insert(&message(0), &[recipient(0, "a@x.example")], &origin()).unwrap();
        state.record(id, &HistoryLine::held(1, &Hold::of(HoldCause::Dkim))).unwrap();
        state.intend(&Intention::new(id, Op::Hold, QueueDir::Cur, 1).after_attempt()).unwrap();
        state.connection.execute(&format!("UPDATE {table} SET {column} = 99"), []).unwrap();
        let read = || {
            state.message(id)?;
            state.recipients(id)?;
            state.history(id)?;
            state.intentions(Phase::AfterAttempt, 9)
        };
        assert!(read().is_err_and(|e| e.is_damage()), "{table}.{column}");
    }
}
