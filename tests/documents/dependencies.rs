//! docs/DEPENDENCIES.md against Cargo.toml.

use std::collections::BTreeSet;

/// The names below the table `[section]` of Cargo.toml.
fn in_cargo_toml(section: &str) -> BTreeSet<String> {
    let manifest: toml::Table = toml::from_str(&super::read("Cargo.toml")).unwrap();
    manifest[section].as_table().unwrap().keys().cloned().collect()
}

/// The first column of the table below the heading `## heading`.
fn in_document(heading: &str) -> BTreeSet<String> {
    let text = super::read("docs/DEPENDENCIES.md");
    let section = text.split("\n## ").find(|part| part.starts_with(heading)).unwrap_or_else(|| panic!("no heading {heading}"));
    section.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|rest| rest.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn every_dependency_has_its_row() {
    assert_eq!(in_document("Dependencies"), in_cargo_toml("dependencies"));
    assert_eq!(in_document("Only for tests"), in_cargo_toml("dev-dependencies"));
}

#[test]
fn the_named_packages_are_used_where_the_document_says() {
    let text = super::read("docs/DEPENDENCIES.md");
    let section = text.split("\n## ").find(|part| part.starts_with("Eight packages by name")).unwrap();
    assert_eq!(section.lines().filter(|line| line.starts_with("| `")).count(), 8);
    for row in section.lines().filter_map(|line| line.strip_prefix("| `")) {
        let package = row.split('`').next().unwrap();
        let places = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for file in places.split('`').filter(|word| word.starts_with("src/")) {
            assert!(super::read(file).contains(&format!("{}::", package.replace('-', "_"))), "{file} does not use {package}");
        }
    }
}
