//! docs/FUZZING.md against fuzz/: a target that nobody describes, feeds or builds is as good as none.

use std::collections::BTreeSet;

/// The names of what lies in a directory of fuzz/, without extensions.
fn in_directory(name: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(super::tree().join("fuzz").join(name)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_fuzz_target_has_its_row_its_program_its_seeds_and_its_dictionary() {
    let targets = in_directory("fuzz_targets");
    let text = super::read("docs/FUZZING.md");
    let section = text.split("\n## ").find(|part| part.starts_with("What each target asserts")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.map(str::to_owned).collect::<BTreeSet<_>>(), targets);
    let manifest: toml::Table = toml::from_str(&super::read("fuzz/Cargo.toml")).unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap().to_owned());
    assert_eq!(programs.collect::<BTreeSet<_>>(), targets);
    assert_eq!(in_directory("seeds"), targets);
    assert_eq!(in_directory("dictionaries"), targets);
}
