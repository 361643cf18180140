//! Who may: root and the admin group everything, others their own mail; without the daemon, root alone.

use std::os::unix::fs::PermissionsExt;

use super::UNKNOWN;
use crate::delivery::MESSAGE;
use crate::support::command::{Ended, run};
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::isolation::mount;
use crate::support::scripted::Script;

/// A member of the admin group without any other right.
const ADMIN_ID: u32 = 4303;
const STRANGER_ID: u32 = 4304;

/// In this test's own mounts: the admin group, and its one member.
fn make_admin() -> [tempfile::NamedTempFile; 2] {
    let admin = format!("opadmin:x:{ADMIN_ID}:{ADMIN_ID}::/nonexistent:/bin/false\n");
    [("/etc/passwd", admin.as_str()), ("/etc/group", "mailchute-admin:x:4310:opadmin\n")].map(|(path, more)| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), std::fs::read_to_string(path).unwrap() + more).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        mount(&["--bind".as_ref(), file.path(), path.as_ref()]);
        file
    })
}

/// A message of each of two users that waits, and one of the first that is held: their ids.
fn with_messages() -> (Installation, [String; 3], Vec<Box<dyn std::any::Any>>) {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"\n");
    let accounts = make_admin();
    installation.start_daemon();
    let ids = [(CALLER_ID, "waits@x.example"), (CALLER_ID, "held@x.example"), (OTHER_ID, "other@x.example")].map(|(uid, recipient)| {
        installation.sendmail_as(uid, &["-N", "never", recipient], MESSAGE).succeeded();
        let is_it = |entry: &serde_json::Value| entry["recipients"][0]["address"] == recipient && entry["queue_name"] == "deferred";
        super::id_of(&installation.wait_for_entry("its first attempt", is_it))
    });
    installation.mailchute(&["hold", &ids[1]]).succeeded();
    (installation, ids, vec![Box::new(receiver), Box::new(accounts)])
}

fn mailchute_of(installation: &Installation, uid: u32, arguments: &[&str]) -> Ended {
    if uid == 0 { installation.mailchute(arguments) } else { installation.mailchute_as(uid, arguments) }
}

