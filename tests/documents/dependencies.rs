//! docs/DEPENDENCIES.md against the manifests.

use std::collections::BTreeSet;

/// The foreign crates in the tables `section` of all manifests of the workspace.
fn in_manifests(section: &str) -> BTreeSet<String> {
    let root: toml::Table = toml::from_str(&super::read("Cargo.toml")).unwrap();
    let members = root["workspace"]["members"].as_array().unwrap().iter().map(|member| format!("{}/Cargo.toml", member.as_str().unwrap()));
    let is_ours = |name: &String| root["workspace"]["dependencies"][name.as_str()].get("path").is_some();
    let names = members.chain(["Cargo.toml".to_owned()]).flat_map(|path| {
        let manifest: toml::Table = toml::from_str(&super::read(&path)).unwrap();
        manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default().keys().cloned().collect::<Vec<_>>()
    });
    names.filter(|name| !is_ours(name)).collect()
}

/// The first column of the table below the heading `## heading`.
fn in_document(heading: &str) -> BTreeSet<String> {
    let text = super::read("docs/DEPENDENCIES.md");
    let section = text.split("\n## ").find(|part| part.starts_with(heading)).unwrap_or_else(|| panic!("no heading {heading}"));
    section.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|rest| rest.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn every_dependency_has_its_row() {
    let (product, tests) = (in_manifests("dependencies"), in_manifests("dev-dependencies"));
    // `testing` is a crate that only tests use.
    let product: BTreeSet<String> = product.into_iter().filter(|name| name != "tempfile").collect();
    assert_eq!(in_document("Dependencies"), product);
    // What the product uses as well may be named again, for the features that only tests need.
    let only_for_tests: BTreeSet<String> = in_document("Only for tests").difference(&product).cloned().collect();
    assert_eq!(only_for_tests, tests.difference(&product).cloned().collect());
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
