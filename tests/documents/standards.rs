//! docs/STANDARDS.md: a row for each RFC that the source cites, and an index of the sections, made from the comments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::generated::{compare, with_section};
use super::tree::{self, File};

/// The RFCs and sections in a text: `RFC 5321 4.5.2`, and the others of a list, `RFC 3464, 6522`.
fn cited(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for part in text.split("RFC ").skip(1) {
        let mut words = part.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let plain = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            let Some(number) = plain.parse::<u32>().ok().filter(|number| (100..10_000).contains(number)) else { break };
            let is_list = word.ends_with(',');
            let next = words.peek().filter(|_| word == plain).map(|next| next.trim_end_matches(|c: char| !c.is_ascii_digit()));
            let section = next.filter(|next| is_section(next));
            found.push((number, section.unwrap_or_default().to_owned()));
            if !is_list {
                break;
            }
        }
    }
    found
}

/// `4.5.2`, or `3`; no year and no other number.
fn is_section(word: &str) -> bool {
    word.split('.').all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
}

fn sources() -> Vec<File> {
    tree::files().into_iter().filter(|file| file.path.starts_with("src/")).collect()
}

/// The numbers of the first column of the first table.
fn rows(text: &str) -> BTreeSet<u32> {
    text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |")?.0.parse().ok()).collect()
}

#[test]
fn each_rfc_that_the_source_cites_has_its_row_and_no_other() {
    let numbers: BTreeSet<u32> = sources().iter().flat_map(|file| cited(&file.text)).map(|(number, _)| number).collect();
    assert_eq!(rows(&super::read("docs/STANDARDS.md")), numbers);
}

/// The last component of a path, with its folder where it is mod.rs.
fn short(path: &str) -> String {
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    match tree::last(path) {
        "mod.rs" => format!("{folder}/mod.rs"),
        name => name.to_owned(),
    }
}

#[test]
fn the_index_of_sections_is_made_from_the_comments() {
    let mut places: BTreeMap<(u32, Vec<u32>), BTreeSet<String>> = BTreeMap::new();
    for file in sources().into_iter().filter(|file| tree::last(&file.path) != "tests.rs") {
        for (number, section) in cited(&file.text).into_iter().filter(|(_, section)| !section.is_empty()) {
            let key = section.split('.').filter_map(|part| part.parse().ok()).collect();
            places.entry((number, key)).or_default().insert(short(&file.path));
        }
    }
    let mut table = "| section | obeyed in |\n|---|---|\n".to_owned();
    for ((number, section), files) in places {
        let section: Vec<String> = section.iter().map(u32::to_string).collect();
        let files: Vec<String> = files.iter().map(|name| format!("`{name}`")).collect();
        writeln!(table, "| RFC {number} {} | {} |", section.join("."), files.join(", ")).unwrap();
    }
    let path = "docs/STANDARDS.md";
    compare(path, &with_section(path, "SECTIONS", &table));
}

#[test]
fn citations_of_an_rfc_are_read_right() {
    let read = |text: &str| cited(text).into_iter().map(|(number, section)| format!("{number}/{section}")).collect::<Vec<_>>();
    assert_eq!(read("RFC 5321 4.5.2: dots; (RFC 3464, 6522)"), ["5321/4.5.2", "3464/", "6522/"]);
    assert_eq!(read("RFC 3461 6.3 (h) and (i), RFC 3464 2.3.7"), ["3461/6.3", "3464/2.3.7"]);
    assert_eq!(read("RFC 5322. In 2026"), ["5322/"]);
    assert_eq!(read("(RFC 5891)\")); (RFC 2047 5 (2))"), ["5891/", "2047/5"]);
    assert_eq!(read("RFC 1870; 0 where it was not given"), ["1870/"]);
}
