//! Webhooks: signed as Standard Webhooks says, at least once, to whom root said and to nobody else, and never in the way of mail.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::certificates::Authority;
use crate::support::command::{self, wait_for};
use crate::support::https::{Answer, Request, Webhook, is_untouched};
use crate::support::installation::Installation;
use crate::support::parts::{self, Missing};
use crate::support::scripted::Script;

const MESSAGE: &[u8] = b"From: a@sender.example\nSubject: s\n\nbody\n";
/// 32 bytes.
const SECRET: &str = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";

/// A receiver of mail, and an installation that relays to it and tells `webhook` of accepted and relayed messages.
struct Scene {
    receiver: crate::support::scripted::Receiver,
    installation: Installation,
}

impl Scene {
    fn new(url: &str, more: &str) -> Scene {
        let receiver = Script::new().start();
        let installation = Installation::rootless();
        installation.write_secret(&installation.paths.credentials.join("webhook"), SECRET);
        let scene = Scene { receiver, installation };
        scene.configure(url, "events = [\"accepted\", \"relayed\"]", more);
        scene
    }

    fn configure(&self, url: &str, rows: &str, more: &str) {
        let toml = format!("{more}\n[webhook.\"ops\"]\nurl = \"{url}\"\n{rows}\n");
        self.installation.relay_to(&self.receiver.url("smtp", "tls=none"), &toml);
    }

    fn send(&self) {
        self.installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    }
}

/// What the library of Standard Webhooks says of a request: its payload, or why not.
fn judge(request: &Request, secret: &str) -> Result<Result<Value, String>, Missing> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/webhook_judge.py");
    let headers: serde_json::Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let given = json!({ "headers": headers, "body": String::from_utf8(request.body.clone()).unwrap() });
    let ended = command::run(Command::new(parts::python()?).arg(script).arg(secret), given.to_string().as_bytes());
    Ok(if ended.code == Some(0) { Ok(serde_json::from_str(&ended.stdout).unwrap()) } else { Err(ended.stderr) })
}

#[test]
fn t_out_3_the_library_of_standard_webhooks_takes_what_we_sign_and_nothing_that_was_changed() {
    require!(parts::python());
    let authority = Authority::new();
    let webhook = Webhook::https(&authority.identity(&["127.0.0.1"]));
    let mut scene = Scene::new(&webhook.url(), "");
    let ca = scene.installation.write_public("ca.pem", &authority.pem);
    scene.configure(&webhook.url(), &format!("events = [\"*\"]\nca_file = \"{}\"", ca.display()), "");
    scene.installation.start_daemon();
    scene.send();
    let request = webhook.wait_for_event("relayed");
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/json");
    let payload = require!(judge(&request, SECRET)).unwrap();
    assert_eq!((&payload["type"], &payload["data"]["event"]), (&"relayed".into(), &"relayed".into()));
    assert_eq!((&payload["data"]["to"], &payload["data"]["schema"]), (&"bob@r.example".into(), &1.into()));
    let timestamp: i64 = request.header("webhook-timestamp").parse().unwrap();
    assert!((request.at - timestamp).abs() <= 60, "{timestamp} is not the time of the attempt");
    // Every part is signed.
    let other = "whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
    assert!(require!(judge(&request, other)).is_err(), "another secret");
    let changed = |change: &dyn Fn(&mut Request)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    let set = |name: &'static str, value: String| {
        move |request: &mut Request| request.headers.iter_mut().filter(|(own, _)| own == name).for_each(|(_, old)| old.clone_from(&value))
    };
    let body = changed(&|request| request.body.push(b' '));
    let id = changed(&set("webhook-id", "evt_other".to_owned()));
    let replayed = changed(&set("webhook-timestamp", (timestamp - 3600).to_string()));
    for forged in [body, id, replayed] {
        assert!(require!(judge(&forged, SECRET)).is_err(), "{forged:?}");
    }
    // No header but the signature, and no text of ours, has anything of the secret.
    let outputs = format!("{:?}{}", request, scene.installation.daemon_log());
    assert!(!outputs.contains(&SECRET[6..20]));
}

#[test]
fn t_out_3_a_certificate_that_nobody_vouches_for_gets_no_event() {
    let webhook = Webhook::https(&Authority::new().identity(&["127.0.0.1"]));
    let mut scene = Scene::new(&webhook.url(), "");
    let ca = scene.installation.write_public("ca.pem", &Authority::new().pem);
    scene.configure(&webhook.url(), &format!("events = [\"*\"]\nca_file = \"{}\"", ca.display()), "");
    scene.installation.start_daemon();
    scene.send();
    scene.installation.wait_for_log("webhook_failed");
    scene.installation.wait_until_drained();
    assert!(webhook.requests().is_empty());
}

#[test]
fn t_out_3_redirects_lead_nowhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("http://{}/latest/meta-data", elsewhere.local_addr().unwrap());
    let answers = [301, 302, 303, 307, 308].map(|status| Answer::Redirect(status, there.clone()));
    let webhook = Webhook::http().first(&answers);
    webhook.always(Answer::Redirect(307, "http://169.254.169.254/latest/meta-data".to_owned()));
    let mut scene = Scene::new(&webhook.url(), "");
    scene.installation.start_daemon();
    (0..4).for_each(|_| scene.send());
    webhook.wait_for_requests(8);
    scene.installation.wait_for_log("redirects are not followed");
    assert!(is_untouched(&elsewhere));
    assert!(webhook.requests().iter().all(|request| request.line.starts_with("POST /hook ")));
}

