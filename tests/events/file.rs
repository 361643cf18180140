//! The event file: the documented lines and no others, of bounded size, and never in the way of mail.

use std::path::Path;

use serde_json::Value;

use super::{event_file, lines, wait_for_event};
use crate::documents;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::isolation;
use crate::support::scripted::{Reply, Script};

const MESSAGE: &[u8] = b"From: a@sender.example\nSubject: s\n\nbody\n";

/// The keys of a line in their order. Keys are words, and every text that could look like one is quoted inside.
fn keys(line: &str) -> Vec<String> {
    struct Keys(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Keys;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, _)) = map.next_entry::<String, Value>()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Keys>(line).unwrap().0
}

#[test]
fn every_line_has_the_keys_that_the_manual_lists_in_their_order() {
    let script = Script::new().say("RCPT TO:<gone@", "550 5.1.1 no such user");
    let receiver = script.first(1, "RCPT TO:<later@", Reply::Lines("450 4.2.1 busy".into())).start();
    let mut installation = Installation::rootless();
    let (path, toml) = event_file(&installation);
    installation.relay_to(&receiver.url("smtp", "tls=none"), &toml);
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "now@r.example", "later@r.example", "gone@r.example"], MESSAGE).succeeded();
    wait_for_event(&path, "the failure", |line| line["event"] == "failed");
    installation.mailchute(&["requeue", "ALL"]).succeeded();
    wait_for_event(&path, "requeued", |line| line["event"] == "requeued");
    std::fs::write(installation.paths.spool.join("new/rubbish"), "x").unwrap();
    installation.reload_daemon();
    wait_for_event(&path, "reloaded", |line| line["event"] == "reloaded");
    installation.stop_daemon();
    let documented = documents::events::in_the_manual();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let event = documented.iter().find(|event| value["event"] == event.name).unwrap_or_else(|| panic!("undocumented: {line}"));
        // As the page says, these have a value in some lines only; the others stand in every one.
        let is_there =
            |field: &String| value.get(field).is_some() || !["cause", "subject", "stage", "code", "end"].contains(&field.as_str());
        let id = value.get(log::record::ID).is_some().then(|| log::record::ID.to_owned());
        assert!(id.is_some() || value.get("queue_id").is_none(), "an event of a message has an id: {line}");
        let wanted = log::record::KEYS
            .iter()
            .map(|key| (*key).to_owned())
            .chain(id)
            .chain(event.fields.iter().filter(|field| is_there(field)).cloned());
        assert_eq!(keys(line), wanted.collect::<Vec<_>>(), "{line}");
        assert_eq!((&value["schema"], &value["host"]), (&1.into(), &"host.sender.example".into()));
        assert_eq!(value["level"], event.level);
        for number in ["uid", "size", "recipients", "delay", "seconds", "messages"] {
            assert!(value.get(number).is_none_or(Value::is_number), "{line}");
        }
        seen.insert(event.name.clone());
    }
    for name in ["started", "accepted", "relayed", "deferred", "failed", "requested", "requeued", "reloaded", "stopped"] {
        assert!(seen.contains(name), "{name} is not among {seen:?}");
    }
}

#[test]
fn t_out_1_what_servers_and_senders_say_is_escaped_in_the_file_and_in_the_log() {
    let hostile = "550 5.7.1 \x1b[2J\u{202e}\u{9b}31m forged \u{2028}";
    let receiver = Script::new().say("RCPT TO:", hostile).start();
    let mut installation = Installation::rootless();
    let (path, toml) = event_file(&installation);
    installation.relay_to(&receiver.url("smtp", "tls=none"), &toml);
    installation.start_daemon();
    installation.sendmail(&["-N", "never", "bob@r.example"], b"From: a@s.example\nMessage-ID: <\x1b]0;x\x07@h>\n\nx\n").succeeded();
    let failed = wait_for_event(&path, "the failure", |line| line["event"] == "failed");
    assert!(failed["reply"].as_str().unwrap().contains("forged"), "{failed}");
    installation.stop_daemon();
    for text in [std::fs::read_to_string(&path).unwrap(), installation.daemon_log()] {
        let is_bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{2028}';
        assert!(!text.chars().any(is_bad), "{text:?}");
    }
}

#[test]
fn the_file_is_rotated_while_it_is_written_and_no_event_is_missing() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    let (path, toml) = event_file(&installation);
    let more = format!("{toml}event_file_size = 2000\nevent_file_count = 100\n");
    installation.relay_to(&receiver.url("smtp", "tls=none"), &more);
    installation.start_daemon();
    for _ in 0..20 {
        installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    }
    installation.wait_until_drained();
    installation.stop_daemon();
    let parts: Vec<_> = (1..=100).map(|n| path.with_file_name(format!("events.jsonl.{n}"))).take_while(|path| path.exists()).collect();
    assert!(parts.len() >= 3, "{parts:?}");
    let all: Vec<Value> = parts.iter().rev().chain([&path]).flat_map(|path| lines(path)).collect();
    let count = |name: &str| all.iter().filter(|line| line["event"] == name).count();
    assert_eq!((count("started"), count("accepted"), count("relayed"), count("stopped")), (1, 20, 20, 1));
}

#[test]
fn a_full_disk_of_events_stops_no_mail_and_what_is_missing_is_counted() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    let disk = Path::new("/mnt/events");
    isolation::mount_fresh(disk, "size=16k,mode=777");
    let path = disk.join("events.jsonl");
    let more = format!("event_file = \"{}\"\n", path.display());
    installation.relay_to(&receiver.url("smtp", "tls=none"), &more);
    // No room for a single event: where there is some, a short batch gets on in the middle, and the next failure is told again.
    std::fs::write(disk.join("ballast"), vec![0; 16 << 10]).unwrap();
    installation.start_daemon();
    for _ in 0..20 {
        installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    }
    installation.wait_until_drained();
    installation.wait_for_log("event_file_failed");
    assert_eq!(installation.daemon_log().matches("event_file_failed").count(), 1, "told once");
    std::fs::remove_file(disk.join("ballast")).unwrap();
    installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    wait_for("the count", || lines(&path).iter().any(|line| line["event"] == "events_lost"));
    let lost = lines(&path).into_iter().find(|line| line["event"] == "events_lost").unwrap();
    assert!(lost["lost"].as_u64().unwrap() > 0 && lost["sink"] == "event_file", "{lost}");
    assert_eq!(receiver.wait_for_messages(21).len(), 21);
}
