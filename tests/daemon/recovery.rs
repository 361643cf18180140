//! The database lost in every way, by the shipped daemon: what was held stays held, what failed stays failed, and nothing that may
//! have been delivered is sent again before somebody says so.

use std::path::Path;
use std::process::Stdio;

use super::{injecting, strace};
use crate::delivery::MESSAGE;
use crate::support::command;
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script};

/// The places of all messages: how many are deferred, on hold, failed.
fn places(installation: &Installation) -> [usize; 3] {
    let queue = installation.queue();
    ["deferred", "hold", "failed"].map(|name| queue.iter().filter(|entry| entry["queue_name"] == name).count())
}

/// A stopped daemon that has delivered one message, and has one that waits, one on hold and one that failed.
fn with_one_of_each() -> (Installation, Receiver) {
    let script = Script::new().say("RCPT TO:<wait@", "450 4.2.1 busy").say("RCPT TO:<no@", "550 5.1.1 no such user");
    let receiver = script.start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"");
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "-O", "HoldUntil=2099-01-01T00:00:00Z", "hold@receiver.example"], MESSAGE).succeeded();
    command::wait_for("the first message", || installation.queue().len() == 1);
    installation.mailchute(&["hold", "ALL"]).succeeded();
    for recipient in ["ok", "wait", "no"] {
        installation.sendmail(&["-N", "never", &format!("{recipient}@receiver.example")], MESSAGE).succeeded();
    }
    receiver.wait_for_messages(1);
    command::wait_for("one of each", || places(&installation) == [1, 1, 1]);
    installation.stop_daemon();
    (installation, receiver)
}

type Damage = fn(&Path);

/// What happens to a database.
const DAMAGES: &[(&str, Damage)] = &[
    ("missing", |path| std::fs::remove_file(path).unwrap()),
    ("empty", |path| std::fs::write(path, "").unwrap()),
    ("its header overwritten", |path| overwrite(path, 0)),
    ("overwritten inside", |path| overwrite(path, 5 * 4096)),
    ("cut off", |path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(3 * 4096).unwrap()),
    ("a log that is none", |path| {
        overwrite(path, 8 * 4096);
        std::fs::write(path.with_file_name("state.sqlite-wal"), [7; 20_000]).unwrap();
    }),
];

fn overwrite(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at..at + 4096].fill(0x5A);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_lost_database_is_rebuilt_from_the_files_and_nothing_is_sent_unasked() {
    let (mut installation, receiver) = with_one_of_each();
    let database = installation.paths.spool.join("state.sqlite");
    for (what, damage) in DAMAGES {
        damage(&database);
        installation.start_daemon();
        command::wait_for(&format!("the queue of a database that was {what}"), || places(&installation) == [0, 2, 1]);
        // New mail goes on meanwhile.
        let before = receiver.messages().len();
        installation.sendmail(&["-N", "never", "ok@receiver.example"], MESSAGE).succeeded();
        receiver.wait_for_messages(before + 1);
        installation.wait_until_drained();
        installation.stop_daemon();
        assert!(installation.daemon_log().contains("state_lost"), "{what}");
    }
    assert!(receiver.messages().iter().all(|message| message.recipients == ["<ok@receiver.example>"]));
    let aside =
        installation.spooled(".").into_iter().filter(|name| name.contains("damaged") && !name.contains("-wal") && !name.contains("-shm"));
    assert_eq!(aside.count(), 3, "the latest ones are kept for a person");
    // Somebody decides.
    let willing = Script::new().start();
    installation.relay_to(&willing.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.mailchute(&["requeue", "ALL"]).succeeded();
    willing.wait_for_messages(3);
    installation.wait_until_drained();
    assert_eq!(places(&installation), [0, 0, 0]);
}

#[test]
fn a_disk_that_refuses_the_database_stops_delivery_and_touches_nothing() {
    let strace = require!(strace());
    let (mut installation, _receiver) = with_one_of_each();
    let spool = installation.paths.spool.clone();
    let listed = |installation: &Installation| ["cur", "hold", "failed", "corrupt", "trash", "new"].map(|name| installation.spooled(name));
    let before = listed(&installation);
    let injection = injecting(&strace, "pread64,read:error=EIO:when=2+");
    let mut command = installation.program(injection.get_program());
    command.args(injection.get_args()).arg("-P").arg(spool.join("state.sqlite")).arg(env!("CARGO_BIN_EXE_mailchuted"));
    let ended = command::run(command.stdin(Stdio::null()), b"").ended_with(74);
    assert!(ended.stderr.contains("state.sqlite"), "{}", ended.stderr);
    assert_eq!(listed(&installation), before);
    assert!(!installation.spooled(".").iter().any(|name| name.contains("damaged")), "an error of the disk is no damage");
    // The disk works again.
    installation.start_daemon();
    assert_eq!(places(&installation), [1, 1, 1]);
}

#[test]
fn a_host_that_was_renamed_keeps_its_queue_and_delivers_it() {
    isolated!();
    let rename = |name: &str| nix::unistd::sethostname(name).unwrap();
    let receiver = Script::new().first(1, "RCPT TO:", Reply::Lines("450 4.2.1 busy".into())).start();
    let mut installation = Installation::rootless();
    rename("old.sender.example");
    let next_hop = receiver.url("smtp", "tls=none");
    installation.configure(&format!("next_hop = \"{next_hop}\"\nretry_min = \"1h\"\nretry_max = \"1h\"\n"));
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@sender.example", "waits@receiver.example"], MESSAGE).succeeded();
    installation.wait_for_entry("the deferred one", |entry| entry["queue_name"] == "deferred");
    let before = installation.queue()[0]["queue_id"].clone();
    installation.stop_daemon();
    rename("new.sender.example");
    installation.start_daemon();
    assert_eq!(installation.queue()[0]["queue_id"], before);
    installation.mailchute(&["flush"]).succeeded();
    let arrived = &receiver.wait_for_messages(1)[0];
    assert!(arrived.mail.starts_with("<alice@sender.example>"), "{}", arrived.mail);
    assert!(receiver.connections().iter().any(|c| c.commands.iter().any(|line| line.contains("new.sender.example"))));
    installation.stop_daemon();
}
