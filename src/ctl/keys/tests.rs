//! The commands on a scratch installation.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn config(root: &Path, toml: &str) -> Config {
    let paths = Paths::system(root);
    let params = config::parse(toml.as_bytes(), &paths.config_file).expect("a configuration");
    Config { paths, params }
}

fn scratch(toml: &str) -> (tempfile::TempDir, Config) {
    let root = tempfile::tempdir().expect("a directory");
    let config = config(root.path(), toml);
    std::fs::create_dir_all(&config.paths.keys).expect("a directory");
    (root, config)
}

const ONE: &str = "[domain.\"Example.org\"]\nselectors = [\"s1\"]\n";

#[test]
fn keygen_writes_the_key_and_prints_the_record_and_the_lines_to_add() {
    let (_root, config) = scratch("");
    let text = keygen(&config, "Example.ORG", "S1", Kind::Rsa2048).expect("text");
    let path = config.paths.keys.join("example.org/s1.pem");
    assert_eq!(path.symlink_metadata().expect("metadata").permissions().mode() & 0o7777, 0o600);
    assert!(text.contains(&format!("The private key is in {}.", path.display())), "{text}");
    assert!(text.contains(";   name   s1._domainkey.example.org\n"), "{text}");
    assert!(text.contains(";   value  v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"), "{text}");
    assert!(text.contains("\ns1._domainkey.example.org. IN TXT (\n\t\"v=DKIM1; k=rsa; p="), "{text}");
    assert!(text.contains("add this table to") && text.contains("\n[domain.\"example.org\"]\nselectors = [\"s1\"]\n"), "{text}");
    assert!(!text.contains("PRIVATE"));
}

#[test]
fn keygen_names_the_selectors_that_are_there_already() {
    let (_root, config) = scratch(ONE);
    let text = keygen(&config, "example.org", "s2", Kind::Ed25519).expect("text");
    assert!(text.contains("change this table in") && text.contains("selectors = [\"s1\", \"s2\"]\n"), "{text}");
    let text = keygen(&config, "example.org", "s1", Kind::Ed25519).expect("text");
    assert!(text.contains("selectors = [\"s1\"]\n"), "{text}");
}

#[test]
fn keygen_never_overwrites_and_never_leaves_its_directory() {
    let (_root, config) = scratch("");
    keygen(&config, "example.org", "s1", Kind::Ed25519).expect("text");
    let failure = keygen(&config, "example.org", "s1", Kind::Ed25519).expect_err("exists");
    assert_eq!(failure.exit, Exit::CantCreate);
    assert!(failure.text.ends_with("is never overwritten; choose another selector"), "{failure}");
    for (domain, selector) in [("../x.org", "s"), ("example.org", "../s"), ("example.org", ""), ("example.org/x", "s"), ("org", "s")] {
        let failure = keygen(&config, domain, selector, Kind::Ed25519).expect_err("a bad name");
        assert_eq!(failure.exit, Exit::Usage, "{domain} {selector}");
    }
}

#[test]
fn keygen_makes_the_directory_of_a_rootless_installation_only() {
    let root = tempfile::tempdir().expect("a directory");
    let mut config = config(root.path(), "");
    let failure = keygen(&config, "example.org", "s1", Kind::Ed25519).expect_err("not installed");
    assert_eq!(failure.exit, Exit::Config);
    assert!(failure.text.contains("does not exist; run install.sh"), "{failure}");
    config.paths.mode = Mode::Rootless;
    keygen(&config, "example.org", "s1", Kind::Ed25519).expect("text");
    assert_eq!(config.paths.keys.symlink_metadata().expect("metadata").permissions().mode() & 0o7777, 0o700);
}

#[test]
fn dns_prints_the_record_that_keygen_printed() {
    let (_root, config) = scratch("[domain.\"example.org\"]\nselectors = [\"s1\", \"s2\", \"s3\"]\n");
    let made = keygen(&config, "example.org", "s1", Kind::Rsa2048).expect("text");
    keygen(&config, "example.org", "s2", Kind::Ed25519).expect("text");
    let text = dns(&config, "EXAMPLE.org.").expect("text");
    let value = made.lines().find(|line| line.starts_with(";   value")).expect("a value");
    assert!(text.lines().any(|line| line == value), "{text}");
    assert!(text.contains("\ns2._domainkey.example.org. IN TXT \"v=DKIM1; k=ed25519; p="), "{text}");
    assert!(text.contains("\n; unusable: ") && text.contains("s3.pem does not exist"), "{text}");
    let lines_are_short = text.lines().filter(|line| !line.starts_with(';')).all(|line| line.len() <= 2 + 1 + 255);
    assert!(lines_are_short, "{text}");
}

#[test]
fn dns_says_why_there_is_nothing_to_print() {
    let (_root, config) = scratch(ONE);
    let failure = dns(&config, "example.net").expect_err("not configured");
    assert_eq!(failure.exit, Exit::Config);
    assert!(failure.text.contains("has no selectors for example.net; create a key with `mailchute dkim keygen"), "{failure}");
    let failure = dns(&config, "example.org").expect_err("no key");
    assert_eq!(failure.exit, Exit::Config);
    assert!(failure.text.contains("s1.pem does not exist"), "{failure}");
    let (_root, config) = scratch("[domain.\"example.org\"]\nselectors = [\"../s1\"]\n");
    let failure = dns(&config, "example.org").expect_err("no selector");
    assert!(failure.text.starts_with("the selector \"../s1\": "), "{failure}");
}

#[test]
fn the_options_of_keygen() {
    assert_eq!(kind(false, None).ok(), Some(Kind::Rsa2048));
    assert_eq!(kind(false, Some(4096)).ok(), Some(Kind::Rsa4096));
    assert_eq!(kind(true, None).ok(), Some(Kind::Ed25519));
    for (ed25519, bits) in [(true, Some(2048)), (false, Some(1024)), (false, Some(8192)), (false, Some(2047))] {
        assert_eq!(kind(ed25519, bits).expect_err("refused").exit, Exit::Usage);
    }
}
