//! Does every rule id, document and manual page that is cited exist, once; and does somebody obey each rule? Pure: files in,
//! sentences about what is wrong out.

use std::collections::{BTreeMap, BTreeSet};

use super::super::tree::{self, File};
use super::{ids, texts};

/// A rule, as a document states it.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub id: String,
    pub document: String,
    pub text: String,
}

/// The rules of all documents: rows of tables whose first cell is an id, and items that begin with a bold one.
pub(crate) fn rules(files: &[File]) -> Vec<Rule> {
    files.iter().filter(|file| file.path.starts_with("docs/")).flat_map(rules_of).collect()
}

fn rules_of(file: &File) -> Vec<Rule> {
    let mut found: Vec<Rule> = Vec::new();
    let mut is_open = false;
    for line in file.text.lines() {
        if let Some(id) = defined_by(line) {
            found.push(Rule { id: id.to_owned(), document: file.path.clone(), text: line.to_owned() });
            is_open = true;
        } else if line.is_empty() || line.starts_with(['|', '#', '*']) {
            is_open = false;
        } else if let Some(rule) = found.last_mut().filter(|_| is_open) {
            rule.text = format!("{} {}", rule.text, line.trim());
        }
    }
    found
}

/// The id that a line defines.
fn defined_by(line: &str) -> Option<&str> {
    let row = || line.strip_prefix("| ")?.split_once(" |").map(|(cell, _)| cell);
    let item = || line.strip_prefix("* **")?.split_once("**").map(|(id, _)| id);
    row().or_else(item).filter(|word| ids::is_id(word))
}

/// Everything that is wrong.
pub(crate) fn problems(files: &[File]) -> Vec<String> {
    let tests = tree::tests(files);
    let rules = rules(files);
    let cited = cited(files, &tests);
    let known: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let mut found = twice(&rules);
    for (id, places) in cited.iter().filter(|(id, _)| !known.contains(id.as_str())) {
        found.push(format!("{id} stands in no document, and is cited by {}", places[0]));
    }
    found.extend(rules.iter().filter_map(|rule| idle(rule, &cited, &tests)));
    found.extend(rules.iter().flat_map(|rule| {
        proofs(rule)
            .filter(|name| !tests.contains(*name))
            .map(|name| format!("{} names a test that is not there: {name}", rule.id))
            .collect::<Vec<_>>()
    }));
    found.extend(files.iter().flat_map(|file| documents(file, files)));
    found
}

fn twice(rules: &[Rule]) -> Vec<String> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let other = |rule: &Rule, first: &str| format!("{} stands in {first} and in {}", rule.id, rule.document);
    rules.iter().filter_map(|rule| seen.insert(&rule.id, &rule.document).map(|first| other(rule, first))).collect()
}

/// The ids that are cited, each with the places. A definition is no citation of itself, and one document cites another only.
fn cited(files: &[File], tests: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        for (line, text) in texts::of(file) {
            let own = if file.path.starts_with("docs/") { defined_by(text) } else { None };
            for id in ids::in_text(text).into_iter().filter(|id| Some(id.as_str()) != own) {
                found.entry(id).or_default().push(format!("{}:{line}", file.path));
            }
        }
    }
    for test in tests {
        for id in ids::in_name(test) {
            found.entry(id).or_default().push(format!("the test {test}"));
        }
    }
    found
}

/// A rule that nothing outside of the documents cites, no test is named after, and that neither names a test nor is by design.
fn idle(rule: &Rule, cited: &BTreeMap<String, Vec<String>>, tests: &BTreeSet<String>) -> Option<String> {
    let is_cited = cited.get(&rule.id).is_some_and(|places| places.iter().any(|place| !place.starts_with("docs/")));
    let is_proved = proofs(rule).any(|name| tests.contains(name));
    let is_by_design = rule.text.contains("By design");
    (!is_cited && !is_proved && !is_by_design).then(|| format!("nobody cites {} of {}, and it names no test", rule.id, rule.document))
}

