//! Callers under restrictions as systemd and containers make them: they send, and the daemon knows who they are.

use super::{HIDDEN, confined, sendmail_without_spool};
use crate::delivery::MESSAGE;
use crate::support::command::run;
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::message::Message;
use crate::support::scripted::{Receiver, Script};

const SENDMAIL: &str = env!("CARGO_BIN_EXE_sendmail");
/// As ProtectSystem=strict: nothing in sight can be written to, sockets included.
const STRICT: &str = "while read -r _ at _; do mount -o remount,bind,ro \"$at\" 2>/dev/null || true; done </proc/self/mounts; \
    if touch \"$1/new/x\" 2>/dev/null; then exit 99; fi";
/// A private /tmp, unless our own programs lie there.
const PRIVATE_TMP: &str = concat!("case ", env!("CARGO_MANIFEST_DIR"), " in /tmp/*) ;; *) mount -t tmpfs none /tmp;; esac");
/// As a read-only root with a private /tmp.
const READ_ONLY: &str = concat!(
    "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"; case ",
    env!("CARGO_MANIFEST_DIR"),
    " in /tmp/*) ;; *) mount -t tmpfs none /tmp;; esac"
);
/// As InaccessiblePaths=.
const INACCESSIBLE: &str = "mount -t tmpfs -o mode=000 none \"$1\"";

fn installed(more: &str) -> (Installation, Receiver) {
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), more);
    installation.start_daemon();
    (installation, receiver)
}

/// Who sent the last of `count` messages, by our Received field.
fn sender_of(receiver: &Receiver, count: usize) -> String {
    let messages = receiver.wait_for_messages(count);
    let received = Message::parse(&messages[count - 1].data).field("Received").to_owned();
    received.split_once("from userid ").unwrap().1.split_once(')').unwrap().0.to_owned()
}

#[test]
fn a_caller_that_cannot_write_to_the_spool_sends_and_its_uid_is_attested() {
    isolated!();
    let (installation, receiver) = installed("");
    for (at, prepare) in [HIDDEN, INACCESSIBLE, READ_ONLY, STRICT].into_iter().enumerate() {
        let mut command = confined(&installation, CALLER_ID, prepare, SENDMAIL);
        let sent = run(command.arg("bob@receiver.example"), MESSAGE).succeeded();
        assert!(sent.stdout.is_empty() && sent.stderr.is_empty(), "{prepare}: {sent:?}");
        assert_eq!(sender_of(&receiver, at + 1), CALLER_ID.to_string(), "{prepare}");
    }
    let arrived = Message::parse(&receiver.messages()[0].data);
    assert_eq!((arrived.field("Subject"), arrived.body.as_str()), ("hello", "Hello\n.leading dot\n"));
    installation.wait_until_drained();
    assert!(installation.spooled("corrupt").is_empty() && installation.spooled("tmp").is_empty());
}

#[test]
fn a_caller_in_another_user_namespace_is_known_by_its_uid_here() {
    isolated!();
    let (installation, receiver) = installed("");
    let (caller, spool) = (CALLER_ID.to_string(), installation.paths.spool.display().to_string());
    let hide = format!("mount -t tmpfs -o mode=755 none {spool}; exec {SENDMAIL} -v bob@receiver.example");
    // Root in there, and nobody in there.
    for (at, options) in [&["--user", "--map-root-user", "--mount"][..], &["--user"]].into_iter().enumerate() {
        let mut command = match at {
            0 => installation.program_as(CALLER_ID, "unshare"),
            _ => confined(&installation, CALLER_ID, HIDDEN, "unshare"),
        };
        let script = if at == 0 { hide.as_str() } else { &format!("exec {SENDMAIL} -v bob@receiver.example") };
        let sent = run(command.args(options).args(["--", "sh", "-c", script]), MESSAGE).succeeded();
        assert!(sent.stdout.starts_with("queued as "), "{sent:?}");
        assert_eq!(sender_of(&receiver, at + 1), caller, "{options:?}");
    }
}

#[test]
fn mail_of_the_overflow_uid_is_held_at_this_door_too() {
    isolated!();
    let (installation, receiver) = installed("");
    run(confined(&installation, 65_534, HIDDEN, SENDMAIL).arg("bob@receiver.example"), MESSAGE).succeeded();
    let held = installation.wait_for_entry("the held one", |entry| entry["queue_name"] == "hold");
    assert!(held["reason"].as_str().unwrap().contains("overflow uid") && held["uid"] == 65_534, "{held}");
    assert!(receiver.messages().is_empty());
}

