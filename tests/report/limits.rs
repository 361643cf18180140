//! No loop and no storm (THREATS T-DSN-1, D04).

use std::time::Duration;

use super::{notices, subject, wait_for_notices};
use crate::delivery::MESSAGE;
use crate::support::command::wait_for;
use crate::support::installation::Installation;
use crate::support::scripted::Script;

#[test]
fn t_dsn_1_a_receiver_that_refuses_everything_gets_one_notice_and_no_more() {
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
fn t_dsn_1_a_notice_that_is_sent_on_by_an_answering_machine_ends_there() {
    let receiver = Script::new().say("RCPT TO:<gone@", "550 5.1.1 no such user").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "admin_address = \"admin@x.example\"");
    installation.start_daemon();
    installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    let notice = &wait_for_notices(&receiver, 1)[0];
    // With a reverse-path of its own again, which is what makes loops.
    installation.sendmail(&["-i", "-f", "alice@author.example", "gone@receiver.example"], &notice.data).succeeded();
    installation.wait_for_log("it is an automatic answer itself");
    installation.wait_until_drained();
    assert_eq!((notices(&receiver).len(), installation.spooled("failed").len()), (1, 2));
}

#[test]
fn d04_a_storm_of_failures_makes_the_capped_number_of_notices_and_one_digest() {
    let receiver = Script::new().say("RCPT TO:<gone@", "550 5.1.1 no such user").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "admin_address = \"admin@x.example\"\nnotice_limit = 2");
    installation.start_daemon();
    for _ in 0..8 {
        installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    }
    let to_admin = || notices(&receiver).into_iter().filter(|one| one.recipients == ["<admin@x.example>"]).collect::<Vec<_>>();
    wait_for("the digest", || to_admin().len() == 1);
    assert!(subject(&to_admin()[0]).ends_with("notices of failed mail are waiting"));
    wait_for("all failures", || installation.spooled("failed").len() == 8);
    installation.wait_until_drained();
    assert_eq!(notices(&receiver).len(), 3);
    // What waits, and how many were sent, outlive the daemon.
    installation.kill_daemon();
    installation.start_daemon();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((notices(&receiver).len(), installation.spooled("failed").len()), (3, 8));
    installation.relay_to(&receiver.url("smtp", "tls=none"), "notice_limit = 0");
    installation.reload_daemon();
    installation.sendmail(&["-f", "alice@author.example", "gone@receiver.example"], MESSAGE).succeeded();
    wait_for_notices(&receiver, 3 + 6 + 1);
}
