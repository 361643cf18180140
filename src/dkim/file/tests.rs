//! Key files in every state that an administrator can leave them in. Runs as any user; as root it tries foreign owners too.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::Kind;

struct Keys {
    directory: tempfile::TempDir,
    domain: SigningDomain,
    selector: Selector,
}

impl Keys {
    fn new() -> Keys {
        let directory = tempfile::tempdir().expect("a directory");
        let (domain, selector) = (SigningDomain::parse("example.org"), Selector::parse("s1"));
        Keys { directory, domain: domain.expect("a domain"), selector: selector.expect("a selector") }
    }

    fn with_key() -> Keys {
        let keys = Keys::new();
        keys.write().expect("a key file");
        keys
    }

    fn write(&self) -> Result<PathBuf, KeyFileError> {
        let key = PrivateKey::generate(Kind::Ed25519).expect("a key");
        write(self.directory.path(), &self.domain, &self.selector, &key)
    }

    fn path(&self) -> PathBuf {
        path(self.directory.path(), &self.domain, &self.selector)
    }

    fn read(&self) -> Result<PrivateKey, KeyFileError> {
        read(self.directory.path(), &self.domain, &self.selector, sys::process::euid())
    }

    fn refused(&self) -> Refusal {
        self.read().expect_err("must be refused").why
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("metadata").permissions().mode() & 0o7777
}

#[test]
fn a_key_is_written_for_its_owner_alone_and_read_back() {
    let keys = Keys::with_key();
    assert_eq!((mode(&keys.path()), mode(keys.path().parent().expect("a parent"))), (0o600, 0o700));
    keys.read().expect("the key");
    let names = std::fs::read_dir(keys.path().parent().expect("a parent")).expect("a listing").count();
    assert_eq!(names, 1, "no draft stays behind");
}

#[test]
fn a_key_is_never_overwritten() {
    let keys = Keys::with_key();
    let before = std::fs::read(keys.path()).expect("the file");
    assert_eq!(keys.write().expect_err("must be refused").why, Refusal::Exists);
    assert_eq!(std::fs::read(keys.path()).expect("the file"), before);
}

#[test]
fn t_dkim_3_a_key_that_group_or_others_can_read_is_refused_with_the_command_that_fixes_it() {
    let keys = Keys::with_key();
    for wrong in [0o640, 0o604, 0o620, 0o644, 0o601] {
        chmod(&keys.path(), wrong);
        assert_eq!(keys.refused(), Refusal::Readable(wrong));
    }
    let text = keys.read().expect_err("must be refused").to_string();
    assert!(text.ends_with(&format!("run `chmod 600 {}`", keys.path().display())), "{text}");
    for right in [0o600, 0o400] {
        chmod(&keys.path(), right);
        keys.read().expect("the key");
    }
}

#[test]
fn a_directory_in_which_others_could_exchange_the_key_is_refused() {
    let keys = Keys::with_key();
    let below = keys.path().parent().expect("a parent").to_owned();
    for directory in [below.as_path(), keys.directory.path()] {
        chmod(directory, 0o777);
        assert_eq!(keys.refused(), Refusal::Writable(0o777));
        chmod(directory, 0o755);
        keys.read().expect("the key");
    }
}

#[test]
fn links_and_things_that_are_no_files_are_refused_and_none_makes_us_wait() {
    let keys = Keys::with_key();
    let aside = keys.directory.path().join("aside");
    std::fs::rename(keys.path(), &aside).expect("a rename");
    assert_eq!(keys.refused(), Refusal::Missing);
    symlink(&aside, keys.path()).expect("a link");
    assert_eq!(keys.refused(), Refusal::Link);
    assert_eq!(keys.write().expect_err("must be refused").why, Refusal::Exists);
    std::fs::remove_file(keys.path()).expect("removed");
    nix::unistd::mkfifo(&keys.path(), nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a fifo");
    assert_eq!(keys.refused(), Refusal::Kind);
    std::fs::remove_file(keys.path()).expect("removed");
    std::fs::create_dir(keys.path()).expect("a directory");
    assert_eq!(keys.refused(), Refusal::Kind);
}

#[test]
fn a_link_in_the_place_of_the_domain_directory_leads_nowhere() {
    let keys = Keys::with_key();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let below = keys.path().parent().expect("a parent").to_owned();
    std::fs::rename(&below, elsewhere.path().join("d")).expect("a rename");
    symlink(elsewhere.path().join("d"), &below).expect("a link");
    assert!(matches!(keys.refused(), Refusal::Link | Refusal::Kind));
    assert!(matches!(keys.write().expect_err("must be refused").why, Refusal::Link | Refusal::Kind));
}

#[test]
fn content_that_is_no_key_is_refused() {
    let keys = Keys::with_key();
    std::fs::write(keys.path(), "not a key").expect("written");
    assert_eq!(keys.refused(), Refusal::Key(KeyError::NotPem));
    std::fs::write(keys.path(), vec![b'x'; LARGEST as usize + 1]).expect("written");
    assert_eq!(keys.refused(), Refusal::TooLarge);
}

#[test]
fn as_root_a_key_of_a_third_user_is_refused_and_new_keys_go_to_the_owner_of_the_directory() {
    if sys::process::euid() != 0 {
        return;
    }
    let keys = Keys::with_key();
    std::os::unix::fs::chown(keys.path(), Some(4242), None).expect("chown");
    assert_eq!(keys.refused(), Refusal::Owner(4242, 0));
    let text = keys.read().expect_err("must be refused").to_string();
    assert!(text.contains("belongs to uid4242") && text.contains("run `chown root "), "{text}");

    std::os::unix::fs::chown(keys.directory.path(), Some(4242), Some(4243)).expect("chown");
    let other = Keys { domain: SigningDomain::parse("example.net").expect("a domain"), ..keys };
    let path = other.write().expect("a key file");
    for made in [path.as_path(), path.parent().expect("a parent")] {
        use std::os::unix::fs::MetadataExt;
        let metadata = made.symlink_metadata().expect("metadata");
        assert_eq!((metadata.uid(), metadata.gid()), (4242, 4243));
    }
    read(other.directory.path(), &other.domain, &other.selector, 4242).expect("the key, for its user");
}
