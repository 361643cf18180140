//! Without the daemon: what root, or the owner of the spool, does to rows and files, and what the next start makes of it.

use super::{listed, state_of, with_waiting};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::{Reply, Script};

#[test]
fn what_was_done_without_the_daemon_counts_when_it_starts() {
    let receiver = Script::new().first(6, "RCPT TO:", Reply::Lines("450 4.2.1 busy".into())).start();
    let recipients = ["hold@x.example", "release@x.example", "remove@x.example", "requeue@x.example", "bounce@x.example", "back@x.example"];
    let (mut installation, ids) = with_waiting(&receiver, &recipients);
    let [hold, release, remove, requeue, bounce, back] = &ids[..] else { panic!("{ids:?}") };
    installation.mailchute(&["hold", release]).succeeded();
    installation.mailchute(&["remove", back]).succeeded();
    installation.stop_daemon();
    for (verb, id) in
        [("hold", hold), ("release", release), ("remove", remove), ("requeue", requeue), ("bounce", bounce), ("requeue", back)]
    {
        let said = installation.mailchute(&[verb, id]).succeeded().stderr;
        assert!(said.contains(&format!("{id}: ")) && said.ends_with(": 1 message\n"), "{verb}: {said}");
    }
    assert_eq!((installation.spooled("hold"), installation.spooled("trash")), (vec![hold.clone()], vec![remove.clone()]));
    assert!(!installation.mailchute(&["cat", remove]).succeeded().stdout.is_empty());
    let said = installation.mailchute(&["hold", remove]).ended_with(1).stderr;
    assert!(said.contains(&format!("`mailchute requeue {remove}` restores it")), "{said}");
    installation.start_daemon();
    let mut arrived: Vec<String> = receiver.wait_for_messages(3).iter().map(|message| message.recipients.concat()).collect();
    arrived.sort();
    assert_eq!(arrived, ["<back@x.example>", "<release@x.example>", "<requeue@x.example>"]);
    wait_for("the bounced one in failed/", || installation.spooled("failed") == [bounce.clone()]);
    assert_eq!([hold, remove, bounce].map(|id| state_of(&installation, id)), ["hold", "removed", "failed"]);
}

#[test]
fn a_message_that_nobody_has_claimed_yet_is_taken_before_anything_is_done_to_it() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.stop_daemon();
    for recipient in ["hold@x.example", "remove@x.example", "go@x.example"] {
        installation.sendmail(&[recipient], MESSAGE).succeeded();
    }
    let id = |recipient: &str| listed(&installation, &["--to", recipient]).remove(0);
    let (hold, remove, go) = (id("hold@"), id("remove@"), id("go@"));
    let said = installation.mailchute(&["remove", "--dry-run", "ALL"]).succeeded().stderr;
    assert_eq!(said.matches(": would be removed").count(), 3, "{said}");
    assert!(said.ends_with("Would delete: 3 messages\n"), "{said}");
    assert_eq!(installation.spooled("new").len(), 3);
    installation.mailchute(&["hold", &hold]).succeeded();
    installation.mailchute(&["remove", "--to", "remove@"]).succeeded();
    installation.mailchute(&["release", &go]).ended_with(1);
    assert_eq!(installation.spooled("new"), std::slice::from_ref(&go), "taken by what is done to it, and by nothing else");
    installation.mailchute(&["requeue", &go]).succeeded();
    assert_eq!(installation.spooled("cur"), std::slice::from_ref(&go));
    assert_eq!((installation.spooled("hold"), installation.spooled("trash")), (vec![hold.clone()], vec![remove.clone()]));
    let said = installation.mailchute(&["hold", &remove]).ended_with(1).stderr;
    assert!(said.contains(&format!("`mailchute requeue {remove}` restores it")), "{said}");
    installation.mailchute(&["requeue", &remove]).succeeded();
    assert!(installation.spooled("trash").is_empty());
    installation.mailchute(&["remove", &remove]).succeeded();
    installation.mailchute(&["release", &hold]).succeeded();
    assert_eq!(installation.spooled("cur").len(), 2);
    installation.mailchute(&["hold", &hold]).succeeded();
    assert_eq!(listed(&installation, &["--state", "removed"]), std::slice::from_ref(&remove), "in a listing, and to be had back");
    let history = installation.mailchute(&["show", &remove]).succeeded().stdout;
    assert!(history.matches("removed").count() >= 2 && history.contains("requeued"), "{history}");
    installation.start_daemon();
    assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<go@x.example>"]);
    assert_eq!(listed(&installation, &["--state", "held"]), std::slice::from_ref(&hold));
    let entry = installation.wait_for_entry("the held one", |entry| entry["queue_id"] == hold.as_str());
    let (reason, recipient) = (entry["reason"].as_str().unwrap(), entry["recipients"][0]["status"].as_str().unwrap());
    assert!(reason.starts_with("by ") && reason.contains("(uid "), "{entry}");
    assert_eq!(recipient, "deferred", "{entry}");
    assert_eq!(receiver.messages().len(), 1);
}

