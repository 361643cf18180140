//! One word for one thing: words that were given up, and what is said instead. They stand nowhere in the code, the manual, the
//! documents and the packaging, in any case, alone or as a part of a name (`deed` is in `DeedKind` and `last_deed`).

use std::path::{Path, PathBuf};

/// Where the words count. The change log may name what was renamed.
const PLACES: &[&str] = &["src", "man", "docs", "packaging", "README.md", "install.sh"];

/// A word or phrase in lower case, and what is said instead.
type Row = (&'static str, &'static str);

#[rustfmt::skip] // a list is easier to keep when each row is a line
const GIVEN_UP: &[Row] = &[
    ("adrift", "unindexed"),
    ("as it is told", "say who tells it what"),
    ("begin anew", "retry from scratch"),
    ("brings it back for", "can be undone within"),
    ("by its claim", "as reported by the caller"),
    ("circumstances", "snapshot, inputs"),
    ("deed", "AdminOp, operation"),
    ("deeds", "AdminOp, operation"),
    ("delivery goes on", "delivery resumed"),
    ("door", "submission socket"),
    ("everything for it waits", "the route is suspended; its messages stay queued"),
    ("facts", "snapshot, inputs"),
    ("give_up_time", "queue_lifetime"),
    ("in sight of a person", "kept for review"),
    ("is told", "say who gets or says what"),
    ("ledger", "state writer"),
    ("mail is taken", "accepting mail"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("mends", "fixes"),
    ("nothing is to be done", "no action needed"),
    ("outlet", "event sink"),
    ("outlets", "event sinks"),
    ("parcel", "submission"),
    ("seat", "permit, or state of the queue"),
    ("seats", "permits, or states of the queue"),
    ("steer", "modify"),
    ("steers", "modifies"),
    ("unwell", "transient"),
];

/// Words that still stand in the tree. When the last use of one goes, its row moves up to GIVEN_UP.
#[rustfmt::skip]
const STILL_THERE: &[Row] = &[
    ("by root (uid 0)", "held by root"),
    ("made due now", "retrying now"), // in databases of schema 2
    ("notice", "DSN, bounce, delay notification; warning"), // a table of schema 1, and a severity of syslog
    ("notices", "DSNs; warnings"),
];

#[test]
fn no_word_that_was_given_up_stands_in_the_tree() {
    let found = uses(GIVEN_UP);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_word_is_found_in_names_and_over_the_end_of_a_line_and_not_within_another_word() {
    let row: Row = ("deed", "");
    for text in ["a deed.", "Deed", "DeedKind", "last_deed", "LAST_DEED", "deed2", "src/admin/deed.rs"] {
        assert!(contains(text, row.0), "{text}");
    }
    for text in ["indeed", "deeds", "Deedless", "DEEDS"] {
        assert!(!contains(text, row.0), "{text}");
    }
    let lines = ["//! It does as it", "//! is told."];
    assert!(contains(&with_the_next(&lines, 0), "as it is told") && !contains(&with_the_next(&lines, 1), "as it is told"));
    assert!(GIVEN_UP.iter().chain(STILL_THERE).all(|(word, _)| *word == word.to_lowercase()));
}

/// Where one of `rows` is used, a line each.
fn uses(rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    let files = files();
    assert!(files.len() > 100, "{}", files.len());
    for (path, text) in files {
        let lines: Vec<&str> = text.lines().collect();
        for (word, instead) in rows {
            if contains(&path.to_string_lossy(), word) {
                found.push(format!("{}: the name has `{word}`; say: {instead}", path.display()));
            }
            let numbers = (0..lines.len()).filter(|&at| starts_in_this_line(&lines, at, word));
            found.extend(numbers.map(|at| format!("{}:{}: `{word}`; say: {instead}", path.display(), at + 1)));
        }
    }
    found
}

/// The texts at [`PLACES`], with their paths in the tree.
fn files() -> Vec<(PathBuf, String)> {
    let mut pending: Vec<PathBuf> = PLACES.iter().map(|place| super::tree().join(place)).collect();
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            found.push((path.strip_prefix(super::tree()).unwrap_or(Path::new("")).to_owned(), text));
        }
    }
    found.sort();
    found
}

fn starts_in_this_line(lines: &[&str], at: usize, word: &str) -> bool {
    let next_alone = lines.get(at + 1).is_some_and(|next| contains(next, word));
    contains(lines[at], word) || word.contains(' ') && !next_alone && contains(&with_the_next(lines, at), word)
}

/// A line and the next one, without what begins a comment: a phrase may go over the end of a line.
fn with_the_next(lines: &[&str], at: usize) -> String {
    let next = lines.get(at + 1).copied().unwrap_or_default();
    format!("{} {}", lines[at].trim_end(), next.trim_start_matches(['/', '!', '#', '*', ' ']))
}

/// True if `text` has `word`, which is in lower case, between other signs than letters of the same word.
fn contains(text: &str, word: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.match_indices(word).any(|(at, _)| {
        let (first, last) = (text[at..].chars().next(), text[..at + word.len()].chars().next_back());
        is_edge(text[..at].chars().next_back(), first) && is_edge(last, text[at + word.len()..].chars().next())
    })
}

/// True if a word ends between the two: one is no letter, or the second is the capital of the next word in a name like `OneTwo`.
fn is_edge(before: Option<char>, after: Option<char>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return true };
    !before.is_alphabetic() || !after.is_alphabetic() || before.is_lowercase() && after.is_uppercase()
}
