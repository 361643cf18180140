//! A spool that is missing, full or wrong: one line, the right code, and nothing half.

use std::os::unix::fs::PermissionsExt;

use crate::delivery::MESSAGE;
use crate::support::command::run;
use crate::support::installation::{CALLER_ID, Installation};
use crate::support::scripted::Script;

/// What the kernel says is looked at here; the reserve would refuse before.
const NO_RESERVE: &str = "spool_reserve = 0\nspool_inode_reserve = 0";

#[test]
fn a_full_disk_is_73_or_74_and_leaves_nothing_half() {
    isolated!();
    let installation = Installation::system_with_spool("size=128k,mode=755");
    installation.relay_to("smtp://127.0.0.1:25?tls=none", NO_RESERVE);
    let large = [b"Subject: large\n\n".as_slice(), &b"0123456789abcdef\n".repeat(20_000)].concat();
    let ended = installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], &large);
    assert!(matches!(ended.code, Some(73 | 74)), "{ended:?}");
    assert!(ended.stderr.lines().count() == 1 && ended.stderr.contains("No space left"), "{}", ended.stderr);
    assert!(installation.spooled("new").is_empty() && installation.spooled("tmp").is_empty());
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
}

#[test]
fn a_disk_without_inodes_is_73_or_74_and_leaves_nothing_half() {
    isolated!();
    // One inode for the root of the file system, one for each directory below it; none is left for a message.
    let installation = Installation::system_with_spool("nr_inodes=8,mode=755");
    installation.relay_to("smtp://127.0.0.1:25?tls=none", NO_RESERVE);
    let ended = installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE);
    assert!(matches!(ended.code, Some(73 | 74)), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(installation.spooled("new").is_empty() && installation.spooled("tmp").is_empty());
}

#[test]
fn a_file_size_limit_of_the_caller_is_an_error_and_not_a_death() {
    isolated!();
    let installation = Installation::system();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    let mut command = installation.program_as(CALLER_ID, "sh");
    command.args(["-c", "ulimit -f 1; exec \"$0\" bob@receiver.example", env!("CARGO_BIN_EXE_sendmail")]);
    let ended = run(&mut command, &b"0123456789abcdef\n".repeat(2000)).ended_with(74);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(installation.spooled("new").is_empty());
}

#[test]
fn a_missing_spool_is_73_and_the_line_names_it() {
    isolated!();
    let installation = Installation::system();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    run(installation.program("umount").arg(&installation.paths.spool), b"").succeeded();
    let ended = installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).ended_with(73);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(&installation.paths.spool.display().to_string()), "{}", ended.stderr);
}

#[test]
fn a_wrong_mode_stops_the_daemon_at_its_start_with_78() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    std::fs::set_permissions(installation.paths.spool.join("new"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let status = crate::support::command::wait(installation.spawn_daemon(), crate::support::command::PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(78), "{}", installation.daemon_log());
    assert!(installation.daemon_log().contains("chmod 3733"), "{}", installation.daemon_log());
}
