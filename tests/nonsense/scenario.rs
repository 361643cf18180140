//! The scenario: mail that is relayed, deferred, refused, held, removed, bounced, lost and cannot be signed; refusals of `sendmail`; every
//! command that looks, with the daemon and without it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::world::World;
use crate::support::command::{Ended, run, wait_for};
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script};

/// Never a message's.
const UNKNOWN: &str = "0000000000000001";
/// What becomes of the messages; each is to `NAME@x.example`. The signed one is from a domain whose key is missing.
const MESSAGES: &[&str] = &["relayed", "deferred", "refused", "held", "removed", "bounced", "expired", "changed", "vanished", "unsigned"];
/// Those whose senders get a DSN.
const TOLD: &[&str] = &["refused", "bounced", "expired", "changed", "vanished"];

/// One life of an installation.
pub(super) fn live(mut installation: Installation) -> World {
    let mut world = World::default();
    let receiver = receiver();
    configure(&installation, &receiver);
    installation.start_daemon();
    submit(&installation, &mut world);
    operate(&installation, &mut world);
    refuse(&installation, &mut world);
    rest(&installation, &mut world, &receiver);
    look(&installation, &mut world, "running");
    history(&installation, &mut world);
    installation.stop_daemon();
    world.json("status with the daemon stopped", &installation.mailchute(&["status", "--json"]));
    look(&installation, &mut world, "stopped");
    without_daemon(&installation, &mut world);
    world
}

fn receiver() -> Receiver {
    let busy = || Reply::Lines("450 4.2.1 busy".into());
    let waiting = ["deferred", "held", "removed", "bounced", "expired", "changed", "vanished"];
    let script = waiting.into_iter().fold(Script::new(), |script, name| script.on(&format!("RCPT TO:<{name}@"), busy()));
    script.say("RCPT TO:<refused@", "550 5.1.1 no such user").start()
}

fn beside(installation: &Installation, name: &str) -> PathBuf {
    installation.paths.config_file.with_file_name(name)
}

fn configure(installation: &Installation, receiver: &Receiver) {
    let [events, metrics] = ["events.json", "mail.prom"].map(|name| beside(installation, name));
    let more = format!(
        "retry_min = \"1h\"\nretry_max = \"1h\"\nmessage_size_limit = \"64KiB\"\nevent_file = {events:?}\nmetrics_file = {metrics:?}\n\
         metrics_interval = \"1s\"\n[domain.\"signed.example\"]\nselectors = [\"s1\"]\n"
    );
    installation.relay_to(&receiver.url("smtp", "tls=none"), &more);
}

/// Sends them all, each after the attempt of the one before, and names them.
fn submit(installation: &Installation, world: &mut World) {
    for name in MESSAGES {
        let domain = if *name == "unsigned" { "signed.example" } else { "y.example" };
        let (sender, recipient) = (format!("of-{name}@{domain}"), format!("{name}@x.example"));
        let message = format!("From: {sender}\nTo: {recipient}\nSubject: {name}\n\nHello\n");
        let ended = installation.sendmail(&["-v", "-f", &sender, "--", &recipient], message.as_bytes());
        let id = ended.stdout.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        world.name(&id, name);
        world.exit(&format!("sendmail {name}"), &ended);
        wait_for(name, || {
            let shown = installation.mailchute(&["show", "--json", &id]).stdout;
            let Ok(shown) = serde_json::from_str::<Value>(&shown) else { return false };
            shown["recipients"][0]["status"] != "deferred" || shown["attempts"] != 0 || shown["queue_name"] == "hold"
        });
    }
}

/// The operator's part, and what spoils files.
fn operate(installation: &Installation, world: &mut World) {
    let ids: BTreeMap<&str, String> = MESSAGES.iter().map(|name| (*name, id_of(world, name))).collect();
    let id = |name: &str| ids[name].clone();
    let path = |id: &str| installation.paths.spool.join("cur").join(id);
    let changed = path(&id("changed"));
    let mut bytes = std::fs::read(&changed).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&changed, bytes).unwrap();
    std::fs::remove_file(path(&id("vanished"))).unwrap();
    for (verb, name) in [
        ("hold", "held"),
        ("hold", "held"),
        ("remove", "removed"),
        ("bounce", "bounced"),
        ("expire", "expired"),
        ("flush", "expired"),
        ("flush", "changed"),
        ("flush", "vanished"),
        ("release", "deferred"),
        ("flush", "refused"),
    ] {
        let times = world.said.len();
        world.exit(&format!("{verb} {name} {times}"), &installation.mailchute(&[verb, &id(name)]));
    }
    for verb in ["hold", "release", "remove", "requeue", "expire", "bounce", "flush", "show", "cat", "list", "count", "why", "trace"] {
        world.exit(&format!("{verb} of an unknown id"), &installation.mailchute(&[verb, UNKNOWN]));
        world.exit(&format!("{verb} of no id"), &installation.mailchute(&[verb, "no-id"]));
    }
    world.exit("a dry run", &installation.mailchute(&["remove", "--dry-run", "ALL"]));
}

