//! The documents say what the programs do: what can be made from a table is made from it, and the rest is compared.

mod contract;
mod dependencies;
pub(crate) mod events;
mod files_list;
mod fuzzing;
mod generated;
mod hosted_ci;
mod manual;
mod paths;
mod proofs;
mod rules;
mod standards;
mod tree;
mod walkthrough;
mod words;

use std::path::{Path, PathBuf};

/// The top of this tree.
fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The text of a file of this tree.
fn read(path: &str) -> String {
    std::fs::read_to_string(tree().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
