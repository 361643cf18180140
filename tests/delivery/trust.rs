//! TLS and passwords: what must be proved before mail is handed over, and what happens while it is not.

use super::MESSAGE;
use crate::support::certificates::{Authority, Identity};
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Script};

/// A rootless installation that trusts `authority` and relays to `receiver` with verified TLS; one message sent.
fn sent_to(receiver: &Receiver, scheme: &str, authority: &Authority) -> Installation {
    let mut installation = Installation::rootless();
    let ca = installation.write_public("ca.pem", &authority.pem);
    installation.relay_to(&receiver.url(scheme, "tls=verified"), &format!("ca_file = {ca:?}"));
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    installation
}

fn good(authority: &Authority) -> Identity {
    authority.identity(&["localhost", "127.0.0.1"])
}

#[test]
fn verified_tls_carries_mail_by_starttls_and_from_the_first_byte() {
    let authority = Authority::new();
    for (scheme, script) in [("smtp", Script::new().starttls(&good(&authority))), ("smtps", Script::new().implicit_tls(&good(&authority)))]
    {
        let receiver = script.start();
        let installation = sent_to(&receiver, scheme, &authority);
        receiver.wait_for_messages(1);
        installation.wait_until_drained();
        assert!(receiver.connections().iter().all(|connection| connection.tls));
    }
}

#[test]
fn what_cannot_prove_its_name_gets_no_mail_and_the_queue_says_why() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cases = [
        ("an expired certificate", Script::new().starttls(&authority.expired_identity(&["127.0.0.1"]))),
        ("a certificate for another name", Script::new().starttls(&authority.identity(&["other.example"]))),
        ("a certificate of a stranger", Script::new().starttls(&good(&stranger))),
        ("no STARTTLS", Script::new()),
        ("injected bytes behind STARTTLS", Script::new().starttls(&good(&authority)).inject_after_starttls(b"250 hi\r\n")),
        ("a refused STARTTLS", Script::new().starttls(&good(&authority)).say("STARTTLS", "454 4.7.0 not now")),
    ];
    for (case, script) in cases {
        let receiver = script.start();
        let installation = sent_to(&receiver, "smtp", &authority);
        let entry = installation.wait_for_entry(&format!("a reason: {case}"), |entry| {
            entry["queue_name"] == "deferred" && entry.to_string().to_ascii_lowercase().contains("tls")
        });
        assert!(receiver.connections().iter().all(|one| one.transactions.is_empty()), "{case}: {:?}", receiver.connections());
        assert!(entry["recipients"][0]["status"] == "deferred", "{case}: {entry}");
    }
}

#[test]
fn a_wrong_password_suspends_the_route_and_fails_nothing() {
    let authority = Authority::new();
    let receiver = Script::new().starttls(&good(&authority)).login("me", "right").start();
    let mut installation = Installation::rootless();
    let ca = installation.write_public("ca.pem", &authority.pem);
    let password = installation.paths.credentials.join("next_hop");
    installation.write_secret(&password, "wrong\n");
    let url = format!("smtp://me@127.0.0.1:{}", receiver.address.port());
    // The default waits: a suspended route must not be knocked at again at once.
    let toml = format!("mailname = \"sender.example\"\nnext_hop = {url:?}\nca_file = {ca:?}\npassword_file = {password:?}\n");
    installation.configure(&toml);
    installation.start_daemon();
    for _ in 0..5 {
        installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    }
    installation.wait_for_entry("the refusal", |entry| entry.to_string().contains("535"));
    std::thread::sleep(std::time::Duration::from_secs(2));
    let tries = receiver.connections().iter().flat_map(|one| one.commands.clone()).filter(|line| line.starts_with("AUTH")).count();
    assert!((1..=2).contains(&tries), "{tries} logins for five messages");
    assert!(installation.queue().iter().all(|entry| entry["queue_name"] != "failed"));
    assert!(!installation.daemon_log().contains("wrong\n") && !installation.daemon_log().contains("AG1lAHdyb25n"));
    installation.write_secret(&password, "right\n");
    installation.reload_daemon();
    installation.mailchute(&["flush"]).succeeded();
    receiver.wait_for_messages(5);
    installation.wait_until_drained();
}
