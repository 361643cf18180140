//! What each verb does, seen at the other end of the wire, in the spool, and after a restart.

use super::{listed, state_of, wait_for_message, with_waiting};
use crate::delivery::{MESSAGE, has};
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::{Reply, Script};

fn busy() -> Reply {
    Reply::Lines("450 4.2.1 busy".into())
}

#[test]
fn a_removed_message_comes_back_by_requeue_and_is_delivered_once() {
    let receiver = Script::new().first(2, "RCPT TO:", busy()).start();
    let (installation, mut ids) = with_waiting(&receiver, &["a@x.example", "b@x.example"]);
    // Two of one second stand in the order of their random halves.
    ids.sort();
    installation.mailchute(&["remove", "ALL"]).succeeded();
    assert!(installation.queue().is_empty());
    assert_eq!(listed(&installation, &["--state", "removed"]), ids);
    assert_eq!(state_of(&installation, &ids[0]), "removed");
    let said = installation.mailchute(&["requeue", "--dry-run", &ids[0]]).succeeded().stderr;
    assert!(said.contains(": would be requeued") && said.contains("Would requeue: 1 message"), "{said}");
    assert_eq!(installation.spooled("trash").len(), 2, "a dry run changes nothing");
    for other in ["hold", "release", "remove", "expire", "bounce"] {
        let said = installation.mailchute(&[other, &ids[0]]).ended_with(1).stderr;
        assert!(said.contains(&format!("{0}: was removed; `mailchute requeue {0}` restores it", ids[0])), "{other}: {said}");
    }
    let text = installation.mailchute(&["cat", "--body", &ids[0]]).succeeded().stdout;
    assert!(text.starts_with("Hello"), "{text}");
    installation.mailchute(&["requeue", "ALL"]).succeeded();
    assert_eq!(installation.spooled("trash").len(), 2, "ALL is the queue, not the trash");
    installation.mailchute(&["requeue", "--state", "removed"]).succeeded();
    receiver.wait_for_messages(2);
    installation.wait_until_drained();
    assert!(installation.spooled("trash").is_empty());
    let said = installation.mailchute(&["requeue", &ids[0]]).ended_with(1).stderr;
    assert!(said.contains("no such message"), "what was delivered is not sent again: {said}");
    let said = installation.mailchute(&["cat", &ids[0]]).ended_with(1).stderr;
    assert!(said.contains("the message has no file any more"), "{said}");
    assert_eq!(receiver.messages().len(), 2);
}

#[test]
fn an_expired_message_gets_one_more_attempt_and_then_its_sender_is_told() {
    let receiver = Script::new().first(2, "RCPT TO:<a@", busy()).start();
    let (installation, _) = with_waiting(&receiver, &[]);
    let id = wait_for_message(&installation, &["-f", "sender@y.example"], "a@x.example");
    let said = installation.mailchute(&["expire", &id]).succeeded().stderr;
    assert!(said.contains(&format!("{id}: expired")) && said.contains("Expired: 1 message"), "{said}");
    let mailq = installation.mailchute(&["mailq"]).succeeded().stdout;
    assert!(mailq.contains(&format!("{id}#")), "{mailq}");
    assert_eq!(installation.queue()[0]["forced_expire"], true);
    installation.mailchute(&["flush", &id]).succeeded();
    let notice = &receiver.wait_for_messages(1)[0];
    assert_eq!(notice.recipients, ["<sender@y.example>"]);
    let told = String::from_utf8_lossy(&notice.data).replace("\r\n", " ");
    assert!(told.contains("An administrator of this host returned") && told.contains("smtp; 450 4.2.1 busy"), "{told}");
    assert_eq!(state_of(&installation, &id), "failed");
    let why = installation.mailchute(&["why", &id]).succeeded().stdout;
    assert!(why.contains("given up by an administrator after the last attempt; last: 450"), "{why}");
    assert!(!why.contains("queue_lifetime"), "{why}");
}

#[test]
fn a_bounced_message_is_not_tried_again_and_its_sender_is_told_why() {
    let receiver = Script::new().first(2, "RCPT TO:<a@", busy()).start();
    let (installation, _) = with_waiting(&receiver, &[]);
    let waiting = wait_for_message(&installation, &["-f", "one@y.example"], "a@x.example");
    let held = wait_for_message(&installation, &["-f", "two@y.example"], "a@z.example");
    installation.mailchute(&["hold", &held]).succeeded();
    let said = installation.mailchute(&["bounce", &waiting, &held]).succeeded().stderr;
    assert!(said.contains("Bounced: 2 messages"), "{said}");
    let notices = receiver.wait_for_messages(2);
    let mut told: Vec<_> = notices.iter().map(|notice| notice.recipients.concat()).collect();
    told.sort();
    assert_eq!(told, ["<one@y.example>", "<two@y.example>"]);
    assert!(notices.iter().all(|notice| String::from_utf8_lossy(&notice.data).contains("An administrator of this host returned")));
    wait_for("both to be kept in failed/", || installation.spooled("failed").len() == 2);
    let entry = installation.wait_for_entry("its outcome", |entry| entry["queue_id"] == waiting.as_str());
    assert!(has(&entry, "a@x.example", "failed", "given up by an administrator; last: 450"), "{entry}");
    for verb in ["hold", "expire", "bounce", "flush"] {
        let said = installation.mailchute(&[verb, &waiting]).ended_with(1).stderr;
        assert!(said.contains("has failed permanently"), "{verb}: {said}");
    }
}

