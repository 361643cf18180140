//! install.sh, run for real: as root in a copy-on-write image of this machine's own root, which vanishes with the test.
//!
//! Each scenario is a shell text, because what it looks at is what a person at a shell would. `install` runs install.sh with the
//! programs of this build; `expect CODE command …` runs a command, wants that exit code, and leaves what it said in `$said`.

mod accounts;
mod demo;
mod foreign;
mod hostile;
mod list;
mod service;
mod staging;
mod tools;
mod whole;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::parts::{self, Missing};

/// What every scenario starts with.
const PRELUDE: &str = r#"
set -u
die() { echo "FAILED: $*"; echo "last output: ${said-}"; exit 1; }
expect() {
    wanted=$1; shift
    said=$("$@" 2>&1) && code=0 || code=$?
    [ "$code" = "$wanted" ] || die "$* ended in $code, not $wanted"
}
says() { case $said in *"$1"*) ;; *) die "it did not say: $1" ;; esac; }
same() { [ "$1" = "$2" ] || die "'$1' is not '$2'"; }
install() { sh "$TREE/install.sh" --binaries "$PROGRAMS" "$@"; }
"#;

/// Makes the image at `$IMAGE`: the root of this machine, copy-on-write. No process and no connection leaves it.
const ENTER: &str = r#"
set -e
mount -t tmpfs none "$IMAGE"
mkdir "$IMAGE/upper" "$IMAGE/work" "$IMAGE/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$IMAGE/upper,workdir=$IMAGE/work" "$IMAGE/root"
mount -t proc proc "$IMAGE/root/proc"
mount --bind /dev "$IMAGE/root/dev"
mount -t tmpfs -o mode=0755 none "$IMAGE/root/run"
"#;

fn tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory with the three programs, as `./install.sh build` leaves one, built for `prefix`.
fn programs(prefix: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, path) in [
        ("sendmail", env!("CARGO_BIN_EXE_sendmail")),
        ("mailchuted", env!("CARGO_BIN_EXE_mailchuted")),
        ("mailchute", env!("CARGO_BIN_EXE_mailchute")),
    ] {
        // Small texts that run the programs under the name they were called by: copying debug builds is slow.
        std::fs::write(directory.path().join(name), format!("#!/bin/bash\nexec -a \"$0\" '{path}' \"$@\"\n")).unwrap();
    }
    std::fs::write(directory.path().join("prefix"), format!("{prefix}\n")).unwrap();
    directory
}

/// Runs `scenario` as root in an image of its own, with programs for the system paths. Skips loudly where that cannot be; in CI
/// that is a failure.
fn in_an_image(name: &str, scenario: &str) {
    in_an_image_with(&programs(""), name, scenario);
}

fn in_an_image_with(programs: &TempDir, name: &str, scenario: &str) {
    if let Err(missing) = parts::beyond_this_tree("namespaces") {
        return parts::skip(name, &missing);
    }
    let image = TempDir::new().unwrap();
    let enter = |what: &str| {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
                "sh",
                "-c",
                &format!("{ENTER}{what}"),
            ])
            .env("IMAGE", image.path());
        command
    };
    if !enter("true").output().is_ok_and(|out| out.status.success()) {
        return parts::skip(name, &Missing("needs root and overlay mounts".to_owned()));
    }
    let clean = "rm -f usr/sbin/sendmail usr/lib/sendmail usr/bin/mailq usr/bin/newaliases usr/sbin/runq";
    let out = enter(&format!("cd \"$IMAGE/root\"; {clean}; exec chroot . sh -c \"$SCENARIO\""))
        .env("SCENARIO", format!("{PRELUDE}{scenario}"))
        .env("TREE", tree())
        .env("PROGRAMS", programs.path())
        .output()
        .unwrap();
    judge(name, &out);
}

/// Runs `scenario` here, as whoever runs the tests, with `$STAGE` as a directory to work in.
fn in_a_directory(name: &str, prefix: &str, scenario: &str) -> PathBuf {
    let stage = TempDir::new().unwrap();
    let programs = programs(prefix);
    let out = Command::new("sh")
        .args(["-c", &format!("{PRELUDE}{scenario}")])
        .env("TREE", tree())
        .env("PROGRAMS", programs.path())
        .env("STAGE", stage.path())
        .output()
        .unwrap();
    judge(name, &out);
    stage.keep()
}

fn judge(name: &str, out: &Output) {
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{name}:\n{said}");
}
