//! What we link, and under which terms: licences, versions, and what the injector must never carry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::support::command::{run, run_unlimited};
use crate::support::parts;

/// Licences that an `MIT OR Apache-2.0` binary may carry. Permissive ones alone.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "BSD-3-Clause",
    "Unicode-3.0",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "MIT-0",
    "Unlicense",
];

/// Crates that come in two versions, and why that is borne.
const TWICE: &[(&str, &str)] = &[
    ("mail-builder", "mail-auth, which only tests use, stays with 1.0"),
    ("syn", "hashify, a macro of mail-parser, stays with 2; at build time only"),
    ("untrusted", "aws-lc-rs and rustls-webpki differ; a hundred lines of code each"),
];

/// What the injector never links: runtimes, TLS, SQL, SMTP libraries (DEPENDENCIES.md).
const NOT_IN_THE_INJECTOR: &[&str] =
    &["tokio", "rustls", "rusqlite", "libsqlite3-sys", "lettre", "aws-lc-rs", "aws-lc-sys", "hickory-resolver", "tracing"];

/// One crate of a graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
}

/// The crates that cargo really builds with these arguments.
fn tree(arguments: &[&str]) -> BTreeSet<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p}\t{l}"]);
    let listed = run(cargo.args(arguments), b"").succeeded().stdout;
    let package = |line: &str| {
        let (package, licence) = line.split_once('\t')?;
        let mut words = package.split(' ');
        let licence = licence.trim_end_matches(" (*)").to_owned();
        Some(Package { name: words.next()?.to_owned(), version: words.next()?.to_owned(), licence })
    };
    let found: BTreeSet<Package> = listed.lines().filter_map(package).collect();
    assert!(found.len() > 10, "{listed}");
    found
}

#[test]
fn every_licence_is_permissive() {
    for package in tree(&["--workspace", "--edges", "normal,build,dev"]) {
        assert!(licence_allowed(&package.licence), "{package:?}: add the licence to the list only if it is permissive");
    }
}

#[test]
fn no_crate_comes_in_two_versions_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in tree(&["--workspace", "--edges", "normal,build,dev"]) {
        versions.entry(package.name).or_default().insert(package.version);
    }
    let twice: BTreeSet<&str> = versions.iter().filter(|(_, all)| all.len() > 1).map(|(name, _)| name.as_str()).collect();
    let explained: BTreeSet<&str> = TWICE.iter().map(|(name, _)| *name).collect();
    assert_eq!(twice, explained, "left: what is there twice; right: what TWICE explains");
}

/// Crates that are not to come back, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "one TLS is enough, and it is rustls"),
    ("native-tls", "one TLS is enough, and it is rustls"),
    ("ring", "aws-lc-rs does what it does, and makes RSA keys"),
    ("rsa", "a timing side channel (RUSTSEC-2023-0071)"),
    ("chrono", "no safe local zone; jiff has one"),
    ("webpki-roots", "the store of the system is the one that an administrator can change"),
];

#[test]
fn every_crate_comes_from_the_registry_with_its_checksum_and_none_is_banned() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let lock: toml::Table = toml::from_str(&lock).unwrap();
    let packages = lock["package"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        match text("source") {
            None => assert!(name.starts_with("mailchute"), "{name} comes from a directory"),
            Some(source) => {
                assert!(source == "registry+https://github.com/rust-lang/crates.io-index" && text("checksum").is_some(), "{name}: {source}")
            }
        }
    }
    // Cargo.lock names crates that no feature turns on, too: what is really built counts.
    for package in tree(&["--edges", "normal,build,dev"]) {
        let banned = BANNED.iter().find(|(name, _)| *name == package.name);
        assert!(banned.is_none(), "{package:?}: {}", banned.unwrap().1);
    }
}

