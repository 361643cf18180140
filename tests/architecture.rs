//! What the documents say of the source is true: imports go one way, the map in lib.rs is complete, nothing is left over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// The module path of a source file: `src/relay/smtp/mod.rs` is relay, smtp.
fn module_of(path: &Path) -> Vec<String> {
    let inner = path.strip_prefix("src").unwrap().with_extension("");
    let mut names: Vec<String> = inner.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || name == "lib") {
        names.pop();
    }
    names
}

/// The modules at the top that `text`, in module `here`, names: by `crate::…` or by enough `super::`.
fn imports(here: &[String], text: &str, top: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in code_lines(text) {
        let mut rest = line;
        while let Some(at) = rest.find("crate::").map(|at| at + 7) {
            rest = &rest[at..];
            found.extend(first_names(rest));
        }
        let supers = line.matches("super::").count();
        if supers > 0 && supers >= here.len() {
            found.extend(line.rfind("super::").into_iter().flat_map(|at| first_names(&line[at + 7..])));
        }
    }
    found.intersection(top).cloned().collect()
}

/// The first word of each path in `a::b`, `{a::b, c}`.
fn first_names(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    match text.strip_prefix('{') {
        None => vec![word(text)],
        Some(list) => {
            let mut depth = 0;
            let at_top = |c: char| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            };
            list.split(at_top).map(|item| word(item.trim())).collect()
        }
    }
}

/// The lines that are not comments.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

fn import_graph() -> BTreeMap<String, BTreeSet<String>> {
    let sources: Vec<Source> = files(&["src"], &["rs"]).into_iter().filter(|source| !source.path.starts_with("src/bin")).collect();
    let top: BTreeSet<String> = sources.iter().filter_map(|source| module_of(&source.path).first().cloned()).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &sources {
        let here = module_of(&source.path);
        let Some(own) = here.first() else { continue };
        let mut named = imports(&here, &source.text, &top);
        named.remove(own);
        graph.entry(own.clone()).or_default().extend(named);
    }
    graph
}

/// 0 is the vocabulary, 2 the programs. exit.rs is beside the vocabulary: everybody's errors end there.
fn layer(module: &str) -> usize {
    match module {
        "mail" | "exit" => 0,
        "submit" | "relay" | "ctl" => 2,
        _ => 1,
    }
}

#[test]
fn imports_go_one_way() {
    for (module, imported) in import_graph() {
        for other in imported {
            let one_way = layer(&other) < layer(&module) || (layer(&module), layer(&other)) == (1, 1);
            assert!(one_way, "{module} imports {other}");
        }
    }
}

#[test]
fn no_two_modules_import_each_other() {
    let graph = import_graph();
    for (module, imported) in &graph {
        for other in imported {
            assert!(!graph[other].contains(module), "{module} and {other} import each other");
        }
    }
}

#[test]
fn the_judge_of_imports_sees_every_form() {
    let top: BTreeSet<String> = ["mail", "submit", "relay"].map(str::to_owned).into();
    let here = ["relay".to_owned(), "smtp".to_owned()];
    let seen = |text: &str| imports(&here, text, &top).into_iter().collect::<Vec<_>>();
    assert_eq!(seen("use crate::submit::cli;"), ["submit"]);
    assert_eq!(seen("use crate::{mail::{a, relay}, submit};"), ["mail", "submit"]);
    assert_eq!(seen("    let x = crate::submit::run();"), ["submit"]);
    assert_eq!(seen("use super::super::submit;"), ["submit"]);
    assert!(seen("use super::submit;\n// use crate::submit;").is_empty());
}

#[test]
fn the_map_in_lib_rs_names_every_module_and_no_other() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let on_the_map: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("//! * [`")?.split_once("`]").map(|(name, _)| name)).collect();
    let declared: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(on_the_map, declared);
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