#[test]
fn a_paused_queue_takes_mail_and_sends_none_over_a_restart_until_it_is_resumed() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let said = installation.mailchute(&["pause"]).succeeded().stdout;
    assert!(said.starts_with("delivery has been paused since ") && said.contains(" by "), "{said}");
    installation.sendmail(&["a@x.example"], MESSAGE).succeeded();
    wait_for("the claim", || installation.spooled("cur").len() == 1);
    installation.mailchute(&["flush"]).succeeded();
    wait_for("the alarm", || installation.mailchute(&["monitor"]).code == Some(1));
    let said = installation.mailchute(&["monitor"]).stdout;
    assert!(said.starts_with("MAILCHUTE WARNING - 1 queued, 0 held, 0 failed, delivery_paused: delivery has been paused since "), "{said}");
    let said = installation.mailchute(&["motd"]).succeeded().stdout;
    assert!(said.starts_with("mailchute: delivery_paused: delivery has been paused since "), "{said}");
    let said = installation.mailchute(&["test", "--wait", "1s", "c@x.example"]).ended_with(69).stderr;
    assert!(said.contains("no result within 1 s: delivery has been paused since "), "{said}");
    let probe = listed(&installation, &["--to", "c@"]).remove(0);
    installation.mailchute(&["remove", &probe]).succeeded();
    wait_for("its end", || installation.spooled("cur").len() == 1);
    installation.stop_daemon();
    installation.start_daemon();
    installation.sendmail(&["b@x.example"], MESSAGE).succeeded();
    wait_for("the other claim", || installation.spooled("cur").len() == 2);
    assert!(installation.mailchute(&["status"]).succeeded().stdout.contains("delivery has been paused since "));
    for listing in [installation.mailchute(&["mailq"]).succeeded(), installation.sendmail(&["-bp"], b"").succeeded()] {
        assert!(listing.stderr.contains("warning: delivery has been paused since "), "{listing:?}");
        assert!(listing.stdout.ends_with(" in 2 Requests.\n"), "the last line is for scripts: {listing:?}");
    }
    // What waits in a paused queue is in nobody's hands.
    let id = listed(&installation, &["--to", "b@"]).remove(0);
    let said = installation.mailchute(&["remove", &id]).succeeded().stderr;
    assert!(said.contains(&format!("{id}: removed")), "{said}");
    assert!(receiver.messages().is_empty());
    assert_eq!(installation.mailchute(&["resume"]).succeeded().stdout, "delivery resumed\n");
    assert_eq!(receiver.wait_for_messages(1)[0].recipients, ["<a@x.example>"]);
    installation.wait_until_drained();
    wait_for("the end of the alarm", || installation.mailchute(&["monitor"]).code == Some(0));
    let warning = installation.mailchute(&["mailq"]).succeeded().stderr;
    assert!(warning.is_empty(), "{warning}");
}

#[test]
fn a_test_message_that_sendmail_refuses_ends_with_its_line_and_its_code() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:9?tls=none", "");
    installation.start_daemon();
    let said = installation.mailchute(&["test", "b@@d"]).ended_with(64).stderr;
    let why = mail::Address::parse("b@@d").unwrap_err();
    assert_eq!(said, format!("mailchute: b@@d: {why}\n"));
    installation.mailchute(&["close", "moving house"]).succeeded();
    let ended = installation.mailchute(&["test", "b@d.example"]).ended_with(69);
    assert!(ended.stderr.starts_with("mailchute: sendmail: fatal: ") && ended.stderr.contains("moving house"), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    // A message that cannot fit: another code than that of a stopped daemon.
    installation.mailchute(&["open"]).succeeded();
    installation.configure("mailname = \"sender.example\"\nmessage_size_limit = 10\n");
    installation.mailchute(&["test", "b@d.example"]).ended_with(65);
}