/// What `sendmail` refuses, on the command line and in a session.
fn refuse(installation: &Installation, world: &mut World) {
    let large = format!("Subject: large\n\n{}", "a line\n".repeat(20_000));
    for (what, arguments, message) in [
        ("too large", &["a@x.example"][..], large.as_str()),
        ("without recipients", &[], "Subject: x\n\ny\n"),
        ("with a wrong recipient", &["no address <"], "Subject: x\n\ny\n"),
        ("with a wrong sender", &["-f", "a b", "a@x.example"], "Subject: x\n\ny\n"),
        ("with a wrong option", &["-C", "/x", "a@x.example"], "Subject: x\n\ny\n"),
        ("in a loop", &["a@x.example"], &format!("{}\n\nbody\n", "Received: by x\n".repeat(120).trim_end())),
    ] {
        world.exit(&format!("sendmail {what}"), &installation.sendmail(arguments, message.as_bytes()));
    }
    session(installation, world, "of a message that is too large", &large.replace('\n', "\r\n"));
    world.exit("close", &installation.mailchute(&["close", "moving house"]));
    world.exit("sendmail while admission is closed", &installation.sendmail(&["a@x.example"], b"Subject: x\n\ny\n"));
    session(installation, world, "while admission is closed", "Subject: x\r\n\r\ny\r\n");
    world.exit("open", &installation.mailchute(&["open"]));
    world.exit("pause", &installation.mailchute(&["pause"]));
    world.exit("resume", &installation.mailchute(&["resume"]));
}

/// The codes of the replies of one session with one message.
fn session(installation: &Installation, world: &mut World, what: &str, message: &str) {
    let dialogue = format!("EHLO x\r\nMAIL FROM:<a@y.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n{message}\r\n.\r\nQUIT\r\n");
    let ended = run(installation.program(installation.built("sendmail")).arg("-bs"), dialogue.as_bytes());
    let codes: Vec<String> = ended.stdout.lines().map(code_of).collect();
    world.note(&format!("replies of a session {what}"), codes.join("\n"));
    world.exit(&format!("sendmail -bs {what}"), &ended);
}

/// `552 5.3.4` of a reply line; of other replies the number.
fn code_of(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').take(2).collect();
    let has_status = words.get(1).is_some_and(|word| word.split('.').count() == 3);
    words.into_iter().take(if has_status { 2 } else { 1 }).map(|word| word.get(..4).map_or(word, |_| word)).collect::<Vec<_>>().join(" ")
}

/// Waits until everything that follows is over, and names the DSNs.
fn rest(installation: &Installation, world: &mut World, receiver: &Receiver) {
    receiver.wait_for_messages(1 + TOLD.len());
    let ids: Vec<(String, String)> = TOLD.iter().map(|name| (id_of(world, name), (*name).to_owned())).collect();
    wait_for("the DSNs to be done", || {
        let relayed = |dsn: &str| events(installation).iter().any(|event| event["event"] == "relayed" && event["queue_id"] == dsn);
        ids.iter().all(|(id, _)| dsn_of(&events(installation), id).is_some_and(|dsn| relayed(&dsn)))
    });
    for (id, name) in &ids {
        world.name(&dsn_of(&events(installation), id).unwrap(), &format!("dsn-of-{name}"));
    }
    // Those of a moment clear, and those that stay are raised.
    wait_for("the alarms to settle", || {
        let alarms = alarms(installation);
        alarms.iter().any(|alarm| alarm.starts_with("message_lost"))
            && !alarms.iter().any(|alarm| alarm.contains("admission") || alarm.contains("paused"))
    });
    world.note("alarms", alarms(installation).join("\n"));
    let mut dsns: Vec<String> = receiver.messages().iter().map(|message| fields_of(&String::from_utf8_lossy(&message.data))).collect();
    dsns.sort();
    world.note("fields of the DSNs", dsns.join("\n"));
}

