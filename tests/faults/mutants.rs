//! Seeded mutants: the protocol with one mistake each, which the rig must find. A rig that finds nothing where nothing is wrong
//! proves nothing.
//!
//! Each mutant is a patch. It is applied to a copy of the tree below target/, built there, and hunted with the part of the rig that
//! must see it. A patch that does not apply any more, a mutant that does not compile and a mutant that lives are violations alike.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::report::Report;
use super::{Binaries, Choice, daemon, injector, power, trials, verbs};
use crate::support::command::{Ended, run};

/// A part of the rig, as a hunter.
type Hunt = fn(&Binaries, Choice, &Report);

/// The patch's name, the program that it changes, every how manieth trial the hunt takes, and the hunt.
const MUTANTS: &[(&str, &str, usize, Hunt)] = &[
    ("no-sync", "sendmail", 1000, power::of_injection),
    ("sync-before-link", "sendmail", 1000, power::of_injection),
    ("exit-before-sync", "sendmail", 1000, power::of_injection),
    ("link-before-write", "sendmail", 1, injector::killed),
    ("no-lock", "sendmail", 1, trials::all),
    ("ignored-write-error", "sendmail", 1, injector::refused),
    ("ignored-sync-error", "sendmail", 1, injector::refused),
    ("no-digest-check", "mailchuted", 1, trials::all),
    ("moves-not-synced", "mailchuted", 1, trials::all),
    ("mark-not-committed", "mailchuted", 3, |binaries, choice, report| daemon::killed_in("one recipient", binaries, choice, report)),
    ("remove-before-commit", "mailchuted", 3, |binaries, choice, report| daemon::killed_in("one recipient", binaries, choice, report)),
    ("answer-before-commit", "mailchuted", 3, |binaries, choice, report| {
        daemon::killed_in("hold, release, remove", binaries, choice, report);
    }),
    ("rollback-removes", "mailchuted", 1, daemon::refused_commits),
    ("result-before-move", "mailchuted", 3, verbs::killed),
    ("start-ignores-intentions", "mailchuted", 3, verbs::killed),
    ("intention-not-synced", "mailchuted", 1, trials::all),
];

/// Builds and hunts every mutant.
pub(crate) fn all(binaries: &Binaries, choice: Choice, report: &Report) {
    let built = match Workshop::new() {
        Ok(workshop) => workshop,
        Err(why) => return report.violation(format!("mutants: {why}")),
    };
    for (name, program, stride, hunt) in MUTANTS {
        let found = Report::default();
        let mutant = match built.build(name, program, binaries) {
            Ok(mutant) => mutant,
            Err(why) => {
                report.violation(format!("mutant {name}: {why}"));
                continue;
            }
        };
        hunt(&mutant, Choice { stride: *stride, hunts: true, ..choice }, &found);
        let words = found.words();
        let first: String = words.lines().next().unwrap_or_default().chars().take(160).collect();
        println!("mutant {name}: {}", if first.is_empty() { "LIVES" } else { first.as_str() });
        report.add("mutants", 1);
        if found.violations() == 0 {
            report.violation(format!("mutant {name}: lives: the rig does not see it: {:?}", found.counts()));
        } else {
            report.add("mutants caught", 1);
        }
    }
}

/// Errors: the patch that does not apply to the source as it is, or that nobody hunts.
pub(crate) fn all_apply() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let patches = std::fs::read_dir(root.join("tests/faults/mutants")).map_err(|e| e.to_string())?;
    let mut count = 0;
    for patch in patches {
        let path = patch.map_err(|e| e.to_string())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let tree = tempfile::tempdir().map_err(|e| e.to_string())?;
        succeeded(run(Command::new("cp").arg("-a").arg(root.join("src")).arg(tree.path()), b""))?;
        apply(tree.path(), &name)?;
        if !MUTANTS.iter().any(|(hunted, ..)| *hunted == name) {
            return Err(format!("nobody hunts {name}"));
        }
        count += 1;
    }
    if count == MUTANTS.len() { Ok(()) } else { Err(format!("{count} patches for {} hunts", MUTANTS.len())) }
}

/// Applies a patch to the copy of the source in `tree`.
fn apply(tree: &Path, name: &str) -> Result<(), String> {
    let patch = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/mutants").join(format!("{name}.patch"));
    let mut git = Command::new("git");
    // Otherwise git looks at the repository around the tree, to which these files do not belong.
    git.current_dir(tree).env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap_or(tree));
    succeeded(run(git.args(["apply", "--whitespace=nowarn"]).arg(patch), b"")).map_err(|why| format!("{name} does not apply: {why}"))
}

/// A copy of the tree, and where it is built.
struct Workshop {
    tree: PathBuf,
    target: PathBuf,
}

impl Workshop {
    fn new() -> Result<Workshop, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let place = root.join("target/faults/mutants");
        let workshop = Workshop { tree: place.join("tree"), target: place.join("target") };
        std::fs::create_dir_all(&workshop.tree).map_err(|e| e.to_string())?;
        // What was built of other packages is as good here. Links suffice: a compiler makes new files.
        if !workshop.target.exists() {
            let debug = workshop.target.join("debug");
            std::fs::create_dir_all(&debug).map_err(|e| e.to_string())?;
            for part in ["deps", ".fingerprint", "build"] {
                succeeded(run(Command::new("cp").args(["-a", "--link"]).arg(root.join("target/debug").join(part)).arg(&debug), b""))?;
            }
        }
        Ok(workshop)
    }

    /// The tree as it is, with this patch, built.
    fn build(&self, name: &str, program: &str, others: &Binaries) -> Result<Binaries, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let _ = std::fs::remove_dir_all(self.tree.join("src"));
        for part in ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo", "src", "tests", "benches", "examples"] {
            succeeded(run(Command::new("cp").args(["-a", "--update"]).arg(root.join(part)).arg(&self.tree), b""))?;
        }
        apply(&self.tree, name)?;
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.tree).args([
            "build",
            "--quiet",
            "--offline",
            "--locked",
            "-p",
            "mailchute",
            "--bin",
            program,
            "--target-dir",
        ]);
        // On a busy machine a build takes as long as it takes.
        let built = cargo.arg(&self.target).output().map_err(|e| e.to_string())?;
        if !built.status.success() {
            return Err(format!("does not compile: {}", String::from_utf8_lossy(&built.stderr)));
        }
        let built = self.target.join("debug").join(program);
        let mut mutant = others.clone();
        mutant.replace(program, built);
        Ok(mutant)
    }
}

fn succeeded(ended: Ended) -> Result<(), String> {
    if ended.code == Some(0) { Ok(()) } else { Err(ended.stderr) }
}