#[test]
fn delivery_that_was_paused_without_the_daemon_stays_paused_when_it_starts() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.mailchute(&["pause"]).ended_with(69);
    installation.start_daemon();
    installation.stop_daemon();
    installation.mailchute(&["pause"]).succeeded();
    installation.sendmail(&["a@x.example"], MESSAGE).succeeded();
    let listing = installation.mailchute(&["mailq"]).succeeded();
    assert!(listing.stderr.contains("warning: delivery has been paused"), "{listing:?}");
    installation.start_daemon();
    wait_for("the claim", || installation.spooled("cur").len() == 1);
    assert!(receiver.messages().is_empty());
    installation.mailchute(&["resume"]).succeeded();
    receiver.wait_for_messages(1);
    installation.wait_until_drained();
}

#[test]
fn the_shape_of_the_queue_is_a_table_of_destinations() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (installation, _) = with_waiting(&receiver, &["a@x.example", "b@y.example", "c@X.example"]);
    let table = installation.mailchute(&["qshape"]).succeeded().stdout;
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(rows, [["TOTAL", "3", "3"], ["x.example", "2", "2"], ["y.example", "1", "1"]]);
    let json = installation.mailchute(&["qshape", "--json", "--domain", "y.example"]).succeeded().stdout;
    assert_eq!(json, "{\"destination\":\"y.example\",\"total\":1,\"ages\":[1,0,0,0,0,0,0,0,0,0]}\n");
    assert!(installation.mailchute(&["qshape", "--lines", "1"]).succeeded().stdout.ends_with("and 1 more\n"));
    let stats = installation.mailchute(&["stats"]).succeeded().stdout;
    assert!(stats.lines().any(|line| line.split_whitespace().take(2).eq(["queued", "3"])), "{stats}");
}

#[test]
fn aliases_shows_what_submission_would_make_of_an_address() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    let aliases = installation.write_public("aliases", "root: ops@x.example, \\bob\nhole: /dev/null\n");
    installation.relay_to(&receiver.url("smtp", "tls=none"), &format!("alias_file = \"{}\"", aliases.display()));
    installation.start_daemon();
    let said = installation.mailchute(&["aliases", "root", "hole", "c@y.example"]).succeeded().stdout;
    for line in [
        "ops@x.example... deliverable",
        "bob@sender.example... deliverable",
        "hole... deliverable: discarded",
        "c@y.example... deliverable",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    installation.mailchute(&["aliases", "a b c@@"]).ended_with(67);
    installation.mailchute(&["aliases"]).ended_with(64);
}

#[test]
fn cat_gives_the_part_that_is_asked_for() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (mut installation, ids) = with_waiting(&receiver, &["a@x.example"]);
    for _ in 0..2 {
        let part = |options: &[&str]| installation.mailchute(&[&["cat", ids[0].as_str()], options].concat()).succeeded().stdout;
        let (headers, body) = (part(&["--headers"]), part(&["--body"]));
        assert!(headers.starts_with("From: alice@sender.example\r\n") && !headers.contains("Hello\r\n"), "{headers}");
        assert_eq!(body, "Hello\r\n.leading dot\r\n");
        assert!(part(&[]).ends_with(&body) && part(&["--raw"]).starts_with("{\"v\":"));
        installation.mailchute(&["cat", &ids[0], "--raw", "--body"]).ended_with(64);
        if installation.queue().len() == 1 && installation.mailchute(&["status"]).code == Some(0) {
            installation.stop_daemon();
        }
    }
}

#[test]
fn closed_admission_refuses_mail_over_a_restart_until_it_is_opened_and_delivers_what_is_queued() {
    let receiver = Script::new().first(1, "RCPT TO:", busy()).start();
    let (mut installation, ids) = with_waiting(&receiver, &["a@x.example"]);
    let said = installation.mailchute(&["close", "moving\x1b[2J house"]).succeeded().stdout;
    assert!(said.starts_with("admission is closed: moving\\x1b[2J house (by "), "{said}");
    let refused = || installation.sendmail(&["b@x.example"], MESSAGE).ended_with(69).stderr;
    assert!(refused().contains("moving"), "{}", refused());
    installation.mailchute(&["flush", &ids[0]]).succeeded();
    receiver.wait_for_messages(1);
    installation.wait_until_drained();
    installation.stop_daemon();
    installation.mailchute(&["open"]).succeeded();
    installation.mailchute(&["close"]).succeeded();
    installation.start_daemon();
    installation.sendmail(&["b@x.example"], MESSAGE).ended_with(69);
    assert!(installation.mailchute(&["status"]).succeeded().stdout.contains("admission is closed: by "));
    assert_eq!(installation.mailchute(&["open"]).succeeded().stdout, "accepting mail again\n");
    installation.sendmail(&["b@x.example"], MESSAGE).succeeded();
    receiver.wait_for_messages(2);
}