#[test]
fn a_message_that_nobody_has_claimed_yet_is_known_to_every_verb() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (mut installation, ids) = with_waiting(&receiver, &["old@x.example"]);
    installation.stop_daemon();
    for recipient in ["off1@x.example", "off2@x.example"] {
        installation.sendmail(&[recipient], MESSAGE).succeeded();
    }
    let new = listed(&installation, &["--to", "off1@"]).remove(0);
    let out = |arguments: &[&str]| installation.mailchute(arguments).succeeded().stdout;
    assert!(out(&["count"]).starts_with("3 messages, "));
    let status = installation.mailchute(&["status"]).ended_with(69).stdout;
    assert!(status.contains("3 queued, 0 held, 0 failed"), "{status}");
    let stats: serde_json::Value = serde_json::from_str(&out(&["stats", "--json"])).unwrap();
    assert_eq!((&stats["queue"][0]["messages"], &stats["throughput"][0]["accepted"]), (&3.into(), &3.into()), "{stats}");
    // A rootless installation has no service of the system.
    let told = [
        installation.mailchute(&["check"]).ended_with(78).stdout,
        out(&["why", &new]),
        installation.mailchute(&["top"]).ended_with(69).stderr,
    ];
    for text in told {
        assert!(text.contains("`systemctl --user st") && !text.contains("systemctl st"), "{text}");
    }
    let shown = out(&["show", &new]);
    assert!(shown.contains("off1@x.example  deferred") && shown.contains("Subject: hello"), "{shown}");
    assert!(out(&["cat", &new]).contains("Subject: hello"));
    for verb in ["trace", "why"] {
        for subject in [new.as_str(), "OFF1@x.example"] {
            let said = out(&[verb, subject]);
            assert!(said.contains(&new) && !said.contains(&ids[0]), "{verb} {subject}: {said}");
        }
    }
    let sender = installation.queue()[0]["sender"].as_str().unwrap().to_owned();
    let latest = out(&["trace", "--json", "--limit", "3", &sender]);
    assert!(latest.contains(&new) && latest.contains("off2@x.example") && latest.lines().count() == 3, "{latest}");
    let said = installation.mailchute(&["expire", "--to", "off1@"]).succeeded().stderr;
    assert!(said.contains(&new) && said.contains("Expired: 1 message"), "{said}");
    installation.mailchute(&["trace", "nobody@x.example"]).ended_with(1);
}

#[test]
fn a_file_that_is_no_message_is_listed_and_left_alone() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    installation.start_daemon();
    installation.stop_daemon();
    std::fs::write(installation.paths.spool.join("new/00000000000000AA"), "garbage").unwrap();
    let entry = installation.wait_for_entry("the file", |_| true);
    assert!(entry["reason"].as_str().unwrap().contains("unreadable message"), "{entry}");
    for verb in ["hold", "remove"] {
        let said = installation.mailchute(&[verb, "00000000000000AA"]).ended_with(1).stderr;
        assert!(said.contains("unreadable message"), "{verb}: {said}");
    }
    assert_eq!(installation.spooled("new").len(), 1);
}

#[test]
fn a_database_of_a_newer_program_is_neither_changed_nor_passed_over() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (mut installation, ids) = with_waiting(&receiver, &["a@x.example"]);
    installation.stop_daemon();
    let database = rusqlite::Connection::open(installation.paths.spool.join("state.sqlite")).unwrap();
    database.pragma_update(None, "user_version", 9999).unwrap();
    drop(database);
    for verb in ["remove", "hold", "requeue"] {
        let said = installation.mailchute(&[verb, &ids[0]]).ended_with(78).stderr;
        assert!(said.contains("written by a newer mailchute"), "{verb}: {said}");
    }
    installation.mailchute(&["pause"]).ended_with(78);
    assert_eq!(installation.spooled("cur"), ids);
    // A listing without it would be a part that passes for the whole.
    for verb in ["list", "mailq", "count", "stats", "failed"] {
        let ended = installation.mailchute(&[verb]).ended_with(78);
        assert!(ended.stderr.contains("written by a newer mailchute") && ended.stdout.is_empty(), "{verb}: {ended:?}");
    }
    let found = installation.mailchute(&["check"]).ended_with(78).stdout;
    assert!(found.contains("written by a newer mailchute"), "{found}");
}

