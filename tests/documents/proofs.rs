//! Each guarantee of docs/SPOOL.md names the tests that fail without it, and they are there.

use std::collections::BTreeSet;
use std::path::Path;

/// The guarantees, each with its number, its sentence and what stands behind `Proof:`.
fn guarantees(text: &str) -> Vec<(usize, String, Vec<String>)> {
    let section = text.split_once("\n## Guarantees\n").unwrap().1.split("\n## ").next().unwrap();
    let mut found: Vec<String> = Vec::new();
    for line in section.lines() {
        match line.split_once(". **") {
            Some((number, _)) if number.parse::<usize>().is_ok() => found.push(line.to_owned()),
            _ => found.last_mut().into_iter().for_each(|last| *last = format!("{last} {}", line.trim())),
        }
    }
    let of = |text: String| {
        let number = text.split_once(". ").unwrap().0.parse().unwrap();
        let (sentence, proof) = text.split_once("Proof:").unwrap_or((&text, ""));
        (number, sentence.to_owned(), proof.split('`').skip(1).step_by(2).map(str::to_owned).collect())
    };
    found.into_iter().map(of).collect()
}

/// The names of all functions below `directory` that are marked as tests.
fn tests_below(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let behind_the_mark = text.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn "));
            names.extend(behind_the_mark.filter_map(|(_, rest)| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn every_guarantee_of_the_spool_names_tests_that_are_there() {
    let mut names = BTreeSet::new();
    ["src", "tests"].iter().for_each(|directory| tests_below(&super::tree().join(directory), &mut names));
    let guarantees = guarantees(&super::read("docs/SPOOL.md"));
    assert!(guarantees.iter().map(|(number, ..)| *number).eq(1..=guarantees.len()) && guarantees.len() >= 11, "{guarantees:?}");
    for (number, sentence, proofs) in guarantees {
        assert!(!proofs.is_empty(), "{number} has no proof: {sentence}");
        for proof in proofs {
            assert!(names.contains(&proof), "{number}: there is no test {proof}");
        }
    }
}
