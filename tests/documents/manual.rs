//! The manual pages as a set: they refer to each other, and mandoc finds nothing wrong with them.

use std::process::Command;

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
    let known: Vec<_> = mailchute::config::params::PARAMETERS.iter().map(|row| row.name).collect();
    for (page, _, text) in pages() {
        for name in text.lines().filter_map(|line| line.strip_prefix(".Ic ")).filter(|name| !name.starts_with('[')) {
            assert!(known.contains(&name.split(' ').next().unwrap()), "{page} names {name}");
        }
    }
}

#[test]
fn mandoc_finds_nothing_wrong() {
    if Command::new("mandoc").arg("-T").arg("lint").arg("/dev/null").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "mandoc is missing");
        eprintln!("SKIPPED: mandoc_finds_nothing_wrong: mandoc is not installed");
        return;
    }
    for (name, section, _) in pages() {
        let page = super::tree().join(format!("man/{name}.{section}"));
        let out = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.is_empty(), "{said}");
    }
}
