//! The drop directory against users who may write any bytes into it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::only_id;
use crate::delivery::MESSAGE;
use crate::support::command::{Ended, run, wait_for};
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::scripted::{Reply, Script};

/// A shell line run as a user without rights, in `new/`.
fn shell_as(installation: &Installation, uid: u32, line: &str) -> Ended {
    let mut command = installation.program_as(uid, "sh");
    run(command.args(["-c", line]).current_dir(installation.paths.spool.join("new")), b"")
}

#[test]
fn another_user_cannot_list_read_change_rename_link_or_remove_a_message() {
    isolated!();
    let installation = Installation::system();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    let id = only_id(&installation);
    let path = installation.paths.spool.join("new").join(&id);
    let before = std::fs::read(&path).unwrap();
    for attempt in [
        "ls",
        "cat ID",
        "echo x >>ID",
        ": >ID",
        "rm -f ID && test ! -e ID",
        "mv ID other",
        "chmod 666 ID",
        "touch ID",
        "mv -f $(mktemp) ID",
    ] {
        let ended = shell_as(&installation, OTHER_ID, &attempt.replace("ID", &id));
        assert_ne!(ended.code, Some(0), "{attempt}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(installation.spooled("new"), [id]);
}

#[test]
fn t_spool_1_whatever_a_user_drops_only_messages_are_sent_and_the_daemon_lives() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    let secret = installation.paths.config_file.with_file_name("secret");
    std::fs::write(&secret, "secret words\n").unwrap();
    let secret = secret.display();
    let drops = [
        "mkfifo 0000000000000001",
        &format!("ln -s {secret} 0000000000000002"),
        "mkdir 0000000000000003",
        "mkdir 0000000000000004 && touch 0000000000000004/x",
        "echo garbage >0000000000000005",
        "touch 0000000000000006",
        "echo '{\"v\":1}' >0000000000000007",
        "echo '{\"v\":99}' >0000000000000008",
        "truncate -s 1T 0000000000000009",
        "echo x >'not an id' && echo x >\"$(printf '\\377\\n\\033[2J')\"",
        "head -c 300000 /dev/zero >000000000000000A; chmod 640 000000000000000A",
    ];
    for drop in drops {
        shell_as(&installation, OTHER_ID, &format!("umask 027; {drop}")).succeeded();
    }
    installation.start_daemon();
    let pid = installation.daemon_pid();
    for number in 0..5 {
        installation.sendmail_as(CALLER_ID, &[&format!("{number}@receiver.example")], MESSAGE).succeeded();
    }
    assert_eq!(receiver.wait_for_messages(5).len(), 5);
    wait_for("the files to be put away", || installation.spooled("corrupt").len() >= 10);
    assert_eq!(installation.daemon_pid(), pid);
    let sent = receiver.connections().into_iter().flat_map(|connection| connection.received).collect::<Vec<_>>();
    assert!(!String::from_utf8_lossy(&sent).contains("secret words"));
    installation.stop_daemon();
}

#[test]
fn a_file_that_was_not_born_in_the_drop_directory_is_never_sent() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    let id = only_id(&installation);
    // A whole, valid message; but its group says that it was born elsewhere and renamed into the drop directory.
    let path = installation.paths.spool.join("new").join(&id);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    std::os::unix::fs::chown(&path, Some(CALLER_ID), Some(CALLER_ID)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    installation.start_daemon();
    wait_for("the verdict", || installation.spooled("corrupt").len() == 2);
    assert_eq!(installation.spooled("corrupt"), [id.clone(), format!("{id}.why")]);
    assert!(receiver.connections().is_empty());
}

#[test]
fn a_submitter_that_changes_its_file_after_the_claim_stops_only_its_own_message() {
    isolated!();
    let receiver = Script::new().first(1, "MAIL", Reply::Lines("451 4.3.0 later".into())).start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"");
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    let id = only_id(&installation);
    // The submitter keeps its file open, and writes through that when the daemon has it.
    let mut submitter = installation.program_as(CALLER_ID, "sh");
    submitter
        .args(["-c", "exec 3<>\"$0\"; echo ready; read go; printf Jello | dd bs=1 seek=\"$go\" conv=notrunc of=/dev/fd/3 2>/dev/null"]);
    submitter.arg(&id).current_dir(installation.paths.spool.join("new")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut submitter = submitter.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(submitter.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    installation.start_daemon();
    installation.wait_for_entry("the first attempt", |entry| entry.to_string().contains("451"));
    let claimed = installation.paths.spool.join("cur").join(&id);
    let bytes = std::fs::read(&claimed).unwrap();
    let at = bytes.windows(5).rposition(|five| five == b"Hello").unwrap();
    writeln!(submitter.stdin.take().unwrap(), "{at}").unwrap();
    submitter.wait().unwrap();
    assert_ne!(std::fs::read(&claimed).unwrap(), bytes, "the file was not changed, so nothing is tried here");
    installation.mailchute(&["flush"]).succeeded();
    wait_for("the verdict", || !installation.spooled("corrupt").is_empty());
    // The message itself never arrives; its sender is told that this host lost it.
    installation.sendmail_as(OTHER_ID, &["carol@receiver.example"], MESSAGE).succeeded();
    let mut recipients: Vec<_> = receiver.wait_for_messages(2).iter().map(|message| message.recipients.concat()).collect();
    recipients.sort();
    assert_eq!(recipients, ["<carol@receiver.example>", "<uid4301@sender.example>"]);
}
