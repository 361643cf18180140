//! Mail that failed waits for nothing: it is no part of the queue, holds up nobody, and ends.

use serde_json::Value;

use super::{id_of, listed};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::{CALLER_ID, Installation};
use crate::support::scripted::Script;

/// What `status --json` says to root.
fn status(installation: &Installation) -> Value {
    serde_json::from_str(&installation.mailchute(&["status", "--json"]).stdout).unwrap()
}

/// What the plug-ins of Nagios read: the last line, `-- N Kbytes in N Requests.` or `Mail queue is empty`.
fn waiting(mailq: &str) -> u64 {
    let last = mailq.trim_end().lines().last().unwrap();
    if last == "Mail queue is empty" {
        return 0;
    }
    let words: Vec<&str> = last.split_whitespace().collect();
    assert!(words[0] == "--" && words[2] == "Kbytes" && words[5].starts_with("Request"), "{mailq}");
    words[4].parse().unwrap()
}

#[test]
fn failed_mail_is_no_part_of_the_queue_and_of_no_limit_of_waiting_mail() {
    isolated!();
    let receiver = Script::new().say("RCPT TO:<bad@", "550 5.1.1 no such user").say("RCPT TO:<wait@", "450 4.2.1 busy").start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "user_message_limit = 2\nretry_min = \"1h\"\nretry_max = \"2h\"");
    installation.start_daemon();
    assert_eq!(installation.mailchute(&["mailq", "--failed"]).succeeded().stdout, "no failed messages\n");
    for n in 1..=2 {
        installation.sendmail_as(CALLER_ID, &["-N", "never", "bad@x.example"], MESSAGE).succeeded();
        wait_for("the failure", || installation.spooled("failed").len() == n);
    }
    // With a limit of two, the third and the fourth are taken; the fifth would be the third that waits.
    for n in 1..=2 {
        installation.sendmail_as(CALLER_ID, &["wait@x.example"], MESSAGE).succeeded();
        wait_for("the first attempt", || listed(&installation, &["--state", "deferred"]).len() == n);
    }
    installation.wait_for_log("quota_reached");
    installation.sendmail_as(CALLER_ID, &["late@x.example"], MESSAGE).ended_with(69);
    let failed = installation.spooled("failed");
    for _ in 0..2 {
        let out = |arguments: &[&str]| installation.mailchute(arguments).succeeded().stdout;
        for queue in [&["mailq"][..], &["list"], &["list", "ALL"]] {
            assert_eq!(waiting(&out(queue)), 2, "{queue:?}");
        }
        assert!(out(&["count"]).starts_with("2 messages, ") && out(&["count", "--state", "failed"]).starts_with("2 messages, "));
        let shape = out(&["qshape"]);
        assert!(shape.lines().nth(1).unwrap().split_whitespace().take(2).eq(["TOTAL", "2"]), "{shape}");
        for queue in [&["mailq", "--failed"][..], &["list", "--state", "failed"], &["list", &failed[0], &failed[1]]] {
            let text = out(queue);
            assert!(waiting(&text) == 2 && failed.iter().all(|id| text.contains(&format!("{id}!"))), "{queue:?}: {text}");
        }
        let mut found: Vec<String> =
            out(&["mailq", "--failed", "-j"]).lines().map(|line| id_of(&serde_json::from_str(line).unwrap())).collect();
        found.sort();
        assert_eq!(found, failed);
        assert_eq!(listed(&installation, &["--state", "failed,deferred"]).len(), 4);
        assert_eq!(out(&["list", "--to", "bad@"]), "no message matches\n");
        if status(&installation)["live"] == true {
            assert_eq!(waiting(&installation.sendmail(&["-bp"], b"").succeeded().stdout), 2);
            installation.stop_daemon();
        }
    }
    installation.mailchute(&["remove", "--to", "wait@"]).succeeded();
    for again in [false, true] {
        assert_eq!(installation.mailchute(&["mailq"]).succeeded().stdout, "Mail queue is empty\n", "{again}");
        if !again {
            installation.start_daemon();
        }
    }
    installation.mailchute(&["requeue", &failed[0]]).succeeded();
}

