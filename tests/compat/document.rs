//! docs/COMPAT.md: a section for each reason, in it a row for each difference.

use std::fmt::Write;

use super::cases::{self, Case};
use super::compare::Difference;
use super::reasons;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/COMPAT.md");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compat/ours.txt");
/// Of a value with more characters than this, a part is shown.
const SHOWN: usize = 72;
/// A longer run of one character is shown by its length.
const SHORT: usize = 16;

const HEAD: &str = "\
# Where `sendmail` differs from the others

Made by `UPDATE=1 cargo test compat`, which gives the same command lines and messages to our `sendmail` and to those of three other
mail systems: {versions},
from the packages of Debian 12, each relaying everything to one next hop. With these versions the test fails when a difference
appears or disappears, and when one has no reason; with others it records what is different now.

The caller is an ordinary user, `caller`, whose full name in passwd is `Alice Q. Example,Room 1,555`; the domain for bare addresses is
`sender.example`. Compared are whether the call succeeds and with which exit code, the reverse-path and the forward-paths with their
SMTP parameters, every header field and the bytes of the body of what arrives at the next hop, and whether somebody gets a bounce
by mail. Not compared are `Received` fields, the order of fields, white space in them, and the values of `Date` and `Message-ID`
fields that had to be added. In the tables, `\\n` is the end of a line, `x×998` is 998 times an x, and what is too long is shown
around the first difference.

";

/// The document.
pub(crate) fn render(versions: &[String; 3], differences: &[Difference]) -> String {
    let mut out = HEAD.replace("{versions}", &format!("{}, {} and {}", versions[0], versions[1], versions[2]));
    let cases = cases::all();
    for reason in reasons::REASONS {
        writeln!(out, "## {}\n\n{}\n\n| given | here | there |\n|---|---|---|", reason.title, fill(reason.text)).unwrap();
        let is_explained = |one: &&Difference| reasons::of(one).is_some_and(|found| std::ptr::eq(found, reason));
        for row in rows(differences.iter().filter(is_explained).collect()) {
            let calls: Vec<String> = row.cases.iter().map(|name| given(cases.iter().find(|case| case.name == *name).unwrap())).collect();
            let (ours, theirs) = (value(row.facet, row.ours, row.theirs), value(row.facet, row.theirs, row.ours));
            writeln!(out, "| {} | {ours} | {}: {theirs} |", calls.join(" <br> "), row.systems.join(", ")).unwrap();
        }
        out.push('\n');
    }
    let equal = cases.iter().filter(|case| !differences.iter().any(|one| one.case == case.name)).map(given);
    let list: String = equal.map(|given| format!("* {given}\n")).collect();
    write!(out, "## No difference at all\n\n{list}").unwrap();
    out
}

/// What some systems do in some cases.
struct Row<'a> {
    systems: Vec<&'static str>,
    cases: Vec<&'static str>,
    facet: &'a str,
    ours: &'a str,
    theirs: &'a str,
}

/// Differences that look the same share a row: first the systems of a case, then the cases of the same systems.
fn rows(differences: Vec<&Difference>) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    for one in differences {
        let (facet, ours, theirs) = (one.facet.as_str(), one.ours.as_str(), one.theirs.as_str());
        match rows.iter_mut().find(|row| (row.facet, row.ours, row.theirs) == (facet, ours, theirs) && row.cases == [one.case]) {
            Some(row) => row.systems.push(one.system),
            None => rows.push(Row { systems: vec![one.system], cases: vec![one.case], facet, ours, theirs }),
        }
    }
    let mut merged: Vec<Row> = Vec::new();
    for row in rows {
        let same =
            |other: &&mut Row| (other.facet, other.ours, other.theirs, &other.systems) == (row.facet, row.ours, row.theirs, &row.systems);
        match merged.iter_mut().find(same) {
            Some(other) => other.cases.extend(row.cases),
            None => merged.push(row),
        }
    }
    merged
}

/// Lines of at most 132 columns.
fn fill(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.len() + 1 + word.len() > 132 {
            lines.push(word.to_owned());
        } else {
            *line = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        }
    }
    lines.join("\n")
}

/// True if the file says the same.
pub(crate) fn is_current(wanted: &str) -> bool {
    read(PATH) == wanted
}

