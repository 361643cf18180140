//! docs/WALKTHROUGH.md names files, functions and types, and they are there.

use super::tree::{self, File};

/// What a row names: files by the end of their path, functions, types.
enum Name<'a> {
    File(&'a str),
    Function(&'a str),
    Type(&'a str),
}

/// The names between back quotes in a line.
fn names(line: &str) -> Vec<Name<'_>> {
    let quoted = line.split('`').skip(1).step_by(2);
    let name = |word: &'_ str| {
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_type = |text: &str| is_word(text) && text.starts_with(|c: char| c.is_ascii_uppercase());
        is_word(word.trim_end_matches("()")).then_some(()).filter(|()| word.ends_with("()") || is_type(word))
    };
    quoted
        .filter_map(|word| match word.strip_suffix("()") {
            _ if word.ends_with(".rs") => Some(Name::File(word)),
            Some(function) => name(word).map(|()| Name::Function(function)),
            // Names of the system, such as `Received`, stand in quotes too; types of ours have another capital or none of it matters.
            None => name(word).map(|()| Name::Type(word)),
        })
        .collect()
}

/// What is named and not there. A function is looked for in the files of the name before it.
fn missing(text: &str, files: &[File]) -> Vec<String> {
    let is_called = |path: &str, name: &str| path == name || path.ends_with(&format!("/{name}"));
    let defines = |text: &str, words: &[&str], name: &str| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        words.iter().any(|word| text.match_indices(&format!("{word} {name}")).any(|(at, found)| ends(&text[at + found.len()..])))
    };
    let mut wrong = Vec::new();
    for line in text.lines() {
        let mut current: Vec<&File> = Vec::new();
        for name in names(line) {
            match name {
                Name::File(name) => {
                    current = files.iter().filter(|file| is_called(&file.path, name)).collect();
                    if current.is_empty() {
                        wrong.push(format!("there is no file {name}"));
                    }
                }
                Name::Function(name) if !current.iter().any(|file| defines(&file.text, &["fn"], name)) => {
                    wrong.push(format!("there is no function {name}() where this line looks for it: {line}"));
                }
                Name::Type(name) if !files.iter().any(|file| defines(&file.text, &["struct", "enum", "type", "trait", "const"], name)) => {
                    wrong.push(format!("there is no type {name}"));
                }
                Name::Function(_) | Name::Type(_) => {}
            }
        }
    }
    wrong
}

#[test]
fn every_file_function_and_type_of_the_walkthrough_is_there() {
    let files: Vec<File> = tree::files().into_iter().filter(|file| file.path.starts_with("src/")).collect();
    let text = super::read("docs/WALKTHROUGH.md");
    assert!(text.lines().flat_map(names).count() > 150);
    let wrong = missing(&text, &files);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_there_is_found() {
    let files = [File { path: "src/a/mod.rs".to_owned(), text: "pub struct Thing;\nasync fn work() {}\nfn works() {}\n".to_owned() }];
    assert!(missing("| `a/mod.rs` `work()` `works()` | makes a `Thing` |", &files).is_empty());
    for (line, what) in [
        ("| `b.rs` | x |", "no file b.rs"),
        ("| `mod.rs` `wor()` | x |", "no function wor()"),
        ("| `work()` | of no file |", "no function work()"),
        ("| x | a `Thin` |", "no type Thin"),
    ] {
        assert!(missing(line, &files).iter().any(|wrong| wrong.contains(what)), "{line}");
    }
}
