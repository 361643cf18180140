//! Command 1 of the README, on the programs of this build.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::parts::Missing;

/// The directory of the programs, with `examples/receiver` in it.
pub(crate) fn programs() -> Result<&'static Path, Missing> {
    let directory = Path::new(env!("CARGO_BIN_EXE_sendmail")).parent().unwrap();
    if directory.join("examples/receiver").is_file() {
        return Ok(directory);
    }
    Err(Missing("the example receiver is not built; run cargo build --example receiver".to_owned()))
}

#[test]
fn the_demonstration_shows_a_signed_message_and_leaves_nothing() {
    let programs = require!(programs());
    let scratch = TempDir::new().unwrap();
    let out = Command::new("sh").arg(super::tree().join("packaging/demo.sh")).arg(programs).env("TMPDIR", scratch.path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}");
    assert!(said.contains("\nDKIM: pass (RsaSha256, d=demo.example s=demo)\n"), "{said}");
    assert!(!said.contains("Bcc:"), "{said}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "{said}");
    // Every process of the demonstration had this directory in its environment; none is left.
    let left = std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("environ")).ok());
    let mark = format!("TMPDIR={}", scratch.path().display());
    assert_eq!(left.filter(|environ| environ.windows(mark.len()).any(|window| window == mark.as_bytes())).count(), 0);
}
