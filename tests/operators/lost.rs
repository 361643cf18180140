//! A message that this host lost: one byte of its file changed, or the file removed, while the daemon runs or is stopped. Each has an end
//! of its own kind, its sender is told, and no figure counts it as relayed.

use std::path::PathBuf;

use serde_json::Value;

use super::{listed, wait_for_message, with_waiting};
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script};

fn script() -> Receiver {
    ["one", "two"]
        .into_iter()
        .fold(Script::new(), |script, name| script.first(1, &format!("RCPT TO:<to-{name}@"), Reply::Lines("450 4.2.1 busy".into())))
        .start()
}

/// An installation with events, metrics, and two deferred messages: their ids.
fn with_two(receiver: &Receiver) -> (Installation, [String; 2]) {
    let (mut installation, _) = with_waiting(receiver, &[]);
    installation.stop_daemon();
    let files = ["events.json", "mail.prom"].map(|name| beside(&installation, name));
    let more = format!(
        "retry_min = \"1h\"\nretry_max = \"1h\"\nevent_file = {:?}\nmetrics_file = {:?}\nmetrics_interval = \"1s\"\n",
        files[0], files[1]
    );
    installation.relay_to(&receiver.url("smtp", "tls=none"), &more);
    installation.start_daemon();
    let ids =
        ["one", "two"].map(|name| wait_for_message(&installation, &["-f", &format!("{name}@y.example")], &format!("to-{name}@x.example")));
    (installation, ids)
}

fn beside(installation: &Installation, name: &str) -> PathBuf {
    installation.paths.config_file.with_file_name(name)
}

/// The envelope line stays readable; the message is another.
fn change_one_byte(installation: &Installation, id: &str) {
    let path = installation.paths.spool.join("cur").join(id);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    serde_json::from_str(installation.mailchute(arguments).succeeded().stdout.lines().next().unwrap()).unwrap()
}

/// What every command, count and page says of two lost messages.
fn judge(installation: &Installation, ids: &[(String, &str)]) {
    for (id, end) in ids {
        let shown = json(installation, &["show", "--json", id]);
        let recipient = &shown["recipients"][0];
        assert_eq!(
            (&shown["end"], &recipient["status"], &recipient["cause"]),
            (&(*end).into(), &"failed".into(), &(*end).into()),
            "{shown}"
        );
        assert_eq!((&recipient["dsn"], &recipient["subject"]), (&"5.3.0".into(), &"host".into()), "{shown}");
        let kinds: Vec<&str> = shown["history"].as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(end) && kinds.contains(&"dsn"), "{kinds:?}");
        for arguments in [["why", id], ["trace", id], ["show", id]] {
            let said = installation.mailchute(&arguments).succeeded().stdout;
            assert!(said.contains("lost on this host") && !said.contains("every recipient was relayed"), "{arguments:?}: {said}");
        }
        assert!(!installation.mailchute(&["requeue", id]).ended_with(1).stderr.contains("requeued:"), "there is nothing to send");
    }
    assert!(listed(installation, &[]).is_empty());
    let stats = json(installation, &["stats", "--json"]);
    let hour = &stats["throughput"][0];
    // Their two bounces were relayed.
    let figures = ["accepted", "relayed", "failed", "removed", "lost"].map(|name| hour[name].as_u64().unwrap());
    assert_eq!(figures, [4, 2, 0, 0, 2], "{stats}");
    let top = installation.mailchute(&["top", "-n", "1"]).succeeded().stdout;
    assert!(top.contains("relayed_1h=2 failed_1h=0 lost_1h=2"), "{top}");
    let page = installation.mailchute(&["report", "--html"]).succeeded().stdout;
    assert!(page.contains("2 lost on this host") && page.contains("2 delivered"), "{page}");
    wait_for("the alarm", || {
        let status = json(installation, &["status", "--json"]);
        status["alarms"].as_array().unwrap().iter().any(|alarm| alarm["alarm"] == "message_lost" && alarm["severity"] == "critical")
    });
}

fn events(installation: &Installation) -> Vec<Value> {
    let lines = std::fs::read_to_string(beside(installation, "events.json")).unwrap_or_default();
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Each message has one `lost` and one event with its end; log and metrics agree.
fn judge_events(installation: &Installation, ids: &[(String, &str)]) {
    for (id, end) in ids {
        wait_for("its events", || {
            let of_it: Vec<Value> = events(installation).into_iter().filter(|event| event["queue_id"] == id.as_str()).collect();
            let lost = of_it.iter().filter(|event| event["event"] == "lost" && event["cause"] == *end).count();
            let ends = of_it.iter().filter(|event| event["event"] == "failed" && event["end"] == *end && event["cause"] == *end).count();
            (lost, ends) == (1, 1) && !of_it.iter().any(|event| event["end"] == "relayed")
        });
        assert!(installation.daemon_log().lines().any(|line| line.contains("lost") && line.contains(id.as_str())));
        let line = format!("mailchute_messages_ended_total{{end=\"{end}\"}} {}", ids.iter().filter(|(_, other)| other == end).count());
        wait_for("the metrics", || std::fs::read_to_string(beside(installation, "mail.prom")).is_ok_and(|page| page.contains(&line)));
    }
}

/// The sender of each message is told that this host lost it.
fn judge_bounces(receiver: &Receiver) {
    let mut told: Vec<(String, String)> = receiver
        .wait_for_messages(2)
        .iter()
        .map(|message| (message.recipients.concat(), String::from_utf8_lossy(&message.data).replace("\r\n", " ")))
        .collect();
    told.sort();
    assert_eq!(told.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(), ["<one@y.example>", "<two@y.example>"]);
    for (_, text) in &told {
        let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("The message was lost on this host and was not delivered."), "{words}");
        assert!(words.contains("Status: 5.3.0") && !words.contains("450 4.2.1 busy"), "{words}");
    }
}

#[test]
fn a_changed_and_a_removed_file_are_lost_and_nothing_says_otherwise() {
    let receiver = script();
    let (installation, [changed, removed]) = with_two(&receiver);
    change_one_byte(&installation, &changed);
    std::fs::remove_file(installation.paths.spool.join("cur").join(&removed)).unwrap();
    installation.mailchute(&["flush"]).succeeded();
    judge_bounces(&receiver);
    installation.wait_until_drained();
    let ids = [(changed.clone(), "corrupt"), (removed, "vanished")];
    judge(&installation, &ids);
    judge_events(&installation, &ids);
    assert_eq!(installation.spooled("corrupt").iter().filter(|name| name.starts_with(&changed)).count(), 2, "the file and why");
    assert!(installation.spooled("failed").is_empty());
}

#[test]
fn files_that_vanished_while_the_daemon_was_stopped_are_lost_at_the_start() {
    let receiver = script();
    let (mut installation, ids) = with_two(&receiver);
    installation.stop_daemon();
    ids.iter().for_each(|id| std::fs::remove_file(installation.paths.spool.join("cur").join(id)).unwrap());
    installation.start_daemon();
    judge_bounces(&receiver);
    installation.wait_until_drained();
    let ids = ids.map(|id| (id, "vanished"));
    judge(&installation, &ids);
    judge_events(&installation, &ids);
}