#[test]
fn failed_mail_is_told_by_check_monitor_and_status() {
    let receiver = Script::new().say("RCPT TO:", "550 5.1.1 no such user").start();
    let mut installation = Installation::rootless();
    let aliases = installation.write_public("aliases", "");
    installation.relay_to(&receiver.url("smtp", "tls=none"), &format!("alias_file = \"{}\"\n", aliases.display()));
    installation.start_daemon();
    assert_eq!(installation.mailchute(&["check"]).succeeded().stdout, "no problems found\n");
    for n in 1..=2 {
        installation.sendmail(&["-N", "never", "bad@x.example"], MESSAGE).succeeded();
        wait_for("the failure", || installation.spooled("failed").len() == n);
    }
    let said = "2 messages have failed; `mailchute failed` shows the reasons";
    let check = installation.mailchute(&["check"]).succeeded().stdout;
    assert!(check.starts_with(&format!("warning: {said}")) && check.lines().count() == 1, "{check}");
    let text = installation.mailchute(&["status"]).succeeded().stdout;
    assert!(text.contains("0 queued, 0 held, 2 failed\n") && text.contains(said), "{text}");
    let monitor = |arguments: &[&str], code| installation.mailchute(&[&["monitor"], arguments].concat()).ended_with(code).stdout;
    assert!(monitor(&[], 0).starts_with("MAILCHUTE OK - 0 queued, 0 held, 2 failed (see `mailchute failed`) | "));
    assert!(monitor(&["--warning-failed", "1"], 1).contains(" failed=2;1;;0 "));
    monitor(&["--critical-failed", "1"], 2);
    installation.stop_daemon();
    for verb in ["check", "status"] {
        let text = installation.mailchute(&[verb]).stdout;
        assert!(text.contains(said), "{verb}: {text}");
    }
}

#[test]
fn failed_and_corrupt_files_end_with_failed_lifetime_and_the_history_says_so() {
    let receiver = Script::new().say("RCPT TO:<bad@", "550 5.1.1 no such user").say("RCPT TO:<wait@", "450 4.2.1 busy").start();
    let mut installation = Installation::rootless();
    let relay = receiver.url("smtp", "tls=none");
    installation.relay_to(&relay, "retry_min = \"1h\"\nretry_max = \"1h\"");
    installation.start_daemon();
    for recipient in ["bad@x.example", "wait@x.example"] {
        installation.sendmail(&["-N", "never", recipient], MESSAGE).succeeded();
    }
    wait_for("the failure", || installation.spooled("failed").len() == 1 && listed(&installation, &["--state", "deferred"]).len() == 1);
    let id = installation.spooled("failed").remove(0);
    for name in ["6921CE05000000AB", "6921CE05000000AB.why"] {
        std::fs::write(installation.paths.spool.join("corrupt").join(name), "nonsense").unwrap();
    }
    installation.stop_daemon();
    let aside = installation.paths.config_file.with_file_name("aside");
    std::fs::copy(installation.paths.spool.join("failed").join(&id), &aside).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    installation.relay_to(&relay, "retry_min = \"1h\"\nretry_max = \"1h\"\nfailed_lifetime = \"1s\"");
    installation.start_daemon();
    wait_for("the end", || installation.spooled("failed").is_empty() && installation.spooled("corrupt").is_empty());
    for name in [format!("failed/{id}"), "corrupt/6921CE05000000AB".to_owned()] {
        wait_for("the event", || installation.daemon_log().lines().any(|line| line.contains("discarded") && line.contains(&name)));
    }
    assert_eq!(installation.mailchute(&["failed"]).succeeded().stdout, "no failed messages\n");
    let shown: Value = serde_json::from_str(&installation.mailchute(&["show", "--json", &id]).succeeded().stdout).unwrap();
    let kinds: Vec<&str> = shown["history"].as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"discarded"), "{shown}");
    assert_eq!(shown["recipients"][0]["status"], "failed", "{shown}");
    installation.mailchute(&["requeue", &id]).ended_with(1);
    assert_eq!(listed(&installation, &[]).len(), 1, "what waits is no failed mail");
    // The row was committed and the daemon stopped before the file was deleted: the next start deletes it.
    installation.stop_daemon();
    std::fs::copy(&aside, installation.paths.spool.join("failed").join(&id)).unwrap();
    installation.start_daemon();
    wait_for("its second end", || installation.spooled("failed").is_empty());
    assert_eq!((&status(&installation)["failed"], listed(&installation, &[]).len()), (&0.into(), 1));
}
