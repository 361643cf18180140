//! What is recorded about a message reaches every receiver, whatever ends the daemon in between: at least once, in order, and each time
//! under the same id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{event_file, lines};
use crate::support::command::wait_for;
use crate::support::https::{Answer, Webhook};
use crate::support::installation::Installation;
use crate::support::scripted::Script;

const MESSAGE: &[u8] = b"From: a@sender.example\nSubject: s\n\nbody\n";
const SECRET: &str = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
/// Daemons that are killed.
const KILLS: usize = 12;
/// Messages for each.
const MESSAGES: usize = 15;

/// Every event of messages that a receiver got: name and ids, in order.
type Heard = Vec<(String, String, String)>;

fn of_messages(events: impl Iterator<Item = (String, Value)>) -> Heard {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    events.filter(|(_, line)| line["id"].is_string()).map(|(id, line)| (word(&line["event"]), word(&line["queue_id"]), id)).collect()
}

/// Each message was accepted and relayed; nothing else happened; what is repeated is the same event.
fn judge(receiver: &str, heard: &Heard, messages: usize) {
    let mut ids: HashMap<&str, (&str, &str)> = HashMap::new();
    let mut of_message: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (event, queue_id, id) in heard {
        let known = ids.insert(id, (event, queue_id));
        assert!(known.is_none_or(|known| known == (event, queue_id)), "{receiver}: {id} is {known:?} and {event} of {queue_id}");
        if known.is_none() {
            of_message.entry(queue_id).or_default().push(event);
        }
    }
    assert_eq!(of_message.len(), messages, "{receiver}");
    for (queue_id, events) in of_message {
        assert_eq!(events.first(), Some(&"accepted"), "{receiver}: {queue_id}: {events:?}");
        // A result that only outcomes.log had is told before the message is concluded.
        let ending = events.strip_suffix(&["ended"]).unwrap_or(&events);
        assert_eq!(ending.last(), Some(&"relayed"), "{receiver}: {queue_id}: {events:?}");
        let may_be = ["accepted", "relayed", "possible_duplicate", "uncertain", "deferred", "ended"];
        assert!(events.iter().all(|event| may_be.contains(event)), "{receiver}: {queue_id}: {events:?}");
        assert_eq!(events.iter().filter(|event| **event == "accepted").count(), 1, "{receiver}: {queue_id}: {events:?}");
    }
}

#[test]
fn no_event_of_a_message_is_lost_by_kill_9() {
    let (receiver, webhook) = (Script::new().start(), Webhook::http());
    webhook.always(Answer::Status(204));
    let mut installation = Installation::rootless();
    installation.write_secret(&installation.paths.credentials.join("webhook"), SECRET);
    let (path, mut toml) = event_file(&installation);
    toml += &format!("retry_min = \"1s\"\n[webhook.\"ops\"]\nurl = \"{}\"\nevents = [\"*\"]\n", webhook.url());
    installation.relay_to(&receiver.url("smtp", "tls=none"), &toml);
    for round in 0..KILLS {
        installation.start_daemon();
        for _ in 0..MESSAGES {
            installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
        }
        // Somewhere in the middle of them, later each time.
        wait_for("some of them", || receiver.messages().len() > round * MESSAGES + round);
        installation.kill_daemon();
    }
    installation.start_daemon();
    // One that was being sent may wait: nobody knows whether it arrived.
    wait_for("the last message", || {
        installation.mailchute(&["flush"]).succeeded();
        installation.queue().is_empty()
    });
    installation.wait_until_drained();
    let messages = KILLS * MESSAGES;
    let ended = |heard: &Heard| heard.iter().filter(|(event, ..)| event == "relayed").map(|(_, id, _)| id).collect::<BTreeSet<_>>().len();
    let in_file = || of_messages(lines(&path).into_iter().map(|line| (line["id"].as_str().unwrap_or_default().to_owned(), line)));
    let at_webhook = || {
        let requests =
            webhook.requests().into_iter().map(|request| (request.header("webhook-id").to_owned(), request.json()["data"].clone()));
        of_messages(requests)
    };
    wait_for("the last event in the file", || ended(&in_file()) == messages);
    wait_for("the last event at the webhook", || ended(&at_webhook()) == messages);
    judge("event file", &in_file(), messages);
    judge("webhook", &at_webhook(), messages);
    assert!(at_webhook().iter().all(|(_, _, id)| in_file().iter().any(|(_, _, other)| *id == format!("evt_{other}"))), "the same ids");
    installation.stop_daemon();
    let log = installation.daemon_log();
    let queue_ids: BTreeSet<String> = in_file().into_iter().map(|(_, queue_id, _)| queue_id).collect();
    for queue_id in queue_ids {
        for event in ["accepted", "relayed"] {
            let is_it = |line: &str| line.contains(&format!("event=\"{event}\" queue_id={queue_id}"));
            assert!(log.lines().any(is_it), "{event} of {queue_id} is not in the log");
        }
    }
}
