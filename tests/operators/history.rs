//! `trace`, `why`, `failed` and `top`: what happened, what bears on it, and what to do.

use serde_json::Value;

use super::{id_of, listed, with_waiting};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::scripted::{Receiver, Reply, Script};

const MESSAGE_ID: &[u8] = b"From: alice@sender.example\nMessage-ID: <traced.1@sender.example>\nSubject: hello\n\nHello\n";

/// A message to two recipients: one is relayed at the second attempt, the other refused. Returns its id when it has ended.
fn with_an_ended_message(receiver: &Receiver) -> (Installation, String) {
    let (installation, _) = with_waiting(receiver, &[]);
    let options = ["-N", "never", "-f", "from@sender.example", "--", "ok@x.example", "bad@y.example"];
    installation.sendmail(&options, MESSAGE_ID).succeeded();
    let id = id_of(&installation.wait_for_entry("its first attempt", |entry| entry["queue_name"] == "deferred"));
    installation.mailchute(&["flush", &id]).succeeded();
    installation.wait_for_entry("its end", |entry| entry["queue_name"] == "failed");
    (installation, id)
}

fn script() -> Receiver {
    Script::new()
        .first(1, "RCPT TO:<ok@", Reply::Lines("450 4.2.1 slow down".into()))
        .say("RCPT TO:<bad@", "550 5.1.1 no such user")
        .start()
}

#[test]
fn a_message_is_found_by_the_address_that_an_alias_replaced_and_shows_it() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let mut installation = Installation::rootless();
    let aliases = installation.write_public("aliases", "root: bob@example.net\n");
    installation.relay_to(&receiver.url("smtp", "tls=none"), &format!("alias_file = \"{}\"", aliases.display()));
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "root"], MESSAGE).succeeded();
    installation.wait_for_entry("its first attempt", |entry| entry["queue_name"] == "deferred");
    let look = |installation: &Installation| {
        for subject in ["root", "Root@localhost", "bob@example.net"] {
            for verb in ["trace", "why"] {
                let said = installation.mailchute(&[verb, subject]).succeeded().stdout;
                assert!(said.contains("bob@example.net (was root)"), "{verb} {subject}: {said}");
            }
        }
        installation.mailchute(&["trace", "nobody@localhost"]).ended_with(1);
    };
    look(&installation);
    installation.stop_daemon();
    look(&installation);
}

#[test]
fn a_message_is_traced_by_id_address_and_message_id_also_after_its_end_and_without_the_daemon() {
    let receiver = script();
    let (mut installation, id) = with_an_ended_message(&receiver);
    installation.mailchute(&["remove", &id]).succeeded();
    for is_running in [true, false] {
        for subject in
            [id.as_str(), "OK@x.example", "bad@y.example", "from@sender.example", "<traced.1@sender.example>", "traced.1@sender.example"]
        {
            let text = installation.mailchute(&["trace", subject]).succeeded().stdout;
            for part in [id.as_str(), "450 4.2.1 slow down", "550 5.1.1 no such user", "250 2.0.0", "in clear", "removed"] {
                assert!(text.contains(part), "{is_running} {subject}: {part}: {text}");
            }
        }
        let json = installation.mailchute(&["trace", "--json", &id]).succeeded().stdout;
        let detail: Value = serde_json::from_str(&json).unwrap();
        let tries = detail["tries"].as_array().unwrap();
        assert_eq!(tries.iter().filter(|one| one["address"] == "ok@x.example").count(), 2, "{detail}");
        assert!(tries.iter().all(|one| one["reached"] == true && one["transaction_ms"].is_number()), "{detail}");
        assert_eq!((&detail["queue_name"], &detail["attempts"]), (&Value::from("removed"), &Value::from(2)));
        for unknown in ["nobody@x.example", "<no@such>", super::UNKNOWN, "\x1b[2J@x"] {
            let ended = installation.mailchute(&["trace", unknown]).ended_with(1);
            assert!(ended.stdout.is_empty() && !ended.stderr.contains('\x1b'), "{unknown:?}: {ended:?}");
        }
        if is_running {
            installation.stop_daemon();
        }
    }
}

#[test]
fn a_trace_shows_the_latest_first_and_no_more_than_it_is_asked_for() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (installation, _) = with_waiting(&receiver, &["a@x.example", "b@x.example"]);
    installation.sendmail(&["-N", "never", "a@x.example"], MESSAGE).succeeded();
    wait_for("the first attempt", || listed(&installation, &["--state", "deferred"]).len() == 3);
    let traced = |limit: &str| {
        let json = installation.mailchute(&["trace", "--json", "--limit", limit, "a@x.example"]).succeeded().stdout;
        json.lines().map(|line| id_of(&serde_json::from_str(line).unwrap())).collect::<Vec<_>>()
    };
    let mut both = listed(&installation, &["--to", "a@"]);
    both.reverse();
    assert_eq!(traced("9"), both);
    assert_eq!(traced("1"), both[..1]);
}

#[test]
fn t_out_5_history_is_shown_to_those_who_may_see_the_message_only() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.sendmail_as(CALLER_ID, &["a@x.example"], MESSAGE).succeeded();
    receiver.wait_for_messages(1);
    installation.wait_until_drained();
    for (uid, code) in [(CALLER_ID, 0), (OTHER_ID, 1)] {
        installation.mailchute_as(uid, &["trace", "a@x.example"]).ended_with(code);
        let why = installation.mailchute_as(uid, &["why", "a@x.example"]).ended_with(code).stdout;
        assert_eq!(why.contains("was relayed to every recipient"), code == 0, "{uid}: {why}");
        let look: Value = serde_json::from_str(&installation.mailchute_as(uid, &["top", "-n", "1", "--json"]).succeeded().stdout).unwrap();
        assert_eq!(look["latest"].as_array().unwrap().len(), usize::from(code == 0), "{uid}: {look}");
    }
    installation.stop_daemon();
    for verb in [&["trace", "a@x.example"][..], &["why", "a@x.example"], &["top", "-n", "1"]] {
        installation.mailchute_as(CALLER_ID, verb).ended_with(69);
    }
    let why = installation.mailchute(&["why", "a@x.example"]).succeeded().stdout;
    assert!(why.starts_with("mailchuted is stopped: no mail is sent\n") && why.contains("was relayed to every recipient"), "{why}");
}

