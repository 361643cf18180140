//! Which crate may use which: the rooms of the source, kept apart by the compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ROOT;

/// What each crate of ours depends on: ours and foreign, without what only its tests use.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let of = |name: &String| {
        let manifest = std::fs::read_to_string(Path::new(ROOT).join("src").join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let table = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        (name.clone(), table.keys().cloned().collect())
    };
    members().iter().map(of).collect()
}

/// The crates of the workspace, in the order of its manifest.
fn members() -> Vec<String> {
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap()).unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().strip_prefix("src/").unwrap().to_owned()).collect()
}

/// `name` and everything below it.
fn closure(name: &str, graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![name.to_owned()];
    while let Some(next) = pending.pop() {
        if found.insert(next.clone()) {
            pending.extend(graph.get(&next).into_iter().flatten().cloned());
        }
    }
    found
}

#[test]
fn every_room_is_a_crate_and_the_manifest_lists_them_from_the_bottom_up() {
    let directories = Path::new(ROOT).join("src").read_dir().unwrap().map(|entry| entry.unwrap());
    let rooms: BTreeSet<String> = directories
        .filter(|entry| entry.path().is_dir() && entry.file_name() != "bin")
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(members().into_iter().collect::<BTreeSet<_>>(), rooms);
    let (graph, mut below) = (dependencies(), BTreeSet::new());
    for member in members() {
        let own = graph[&member].iter().filter(|name| graph.contains_key(*name));
        own.for_each(|name| assert!(below.contains(name), "{member} uses {name}, which the manifest lists after it"));
        below.insert(member);
    }
}

/// A crate, and what it must never reach, directly or through another one.
const APART: &[(&str, &[&str])] = &[
    ("mail", &["exit", "sys", "nix", "config", "log", "tokio"]),
    ("spool", &["state", "store", "rusqlite", "tokio", "log"]),
    ("submit", &["daemon", "ctl", "state", "store", "log", "tracing", "tokio", "rustls", "rusqlite", "aws-lc-rs"]),
    ("transport", &["spool", "store", "state", "rusqlite", "log", "control"]),
    ("dkim", &["transport", "spool", "store", "state", "tokio"]),
    ("dsn", &["transport", "observe", "daemon", "tokio"]),
    ("observe", &["transport", "store", "daemon", "tokio"]),
    ("admin", &["transport", "observe", "daemon", "tokio"]),
    ("ctl", &["daemon", "transport", "observe", "tokio"]),
    ("daemon", &["submit", "ctl"]),
    ("control", &["state", "store", "rusqlite", "tokio"]),
];

#[test]
fn the_crates_stay_apart() {
    let graph = dependencies();
    for (name, others) in APART {
        let reached = closure(name, &graph);
        assert!(reached.len() > 1, "{name} depends on nothing, so the check proves nothing");
        for other in *others {
            assert!(!reached.contains(*other), "{name} reaches {other}");
        }
    }
}

#[test]
fn helpers_of_tests_are_in_no_program() {
    for (name, used) in dependencies() {
        assert!(!used.contains("testing") && !used.contains("tempfile") || name == "testing", "{name} ships helpers of tests");
    }
}
