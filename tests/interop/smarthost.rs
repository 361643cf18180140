//! A real Postfix as the smarthost: submission with a password, and recipients that it refuses.

use crate::delivery::{MESSAGE, has};
use crate::support::certificates::Authority;
use crate::support::foreign_root::ForeignRoot;
use crate::support::installation::Installation;
use crate::support::message::Message;
use crate::support::postfix::{DEFERRED, HOST, PASSWORD, Postfix, REFUSED, USER};

#[test]
fn the_right_password_submits_and_a_wrong_one_suspends_the_route() {
    isolated!();
    let authority = Authority::new();
    let postfix = Postfix::start(require!(ForeignRoot::mount()), &authority.identity(&[HOST, "127.0.0.1"]));
    let mut installation = Installation::system();
    let ca = installation.write_public("ca.pem", &authority.pem);
    let password = installation.paths.credentials.join("next_hop");
    installation.write_secret(&password, "a wrong one\n");
    installation.relay_to(&format!("smtp://{USER}%40sasl.example@127.0.0.1"), &format!("ca_file = {ca:?}"));
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("the refusal", |entry| entry.to_string().contains("535"));
    assert_eq!(entry["queue_name"], "deferred");
    assert!(postfix.messages().is_empty() && installation.spooled("failed").is_empty());

    installation.write_secret(&password, &format!("{PASSWORD}\n"));
    installation.reload_daemon();
    installation.mailchute(&["flush"]).succeeded();
    let message = Message::parse(&postfix.wait_for_messages(1)[0]);
    assert_eq!(message.body, "Hello\n.leading dot\n");
    installation.wait_until_drained();
    assert!(postfix.log().contains(&format!("sasl_username={USER}@sasl.example")), "{}", postfix.log());
}

#[test]
fn recipients_that_postfix_takes_defers_and_refuses_end_each_in_their_own_way() {
    isolated!();
    let authority = Authority::new();
    let postfix = Postfix::start(require!(ForeignRoot::mount()), &authority.identity(&[HOST, "127.0.0.1"]));
    let mut installation = Installation::system();
    let ca = installation.write_public("ca.pem", &authority.pem);
    installation.relay_to("smtp://127.0.0.1:25?tls=verified", &format!("ca_file = {ca:?}"));
    installation.start_daemon();
    // DSNs have tests of their own.
    installation.sendmail(&["-N", "never", "bob@receiver.example", DEFERRED, REFUSED], MESSAGE).succeeded();
    postfix.wait_for_messages(1);
    let entry = installation.wait_for_entry("both answers", |entry| {
        has(entry, DEFERRED, "deferred", "450 4.2.1") && has(entry, REFUSED, "failed", "550 5.1.1")
    });
    assert_eq!(entry["queue_name"], "deferred", "{entry}");
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(postfix.messages().len(), 1, "what was delivered is not delivered again");
}