/// The active alarms with their severities.
fn alarms(installation: &Installation) -> Vec<String> {
    let status: Value = serde_json::from_str(&installation.mailchute(&["status", "--json"]).succeeded().stdout).unwrap();
    let line = |alarm: &Value| format!("{} {}", alarm["alarm"].as_str().unwrap(), alarm["severity"].as_str().unwrap());
    let mut lines: Vec<String> = status["alarms"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

fn dsn_of(events: &[Value], id: &str) -> Option<String> {
    let sent = events.iter().find(|event| event["event"] == "dsn_sent" && event["queue_id"] == id)?;
    Some(sent["dsn_id"].as_str()?.to_owned())
}

/// The fields of a DSN with codes (RFC 3464), in one line.
fn fields_of(message: &str) -> String {
    let wanted = ["Final-Recipient:", "Action:", "Status:", "To:"];
    message.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect::<Vec<_>>().join(" | ")
}

fn events(installation: &Installation) -> Vec<Value> {
    let lines = std::fs::read_to_string(beside(installation, "events.json")).unwrap_or_default();
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Every command that looks, and the files.
fn look(installation: &Installation, world: &mut World, when: &str) {
    for state in ["incoming,active,deferred,hold", "failed", "removed"] {
        world.json(&format!("list {state}, {when}"), &installation.mailchute(&["list", "--json", "--state", state]));
    }
    for name in ["deferred", "refused", "held", "removed", "bounced", "changed", "vanished", "unsigned"] {
        let id = id_of(world, name);
        for verb in ["show", "trace", "why"] {
            world.json(&format!("{verb} {name}, {when}"), &installation.mailchute(&[verb, "--json", &id]));
        }
    }
    world.json(&format!("stats, {when}"), &installation.mailchute(&["stats", "--json"]));
    for arguments in [&["mailq"][..], &["failed"], &["qshape"], &["count", "ALL"], &["monitor"], &["check"], &["report", "--html"]] {
        world.exit(&format!("{arguments:?}, {when}"), &installation.mailchute(arguments));
    }
    if when == "running" {
        world.json("status", &installation.mailchute(&["status", "--json"]));
    }
    for directory in ["new", "cur", "hold", "failed", "trash", "corrupt"] {
        let mut names = installation.spooled(directory);
        names.sort_by_key(|name| world.known(name));
        world.note(&format!("{directory}/, {when}"), names.join("\n"));
    }
}

fn id_of(world: &World, name: &str) -> String {
    world.id(name).unwrap_or_else(|| panic!("{name} has no id"))
}

/// The events of each message in their order, and the counters.
fn history(installation: &Installation, world: &mut World) {
    let all = events(installation);
    let mut of_messages: Vec<(String, String)> =
        all.iter().filter_map(|event| Some((world.known(event["queue_id"].as_str()?), world.bare(event)))).collect();
    of_messages.sort_by(|a, b| a.0.cmp(&b.0));
    world.note("events of messages", of_messages.into_iter().map(|(_, event)| event).collect::<Vec<_>>().join("\n"));
    // An alarm of a moment may be raised, or not.
    let is_other = |event: &&Value| event["queue_id"].is_null() && !event["event"].as_str().is_some_and(|name| name.starts_with("alarm_"));
    let mut others: Vec<String> = all.iter().filter(is_other).map(|event| world.bare(event)).collect();
    others.sort();
    others.dedup();
    world.note("other events", others.join("\n"));
    let page = std::fs::read_to_string(beside(installation, "mail.prom")).unwrap_or_default();
    let counted = ["mailchute_messages_ended_total", "mailchute_recipients_total", "mailchute_queue_messages"];
    let figures: Vec<&str> = page.lines().filter(|line| counted.iter().any(|name| line.starts_with(name))).collect();
    assert!(figures.len() > 3, "{page}");
    world.note("metrics", figures.join("\n").replace(&port_of(installation), "PORT"));
}

/// The port of the next hop, which differs.
fn port_of(installation: &Installation) -> String {
    let text = std::fs::read_to_string(&installation.paths.config_file).unwrap();
    let url = text.lines().find(|line| line.starts_with("next_hop")).unwrap().to_owned();
    url.split(':').nth(2).unwrap().chars().take_while(char::is_ascii_digit).collect()
}

/// The operator's verbs with the daemon stopped.
fn without_daemon(installation: &Installation, world: &mut World) {
    let did = |what: &str, world: &mut World, ended: Ended| world.exit(&format!("{what}, stopped"), &ended);
    let deferred = id_of(world, "deferred");
    for verb in ["hold", "hold", "release", "release", "remove", "remove", "requeue", "flush"] {
        let times = world.said.len();
        did(&format!("{verb} {times}"), world, installation.mailchute(&[verb, &deferred]));
    }
    for verb in ["show", "list", "count", "why", "trace", "cat", "hold"] {
        did(&format!("{verb} of an unknown id"), world, installation.mailchute(&[verb, UNKNOWN]));
    }
    did("pause", world, installation.mailchute(&["pause"]));
    did("sendmail -bp", world, installation.sendmail(&["-bp"], b""));
    did("sendmail -q", world, installation.sendmail(&["-q"], b""));
}
