//! Ids, `ALL`, `-`, and conditions, with the daemon and without it.

use super::{UNKNOWN, listed, mailchute_with, wait_for_message, with_waiting};
use crate::support::installation::Installation;
use crate::support::scripted::Script;

const VERBS: [&str; 7] = ["hold", "release", "remove", "requeue", "expire", "bounce", "flush"];

/// Every condition: one that is true of the first message alone, and one that is true of none.
const CONDITIONS: [(&[&str], &[&str]); 7] = [
    (&["--from", "FIRST@"], &["--from", "nobody@"]),
    (&["--to", "a@"], &["--to", "nobody@"]),
    (&["--domain", "X.example"], &["--domain", "xx.example"]),
    (&["--reason", "Slow down"], &["--reason", "refused"]),
    (&["--larger", "10", "--to", "a@x.example"], &["--larger", "1GiB"]),
    (&["--older", "0s", "--domain", "@x.example"], &["--older", "2d"]),
    (&["--state", "deferred", "--domain", "x.example"], &["--state", "failed,hold"]),
];

fn check_conditions(installation: &Installation, first: &str, all: usize) {
    for (some, none) in CONDITIONS {
        assert_eq!(listed(installation, some), [first], "{some:?}");
        assert!(listed(installation, none).is_empty(), "{none:?}");
        let counted = |options: &[&str]| installation.mailchute(&[&["count"], options].concat()).succeeded().stdout;
        assert!(counted(some).starts_with("1 message,") && counted(none).starts_with("0 messages"), "{some:?} {none:?}");
        let said = installation.mailchute(&[&["remove", "--dry-run"], some].concat()).succeeded().stderr;
        assert_eq!(said, format!("mailchute: {first}: would be removed\nmailchute: Would delete: 1 message\n"), "{some:?}");
        let said = installation.mailchute(&[&["remove", "--dry-run"], none].concat()).succeeded().stderr;
        assert_eq!(said, "mailchute: Would delete: 0 messages\n", "{none:?}");
    }
    let uid = nix::unistd::geteuid().to_string();
    assert_eq!(listed(installation, &["--uid", &uid]).len(), all);
    assert!(listed(installation, &["--uid", "4399"]).is_empty());
    assert_eq!(listed(installation, &["ALL"]).len(), all);
    assert!(listed(installation, &["--domain", "x.example", "--to", "b@"]).is_empty(), "all conditions hold at once");
    // Ids and conditions together: those of the ids that match, and an unknown one is unknown all the same.
    let ids = listed(installation, &[]);
    let said = installation.mailchute(&["hold", "--dry-run", "--domain", "x.example", &ids[0], &ids[1]]).succeeded().stderr;
    assert!(said.contains("Would place on hold: 1 message"), "{said}");
    let ended = installation.mailchute(&["list", "--json", first, UNKNOWN]).ended_with(1);
    assert!(ended.stdout.contains(first) && ended.stderr.contains(&format!("{UNKNOWN}: no such message")), "{ended:?}");
    installation.mailchute(&["count", UNKNOWN]).ended_with(1);
}

#[test]
fn section_11_every_condition_chooses_with_the_daemon_and_without_it() {
    let receiver = Script::new()
        .first(1, "RCPT TO:", crate::support::scripted::Reply::Lines("450 4.2.1 slow down".into()))
        .say("RCPT TO:", "451 4.3.0 busy")
        .start();
    let (mut installation, _) = with_waiting(&receiver, &[]);
    let first = wait_for_message(&installation, &["-N", "never", "-f", "first@sender.example"], "a@x.example");
    wait_for_message(&installation, &["-N", "never", "-f", "second@sender.example"], "b@y.example");
    check_conditions(&installation, &first, 2);
    let said = installation.mailchute(&["flush", "--dry-run", "--to", "b@"]).succeeded().stderr;
    assert!(said.contains("Would schedule for retry: 1 message"), "{said}");
    installation.stop_daemon();
    check_conditions(&installation, &first, 2);
}

#[test]
fn nothing_chosen_is_an_error_and_an_empty_list_of_ids_is_nothing_not_all() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (mut installation, ids) = with_waiting(&receiver, &["a@x.example", "b@x.example"]);
    for is_running in [true, false] {
        for verb in VERBS.into_iter().filter(|verb| *verb != "flush") {
            installation.mailchute(&[verb]).ended_with(64);
            let said = mailchute_with(&installation, &[verb, "-"], b"\n").succeeded().stderr;
            assert!(said.ends_with(": 0 messages\n"), "{verb}: {said}");
        }
        let stdin = format!("{}\n\n  {}\n", ids[0], ids[1]);
        let said = mailchute_with(&installation, &["remove", "--dry-run", "-"], stdin.as_bytes()).succeeded().stderr;
        assert!(said.contains("Would delete: 2 messages"), "{said}");
        assert_eq!(listed(&installation, &[]).len(), 2);
        if is_running {
            installation.stop_daemon();
        }
    }
}

#[test]
fn t_out_1_a_hostile_id_is_no_such_message_and_steers_no_terminal() {
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 busy").start();
    let (mut installation, ids) = with_waiting(&receiver, &["a@x.example"]);
    let (lower, long) = (ids[0].to_lowercase(), "A".repeat(5000));
    let hostile = [
        "../../etc/passwd",
        "",
        " ",
        "\x1b[2Jcleared",
        "a\nmailchute: Deleted: 9 messages",
        &lower,
        &long,
        "-0",
        "'; DROP TABLE message; --",
    ];
    for is_running in [true, false] {
        for id in hostile {
            for verb in VERBS.into_iter().filter(|verb| *verb != "flush" || is_running) {
                let ended = installation.mailchute(&[verb, "--", id]).ended_with(1);
                assert!(ended.stderr.contains("no such message"), "{verb} {id:?}: {}", ended.stderr);
                assert!(ended.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{verb} {id:?}: {:?}", ended.stderr);
                assert_eq!(ended.stderr.lines().count(), 3, "{verb} {id:?}: {:?}", ended.stderr);
            }
            for verb in ["list", "show", "cat", "count"] {
                let ended = installation.mailchute(&[verb, "--", id]).ended_with(1);
                assert!(ended.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{verb} {id:?}: {:?}", ended.stderr);
            }
        }
        if is_running {
            installation.stop_daemon();
        }
    }
    assert_eq!(installation.spooled("cur"), ids);
}