#[test]
fn a_database_that_cannot_be_read_is_an_error_and_a_damaged_one_is_told() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (mut installation, ids) = with_waiting(&receiver, &["a@x.example"]);
    installation.stop_daemon();
    let path = installation.paths.spool.join("state.sqlite");
    std::fs::write(&path, [b'x'; 8192]).unwrap();
    let ended = installation.mailchute(&["list"]).succeeded();
    assert!(ended.stdout.contains(&ids[0]) && ended.stderr.contains("warning: state.sqlite is unusable"), "{ended:?}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    for verb in ["list", "mailq", "hold"] {
        let ended = installation.mailchute(&[&[verb][..], &["ALL"][..usize::from(verb == "hold")]].concat()).ended_with(74);
        assert!(ended.stderr.contains("state.sqlite: unable to open") && ended.stdout.is_empty(), "{verb}: {ended:?}");
    }
}

/// A daemon that dies with the request in its hands: it may have done it, so nobody does it once more.
#[test]
fn a_request_whose_answer_broke_off_is_not_repeated_without_the_daemon() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (mut installation, ids) = with_waiting(&receiver, &["a@x.example"]);
    installation.stop_daemon();
    let socket = installation.paths.control_socket();
    let _ = std::fs::remove_file(&socket);
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let daemon = std::thread::spawn(move || {
        for _ in 0..4 {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stream), &mut line).unwrap();
        }
    });
    for (arguments, told) in [
        (&["hold", &ids[0]][..], "the request may have been carried out: `mailchute show ID` shows it"),
        (&["remove", "ALL"], "the request may have been carried out: `mailchute show ID` shows it"),
        (&["pause"], "the request may have been carried out: `mailchute status` shows it"),
        (&["list"], "stopped before its reply was complete"),
    ] {
        let said = installation.mailchute(arguments).ended_with(69).stderr;
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    daemon.join().unwrap();
    assert_eq!(installation.spooled("cur"), ids);
    // No daemon at all is another thing: the socket that it left refuses.
    installation.mailchute(&["hold", &ids[0]]).succeeded();
    assert_eq!(installation.spooled("hold"), ids);
    assert_eq!(installation.mailchute(&["list"]).succeeded().stdout.matches("paused").count(), 0);
}

/// A daemon that was killed leaves the file of a finished message, and a message whose outcome only the receiver knows. The next start
/// settles both; who comes before it must not hide them.
#[test]
fn behind_a_killed_daemon_a_finished_message_is_no_message_and_a_possible_duplicate_stays_one() {
    let receiver = Script::new().first(2, "RCPT TO:", Reply::Lines("450 4.2.1 busy".into())).start();
    let (mut installation, ids) = with_waiting(&receiver, &["finished@x.example", "in-data@x.example"]);
    installation.kill_daemon();
    let database = rusqlite::Connection::open(installation.paths.spool.join("state.sqlite")).unwrap();
    let number = |id: &str| i64::from_str_radix(id, 16).unwrap();
    database
        .execute("UPDATE message SET dir = 3, outcome = 1, ended_at = 1, next_attempt = NULL WHERE id = ?1", [number(&ids[0])])
        .unwrap();
    database.execute("UPDATE message SET in_data = 1, next_attempt = NULL WHERE id = ?1", [number(&ids[1])]).unwrap();
    drop(database);
    assert_eq!(listed(&installation, &[]), ids[1..]);
    installation.mailchute(&["hold", "ALL"]).succeeded();
    installation.mailchute(&["hold", &ids[0]]).ended_with(1);
    assert_eq!(installation.spooled("hold"), ids[1..]);
    installation.start_daemon();
    installation.mailchute(&["release", "ALL"]).succeeded();
    assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<in-data@x.example>"]);
    installation.wait_until_drained();
    let shown = installation.mailchute(&["show", &ids[1]]).succeeded().stdout;
    assert!(shown.contains("uncertain") && shown.contains("between the final dot and the record of its outcome"), "{shown}");
}
