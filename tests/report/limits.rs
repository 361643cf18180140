//! No loop and no storm (THREATS T-DSN-1, U04).

use std::time::Duration;

use state::State;

use super::{notices, subject, wait_for_dsns};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::{Script, Transaction};

#[test]
fn t_dsn_1_a_receiver_that_refuses_everything_gets_one_dsn_and_no_more() {
    let receiver = Script::new().say("RCPT", "550 5.7.1 not from you").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "admin_address = \"admin@x.example\"");
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    wait_for("both failures", || installation.spooled("failed").len() == 2);
    std::thread::sleep(Duration::from_secs(3));
    let commands: Vec<String> = receiver.connections().into_iter().flat_map(|connection| connection.commands).collect();
    let count = |verb: &str| commands.iter().filter(|command| command.starts_with(verb)).count();
    assert_eq!((count("MAIL"), count("MAIL FROM:<>")), (2, 1), "{commands:?}");
    assert_eq!((installation.spooled("failed").len(), installation.spooled("cur").len()), (2, 0));
}

#[test]
fn t_dsn_1_a_dsn_that_is_sent_on_by_an_answering_machine_ends_there() {
    let receiver = Script::new().say("RCPT TO:<gone@", "550 5.1.1 no such user").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "admin_address = \"admin@x.example\"");
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    let notice = &wait_for_dsns(&receiver, 1)[0];
    // With a reverse-path of its own again, which is what makes loops.
    installation.sendmail(&["-i", "-f", "alice@author.example", "gone@receiver.example"], &notice.data).succeeded();
    installation.wait_for_log("the message is an automatic reply");
    installation.wait_until_drained();
    assert_eq!((notices(&receiver).len(), installation.spooled("failed").len()), (1, 2));
}

/// The scale of this is 100,000 in benches/storm.
#[test]
fn u04_a_storm_of_two_thousand_failures_loses_no_record_and_sends_no_more_than_the_cap() {
    require!(crate::support::parts::time());
    const FAILURES: usize = 2000;
    let receiver = Script::new().offer("PIPELINING").say("RCPT TO:<gone", "550 5.1.1 no such user").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "admin_address = \"admin@x.example\"\ndsn_limit = 10");
    installation.start_daemon();
    let lines: String = (0..FAILURES).map(storm_dialog).collect();
    let session = format!("EHLO storm\r\n{lines}QUIT\r\n");
    installation.sendmail(&["-bs"], session.as_bytes()).succeeded();
    // As long as it takes, while it goes on.
    let mut before = 0;
    while before < FAILURES {
        wait_for("more failures", || installation.spooled("failed").len() > before);
        before = installation.spooled("failed").len();
    }
    let to_admin = |one: &Transaction| one.recipients == ["<admin@x.example>"];
    wait_for("the digest", || notices(&receiver).iter().any(to_admin));
    let sent = notices(&receiver);
    assert_eq!((sent.len(), sent.iter().filter(|one| to_admin(one)).count()), (11, 1), "ten, and the digest");
    installation.stop_daemon();
    let state = State::open_to_read(&installation.paths.spool.join("state.sqlite")).unwrap();
    assert_eq!(state.counts().unwrap()[2], FAILURES as u64);
    assert_eq!(state.dsns_waiting(i64::MAX).unwrap(), FAILURES as u64 - 10, "what was not told waits, and is not lost");
    let failed = state.latest_failed(FAILURES, None).unwrap();
    for message in failed {
        let attempts = state.attempts_of(message.id).unwrap();
        assert!(attempts.iter().any(|attempt| attempt.reply.contains("550 5.1.1 no such user")), "{}: {attempts:?}", message.id);
    }
}

/// One message of a session of `sendmail -bs`.
fn storm_dialog(n: usize) -> String {
    format!("MAIL FROM:<alice@author.example>\r\nRCPT TO:<gone{n}@receiver.example>\r\nDATA\r\nSubject: {n}\r\n\r\nHello\r\n.\r\n")
}

#[test]
fn u04_a_storm_of_failures_makes_the_capped_number_of_dsns_and_one_digest() {
    let receiver = Script::new().say("RCPT TO:<gone@", "550 5.1.1 no such user").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "admin_address = \"admin@x.example\"\ndsn_limit = 2");
    installation.start_daemon();
    for _ in 0..8 {
        installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    }
    let to_admin = || notices(&receiver).into_iter().filter(|one| one.recipients == ["<admin@x.example>"]).collect::<Vec<_>>();
    wait_for("the digest", || to_admin().len() == 1);
    assert!(subject(&to_admin()[0]).ends_with("delivery status notifications are on hold"));
    wait_for("all failures", || installation.spooled("failed").len() == 8);
    installation.wait_until_drained();
    assert_eq!(notices(&receiver).len(), 3);
    // What waits, and how many were sent, outlive the daemon.
    installation.kill_daemon();
    installation.start_daemon();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((notices(&receiver).len(), installation.spooled("failed").len()), (3, 8));
    installation.relay_to(&receiver.url("smtp", "tls=none"), "dsn_limit = 0");
    installation.reload_daemon();
    installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    wait_for_dsns(&receiver, 3 + 6 + 1);
}
