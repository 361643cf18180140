//! Entries of `new/`, and the result of claiming them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use nix::sys::stat::Mode;

use super::*;
use crate::testing::{MESSAGE, Scratch, envelope, message};

const ID: &str = "6921CE0500000001";

fn new(scratch: &Scratch, name: &str) -> PathBuf {
    scratch.path().join(layout::NEW).join(name)
}

fn inject(scratch: &Scratch) -> QueueId {
    scratch.inject(envelope(&["bob@receiver.example"]), MESSAGE)
}

/// The only reason in `corrupt/`.
#[track_caller]
fn reason(scratch: &Scratch) -> String {
    let names = scratch.names(layout::CORRUPT);
    let [file, why] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!(*why, format!("{file}.why"));
    std::fs::read_to_string(scratch.path().join(layout::CORRUPT).join(why)).unwrap()
}

#[test]
fn a_message_is_claimed_with_its_uid_and_digest() {
    let scratch = Scratch::new();
    let id = inject(&scratch);
    let bytes = std::fs::read(scratch.file(layout::NEW, id)).unwrap();
    let claimed = message(scratch.store().claim(id.to_string()).unwrap());
    assert_eq!((claimed.uid, claimed.envelope.id), (sys::process::euid(), id));
    assert_eq!(claimed.digest, digest::digest(&digest::SHA256, &bytes).as_ref());
    assert_eq!(claimed.message_id, "<1@sender.example>");
    assert!(scratch.names(layout::NEW).is_empty() && scratch.names(layout::CUR) == [id.to_string()]);
}

#[test]
fn a_file_that_its_injector_holds_is_left_for_later() {
    let scratch = Scratch::new();
    let id = inject(&scratch);
    let held = File::open(scratch.file(layout::NEW, id)).unwrap();
    Lock::try_lock_exclusive(&held).unwrap();
    assert!(matches!(scratch.store().claim(id.to_string()).unwrap(), Claim::Later));
    drop(held);
    message(scratch.store().claim(id.to_string()).unwrap());
}

#[test]
fn a_directory_that_has_vanished_is_an_error_and_no_file_is_passed_over() {
    let scratch = Scratch::new();
    let (store, id) = (scratch.store(), inject(&scratch));
    store.check_directories().unwrap();
    std::fs::remove_dir(scratch.path().join(layout::CUR)).unwrap();
    assert!(store.claim(id.to_string()).is_err(), "not taken for a file that is gone");
    assert!(store.check_directories().unwrap_err().contains("/cur was removed"));
    std::fs::create_dir(scratch.path().join(layout::CUR)).unwrap();
    assert!(store.check_directories().unwrap_err().contains("/cur was removed"), "it is another one");
    let store = scratch.store();
    message(store.claim(id.to_string()).unwrap());
    std::fs::remove_dir(scratch.path().join(layout::CORRUPT)).unwrap();
    assert!(store.discard(id, "why").is_err(), "its file is still there");
    assert_eq!(scratch.names(layout::CUR), [id.to_string()]);
}

#[test]
fn t_spool_1_what_is_no_file_is_removed_or_reported_and_never_followed() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let secret = scratch.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    for name in [ID, "any name", "a\nb"] {
        let path = new(&scratch, name);
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        assert!(matches!(store.claim(name).unwrap(), Claim::Vanished), "a link: {name}");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert!(matches!(store.claim(name).unwrap(), Claim::Vanished), "a FIFO: {name}");
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(store.claim(name).unwrap(), Claim::Vanished), "a socket: {name}");
        drop(socket);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(store.claim(name).unwrap(), Claim::Vanished), "an empty directory: {name}");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("x"), "x").unwrap();
        assert!(matches!(store.claim(name).unwrap(), Claim::Stuck(why) if why.starts_with("inode ")), "a full directory: {name}");
        std::fs::remove_dir_all(&path).unwrap();
    }
    assert!(scratch.names(layout::NEW).is_empty() && scratch.names(layout::CUR).is_empty() && scratch.names(layout::CORRUPT).is_empty());
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "secret");
}

#[test]
fn t_spool_1_a_file_under_a_name_of_any_bytes_is_moved_away_with_its_reason() {
    let scratch = Scratch::new();
    let name = OsString::from_vec(b"\xff\xfe\x1b[2J".to_vec());
    std::fs::write(scratch.path().join(layout::NEW).join(&name), "x").unwrap();
    let names: Vec<OsString> = scratch.store().waiting().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(names, std::slice::from_ref(&name));
    assert!(matches!(scratch.store().claim(&name).unwrap(), Claim::Corrupt(_)));
    assert!(scratch.names(layout::NEW).is_empty());
    let reason = reason(&scratch);
    assert!(reason.starts_with("the name is not a queue id\nname: ") && !reason.contains('\x1b'), "{reason:?}");
}