/// The tests that a rule names behind `Proof:`.
fn proofs(rule: &Rule) -> impl Iterator<Item = &str> {
    let proof = rule.text.split_once("Proof:").map_or("", |(_, proof)| proof);
    proof.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 3)
}

/// The documents and manual pages that a file cites and that are not there, or lack the section.
fn documents(file: &File, files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, text) in texts::of(file) {
        let place = format!("{}:{line}", file.path);
        wrong.extend(documents_in(text, &file.path, files).into_iter().map(|what| format!("{place} cites {what}")));
        wrong.extend(pages_in(text, files).into_iter().map(|what| format!("{place} cites {what}")));
    }
    wrong
}

/// What is wrong with the documents that a text cites: its name alone, with `section 9`, or with `, "Title"`.
fn documents_in(text: &str, from: &str, files: &[File]) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    let mut wrong = Vec::new();
    for (at, _) in text.match_indices(".md").filter(|(at, _)| !text[at + 3..].starts_with(|c: char| c.is_alphanumeric())) {
        let begin = text[..at].rfind(|c| !is_part(c)).map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8));
        let name = &text[begin..at + 3];
        let beside = from.rsplit_once('/').map_or(String::new(), |(directory, _)| format!("{directory}/"));
        let plain = name.trim_start_matches("../").trim_start_matches("./");
        let paths = [format!("{beside}{name}"), name.to_owned(), format!("docs/{name}"), plain.to_owned()];
        match files.iter().find(|file| paths.contains(&file.path)) {
            None if name == ".md" => {}
            None => wrong.push(format!("{name}, which is not there")),
            Some(document) => wrong.extend(sections_in(&text[at + 3..], document)),
        }
    }
    wrong
}

/// What is wrong with the section that follows the name of a document.
fn sections_in(after: &str, document: &File) -> Vec<String> {
    let headings: Vec<&str> =
        document.text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim()).collect();
    if let Some((title, _)) = after.strip_prefix(", \"").and_then(|rest| rest.split_once('"')) {
        let is_there = headings.contains(&title);
        return if is_there { Vec::new() } else { vec![format!("{}, \"{title}\", which is no heading there", document.path)] };
    }
    let rest = after.trim_start();
    let rest = rest.strip_prefix("sections").or_else(|| rest.strip_prefix("section")).unwrap_or(rest);
    let words = rest.split([' ', ',']).filter(|word| !word.is_empty());
    let numbers =
        words.map(|word| word.trim_end_matches(['.', ')', ':', ';'])).take_while(|word| *word == "and" || word.parse::<u32>().is_ok());
    let is_there = |number: &str| headings.iter().any(|heading| heading.starts_with(&format!("{number}. ")));
    let missing = numbers.filter(|word| *word != "and" && !is_there(word));
    missing.map(|number| format!("section {number} of {}, which has none", document.path)).collect()
}

/// Manual pages of ours that a text cites and that are not there: `mailchute.toml(5)`.
fn pages_in(text: &str, files: &[File]) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '-' || c == '.';
    let names: BTreeSet<&str> =
        files.iter().filter_map(|file| file.path.strip_prefix("man/")?.rsplit_once('.').map(|(name, _)| name)).collect();
    let mut wrong = Vec::new();
    for (at, _) in text.match_indices('(') {
        let Some(section) =
            text[at + 1..].split_once(')').map(|(section, _)| section).filter(|text| matches!(text.as_bytes(), [b'1'..=b'8']))
        else {
            continue;
        };
        let begin = text[..at].rfind(|c| !is_part(c)).map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8));
        let name = text[begin..at].trim_start_matches(['.', '-']);
        let is_ours = name.starts_with("mailchute") || names.contains(name);
        if is_ours && !files.iter().any(|file| file.path == format!("man/{name}.{section}")) {
            wrong.push(format!("{name}({section}), which is not there"));
        }
    }
    wrong
}