/// The verbs that change, with the message of the first user that each can change.
fn changes(ids: &[String; 3]) -> [(&'static str, &String); 7] {
    let [waits, held, _] = ids;
    [("hold", waits), ("release", held), ("remove", waits), ("requeue", held), ("expire", waits), ("bounce", waits), ("flush", waits)]
}

#[test]
fn t_out_5_root_and_the_admin_group_modify_all_mail_owners_their_own_and_strangers_none() {
    isolated!();
    let (installation, ids, _kept) = with_messages();
    for (uid, may) in [(0, true), (ADMIN_ID, true), (CALLER_ID, true), (OTHER_ID, false), (STRANGER_ID, false)] {
        for (verb, id) in changes(&ids) {
            let ended = mailchute_of(&installation, uid, &[verb, "--dry-run", id]);
            assert_eq!(ended.code, Some(if may { 0 } else { 1 }), "{uid} {verb}: {ended:?}");
            assert_eq!(ended.stderr.contains("no such message"), !may, "{uid} {verb}: {ended:?}");
        }
        // A stranger's real request changes nothing, and is answered like that of a message that is not there.
        if !may {
            for (verb, id) in changes(&ids).into_iter().filter(|(verb, _)| *verb != "flush") {
                let said = |id: &str| mailchute_of(&installation, uid, &[verb, id]).ended_with(1).stderr.replace(id, "ID");
                assert_eq!(said(id), said(UNKNOWN), "{uid} {verb}");
            }
        }
        for verb in ["show", "cat"] {
            assert_eq!(mailchute_of(&installation, uid, &[verb, &ids[0]]).code, Some(if may { 0 } else { 1 }), "{uid} {verb}");
        }
        for verb in ["resume", "open"] {
            let ended = mailchute_of(&installation, uid, &[verb]);
            assert_eq!(ended.code, Some(if matches!(uid, 0 | ADMIN_ID) { 0 } else { 77 }), "{uid} {verb}: {ended:?}");
        }
    }
    for (uid, seen) in [(0, 3), (ADMIN_ID, 3), (CALLER_ID, 2), (OTHER_ID, 1), (STRANGER_ID, 0)] {
        assert_eq!(mailchute_of(&installation, uid, &["list", "--json"]).succeeded().stdout.lines().count(), seen, "{uid}");
        let counted = mailchute_of(&installation, uid, &["count"]).succeeded().stdout;
        assert!(counted.starts_with(&format!("{seen} message{}, ", if seen == 1 { "" } else { "s" })), "{uid}: {counted}");
        let stats: serde_json::Value =
            serde_json::from_str(&mailchute_of(&installation, uid, &["stats", "--json"]).succeeded().stdout).unwrap();
        assert_eq!(stats["throughput"][0]["accepted"], seen, "{uid}: {stats}");
        let table = mailchute_of(&installation, uid, &["qshape"]).succeeded().stdout;
        let total = table.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)).unwrap();
        assert_eq!(total, seen.to_string(), "{uid}: {table}");
    }
    // `ALL` is all of one's own.
    let said = mailchute_of(&installation, OTHER_ID, &["remove", "ALL"]).succeeded().stderr;
    assert!(said.contains("Deleted: 1 message") && said.contains(&ids[2]), "{said}");
    let said = mailchute_of(&installation, ADMIN_ID, &["remove", "ALL"]).succeeded().stderr;
    assert!(said.contains("Deleted: 2 messages"), "{said}");
    installation.wait_for_log(&format!("uid={ADMIN_ID} messages=2 selection=\"ALL\""));
    let history = installation.mailchute(&["show", &ids[0]]).succeeded().stdout;
    assert!(history.contains(&format!("by opadmin (uid {ADMIN_ID})")), "{history}");
}

#[test]
fn without_the_daemon_root_does_everything_but_flush_and_others_are_told_that_it_is_down() {
    isolated!();
    let (mut installation, ids, _kept) = with_messages();
    installation.stop_daemon();
    for uid in [0, ADMIN_ID, CALLER_ID, STRANGER_ID] {
        let code = |done: i32| Some(if uid == 0 { done } else { 69 });
        for (verb, id) in changes(&ids) {
            let ended = mailchute_of(&installation, uid, &[verb, "--dry-run", id]);
            assert_eq!(ended.code, if verb == "flush" { Some(69) } else { code(0) }, "{uid} {verb}: {ended:?}");
            let unknown = mailchute_of(&installation, uid, &[verb, UNKNOWN]);
            assert_eq!(unknown.code, if verb == "flush" { Some(69) } else { code(1) }, "{uid} {verb}: {unknown:?}");
        }
        for arguments in
            [&["list"][..], &["count"], &["show", &ids[0]], &["cat", &ids[0]], &["stats"], &["qshape"], &["pause"], &["resume"]]
        {
            let ended = mailchute_of(&installation, uid, arguments);
            assert_eq!(ended.code, code(0), "{uid} {arguments:?}: {ended:?}");
            assert!(uid == 0 || ended.stderr.contains("mail system is down"), "{uid} {arguments:?}: {ended:?}");
        }
    }
    installation.mailchute(&["remove", "ALL"]).succeeded();
    assert_eq!(installation.spooled("trash").len(), 3);
    let owners = run(installation.program("stat").args(["-c", "%u"]).arg(installation.paths.spool.join("state.sqlite")), b"").succeeded();
    assert_eq!(owners.stdout.trim(), crate::support::installation::DAEMON_ID.to_string(), "root leaves nothing of its own");
    installation.start_daemon();
    assert!(installation.queue().is_empty());
}