#[test]
fn t_spool_1_wrong_modes_and_second_links_are_put_away() {
    for (change, why) in [
        ((|path| chmod(path, 0o644)) as fn(&Path), "has mode 0644"),
        (|path| chmod(path, 0o4640), "has mode 4640"),
        (|path| std::fs::hard_link(path, path.with_file_name("..link")).unwrap(), "has 2 links"),
    ] {
        let scratch = Scratch::new();
        let id = inject(&scratch);
        change(&scratch.file(layout::NEW, id));
        assert!(matches!(scratch.store().claim(id.to_string()).unwrap(), Claim::Corrupt(_)), "{why}");
        assert!(reason(&scratch).contains(why), "{}", reason(&scratch));
        assert!(scratch.names(layout::CUR).is_empty());
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn t_spool_1_a_hole_of_a_terabyte_costs_nothing() {
    let scratch = Scratch::new();
    let grown = inject(&scratch);
    let file = File::options().write(true).open(scratch.file(layout::NEW, grown)).unwrap();
    file.set_len(1 << 40).unwrap();
    let cpu = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    let start = cpu();
    assert!(matches!(scratch.store().claim(grown.to_string()).unwrap(), Claim::Corrupt(why) if why.starts_with("torn: ")));
    // And one whose envelope promises it.
    let promised = inject(&scratch);
    let path = scratch.file(layout::NEW, promised);
    let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
    let line = text.split_inclusive('\n').next().unwrap();
    let huge = line.replacen(&format!("\"size\":{}", MESSAGE.len()), "\"size\":1099511627776", 1);
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(huge.as_bytes(), 0).unwrap();
    file.set_len((1 << 40) + huge.len() as u64).unwrap();
    assert!(matches!(scratch.store().claim(promised.to_string()).unwrap(), Claim::Corrupt(why) if why.contains("larger than")));
    // Processor time: to read a terabyte, even of a hole, takes minutes of it.
    assert!((cpu() - start).tv_sec() < 5);
}

#[test]
fn a_second_file_with_a_claimed_id_is_dropped_if_it_is_the_same_and_put_away_if_not() {
    let scratch = Scratch::new();
    let (store, id) = (scratch.store(), inject(&scratch));
    let bytes = std::fs::read(scratch.file(layout::NEW, id)).unwrap();
    message(store.claim(id.to_string()).unwrap());
    let again = |bytes: &[u8]| {
        std::fs::write(scratch.file(layout::NEW, id), bytes).unwrap();
        chmod(&scratch.file(layout::NEW, id), layout::FILE_MODE);
        store.claim(id.to_string()).unwrap()
    };
    assert!(matches!(again(&bytes), Claim::Vanished));
    assert!(scratch.names(layout::NEW).is_empty() && scratch.names(layout::CORRUPT).is_empty());
    assert!(matches!(again(b"another"), Claim::Corrupt(_)));
    assert!(reason(&scratch).starts_with("its queue id belongs to another message"));
    assert_eq!(std::fs::read(scratch.file(layout::CUR, id)).unwrap(), bytes);
}

#[test]
fn a_file_of_a_newer_version_stays_for_a_newer_program() {
    let scratch = Scratch::new();
    let id = inject(&scratch);
    let file = File::options().write(true).open(scratch.file(layout::NEW, id)).unwrap();
    file.write_all_at(b"{\"v\":2", 0).unwrap();
    assert!(matches!(scratch.store().claim(id.to_string()).unwrap(), Claim::Newer(2)));
    assert!(scratch.names(layout::CORRUPT).is_empty());
}

#[test]
fn removing_or_discarding_twice_is_no_error() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let id = scratch.claimed(&["bob@receiver.example"]).envelope.id;
    store.remove(id, layout::CUR).unwrap();
    store.remove(id, layout::CUR).unwrap();
    store.discard(id, "missing").unwrap();
    assert!(scratch.names(layout::CORRUPT).is_empty());
}

#[test]
fn the_sweep_takes_what_is_old_and_nothing_else() {
    let scratch = Scratch::new();
    let tmp = |name: &str| scratch.path().join(layout::TMP).join(name);
    std::fs::write(tmp("t.6921CE0500000001"), "half").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", tmp("link")).unwrap();
    std::fs::create_dir(tmp("directory")).unwrap();
    let now = sys::clock::now();
    assert_eq!(scratch.store().sweep(now).unwrap(), 0);
    assert_eq!(scratch.store().sweep(now + 86_500).unwrap(), 2);
    assert_eq!(scratch.names(layout::TMP), ["directory"]);
}