#[test]
fn an_event_is_sent_until_it_is_taken_and_always_under_its_id() {
    let answers = [Answer::Status(500), Answer::Status(404)];
    let webhook = Webhook::http().first(&answers);
    let mut scene = Scene::new(&webhook.url(), "");
    scene.installation.start_daemon();
    scene.send();
    let taken = |event: &str| webhook.requests().iter().filter(|request| request.json()["type"] == event).count();
    wait_for("both events", || taken("accepted") + taken("relayed") >= 4 && taken("relayed") >= 1);
    scene.installation.wait_for_log("webhook_resumed");
    let requests = webhook.requests();
    let mut ids: Vec<(String, Vec<u8>)> = requests.iter().map(|r| (r.header("webhook-id").to_owned(), r.body.clone())).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "one id and one body for each event: {requests:?}");
    assert!(ids.iter().all(|(id, _)| id.len() == 36 && id.starts_with("evt_") && !id.contains('.')));
    assert_eq!(scene.installation.daemon_log().matches("webhook_failed").count(), 1, "told once");
}

/// How many events wait in the daemon's queue, and how many it has counted as lost.
fn queued(scene: &Scene) -> (i64, i64) {
    let path = scene.installation.paths.spool.join(observe::hooks::queue::FILE);
    let database = rusqlite::Connection::open(path).unwrap();
    // Between two of its commits the daemon may have the file for itself.
    let count = |query: &str| database.query_row(query, [], |row| row.get(0)).unwrap_or(0);
    (count("SELECT count(*) FROM delivery"), count("SELECT coalesce(sum(lost), 0) FROM loss"))
}

/// Promised is that an event in the queue survives kill -9. An event that is still on its way there, in memory, is lost with the
/// process; so each test waits for the queue before it kills.
#[test]
fn what_waits_in_the_queue_survives_kill_9_under_its_id() {
    let webhook = Webhook::http();
    webhook.always(Answer::Status(503));
    let mut scene = Scene::new(&webhook.url(), "");
    scene.installation.start_daemon();
    scene.send();
    scene.installation.wait_until_drained();
    let before = webhook.wait_for_requests(1);
    wait_for("both events in the queue", || queued(&scene) == (2, 0));
    scene.installation.kill_daemon();
    webhook.always(Answer::Status(204));
    scene.installation.start_daemon();
    let relayed = webhook.wait_for_event("relayed");
    let again = |request: &Request| request.json()["type"] == "accepted" && request.header("webhook-id") == before[0].header("webhook-id");
    wait_for("the first event again", || webhook.requests().iter().filter(|request| again(request)).count() >= 2);
    assert_ne!(relayed.header("webhook-id"), before[0].header("webhook-id"));
}

#[test]
fn t_out_3_receivers_that_dawdle_never_end_or_are_not_there_hold_up_no_mail_and_no_other_receiver() {
    let (silent, endless, well) = (Webhook::http(), Webhook::http(), Webhook::http());
    silent.always(Answer::Silence);
    endless.always(Answer::Endless);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut scene = Scene::new(&silent.url(), "");
    let table = |name: &str, url: &str| format!("[webhook.\"{name}\"]\nurl = \"{url}\"\nevents = [\"relayed\"]\n");
    let more = [table("endless", &endless.url()), table("nobody", &format!("http://{nobody}/")), table("well", &well.url())].concat();
    scene.configure(&silent.url(), "events = [\"relayed\"]", &more);
    scene.installation.start_daemon();
    (0..20).for_each(|_| scene.send());
    scene.receiver.wait_for_messages(20);
    scene.installation.wait_until_drained();
    assert_eq!(well.wait_for_requests(20).len(), 20);
    assert_eq!(endless.wait_for_requests(20).len(), 20, "its answer is not waited for");
    silent.wait_for_requests(1);
    scene.installation.stop_daemon();
}

/// As above: counted is what came as far as the queue.
#[test]
fn a_full_queue_counts_its_losses_and_tells_them_to_the_receiver() {
    let webhook = Webhook::http();
    webhook.always(Answer::Status(503));
    let mut scene = Scene::new(&webhook.url(), "webhook_queue_limit = 5");
    scene.installation.start_daemon();
    (0..10).for_each(|_| scene.send());
    scene.installation.wait_until_drained();
    webhook.wait_for_requests(1);
    wait_for("all events at the queue", || queued(&scene) == (5, 15));
    scene.installation.kill_daemon();
    webhook.always(Answer::Status(204));
    scene.installation.start_daemon();
    let lost = webhook.wait_for_event("events_lost").json();
    assert_eq!((&lost["data"]["sink"], &lost["data"]["lost"]), (&"webhook ops".into(), &15.into()), "{lost}");
}

#[test]
fn t_out_4_a_secret_that_others_can_read_or_a_configuration_that_others_can_write_makes_no_webhook() {
    let webhook = Webhook::http();
    let mut scene = Scene::new(&webhook.url(), "");
    let (secret, config) = (scene.installation.paths.credentials.join("webhook"), scene.installation.paths.config_file.clone());
    let mode = |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&secret, 0o644);
    scene.installation.start_daemon();
    scene.installation.wait_for_log("others can read it");
    mode(&secret, 0o600);
    mode(&config, 0o666);
    scene.installation.reload_daemon();
    scene.installation.wait_for_log("must belong to");
    scene.send();
    scene.installation.wait_until_drained();
    assert!(webhook.requests().is_empty());
    mode(&config, 0o644);
    scene.installation.reload_daemon();
    wait_for("the second reload", || scene.installation.daemon_log().matches("event=\"reloaded\"").count() == 2);
    scene.send();
    webhook.wait_for_event("relayed");
    assert!(!scene.installation.daemon_log().contains(&SECRET[6..20]));
}
