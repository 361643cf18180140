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
