//! Every way in which the database can be lost, and what the next start makes of it.

use std::io::{Read, Seek, SeekFrom, Write};

use super::*;
use mail::queue_id::QueueId;
use state::{Durability, Message, Origin, QueueDir};
use testing::Scratch;

const NOW: i64 = 1_795_358_700;

fn row(n: u32) -> Message {
    Message {
        id: QueueId::new(1000 + n, n),
        uid: 7,
        digest: vec![9; 32],
        size: 10,
        accepted: 1000,
        expires: 2000,
        reverse_path: "alice@sender.example".into(),
        message_id: format!("<{n}@sender.example>"),
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

/// A spool whose database has some hundred pages, closed in order, so that there is no log.
fn spool() -> Scratch {
    let scratch = Scratch::new();
    let mut state = open_state(&scratch.store(), NOW).unwrap().0;
    state.transaction(Durability::Full, |s| (0..3000).try_for_each(|n| s.insert(&row(n), &[], &Origin::default()))).unwrap();
    scratch
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

fn aside(scratch: &Scratch) -> Vec<String> {
    scratch.names(".").into_iter().filter(|name| name.contains("damaged")).collect()
}

#[test]
fn a_database_that_is_whole_is_used_as_it_is() {
    let scratch = spool();
    let (state, is_lost) = open_state(&scratch.store(), NOW).unwrap();
    assert_eq!((is_lost, state.counts().unwrap()), (false, [3000, 0, 0]));
}

/// Does `damage` to the file of a spool, and expects the next start to rebuild it and to keep what was there.
#[track_caller]
fn begins_anew(damage: impl FnOnce(&Path)) {
    let scratch = spool();
    let store = scratch.store();
    damage(&store.path(STATE_FILE));
    let (state, is_lost) = open_state(&store, NOW).unwrap();
    assert_eq!((is_lost, state.counts().unwrap()), (true, [0, 0, 0]));
    assert!(aside(&scratch).contains(&format!("state.sqlite.damaged-{NOW}")), "{:?}", scratch.names("."));
    drop(state);
    assert!(!open_state(&store, NOW).unwrap().1, "once");
}

#[test]
fn a_database_whose_header_is_damaged_is_put_aside() {
    begins_anew(|path| overwrite(path, 0, &[7; 512]));
    begins_anew(|path| std::fs::write(path, [7; 8192]).unwrap());
}

#[test]
fn a_database_that_was_cut_off_is_put_aside() {
    begins_anew(|path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(64 << 10).unwrap());
    begins_anew(|path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap());
}

#[test]
fn a_database_with_damage_deep_inside_is_put_aside_wherever_it_is() {
    let pages = std::fs::metadata(spool().store().path(STATE_FILE)).unwrap().len() / 4096;
    for page in (1..pages).step_by(usize::try_from(pages).unwrap() / 20) {
        begins_anew(|path| overwrite(path, page * 4096, &[0x5A; 4096]));
    }
}

#[test]
fn a_database_of_another_program_is_put_aside() {
    begins_anew(|path| {
        std::fs::remove_file(path).unwrap();
        rusqlite::Connection::open(path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    });
}

#[test]
fn the_log_of_another_database_is_not_mistaken_for_ours() {
    // Another state, whose writer dies and leaves its log; and one of another program.
    for sql in ["PRAGMA user_version = 2; CREATE TABLE message (x); INSERT INTO message VALUES (zeroblob(20000))", ""] {
        let other = spool();
        let path = other.store().path(STATE_FILE);
        let writer = if sql.is_empty() {
            let mut state = State::open(&path).unwrap();
            state.transaction(Durability::Full, |s| (5000..8000).try_for_each(|n| s.insert(&row(n), &[], &Origin::default()))).unwrap();
            Err(state)
        } else {
            std::fs::remove_file(&path).unwrap();
            let writer = rusqlite::Connection::open(&path).unwrap();
            writer.execute_batch(&format!("PRAGMA journal_mode = WAL; {sql}")).unwrap();
            Ok(writer)
        };
        let log = std::fs::read(other.store().path("state.sqlite-wal")).unwrap();
        assert!(log.len() > 10_000);
        begins_anew(|path| {
            std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(200 << 10).unwrap();
            std::fs::write(path.with_file_name("state.sqlite-wal"), &log).unwrap();
        });
        drop(writer);
    }
}

#[test]
fn no_database_and_an_empty_one_count_as_lost() {
    let scratch = spool();
    let store = scratch.store();
    std::fs::write(store.path(STATE_FILE), "").unwrap();
    assert!(open_state(&store, NOW).unwrap().1);
    std::fs::remove_file(store.path(STATE_FILE)).unwrap();
    assert!(open_state(&store, NOW).unwrap().1);
    assert!(aside(&scratch).is_empty());
}

#[test]
fn damage_that_showed_while_the_daemon_ran_is_acted_upon_at_the_next_start() {
    let scratch = spool();
    let store = scratch.store();
    mark_damaged(&store, "database disk image is malformed");
    assert!(open_state(&store, NOW).unwrap().1);
    assert!(!open_state(&store, NOW).unwrap().1);
    assert_eq!(aside(&scratch), [format!("state.sqlite.damaged-{NOW}")]);
}

#[test]
fn only_the_latest_damaged_databases_are_kept() {
    let scratch = spool();
    let store = scratch.store();
    for attempt in 0..6 {
        std::fs::write(store.path(STATE_FILE), [7; 8192]).unwrap();
        std::fs::write(store.path("state.sqlite-wal"), [7; 99]).unwrap();
        assert!(open_state(&store, NOW + attempt / 2).unwrap().1);
    }
    let kept = aside(&scratch);
    let whole: Vec<&String> = kept.iter().filter(|name| !name.contains("-wal") && !name.contains("-shm")).collect();
    assert_eq!(whole.len(), KEPT, "{kept:?}");
    assert!(kept.iter().all(|name| !name.contains(&NOW.to_string())), "{kept:?}");
}

#[test]
fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    let store = scratch.store();
    rusqlite::Connection::open(store.path(STATE_FILE)).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let mut before = Vec::new();
    std::fs::File::open(store.path(STATE_FILE)).unwrap().read_to_end(&mut before).unwrap();
    let refused = open_state(&store, NOW).err().unwrap();
    assert_eq!(refused.exit, Exit::Config);
    assert!(refused.text.contains("newer") && refused.text.contains("99"), "{}", refused.text);
    assert!(std::fs::read(store.path(STATE_FILE)).unwrap() == before && aside(&scratch).is_empty());
}

#[test]
fn what_the_disk_refuses_is_no_damage_and_nothing_is_put_aside() {
    let scratch = Scratch::new();
    let store = scratch.store();
    std::fs::create_dir(store.path(STATE_FILE)).unwrap();
    assert_eq!(open_state(&store, NOW).err().unwrap().exit, Exit::IoErr);
    assert!(aside(&scratch).is_empty());
    for (code, is_damaged) in
        [(rusqlite::ffi::SQLITE_IOERR, false), (rusqlite::ffi::SQLITE_FULL, false), (rusqlite::ffi::SQLITE_CORRUPT, true)]
    {
        let e = StateError::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
        assert_eq!(e.is_damage(), is_damaged, "{e}");
    }
}
