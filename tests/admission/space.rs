//! A disk that fills up: new mail is refused with 69 before it is read, and old mail is delivered until the last one.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::delivery::MESSAGE;
use crate::support::command::{self, wait_for};
use crate::support::installation::{CALLER_ID, Installation};
use crate::support::scripted::{Receiver, Reply, Script};

/// Old mail: each waits for a second attempt.
const OLD: usize = 60;

/// An installation on a spool of its own with `options`, whose receiver takes each message at the second attempt; and so many
/// messages that wait for it.
fn with_old_mail(options: &str, more: &str) -> (Installation, Receiver) {
    let receiver = Script::new().first(OLD, "MAIL", Reply::Lines("451 4.3.0 later".into())).start();
    let mut installation = Installation::system_with_spool(options);
    installation.relay_to(&receiver.url("smtp", "tls=none"), &format!("retry_min = \"1h\"\nretry_max = \"2h\"\n{more}"));
    installation.start_daemon();
    for _ in 0..OLD {
        installation.sendmail_as(CALLER_ID, &["old@receiver.example"], MESSAGE).succeeded();
    }
    wait_for("the first attempts", || installation.queue().iter().filter(|entry| entry["queue_name"] == "deferred").count() == OLD);
    (installation, receiver)
}

/// Fills the file system of the spool, but for `leave` bytes. The file is the daemon's neighbour's, not its own.
fn fill(installation: &Installation, leave: u64) -> PathBuf {
    let path = installation.paths.spool.join("neighbour");
    let mut file = File::create(&path).unwrap();
    chown(&path, Some(CALLER_ID), Some(CALLER_ID)).unwrap();
    let piece = vec![b'x'; 4096];
    while fs2::available_space(&installation.paths.spool).unwrap() > leave && file.write_all(&piece).is_ok() {}
    path
}

fn bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.metadata().map_or(0, |meta| meta.blocks() * 512)
}

#[test]
fn t_spool_5_new_mail_is_refused_with_69_at_the_reserve_and_old_mail_is_delivered() {
    isolated!();
    let (installation, receiver) = with_old_mail("size=32m,mode=755", "spool_reserve = \"8MiB\"");
    installation.sendmail_as(CALLER_ID, &["old@receiver.example"], MESSAGE).succeeded();
    let neighbour = fill(&installation, 7 << 20);
    let refused = installation.sendmail_as(CALLER_ID, &["new@receiver.example"], MESSAGE).ended_with(69);
    assert!(refused.stderr.lines().count() == 1 && refused.stderr.contains("(spool_reserve)"), "{}", refused.stderr);
    let dialogue = b"EHLO x\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<b@receiver.example>\r\nQUIT\r\n";
    let replies = installation.sendmail_as(CALLER_ID, &["-bs"], dialogue).succeeded().stdout;
    assert!(replies.contains("\r\n452 4.3.1 Error: the spool "), "{replies}");
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(OLD + 1);
    installation.wait_until_drained();
    std::fs::remove_file(neighbour).unwrap();
    installation.sendmail_as(CALLER_ID, &["new@receiver.example"], MESSAGE).succeeded();
    receiver.wait_for_messages(OLD + 2);
}

#[test]
fn t_spool_5_on_a_disk_without_one_free_byte_old_mail_is_delivered_by_the_ballast() {
    isolated!();
    let (mut installation, receiver) = with_old_mail("size=64m,mode=755", "spool_reserve = \"8MiB\"");
    let ballast = installation.paths.spool.join("ballast");
    assert!(bytes(&ballast) >= 8 << 20, "an eighth of the disk");
    // The log of the database begins anew: it has no room left of its own.
    installation.stop_daemon();
    installation.start_daemon();
    let neighbour = fill(&installation, 0);
    installation.sendmail_as(CALLER_ID, &["new@receiver.example"], MESSAGE).ended_with(69);
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(OLD);
    installation.wait_until_drained();
    installation.wait_for_log("database or disk is full");
    assert_eq!((bytes(&ballast), receiver.messages().len()), (0, OLD), "each once");
    let log = installation.daemon_log();
    assert!(!log.contains("storage_failed") && !log.contains("possible_duplicate"), "{log}");
    // It comes back with the space: at the latest with the next start.
    std::fs::remove_file(neighbour).unwrap();
    installation.stop_daemon();
    installation.start_daemon();
    assert!(bytes(&ballast) >= 8 << 20);
    installation.sendmail_as(CALLER_ID, &["new@receiver.example"], MESSAGE).succeeded();
    receiver.wait_for_messages(OLD + 1);
}

#[test]
fn a_daemon_that_starts_on_a_full_disk_delivers_old_mail() {
    isolated!();
    let (mut installation, receiver) = with_old_mail("size=64m,mode=755", "spool_reserve = \"8MiB\"");
    installation.kill_daemon();
    fill(&installation, 0);
    installation.start_daemon();
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(OLD);
    installation.wait_until_drained();
    installation.stop_daemon();
}

#[test]
fn t_spool_5_new_mail_leaves_inodes_free() {
    isolated!();
    let (installation, receiver) = with_old_mail("nr_inodes=200,mode=755", "spool_inode_reserve = 80");
    for n in 0.. {
        match nix::sys::statvfs::statvfs(&installation.paths.spool).unwrap().files_available() {
            free if free < 80 => break,
            _ => drop(File::create(installation.paths.spool.join(format!("neighbour{n}"))).unwrap()),
        }
    }
    let refused = installation.sendmail_as(CALLER_ID, &["new@receiver.example"], MESSAGE).ended_with(69);
    assert!(refused.stderr.contains("inodes are free, 80 (spool_inode_reserve)"), "{}", refused.stderr);
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(OLD);
    installation.wait_until_drained();
}

#[test]
fn section_6_a_refusal_does_not_wait_for_the_message_and_the_writer_gets_no_sigpipe() {
    isolated!();
    let installation = Installation::system_with_spool("size=1m,mode=755");
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    let mut command = installation.program_as(CALLER_ID, env!("CARGO_BIN_EXE_sendmail"));
    command.arg("new@receiver.example").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut line).unwrap();
    assert!(line.contains("(spool_reserve)"), "{line}");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&vec![b'x'; 1 << 20]).unwrap();
    drop(stdin);
    let status = command::wait(&mut child, command::PATIENCE).unwrap();
    assert_eq!(status.code(), Some(69));
    installation.configure("spool_error_exit = 75\n");
    installation.sendmail_as(CALLER_ID, &["new@receiver.example"], MESSAGE).ended_with(75);
}
