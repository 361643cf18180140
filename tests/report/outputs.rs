//! Every output of ours in one table, with hostile mail and canary secrets behind it (THREATS T-OUT-1, T-OUT-4).

use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use super::wait_for_dsns;
use crate::support::certificates::Authority;
use crate::support::command::{self, wait_for};
use crate::support::https::Webhook;
use crate::support::installation::Installation;
use crate::support::isolation;
use crate::support::keys;
use crate::support::scripted::{Receiver, Reply, Script};

const PASSWORD: &str = "canary-9f3c-password";
const SECRET: &str = "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0E=";

/// A receiver that wants a login and says hostile things, one of webhooks, and an installation with one message that failed, one that
/// waits and one that was delivered, all three as hostile as a caller can make them.
struct Scene {
    receiver: Receiver,
    webhook: Webhook,
    installation: Installation,
    secrets: Vec<String>,
}

/// What `alarm_command` leaves of its arguments and environment.
const TOLD: &str = "told";

fn scene() -> Scene {
    let authority = Authority::new();
    let evil = b"550-5.1.1 \x1b[2J\x1b]0;owned\x07\xe2\x80\xae\xff\xc2\x9b31m\r\n550 5.1.1 <script> \x00 evil\x7f \xe2\x80\xa8\xd8\x9c\r\n";
    let busy = b"450-4.2.1 \x1b[31m\xe2\x81\xa6\xff\r\n450 4.2.1 busy\x08\xc2\x85\r\n".to_vec();
    let script = Script::new().starttls(&authority.identity(&["127.0.0.1"])).login("me", PASSWORD);
    let receiver = script.on("RCPT TO:<gone", Reply::Raw(evil.to_vec())).on("RCPT TO:<later", Reply::Raw(busy)).start();
    let (webhook, mut installation) = (Webhook::http(), Installation::rootless());
    let (ca, password) = (installation.write_public("ca.pem", &authority.pem), installation.paths.credentials.join("next_hop"));
    installation.write_secret(&password, &format!("{PASSWORD}\n"));
    installation.write_secret(&installation.paths.credentials.join("webhook"), SECRET);
    let key = keys::ed25519();
    installation.write_secret(&installation.paths.keys.join("sender.example/s.pem"), &key.private_pem);
    let beside = |name: &str| installation.paths.config_file.with_file_name(name);
    let script = "printf '%s\\n' \"$@\" >>\"$0\"; env >>\"$0\"";
    let more = format!(
        "alarm_command = [\"/bin/sh\", \"-c\", '''{script}''', {:?}]\nca_file = {ca:?}\npassword_file = {password:?}\nevent_file = {:?}\nmetrics_interval = \"1s\"\nalarm_age = \"1s\"\n\
         delay_warning_time = 0\n[domain.\"sender.example\"]\nselectors = [\"s\"]\n\
         [webhook.\"ops\"]\nurl = \"{}\"\nevents = [\"*\"]",
        beside(TOLD),
        beside("events.jsonl"),
        webhook.url()
    );
    installation.relay_to(&format!("smtp://me@127.0.0.1:{}", receiver.address.port()), &more);
    installation.start_daemon();
    let hostile = "\x1b]0;owned\x07\u{9b}31m\u{202e}\u{2066}".as_bytes();
    for recipient in ["gone@receiver.example", "later@receiver.example", "bob@receiver.example"] {
        let fields: [&[u8]; 7] = [
            b"From: ",
            hostile,
            b" <a@sender.example>\nSubject: ",
            hostile,
            b"\xff\nMessage-ID: <\x1b[2J",
            recipient.as_bytes(),
            b">\n\nHello\n",
        ];
        let message = fields.concat();
        installation.sendmail(&["-f", "alice@author.example", recipient], &message).succeeded();
    }
    wait_for("the failure", || installation.spooled("failed").len() == 1);
    wait_for("the reply", || installation.queue().iter().any(|entry| entry.to_string().contains("busy")));
    wait_for("an alarm", || {
        installation.reload_daemon();
        std::thread::sleep(Duration::from_millis(200));
        installation.mailchute(&["status"]).stdout.contains("queue_old")
    });
    let key = key.private_pem.lines().filter(|line| !line.starts_with("---")).map(str::to_owned);
    let secrets = key.chain([PASSWORD.to_owned(), SECRET.to_owned()]).collect();
    Scene { receiver, webhook, installation, secrets }
}

/// Every text that leaves us, by name.
fn outputs(installation: &Installation) -> Vec<(String, Vec<u8>)> {
    let ids: Vec<String> = ["failed", "cur"].iter().flat_map(|directory| installation.spooled(directory)).collect();
    let mut verbs: Vec<Vec<&str>> = vec![vec!["list"], vec!["list", "--json"], vec!["status"], vec!["status", "--json"], vec!["check"]];
    verbs.extend([vec!["list", "--state", "failed"], vec!["list", "--state", "failed", "--json"]]);
    verbs.extend([vec!["monitor"], vec!["motd"], vec!["report", "--html"], vec!["config"], vec!["dkim", "dns", "sender.example"]]);
    verbs.extend([vec!["count"], vec!["qshape"], vec!["stats"], vec!["failed"], vec!["top", "-n", "2", "-d", "1s"]]);
    verbs.extend([vec!["qshape", "--json"], vec!["stats", "--json"], vec!["failed", "--json"], vec!["top", "-n", "1", "--json"]]);
    let others = ["gone@receiver.example", "later@receiver.example", "receiver.example", "\x1b[2J\u{202e}"];
    for subject in ids.iter().map(String::as_str).chain(others) {
        for verb in ["show", "trace", "why"] {
            verbs.extend([vec![verb, subject], vec![verb, "--json", subject]]);
        }
        verbs.extend([vec!["aliases", subject], vec!["hold", "--dry-run", subject]]);
    }
    verbs.extend([vec!["list", "--from", "\x1b[2J\u{202e}"], vec!["\x1b[2J"], vec!["list", "--\x1b[2J"]]);
    let mut found = Vec::new();
    for verb in verbs {
        let ended = installation.mailchute(&verb);
        found.push((verb.join(" "), [ended.stdout, ended.stderr].concat().into_bytes()));
    }
    let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    found.push(("sendmail -bp".to_owned(), installation.sendmail(&["-bp"], b"").succeeded().stdout.into_bytes()));
    for address in ["\"\u{202e}\u{2066} evil\"@x.example", "\x1b[2J", "evil\u{9b}@x.example"] {
        let ended = installation.sendmail(&["-bv", address], b"");
        found.push((format!("sendmail -bv {address:?}"), [ended.stdout, ended.stderr].concat().into_bytes()));
    }
    found.push(("the log".to_owned(), installation.daemon_log().into_bytes()));
    found.push(("the event file".to_owned(), read(&installation.paths.config_file.with_file_name("events.jsonl"))));
    found.push(("the alarm command".to_owned(), read(&installation.paths.config_file.with_file_name(TOLD))));
    found.push(("the metrics".to_owned(), read(&installation.paths.run.join("metrics.prom"))));
    found
}

