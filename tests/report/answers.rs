//! What the next hop says, and what the sender of the message reads of it.

use std::time::Duration;

use state::State;

use super::{judge, judge_in_perl, notices, subject, three, wait_for_dsns};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::message::Message;
use crate::support::scripted::{Reply, Script};
use crate::support::{keys, oracles};

#[test]
fn u02_a_refused_message_comes_back_to_its_sender_as_a_signed_bounce() {
    let receiver = Script::new().offer("PIPELINING").say("RCPT TO:<gone@", "550 5.1.1 no such user").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "[domain.\"sender.example\"]\nselectors = [\"s\"]");
    let key = keys::ed25519();
    installation.write_secret(&installation.paths.keys.join("sender.example/s.pem"), &key.private_pem);
    installation.start_daemon();
    let arguments = ["-f", "alice@author.example", "-V", "order 7", "gone@receiver.example", "bob@receiver.example"];
    installation.sendmail(&arguments, MESSAGE).succeeded();
    let notice = &wait_for_dsns(&receiver, 1)[0];
    assert_eq!((notice.mail.split(' ').next(), notice.recipients.as_slice()), (Some("<>"), &["<alice@author.example>".to_owned()][..]));
    let message = Message::parse(&notice.data);
    assert_eq!(message.field("Auto-Submitted"), "auto-replied");
    assert!(message.field("From").contains("<MAILER-DAEMON@sender.example>"));
    let original = receiver.messages().into_iter().find(|one| one.recipients == ["<bob@receiver.example>"]).unwrap();
    assert_eq!(message.field("In-Reply-To"), Message::parse(&original.data).field("Message-ID"));
    installation.wait_until_drained();
    let id = installation.wait_for_entry("the failed message", |entry| entry["queue_name"] == "failed")["queue_id"].clone();
    let shown = installation.mailchute(&["show", id.as_str().unwrap()]).succeeded().stdout;
    assert!(shown.contains("  dsn: ") && shown.contains("to alice@author.example"), "{shown}");
    assert_eq!((notices(&receiver).len(), installation.spooled("failed").len()), (1, 1));

    let judged = require!(judge(notice));
    assert_eq!((&judged["parts"], &judged["permanent"]), (&three(), &serde_json::json!(["gone@receiver.example"])), "{judged}");
    let status = &judged["status"];
    assert_eq!((&status[0]["Reporting-MTA"], &status[0]["Original-Envelope-Id"]), (&"dns; sender.example".into(), &"order 7".into()));
    assert_eq!(status[1]["Diagnostic-Code"], "smtp; 550 5.1.1 no such user");
    assert_eq!((&status[1]["Status"], &status[1]["Remote-MTA"]), (&"5.1.1".into(), &"dns; [127.0.0.1]".into()), "{status}");
    let verdicts = require!(oracles::dkimpy(&notice.data, &[("s._domainkey.sender.example", &key.txt)]));
    assert_eq!(verdicts, ["pass"]);
    assert_eq!(require!(judge_in_perl(notice)), [("gone@receiver.example".to_owned(), "user_unknown".to_owned())]);
}

#[test]
fn a_late_message_is_told_once_and_as_temporary() {
    let receiver = Script::new().say("RCPT TO:<late@", "450 4.2.1 mailbox busy").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "delay_warning_time = \"1s\"");
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@author.example", "late@receiver.example"], MESSAGE).succeeded();
    let notice = &wait_for_dsns(&receiver, 1)[0];
    assert_eq!(subject(notice), "Your mail is delayed");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(notices(&receiver).len(), 1, "{}", installation.daemon_log());
    assert!(installation.spooled("failed").is_empty());
    let judged = require!(judge(notice));
    assert_eq!((&judged["temporary"], &judged["permanent"]), (&serde_json::json!(["late@receiver.example"]), &serde_json::json!([])));
    assert!(judged["status"][1]["Will-Retry-Until"].is_string(), "{judged}");
    assert_eq!(require!(judge_in_perl(notice)), [], "nothing has failed");
}

#[test]
fn a_delay_is_not_told_while_the_dsn_could_not_leave_either() {
    let receiver = Script::new().start();
    let (address, url) = (receiver.address.to_string(), receiver.url("smtp", "tls=none"));
    drop(receiver);
    let mut installation = Installation::rootless();
    installation.relay_to(&url, "delay_warning_time = \"1s\"");
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@author.example", "bob@receiver.example"], MESSAGE).succeeded();
    let id = installation.wait_for_entry("the message", |entry| entry["queue_name"] == "deferred")["queue_id"].clone();
    std::thread::sleep(Duration::from_secs(2));
    installation.mailchute(&["flush"]).succeeded();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(installation.spooled("cur"), [id.as_str().unwrap()], "{}", installation.daemon_log());
    let state = State::open_to_read(&installation.paths.spool.join("state.sqlite")).unwrap();
    assert!(state.next_dsn_after(0).unwrap().is_some(), "it waits");
    let receiver = Script::new().start_at(&address);
    wait_for("the message", || {
        installation.mailchute(&["flush"]);
        !receiver.messages().is_empty()
    });
    installation.wait_until_drained();
    assert_eq!(receiver.messages().len(), 1, "nobody is told of a delay that is over: {}", installation.daemon_log());
}

#[test]
fn a_message_that_is_given_up_is_told_with_what_the_last_attempt_said() {
    let receiver = Script::new().say("RCPT TO:<late@", "450 4.2.1 mailbox busy").start();
    let mut installation = Installation::rootless();
    // There must have been an attempt by then.
    installation.relay_to(&receiver.url("smtp", "tls=none"), "queue_lifetime = \"10s\"\ndelay_warning_time = 0");
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@author.example", "late@receiver.example"], MESSAGE).succeeded();
    let notice = &wait_for_dsns(&receiver, 1)[0];
    let judged = require!(judge(notice));
    assert_eq!(judged["permanent"], serde_json::json!(["late@receiver.example"]), "{judged}");
    assert_eq!(judged["status"][1]["Diagnostic-Code"], "smtp; 450 4.2.1 mailbox busy");
    assert_eq!(judged["status"][1]["Status"], "5.4.7");
}

#[test]
fn t_smtp_6_a_hostile_reply_and_a_hostile_subject_stay_text() {
    let reply = [
        &b"550-5.1.1 \x1b[2J\x1b]0;owned\x07 \xe2\x80\xae evil \xff\xfe\r\n550-Action: relayed\r\n550-"[..],
        &b"x".repeat(400),
        b"\r\n550 --=_mailchute_0\r\n",
    ];
    let receiver = Script::new().on("RCPT TO:<gone@", Reply::Raw(reply.concat())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let message = "From: a@author.example\nSubject: \u{202e}x =?utf-8?q?=1B[2J=0D=0ABcc:_x=40y?= --=_mailchute_0\n\nHello\n";
    installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], message.as_bytes()).succeeded();
    let notice = &wait_for_dsns(&receiver, 1)[0];
    assert!(notice.data.iter().all(|&b| matches!(b, b'\r' | b'\n' | b'\t' | b' '..=b'~')), "{}", String::from_utf8_lossy(&notice.data));
    let judged = require!(judge(notice));
    assert_eq!((&judged["parts"], &judged["permanent"]), (&three(), &serde_json::json!(["gone@receiver.example"])), "{judged}");
    assert_eq!(judged["status"].as_array().unwrap().len(), 2, "{judged}");
    assert_eq!(judged["status"][1]["Action"], "failed");
    let words = judged["words"].as_str().unwrap().replace("\r\n", "\n");
    assert!(words.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{words:?}");
}
