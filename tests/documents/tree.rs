//! The text files of this tree, as a fresh clone has them, and what the tests among them are called.

use std::collections::BTreeSet;
use std::path::Path;

/// A text file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From the top of the tree, with slashes.
    pub path: String,
    pub text: String,
}

/// Directories that hold no text of ours: builds, other people's input, input for programs.
const PASSED_OVER: &[&str] = &["target", ".git", "__pycache__", "fuzz/seeds", "fuzz/dictionaries", "tests/data"];
/// Files that others wrote.
const FOREIGN: &[&str] = &["Cargo.lock", "fuzz/Cargo.lock", "LICENSE-MIT", "LICENSE-APACHE"];

/// Every text file of the tree.
pub(crate) fn files() -> Vec<File> {
    let top = super::tree();
    let mut found = Vec::new();
    let mut pending = vec![top.clone()];
    while let Some(directory) = pending.pop() {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
            let is_passed_over = PASSED_OVER.iter().any(|other| name == *other || name.ends_with(&format!("/{other}")));
            if path.is_symlink() || is_passed_over || FOREIGN.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(text) = String::from_utf8(std::fs::read(&path).unwrap()) {
                found.push(File { path: name, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 100, "{}", found.len());
    found
}

/// The names of the tests in `files`.
pub(crate) fn tests(files: &[File]) -> BTreeSet<String> {
    files.iter().filter(|file| file.path.ends_with(".rs")).flat_map(|file| tests_in(&file.text)).collect()
}

/// The function after each line that makes one a test.
fn tests_in(text: &str) -> Vec<String> {
    let mut lines = text.lines().map(str::trim);
    let mut names = Vec::new();
    while lines.by_ref().any(|line| line == "#[test]" || line.starts_with("#[tokio::test")) {
        let name = lines.by_ref().find_map(|line| line.split_once("fn ").map(|(_, rest)| rest.to_owned()));
        names.extend(name.and_then(|rest| rest.split(['(', '<']).next().map(str::to_owned)));
    }
    names
}

/// The last component of a path.
pub(crate) fn last(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