#[test]
fn the_graph_of_the_injector_holds_no_runtime_no_tls_no_sql() {
    // Without macros of the compiler: they run while it is built, and nothing of them is in the program.
    let edges = ["--edges", "normal,no-proc-macro"];
    let injector = ["-p", "mailchute", "--no-default-features", "--features", "submit"];
    let graph = tree(&[&injector[..], &edges[..]].concat());
    for package in &graph {
        assert!(!NOT_IN_THE_INJECTOR.contains(&package.name.as_str()), "{package:?}");
    }
    let foreign: Vec<&str> = graph.iter().map(|package| package.name.as_str()).filter(|name| !name.starts_with("mailchute")).collect();
    assert!(foreign.len() <= 25, "the injector links {} crates: {foreign:?}", foreign.len());
    let all = tree(&["-p", "mailchute", "--edges", "normal"]);
    for name in NOT_IN_THE_INJECTOR {
        assert!(all.iter().any(|package| package.name == *name), "{name} is nowhere, so its absence proves nothing");
    }
}

#[test]
fn licence_expressions_are_read_right() {
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(GPL-2.0 OR ISC) AND Zlib", "Apache-2.0 WITH LLVM-exception OR GPL-2.0"] {
        assert!(licence_allowed(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND MPL-2.0", "GPL-3.0 WITH LLVM-exception", "MIT OR", "(MIT"] {
        assert!(!licence_allowed(bad), "{bad}");
    }
}

/// True if the SPDX expression can be satisfied from [`LICENCES`]. The old form with a slash means OR.
fn licence_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any_of(&mut words) == Some(true) && words.next().is_none()
}

type Words<'a, 'b> = &'a mut std::iter::Peekable<std::str::SplitWhitespace<'b>>;

fn any_of(words: Words) -> Option<bool> {
    let mut allowed = all_of(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words)?;
    }
    Some(allowed)
}

fn all_of(words: Words) -> Option<bool> {
    let mut allowed = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: Words) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let inner = any_of(words)?;
        return words.next_if_eq(&")").map(|_| inner);
    }
    match words.next_if_eq(&"WITH") {
        None => Some(LICENCES.contains(&word)),
        Some(_) => Some(LICENCES.contains(&format!("{word} WITH {}", words.next()?).as_str())),
    }
}

/// Words that stand in a binary that links these things: names of symbols.
const TRACES: &[&[u8]] = &[b"tokio", b"rustls", b"sqlite3_"];

fn traces(binary: &Path) -> Vec<&'static [u8]> {
    let bytes = std::fs::read(binary).unwrap();
    TRACES.iter().filter(|word| memchr::memmem::find(&bytes, word).is_some()).copied().collect()
}

#[test]
fn the_injector_alone_links_no_runtime_no_tls_no_sql() {
    require!(parts::beyond_this_tree("a build of its own"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cargo = Command::new(env!("CARGO"));
    // A directory of its own: one call of cargo unifies features, and the lock of the usual one is taken.
    cargo.current_dir(root).args(["build", "--offline", "--locked", "--target-dir", "target/injector"]);
    // A build: nobody knows how long it takes here.
    run_unlimited(cargo.args(["--no-default-features", "--features", "submit", "--bin", "sendmail"]), b"").succeeded();
    assert!(traces(&root.join("target/injector/debug/sendmail")).is_empty());
    assert_eq!(traces(Path::new(env!("CARGO_BIN_EXE_mailchuted"))), TRACES, "the check sees what is there");
}

/// The packages to which DEPENDENCIES.md gives a work by name.
const NAMED: &[&str] = &["clap", "mail_parser", "mail_builder", "lettre", "fs2", "serde_json", "nix", "tracing"];

#[test]
fn every_named_package_has_work_in_the_product() {
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut code = String::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            // Unit tests at the foot of a file are no work of the product.
            let text = std::fs::read_to_string(path).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            code.extend(product.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]));
        }
    }
    for package in NAMED {
        let path = format!("{package}::");
        let used = code.match_indices(&path).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        assert!(used, "nothing in src/ uses {package}");
    }
}