#[test]
fn smtp_on_standard_input_goes_through_the_submission_socket_too() {
    isolated!();
    let (installation, receiver) = installed("");
    let one = "MAIL FROM:<alice@sender.example>\r\nRCPT TO:<bob@receiver.example>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n";
    let dialogue = format!("EHLO x\r\n{one}{one}QUIT\r\n");
    let replies = run(sendmail_without_spool(&installation).arg("-bs"), dialogue.as_bytes()).succeeded().stdout;
    assert_eq!(replies.matches("250 2.0.0 Ok: queued as ").count(), 2, "{replies}");
    assert_eq!(sender_of(&receiver, 2), CALLER_ID.to_string());
}

#[test]
fn both_doors_shut_are_73_and_one_line_that_names_both() {
    isolated!();
    let (mut installation, _receiver) = installed("");
    installation.stop_daemon();
    let ended = run(sendmail_without_spool(&installation).arg("bob@receiver.example"), MESSAGE).ended_with(73);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let (spool, socket) = (installation.paths.spool.display().to_string(), installation.paths.submit_socket().display().to_string());
    let tells = |text: &str| assert!(ended.stderr.contains(text), "no `{text}` in {}", ended.stderr);
    [
        &format!("cannot open the drop directory {spool}/new: No such file"),
        &format!("and cannot connect to the submission socket {socket}: "),
    ]
    .into_iter()
    .for_each(|text| tells(text));
    let dialogue = b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@receiver.example>\r\nDATA\r\n\r\nx\r\n.\r\n";
    let replies = run(sendmail_without_spool(&installation).arg("-bs"), dialogue).succeeded().stdout;
    assert!(replies.contains("\r\n451 4.3.0 "), "section 14: {replies}");
}

#[test]
fn the_socket_is_no_way_around_a_full_disk() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system_with_spool("nr_inodes=40,mode=755");
    installation.relay_to(&receiver.url("smtp", "tls=none"), "spool_reserve = 0\nspool_inode_reserve = 0");
    installation.start_daemon();
    for n in 0.. {
        if std::fs::write(installation.paths.spool.join(format!("neighbour{n}")), "").is_err() {
            break;
        }
    }
    let ended = installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).ended_with(73);
    assert!(ended.stderr.contains("No space left") && !ended.stderr.contains("socket"), "{}", ended.stderr);
    let ended = run(sendmail_without_spool(&installation).arg("bob@receiver.example"), MESSAGE).ended_with(73);
    assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
}

#[test]
fn limits_and_policy_are_those_of_the_peer() {
    isolated!();
    let own = "sender_policy = \"own\"\nmessage_size_limit = \"100KiB\"\nuser_message_limit = 2\nretry_min = \"1h\"\nretry_max = \"2h\"";
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut installation = Installation::system();
    installation.relay_to(&format!("smtp://{closed}?tls=none"), own);
    installation.start_daemon();
    let send = |arguments: &[&str], message: &[u8]| run(sendmail_without_spool(&installation).args(arguments), message);
    send(&["-f", "alice@sender.example", "bob@receiver.example"], MESSAGE).ended_with(77);
    send(&["bob@receiver.example"], &[MESSAGE, &b"0123456789\n".repeat(20_000)].concat()).ended_with(65);
    for _ in 0..2 {
        send(&["bob@receiver.example"], MESSAGE).succeeded();
    }
    installation.wait_for_log("quota_reached");
    send(&["bob@receiver.example"], MESSAGE).ended_with(69);
    // Who sees no admission file is told by the daemon.
    let both = format!("{HIDDEN}; {PRIVATE_TMP}; rm -f {}", installation.paths.admission_file().display());
    let mut command = confined(&installation, CALLER_ID, &both, SENDMAIL);
    let refused = run(command.arg("bob@receiver.example"), MESSAGE).ended_with(69);
    assert!(refused.stderr.contains("(user_message_limit, user_bytes_limit)"), "{}", refused.stderr);
    let mut command = confined(&installation, OTHER_ID, HIDDEN, SENDMAIL);
    run(command.arg("bob@receiver.example"), MESSAGE).succeeded();
    installation.wait_for_entry("the other's", |entry| entry["uid"] == OTHER_ID);
}

#[test]
fn a_burst_of_one_user_is_taken_whole() {
    isolated!();
    let (installation, receiver) = installed("");
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| run(sendmail_without_spool(&installation).arg("bob@receiver.example"), MESSAGE).succeeded());
        }
    });
    receiver.wait_for_messages(40);
}

#[test]
fn a_large_message_arrives_as_it_was_sent() {
    isolated!();
    let (installation, receiver) = installed("");
    let body: String = (0..300_000).map(|n| format!("line {n} of a large message\n")).collect();
    let message = format!("Subject: large\n\n{body}");
    run(sendmail_without_spool(&installation).arg("bob@receiver.example"), message.as_bytes()).succeeded();
    let arrived = receiver.wait_for_messages(1).remove(0).data;
    assert!(arrived.ends_with(body.replace('\n', "\r\n").as_bytes()));
}
