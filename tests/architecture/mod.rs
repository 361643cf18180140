//! The shape of the source: which crate may use which, which file imports which, and what must not be left over.

use std::path::{Path, PathBuf};

mod crates;
mod errors;
mod files;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A text file of the project.
struct Source {
    /// Relative to the package.
    path: PathBuf,
    text: String,
}

/// The files below `directories` with one of `extensions` ("" = none), in order.
fn files(directories: &[&str], extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = directories.iter().map(|name| Path::new(ROOT).join(name)).collect();
    while let Some(directory) = pending.pop() {
        for entry in directory.read_dir().into_iter().flatten() {
            let path = entry.unwrap().path();
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "__pycache__") {
                pending.push(path);
            } else if path.is_file() && extensions.contains(&extension.as_str()) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(ROOT).unwrap().to_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "{directories:?}");
    found
}

#[test]
fn nothing_is_left_over() {
    // Taken apart, so that this file does not find itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("#[", "ignore"), concat!("dbg", "!(")];
    let stands_alone = |line: &str, at: usize, word: &str| {
        let neighbour = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        !neighbour(line[..at].chars().next_back()) && !neighbour(line[at + word.len()..].chars().next())
    };
    let places = ["src", "tests", "examples", "benches", "packaging", "man", "docs", "fuzz/fuzz_targets", "fuzz/src", ".ci"];
    for source in files(&places, &["rs", "py", "sh", "md", "toml", ""]) {
        for (number, line) in source.text.lines().enumerate() {
            let found = words.iter().find(|word| line.match_indices(*word).any(|(at, _)| stands_alone(line, at, word)));
            assert!(found.is_none(), "{}:{}: {line}", source.path.display(), number + 1);
        }
    }
}

#[test]
fn sections_of_an_rfc_are_cited_in_one_form() {
    // `RFC 5321 4.5.2`, so that a script can list what is obeyed where.
    let other_form = |after: &str| {
        let number = after.strip_prefix(' ').unwrap_or("");
        let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
        let squeezed = after.starts_with(|c: char| c.is_ascii_digit());
        squeezed || number.len() != rest.len() && [" §", " section", ", section", " sec."].iter().any(|word| rest.starts_with(word))
    };
    for source in files(&["src"], &["rs"]) {
        for (number, line) in source.text.lines().enumerate() {
            let found = line.match_indices("RFC").any(|(at, word)| other_form(&line[at + word.len()..]));
            assert!(!found, "{}:{}: {line}", source.path.display(), number + 1);
        }
    }
}