/// True if the file is about these versions.
pub(crate) fn is_made_with(versions: &[String; 3]) -> bool {
    let found = read(PATH);
    versions.iter().all(|version| found.contains(version.as_str()))
}

/// True if the files are to be written.
pub(crate) fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// Compares it with the file, or with UPDATE=1 writes it.
pub(crate) fn compare(wanted: &str) {
    compare_with(PATH, "docs/COMPAT.md", wanted);
}

/// As [`compare`], for what ours does.
pub(crate) fn compare_own(wanted: &str) {
    compare_with(OURS, "tests/compat/ours.txt", wanted);
}

fn compare_with(path: &str, name: &str, wanted: &str) {
    if is_update() {
        std::fs::write(path, wanted).unwrap();
    }
    let changes = changes_of(&read(path), wanted);
    assert!(changes.is_empty(), "{name} is not what the systems do; if it should be, run `UPDATE=1 cargo test compat`\n{changes}");
}

/// The lines in which the document would change.
pub(crate) fn changes(wanted: &str) -> String {
    changes_of(&read(PATH), wanted)
}

fn changes_of(found: &str, wanted: &str) -> String {
    let only_in = |one: &str, other: &str, mark: &str| -> String {
        let lines: std::collections::BTreeSet<&str> = other.lines().collect();
        one.lines().filter(|line| !lines.contains(line)).map(|line| format!("{mark} {line}\n")).collect()
    };
    let changes = only_in(found, wanted, "-") + &only_in(wanted, found, "+");
    if changes.is_empty() && found != wanted { "the order of the lines\n".to_owned() } else { changes }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Differences for a person who has to find their reasons.
pub(crate) fn listing(differences: &[&Difference]) -> String {
    let line = |one: &&Difference| {
        let (ours, theirs) = (around_difference(&one.ours, &one.theirs), around_difference(&one.theirs, &one.ours));
        format!("{} `{}` {}: here {ours}, there {theirs}\n", one.system, one.case, one.facet)
    };
    differences.iter().map(line).collect()
}

/// The command line, and what is special about the message.
fn given(case: &Case) -> String {
    let words: Vec<String> = case.argv.iter().map(|word| quoted(word)).collect();
    let command = [&[case.called.to_owned()], words.as_slice()].concat().join(" ");
    let told = if case.told.is_empty() { String::new() } else { format!("; {}", case.told) };
    format!("`{}`{told}", with_short_runs(&command)).replace('|', "\\|")
}

/// As a shell would want it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%_-+=:,./".contains(&byte);
    match word.replace('\n', "\\n") {
        text if !text.is_empty() && word.bytes().all(plain) => text,
        text if text.contains('\'') => format!("\"{text}\""),
        text => format!("'{text}'"),
    }
}

fn value(facet: &str, text: &str, other: &str) -> String {
    let shown = around_difference(text, other).replace('|', "\\|");
    match facet {
        "verdict" | "code" => text.to_owned(),
        "notice" if text == "nothing" => "no bounce".to_owned(),
        "notice" => format!("a bounce to `{shown}`"),
        facet if text == "nothing" => format!("no {facet}"),
        facet if text.is_empty() => format!("{facet}: empty"),
        facet => format!("{facet}: `{shown}`"),
    }
}

/// A long value is shown from a little before the place where it differs from `other`.
fn around_difference(text: &str, other: &str) -> String {
    let text = with_short_runs(text);
    let same = text.chars().zip(with_short_runs(other).chars()).take_while(|(one, two)| one == two).count();
    let length = text.chars().count();
    let start = if length > SHOWN { same.saturating_sub(SHOWN / 3) } else { 0 };
    let part: String = text.chars().skip(start).take(SHOWN).collect();
    let (before, after) = (if start > 0 { "…" } else { "" }, if length > start + SHOWN { "…" } else { "" });
    format!("{before}{part}{after}")
}

/// `x×998` for 998 times the same character.
pub(crate) fn with_short_runs(text: &str) -> String {
    let mut runs: Vec<(char, usize)> = Vec::new();
    for character in text.chars() {
        match runs.last_mut() {
            Some((last, count)) if *last == character => *count += 1,
            _ => runs.push((character, 1)),
        }
    }
    let show = |(character, count): (char, usize)| match count {
        0..=SHORT => character.to_string().repeat(count),
        _ => format!("{character}×{count}"),
    };
    runs.into_iter().map(show).collect()
}