#[test]
fn why_names_the_reply_the_next_attempt_the_route_and_the_next_step() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (installation, ids) = with_waiting(&receiver, &["a@x.example"]);
    let route = receiver.url("smtp", "").split("://").nth(1).unwrap().split(['?', '/']).next().unwrap().to_owned();
    for subject in [ids[0].as_str(), "a@x.example", "X.example"] {
        let why = installation.mailchute(&["why", subject]).succeeded().stdout;
        for part in
            [ids[0].as_str(), "is deferred until its next attempt", "450 4.2.1 busy", "the next in", "queue_lifetime", &route, "=> "]
        {
            assert!(why.contains(part), "{subject}: {part}: {why}");
        }
        assert!(why.lines().count() <= 24, "one screen: {why}");
    }
    let json: Value = serde_json::from_str(&installation.mailchute(&["why", "--json", &ids[0]]).succeeded().stdout).unwrap();
    assert!(json["inputs"]["messages"][0]["queue_id"] == ids[0] && json["advice"].as_array().is_some_and(|a| !a.is_empty()), "{json}");
    installation.mailchute(&["hold", &ids[0]]).succeeded();
    let why = installation.mailchute(&["why", &ids[0]]).succeeded().stdout;
    assert!(why.contains("is on hold") && why.contains(&format!("=> `mailchute release {}`", ids[0])), "{why}");
    installation.mailchute(&["pause"]).succeeded();
    let why = installation.mailchute(&["why", &ids[0]]).succeeded().stdout;
    assert!(why.starts_with("delivery has been paused since"), "{why}");
    for unknown in [super::UNKNOWN, "nonsense", "\x1b[2J", "nosuch@foo"] {
        let ended = installation.mailchute(&["why", unknown]).ended_with(1);
        assert!(!ended.stderr.contains('\x1b'), "{ended:?}");
    }
}

#[test]
fn why_says_that_a_route_is_suspended_and_since_how_many_failures() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:1?tls=none", "retry_min = \"1h\"\nretry_max = \"1h\"\n");
    installation.start_daemon();
    installation.sendmail(&["a@x.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("the refused connection", |entry| entry["queue_name"] == "deferred");
    for subject in [id_of(&entry).as_str(), "a@x.example", "x.example", "127.0.0.1:1"] {
        let why = installation.mailchute(&["why", subject]).succeeded().stdout;
        assert!(why.contains("route 127.0.0.1:1: suspended for ") && why.contains("check host and port of next_hop"), "{subject}: {why}");
    }
    let look = installation.mailchute(&["top", "-n", "1", "--json"]).succeeded().stdout;
    assert!(look.contains("\"route\":\"127.0.0.1:1\""), "{look}");
}

#[test]
fn failed_lists_what_waits_for_a_person_with_advice() {
    let receiver = script();
    let (mut installation, id) = with_an_ended_message(&receiver);
    for _ in 0..2 {
        let text = installation.mailchute(&["failed"]).succeeded().stdout;
        for part in [id.as_str(), "bad@y.example: 550 5.1.1 no such user", "=> there is no such mailbox", "1 message has failed"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("ok@x.example"), "{text}");
        let json = installation.mailchute(&["failed", "--json"]).succeeded().stdout;
        assert_eq!(id_of(&serde_json::from_str(json.trim()).unwrap()), id);
        assert_eq!(installation.mailchute(&["failed", "--from", "nobody@"]).succeeded().stdout, "no failed messages\n");
        if installation.mailchute(&["status"]).code == Some(0) {
            installation.stop_daemon();
        }
    }
}

#[test]
fn top_in_a_pipe_is_a_line_for_each_look() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (installation, _) = with_waiting(&receiver, &["a@x.example"]);
    let lines = installation.mailchute(&["top", "-n", "3", "-d", "0"]).succeeded().stdout;
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.lines().all(|line| line.contains(" queued=1 held=0 failed=0 accepted_1h=1 ")) && !lines.contains('\x1b'), "{lines}");
    assert!(lines.lines().last().unwrap().ends_with(" change=+0"), "{lines}");
}

#[test]
fn top_in_a_terminal_is_a_screen() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (installation, _) = with_waiting(&receiver, &["a@x.example"]);
    // script(1) gives it a terminal.
    let script = require!(crate::support::parts::tool("script"));
    let top = format!("stty rows 12 columns 64; {} top -n 2 -d 0", env!("CARGO_BIN_EXE_mailchute"));
    let ended = crate::support::command::run(installation.program(script).args(["-qec", &top, "/dev/null"]), b"").succeeded();
    assert_eq!(ended.stdout.matches("\x1b[H\x1b[J").count(), 2, "{ended:?}");
    assert!(ended.stdout.contains("1 queued (oldest ") && ended.stdout.contains("  ok\r\n"), "{ended:?}");
    let screen = ended.stdout.rsplit("\x1b[H\x1b[J").next().unwrap();
    let columns = screen.lines().map(|line| line.trim_end().chars().count()).max();
    assert!(screen.lines().count() < 12 && columns <= Some(64), "{screen}");
}
