//! A test of its own world: `isolated!()` runs the test again in a process with its own network (loopback only), mounts and
//! process ids. Fixed ports and the fixed build prefix then belong to that test alone, nothing reaches the real network, and
//! every process that a test forgets ends with it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::command;
use super::parts::{self, Missing, tool};

/// Names the test in the inner process.
const INSIDE: &str = "MAILCHUTE_TEST_INSIDE";
/// The inner process writes this file: a test name that matches nothing would pass in silence.
const ENTERED: &str = "MAILCHUTE_TEST_ENTERED";

/// True in the inner process. The outer one starts it, waits, and gets false, or why it cannot be.
pub(crate) fn enter(test: &str) -> Result<bool, Missing> {
    if std::env::var(INSIDE).is_ok_and(|name| name == test) {
        settle();
        std::fs::write(std::env::var_os(ENTERED).unwrap(), test).unwrap();
        return Ok(true);
    }
    parts::beyond_this_tree("namespaces")?;
    if !nix::unistd::geteuid().is_root() {
        return Err(Missing("needs root for namespaces and other uids".to_owned()));
    }
    tool("ip")?;
    tool("setpriv")?;
    let unshare = tool("unshare")?;
    let entered = tempfile::NamedTempFile::new().unwrap();
    // The shell is process 1 of the new world, and ends it: a process 1 cannot be ended by a signal of its own, such as abort().
    let inner = command::run_unlimited(
        Command::new(unshare)
            .args(["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .args(["sh", "-c", "\"$@\"; exit $?", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(INSIDE, test)
            .env(ENTERED, entered.path()),
        b"",
    );
    eprint!("{}", inner.stderr);
    print!("{}", inner.stdout);
    assert_eq!(inner.code, Some(0), "{test} failed inside its namespaces");
    assert_eq!(std::fs::read_to_string(entered.path()).unwrap(), test, "no test of this name ran");
    Ok(false)
}

/// The new world: loopback up, no mount of ours visible outside, our own programs reachable for other uids.
fn settle() {
    command::run(Command::new("mount").args(["--make-rprivate", "/"]), b"").succeeded();
    command::run(Command::new(tool("ip").unwrap()).args(["link", "set", "lo", "up"]), b"").succeeded();
    open_way_to(Path::new(env!("CARGO_MANIFEST_DIR")));
}

/// A clone below a closed directory (/root has 0700) hides our programs from other uids. In this world alone, the closed
/// directory is covered with an open, empty one that holds nothing but the clone.
fn open_way_to(clone: &Path) {
    let closed = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o1 == 0;
    let Some(cover) = clone.ancestors().filter(|path| closed(path)).last() else { return };
    cover_but(cover, clone, "mode=755");
}

/// A fresh tmpfs for temporary files, this process's alone. A clone that lies there stays in sight.
#[track_caller]
pub(crate) fn cover_temporary_files() {
    let (temporary, clone) = (std::env::temp_dir(), Path::new(env!("CARGO_MANIFEST_DIR")));
    if clone.starts_with(&temporary) {
        cover_but(&temporary, clone, "mode=1777");
    } else {
        mount_fresh(&temporary, "mode=1777");
    }
}

/// A fresh tmpfs over `cover`, with the `clone` that lies below it.
#[track_caller]
fn cover_but(cover: &Path, clone: &Path, options: &str) {
    let keep = tempfile::tempdir_in("/var/tmp").unwrap();
    mount(&["--bind".as_ref(), clone, keep.path()]);
    mount(&["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), options.as_ref(), "none".as_ref(), cover]);
    std::fs::create_dir_all(clone).unwrap();
    mount(&["--move".as_ref(), keep.path(), clone]);
    std::env::set_current_dir(clone).unwrap();
}

/// mount(8).
#[track_caller]
pub(crate) fn mount(arguments: &[&Path]) {
    command::run(Command::new("mount").args(arguments), b"").succeeded();
}

/// A fresh tmpfs over `path`, which is made if it is not there.
#[track_caller]
pub(crate) fn mount_fresh(path: &Path, options: &str) {
    std::fs::create_dir_all(path).unwrap();
    mount(&["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), options.as_ref(), "none".as_ref(), path]);
}

/// Goes on only in the inner process.
macro_rules! isolated {
    () => {
        match $crate::support::isolation::enter(test_name!()) {
            Ok(true) => {}
            Ok(false) => return,
            Err(missing) => return $crate::support::parts::skip(test_name!(), &missing),
        }
    };
}
