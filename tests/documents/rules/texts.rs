//! What a file says to people: comments, prose, and the messages of assertions.

use super::super::tree::File;
use super::ids;

/// The parts of a file in which rules and documents are cited, each with its line, counted from 1.
pub(crate) fn of(file: &File) -> Vec<(usize, &str)> {
    let lines = file.text.lines().enumerate().map(|(at, line)| (at + 1, line));
    if file.path.ends_with(".md") {
        return prose(lines);
    }
    if file.path.starts_with("man/") {
        return lines.map(|(at, line)| (at, without_macro(line))).collect();
    }
    let is_rust = file.path.ends_with(".rs") || file.path.ends_with(".patch");
    let comment = move |(at, line)| Some((at, comment_in(line, if is_rust { "//" } else { "#" })?));
    let mut parts: Vec<_> = lines.clone().filter_map(comment).collect();
    if is_rust {
        parts.extend(lines.flat_map(|(at, line)| messages(line).map(move |text| (at, text))));
    }
    parts
}

/// Everything but the blocks of code.
fn prose<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<(usize, &'a str)> {
    let mut is_code = false;
    let is_prose = |(_, line): &(usize, &str)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    lines.filter(is_prose).collect()
}

/// A line of a manual page, without the macro that it begins with.
fn without_macro(line: &str) -> &str {
    match line.strip_prefix('.') {
        Some(rest) => rest.split_once(' ').map_or("", |(_, text)| text),
        None => line,
    }
}

/// What follows the first `mark` that begins a line or follows a blank.
fn comment_in<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let begins = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices(mark).map(|(at, _)| at).find(|&at| begins(at)).map(|at| &line[at + mark.len()..])
}

/// The beginnings of texts that are nothing but ids and a colon: `"S1, S5: {}"`.
fn messages(line: &str) -> impl Iterator<Item = &str> {
    let heads = line.split('"').filter_map(|text| text.split_once(": ").map(|(head, _)| head));
    heads.filter(|head| {
        let mut words = head.split([',', ' ']).filter(|word| !word.is_empty()).peekable();
        words.peek().is_some() && words.all(|word| ids::is_id(word) || word == "and" || word == "to")
    })
}

#[test]
fn the_parts_that_cite_are_found_in_each_kind_of_file() {
    let parts = |path: &str, text: &str| {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        of(&file).into_iter().map(|(at, text)| format!("{at}:{}", text.trim())).collect::<Vec<_>>()
    };
    assert_eq!(parts("a.rs", "let x = \"http://S1\"; // R5\nf(\"S2, S3: {}\", \"D1\");\n"), ["1:R5", "2:S2, S3"]);
    assert_eq!(parts("a.md", "R1\n```\nR2\n```\nR3\n"), ["1:R1", "5:R3"]);
    assert_eq!(parts("man/a.5", ".D1 field\nS1\n"), ["1:field", "2:S1"]);
    assert_eq!(parts("run", "x=1 # P8\necho '#P9'\n"), ["1:P8"]);
}
