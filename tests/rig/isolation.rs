//! The world of an isolated test, and the spool of a system installation in it.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::support::command::run;
use crate::support::installation::{CALLER_ID, DAEMON_ID, Installation};
use spool::layout;

#[test]
fn an_isolated_test_has_loopback_alone_and_its_own_process_ids() {
    isolated!();
    let links = run(Command::new("ip").args(["-o", "link"]), b"").succeeded().stdout;
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.contains("LOOPBACK,UP"), "{links}");
    assert!(std::process::id() < 20, "process {}", std::process::id());
}

#[test]
fn a_system_installation_has_the_layout_that_the_daemon_demands() {
    isolated!();
    let installation = Installation::system();
    let owner = layout::verify(&installation.paths.spool, DAEMON_ID, false).unwrap();
    assert_eq!(owner.gid, DAEMON_ID);
    assert_eq!(installation.paths.run.metadata().unwrap().uid(), DAEMON_ID);
    // Whoever may not read the clone's parents could not run anything here.
    run(installation.program_as(CALLER_ID, "test").args(["-x", env!("CARGO_BIN_EXE_sendmail")]), b"").succeeded();
    let list = run(installation.program_as(CALLER_ID, "ls").arg(installation.paths.spool.join("new")), b"");
    assert_ne!(list.code, Some(0));
}