/// What the same daemon tells journald of the message that waits.
fn journal(installation: &mut Installation) -> Vec<(String, Vec<u8>)> {
    installation.stop_daemon();
    isolation::mount_fresh(Path::new("/run/systemd/journal"), "mode=755");
    let socket = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
    socket.set_read_timeout(Some(crate::support::command::PATIENCE)).unwrap();
    installation.spawn_daemon_with(&[("JOURNAL_STREAM", "1:1".as_ref())]);
    let (mut entries, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = socket.recv(&mut buffer).expect("the attempt is told");
        let entry = fields(&buffer[..read]);
        let is_last = String::from_utf8_lossy(&entry).contains("busy\\x08");
        entries.push(("an entry of the journal".to_owned(), entry));
        if is_last {
            return entries;
        }
    }
}

/// The fields of an entry in systemd's native protocol, one after the other: `NAME=value`, or the name, a line feed, the length in eight
/// bytes, and the value.
fn fields(mut entry: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        if line.contains(&b'=') {
            (fields, entry) = ([&fields, line, b"\n"].concat(), rest);
            continue;
        }
        let (length, rest) = rest.split_first_chunk::<8>().expect("a length");
        let (value, rest) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
        assert!(!value.contains(&b'\n'), "a value of ours is one line: {:?}", String::from_utf8_lossy(value));
        (fields, entry) = ([&fields, line, b"=", value, b"\n"].concat(), &rest[1..]);
    }
    fields
}

/// The first character that could steer a terminal, forge a line, or turn a text around.
fn unsafe_character(bytes: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Some("invalid UTF-8".to_owned()) };
    let is_bidi = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_unsafe = |c: &char| *c != '\n' && (c.is_control() || is_bidi(*c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'));
    text.chars().find(is_unsafe).map(|c| c.escape_unicode().to_string())
}

#[test]
fn t_out_1_t_out_4_no_output_of_ours_steers_a_terminal_or_tells_a_secret() {
    isolated!();
    let Scene { receiver, webhook, mut installation, secrets } = scene();
    let notice = wait_for_dsns(&receiver, 1).remove(0);
    wait_for("the alarm command", || installation.paths.config_file.with_file_name(TOLD).exists());
    let mut outputs = outputs(&installation);
    webhook.wait_for_event("failed");
    outputs.extend(webhook.requests().into_iter().map(|request| {
        let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        ("a webhook".to_owned(), [request.line.as_bytes(), headers.as_bytes(), &request.body].concat())
    }));
    // Bytes that the kernel shows to others of the same user.
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{}/{file}", installation.daemon_pid())).unwrap_or_default();
        outputs.push((file.to_owned(), bytes.into_iter().map(|b| if b == 0 { b'\n' } else { b }).collect()));
    }
    outputs.extend(journal(&mut installation));
    // The DSN is a message: its lines end in CRLF, and a tab may follow a fold.
    outputs.push(("the notice".to_owned(), notice.data.iter().copied().filter(|b| !matches!(b, b'\r' | b'\t')).collect()));
    let hostile = |(_, bytes): &&(String, Vec<u8>)| bytes.windows(4).any(|four| four == b"evil");
    let showing: Vec<_> = outputs.iter().filter(hostile).map(|(name, _)| name).collect();
    assert!(showing.len() > 20, "what is hostile is shown: {showing:#?}");
    let unsafe_ones: Vec<_> = outputs.iter().filter_map(|(name, bytes)| Some((name, unsafe_character(bytes)?))).collect();
    assert!(unsafe_ones.is_empty(), "{unsafe_ones:?}");
    for secret in &secrets {
        let tells = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        let telling: Vec<_> = outputs.iter().filter(|(_, bytes)| tells(bytes)).map(|(name, _)| name).collect();
        assert!(telling.is_empty(), "{secret}: {telling:?}");
    }
}

#[test]
fn t_out_4_a_daemon_that_aborts_leaves_no_core() {
    require!(crate::support::parts::tool("prlimit"));
    let (receiver, mut installation) = (Script::new().start(), Installation::rootless());
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    // As if neither the unit nor the daemon had a limit of its own.
    let pid = installation.daemon_pid().to_string();
    command::run(std::process::Command::new("prlimit").args(["--core=unlimited:unlimited", "--pid", &pid]), b"").succeeded();
    let status = installation.abort_daemon();
    assert!(status.signal() == Some(nix::libc::SIGABRT) && !status.core_dumped(), "{status:?}");
}
