//! Domains of every state in one ring.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{Kind, PrivateKey};

fn ring(keys: &Path, toml: &str) -> KeyRing {
    let params = config::parse(toml.as_bytes(), Path::new("mailchute.toml")).expect("a configuration");
    KeyRing::load(&params, keys)
}

fn write_key(keys: &Path, domain: &str, selector: &str) -> std::path::PathBuf {
    let key = PrivateKey::generate(Kind::Ed25519).expect("a key");
    let (domain, selector) = (SigningDomain::parse(domain).expect("a domain"), Selector::parse(selector).expect("a selector"));
    file::write(keys, &domain, &selector, &key).expect("a key file")
}

fn selectors(signing: Signing<'_>) -> Vec<String> {
    match signing {
        Signing::Signers(signers) => signers.iter().map(|signer| signer.selector.to_string()).collect(),
        other => panic!("no signers but {other:?}"),
    }
}

#[test]
fn keys_are_chosen_by_the_exact_domain_in_any_case() {
    let keys = tempfile::tempdir().expect("a directory");
    write_key(keys.path(), "example.org", "s1");
    write_key(keys.path(), "example.org", "s2");
    let ring =
        ring(keys.path(), "[domain.\"Example.org\"]\nselectors = [\"s1\", \"S2\", \"s1\"]\n[domain.\"off.example\"]\ndkim = \"off\"\n");
    assert_eq!(selectors(ring.for_from("EXAMPLE.org.")), ["s1", "s2"]);
    assert_eq!(selectors(ring.for_header(b"From: A <a@example.ORG>\r\n")), ["s1", "s2"]);
    assert!(matches!(ring.for_from("off.example"), Signing::Off));
    for other in ["dev.example.org", "org", "example.net", ""] {
        assert!(matches!(ring.for_from(other), Signing::NotConfigured), "{other}");
    }
    assert!(ring.problems().is_empty());
}

#[test]
fn t_dkim_3_an_unusable_key_holds_the_mail_and_says_why() {
    let keys = tempfile::tempdir().expect("a directory");
    let path = write_key(keys.path(), "example.org", "s1");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let ring = ring(keys.path(), "[domain.\"example.org\"]\nselectors = [\"s1\"]\n[domain.\"none.example\"]\n");
    let Signing::Unusable(reason) = ring.for_from("example.org") else { panic!("must be held") };
    assert!(reason.contains(&format!("run `chmod 600 {}`", path.display())), "{reason}");
    let Signing::Unusable(reason) = ring.for_from("none.example") else { panic!("must be held") };
    assert!(reason.contains("has no selectors"), "{reason}");
    assert_eq!(ring.problems().len(), 2);
}

#[test]
fn a_bad_key_stops_only_itself() {
    let keys = tempfile::tempdir().expect("a directory");
    write_key(keys.path(), "example.org", "s2");
    let toml = "[domain.\"example.org\"]\nselectors = [\"s1\", \"s2\", \"../s3\"]\n[domain.\"bücher.example\"]\nselectors = [\"s\"]\n";
    let ring = ring(keys.path(), toml);
    assert_eq!(selectors(ring.for_from("example.org")), ["s2"]);
    assert!(matches!(ring.for_from("BÜCHER.example"), Signing::Unusable(_)));
    assert_eq!(ring.problems().len(), 3, "{:?}", ring.problems());
    assert!(ring.problems().iter().any(|line| line.contains("s1.pem does not exist")), "{:?}", ring.problems());
}

#[test]
fn two_tables_for_one_domain_are_no_choice_of_ours() {
    let keys = tempfile::tempdir().expect("a directory");
    write_key(keys.path(), "example.org", "s1");
    let ring = ring(keys.path(), "[domain.\"Example.org\"]\nselectors = [\"s1\"]\n[domain.\"example.org\"]\ndkim = \"off\"\n");
    assert!(matches!(ring.for_from("example.org"), Signing::Unusable(_)));
}

#[test]
fn an_international_domain_is_configured_in_its_ascii_form_and_found_in_both() {
    let keys = tempfile::tempdir().expect("a directory");
    write_key(keys.path(), "xn--bcher-kva.example", "s1");
    let ring = ring(keys.path(), "[domain.\"xn--bcher-kva.example\"]\nselectors = [\"s1\"]\n");
    for domain in ["bücher.example", "BÜCHER.example.", "XN--bcher-kva.example"] {
        assert_eq!(selectors(ring.for_from(domain)), ["s1"], "{domain}");
    }
    assert_eq!(selectors(ring.for_header("From: a@Bücher.example\r\n".as_bytes())), ["s1"]);
    for domain in ["bucher.example", "ü".repeat(300).as_str(), "ü..example", "\u{202e}.example"] {
        assert!(matches!(ring.for_from(domain), Signing::NotConfigured), "{domain}");
    }
}

#[test]
fn a_message_without_one_author_domain() {
    let keys = tempfile::tempdir().expect("a directory");
    let some = ring(keys.path(), "[domain.\"example.org\"]\ndkim = \"off\"\n");
    assert!(matches!(some.for_header(b"From: a@b.example\r\nFrom: c@d.example\r\n"), Signing::Unusable(_)));
    assert!(matches!(some.for_header(b"To: a@b.example\r\n"), Signing::NotConfigured));
    let none = ring(keys.path(), "");
    assert!(matches!(none.for_header(b"From: a@b.example\r\nFrom: c@d.example\r\n"), Signing::NotConfigured));
}
