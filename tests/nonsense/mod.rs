//! Nothing is decided from a sentence: a build in which every sentence is nonsense behaves as the ordinary one. Both live through the
//! same scenario; then exit codes, files, JSON, events, metrics and the fields of DSNs are compared without what is said to people.

mod scenario;
mod world;

use std::collections::BTreeSet;

use crate::support::installation::Installation;
use crate::support::parts;
use world::World;

#[test]
fn a_build_that_talks_nonsense_does_the_same() {
    let nonsense = require!(parts::nonsense());
    let plain = scenario::live(Installation::rootless());
    let other = scenario::live(Installation::rootless().with_programs(&nonsense));
    assert!(other.said.iter().any(|text| text.contains("zq")), "it is the ordinary build: {:?}", other.said);
    assert!(!plain.said.iter().any(|text| text.contains("zq")), "{:?}", plain.said);
    compare(&plain, &other);
}

/// Every difference at once: one decision made from a sentence shows in many places.
fn compare(plain: &World, other: &World) {
    let nothing = || "nothing".to_owned();
    let names: BTreeSet<&String> = plain.seen.keys().chain(other.seen.keys()).collect();
    let found = |world: &World, name: &String| world.seen.get(name).cloned().unwrap_or_else(nothing);
    let differences: Vec<String> = names
        .into_iter()
        .filter(|name| plain.seen.get(*name) != other.seen.get(*name))
        .map(|name| format!("{name}:\n  ordinary: {}\n  nonsense: {}", found(plain, name), found(other, name)))
        .collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
