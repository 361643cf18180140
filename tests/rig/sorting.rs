//! `tests/run quick` sorts by what a test asks for: so a test asks before it uses what is not in this tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::parts;

/// Programs that every host with a compiler has.
const EVERYWHERE: &[&str] = &["sh", "/bin/sh", "cp"];

/// The files below tests/.
fn files() -> Vec<(PathBuf, String)> {
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// The programs that `text` runs by their bare name.
fn programs(text: &str) -> BTreeSet<&str> {
    text.split("Command::new(\"").skip(1).filter_map(|rest| rest.split_once("\")")).map(|(name, _)| name).collect()
}

/// True if `text` ends a quick run's test somewhere.
fn asks(text: &str) -> bool {
    ["isolated!(", "require!(", "beyond_this_tree("].iter().any(|mark| text.contains(mark))
}

#[test]
fn who_runs_a_foreign_program_asks_for_something_first() {
    let files = files();
    assert!(files.len() > 100, "{}", files.len());
    for (path, text) in &files {
        let foreign: Vec<_> = programs(text).into_iter().filter(|name| !EVERYWHERE.contains(name)).collect();
        // What has no tests of its own is used by tests beside it.
        let has_tests = text.contains("#[test]");
        let beside = files.iter().filter(|(other, _)| other == path || !has_tests && other.parent() == path.parent());
        let in_support = path.components().any(|part| part.as_os_str() == "support");
        let asks = in_support || beside.into_iter().any(|(_, text)| asks(text));
        assert!(asks || foreign.is_empty(), "{} runs {foreign:?} and asks for nothing", path.display());
    }
}

#[test]
fn in_a_quick_run_nothing_that_is_asked_for_is_there() {
    if std::env::var_os("MAILCHUTE_QUICK").is_none() {
        assert!(parts::tool("sh").is_ok() && parts::time().is_ok());
        return;
    }
    assert!(parts::tool("sh").is_err() && parts::python().is_err() && parts::packages().is_err() && parts::time().is_err());
    assert!(crate::support::isolation::enter(test_name!()).is_err());
}
