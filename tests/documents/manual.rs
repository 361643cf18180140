//! The manual pages as a set: they refer to each other, and mandoc finds nothing wrong with them.

use std::collections::BTreeSet;
use std::process::Command;

use submit::cli::{Class, OPTIONS};

use crate::support::parts;

/// The pages, as `(name, section, text)`.
fn pages() -> Vec<(String, String, String)> {
    let entries = std::fs::read_dir(super::tree().join("man")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|file| {
            let (name, section) = file.rsplit_once('.').unwrap();
            (name.to_owned(), section.to_owned(), super::read(&format!("man/{file}")))
        })
        .collect()
}

#[test]
fn every_page_that_is_referred_to_exists() {
    let pages = pages();
    for (name, _, text) in &pages {
        for reference in text.lines().filter_map(|line| line.strip_prefix(".Xr ")) {
            let words: Vec<_> = reference.split_whitespace().collect();
            let found = pages.iter().any(|(name, section, _)| words.starts_with(&[name.as_str(), section.as_str()]));
            assert!(found, "{name} refers to {reference}");
        }
    }
}

#[test]
fn every_parameter_that_a_page_names_exists() {
    let known: Vec<_> = config::params::PARAMETERS.iter().map(|row| row.name).collect();
    for (page, _, text) in pages() {
        for name in text.lines().filter_map(|line| line.strip_prefix(".Ic ")).filter(|name| !name.starts_with('[')) {
            assert!(known.contains(&name.split(' ').next().unwrap()), "{page} names {name}");
        }
    }
}

/// The items of the section OPTIONS in sendmail(8): their letters, and what is said of them.
fn documented_options() -> Vec<(BTreeSet<String>, String)> {
    let page = super::read("man/sendmail.8");
    let section = page.split(".Sh OPTIONS").nth(1).and_then(|rest| rest.split(".Sh ").next()).unwrap().replace(" Fl -", " ");
    let items = section.split("\n.It ").skip(1).map(|item| {
        // A tag is one line, or lies between Xo and Xc.
        let tag_ends = if item.starts_with("Xo") { item.find(".Xc").unwrap() } else { item.find('\n').unwrap() };
        let (tag, text) = item.split_at(tag_ends);
        let options = tag.split("Fl ").skip(1).map(|option| option[..1].to_owned());
        (options.collect(), text.to_owned())
    });
    items.collect()
}

/// The letters of the option table that have one of these classes.
fn options_of(classes: &[Class]) -> BTreeSet<String> {
    OPTIONS.iter().filter(|row| classes.contains(&row.class)).map(|row| row.letter.to_owned()).collect()
}

#[test]
fn the_manual_of_sendmail_has_every_option_of_the_table_and_its_class() {
    let documented = documented_options();
    let all: BTreeSet<_> = documented.iter().flat_map(|(letters, _)| letters.clone()).collect();
    assert_eq!(all, options_of(&[Class::Honour, Class::Ignore, Class::Refuse]));
    let letters_of = |text: &str| documented.iter().find(|(_, prose)| prose.contains(text)).map(|(letters, _)| letters.clone());
    assert_eq!(letters_of("Refused, with a line in the authentication log"), Some(options_of(&[Class::Refuse])));
    assert_eq!(letters_of("Accepted and ignored"), Some(options_of(&[Class::Ignore])));
}

#[test]
fn the_manual_of_mailchute_has_every_verb_in_its_synopsis_and_in_its_list() {
    let page = super::read("man/mailchute.8");
    let help = |words: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_mailchute")).args(words).arg("--help").output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let rows = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        rows.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut verbs = help(&[]);
    verbs.retain(|verb| verb != "dkim");
    verbs.extend(help(&["dkim"]).into_iter().filter(|verb| verb != "help").map(|verb| format!("dkim {verb}")));
    assert!(verbs.len() > 5, "{verbs:?}");
    for verb in verbs {
        let begins = |mark: &str| page.lines().any(|line| line == format!("{mark}{verb}") || line.starts_with(&format!("{mark}{verb} ")));
        assert!(begins(".Cm ") && begins(".It Cm "), "{verb}");
    }
}

#[test]
fn mandoc_finds_nothing_wrong() {
    let mandoc = require!(parts::tool("mandoc"));
    for (name, section, _) in pages() {
        let page = super::tree().join(format!("man/{name}.{section}"));
        let out = Command::new(&mandoc).args(["-T", "lint", "-W", "warning"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.is_empty(), "{said}");
    }
}
