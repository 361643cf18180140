//! The file of hosted CI runs the project's own scripts and checks nothing itself: what it checked would not be checked here.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::support::{command, parts};

const FILE: &str = ".github/workflows/ci.yml";

/// Programs that prepare the machine; every other one is a script of this tree.
const PREPARES: &[&str] = &["rustup component add", "cargo fetch"];

/// The commands of the steps, read by line: what YAML makes of the file is the other test's matter.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("run: ")).collect()
}

#[test]
fn hosted_ci_runs_scripts_that_are_there_and_nothing_of_its_own() {
    let text = super::read(FILE);
    let commands = commands(&text);
    for wanted in ["tests/run quick", ".ci/run"] {
        assert!(commands.contains(&wanted), "{FILE} does not run {wanted}");
    }
    for command in commands.into_iter().filter(|command| !PREPARES.iter().any(|program| command.starts_with(program))) {
        let script = super::tree().join(command.split(' ').next().unwrap());
        let mode = std::fs::metadata(&script).unwrap_or_else(|e| panic!("{FILE} runs {}: {e}", script.display())).permissions().mode();
        assert!(mode & 0o111 == 0o111, "{}", script.display());
    }
}

#[test]
fn hosted_ci_uses_the_rust_version_of_the_project() {
    let manifest: toml::Table = toml::from_str(&super::read("Cargo.toml")).unwrap();
    let version = ["package", "workspace"].iter().find_map(|table| {
        let table = manifest.get(*table)?;
        table.get("rust-version").or_else(|| table.get("package")?.get("rust-version"))?.as_str()
    });
    let image = format!("rust:{}-", version.unwrap());
    let text = super::read(FILE);
    let images: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with("rust:")).collect();
    assert!(images.len() == 2 && images.iter().all(|one| one.starts_with(&image)), "{images:?}, not {image}");
}

#[test]
fn hosted_ci_is_yaml_and_every_job_has_its_steps() {
    let mut python = Command::new(require!(parts::python()));
    python.arg("-c").arg("import json, sys, yaml; json.dump(yaml.load(sys.stdin, yaml.BaseLoader), sys.stdout)");
    let json = command::run(&mut python, super::read(FILE).as_bytes()).succeeded().stdout;
    let file: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(file["on"]["push"]["branches"][0], "main");
    assert_eq!(file["permissions"], serde_json::json!({ "contents": "read" }));
    let jobs: BTreeMap<String, Value> = serde_json::from_value(file["jobs"].clone()).unwrap();
    let mut found = Vec::new();
    for (name, job) in &jobs {
        assert!(job["runs-on"].is_string() && job["timeout-minutes"].is_string(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            assert!(step["run"].is_string() != step["uses"].is_string(), "{name}: {step}");
            found.extend(step["run"].as_str().map(str::to_owned));
        }
    }
    let mut by_line = commands(&super::read(FILE)).into_iter().map(str::to_owned).collect::<Vec<_>>();
    found.sort();
    by_line.sort();
    assert_eq!(found, by_line, "left: as YAML; right: as lines");
}
