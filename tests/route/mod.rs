//! Routing against a real DNS server, and against servers that are not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod lab;
mod sockets;

use std::net::SocketAddr;
use std::time::Duration;

use config::{NextHop, Params, TlsPolicy};
use lab::{Knot, Silent, refusing};
use mail::Address;
use transport::route::resolver::Resolver;
use transport::route::{Class, Endpoint, RouteFailure, RouteKey, Router, Target};

use crate::support::command::PATIENCE;

/// A router that asks `servers`, which answer, and is the host me.example. No lookup ends by the clock.
fn router(servers: &[SocketAddr], params: Params) -> Router {
    router_within(PATIENCE, servers, params)
}

/// As [`router`], with lookups that end after `time`.
fn router_within(time: Duration, servers: &[SocketAddr], params: Params) -> Router {
    let nowhere = std::path::Path::new("/nonexistent");
    let resolver = Resolver::with_files(servers, nowhere, nowhere).with_lookup_time(time);
    Router::with_resolver(&params, vec!["me.example".into()], resolver)
}

async fn ask(router: &Router, recipient: &str) -> Result<Vec<Target>, RouteFailure> {
    router.targets(&router.route_of(&Address::parse(recipient).unwrap())).await
}

/// The targets in the form of a log line, or the failure.
async fn way(router: &Router, domain: &str) -> Vec<String> {
    match ask(router, &format!("user@{domain}")).await {
        Ok(targets) => targets.iter().map(Target::to_string).collect(),
        Err(failure) => vec![format!("{:?} {failure}", failure.class)],
    }
}

/// Class and status of the failure.
async fn failure(router: &Router, domain: &str) -> (Class, String) {
    let failure = ask(router, &format!("user@{domain}")).await.expect_err(domain);
    assert!(failure.text.chars().all(|c| !c.is_control()), "{failure}");
    (failure.class, failure.status.to_string())
}

const PERMANENT: Class = Class::Permanent;
const TRANSIENT: Class = Class::Transient;

fn with_next_hop(url: &str) -> Params {
    Params { next_hop: NextHop::parse(url).unwrap(), ..Params::default() }
}

#[tokio::test]
async fn mail_exchangers_are_tried_by_preference_and_both_families_by_turns() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    assert_eq!(
        way(&router, "order.example").await,
        ["a.mx.example[2001:db8::1]:25", "a.mx.example[192.0.2.1]:25", "b.mx.example[192.0.2.2]:25", "c.mx.example[192.0.2.3]:25"]
    );
    let targets = ask(&router, "user@order.example").await.unwrap();
    assert!(targets.iter().all(|t| t.tls == TlsPolicy::Opportunistic && !t.implicit_tls && !t.lmtp && t.user.is_none()));
    assert_eq!(way(&router, "crowd.example").await.len(), 10);
}

#[tokio::test]
async fn equal_preferences_change_places_from_attempt_to_attempt() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..60 {
        firsts.insert(ask(&router, "user@equal.example").await.unwrap()[0].name.clone());
    }
    assert_eq!(firsts.len(), 3, "{firsts:?}");
}

#[tokio::test]
async fn without_mx_the_domain_itself_is_the_exchanger_and_with_mx_it_never_is() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    assert_eq!(way(&router, "implicit.example").await, ["implicit.example[2001:db8::7]:25", "implicit.example[192.0.2.7]:25"]);
    // RFC 5321 5.1: MX records that lead nowhere are an error, although dead.example has an address.
    assert_eq!(failure(&router, "dead.example").await, (PERMANENT, "5.4.4".into()));
    assert_eq!(way(&router, "halfdead.example").await, ["b.mx.example[192.0.2.2]:25"]);
}

#[tokio::test]
async fn a_domain_that_takes_no_mail_fails_for_good_with_the_right_word() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    for (domain, status) in [
        ("nullmx.example", "5.1.10"),
        ("nowhere.example", "5.1.2"),
        ("dangling.example", "5.1.2"),
        ("bare.example", "5.1.2"),
        ("loop1.example", "5.1.2"),
        ("hostile.example", "5.4.4"),
        ("oursbest.example", "5.4.6"),
        ("me.example", "5.4.6"),
        ("here.example", "5.4.6"),
        ("localhost", "5.4.6"),
        ("[127.0.0.1]", "5.4.6"),
        ("[IPv6:::1]", "5.4.6"),
    ] {
        assert_eq!(failure(&router, domain).await, (PERMANENT, status.into()), "{domain}");
    }
}

#[tokio::test]
async fn what_the_dns_does_not_say_is_never_a_reason_to_fail() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    // SERVFAIL, REFUSED, a referral, and an exchanger that cannot be looked up beside one that does not exist.
    for domain in ["x.broken", "elsewhere.test", "referred.example", "mute.example"] {
        assert_eq!(failure(&router, domain).await, (TRANSIENT, "4.4.3".into()), "{domain}");
    }
    assert_eq!(way(&router, "halfmute.example").await, ["b.mx.example[192.0.2.2]:25"]);
}

#[tokio::test]
async fn a_dns_server_that_refuses_or_keeps_silent_is_transient_and_bounded() {
    let silent = Silent::start();
    for server in [refusing(), silent.address] {
        // That it ends at all is the bound.
        let router = router_within(Duration::from_millis(700), &[server], Params::default());
        let failure = ask(&router, "user@order.example").await.unwrap_err();
        assert_eq!((failure.class, failure.status.to_string()), (TRANSIENT, "4.4.3".into()));
        assert!(failure.text.contains(&server.to_string()), "{failure}");
    }
}

#[tokio::test]
async fn one_dead_server_of_two_costs_nothing_but_time() {
    let Some(knot) = Knot::start() else { return };
    let silent = Silent::start();
    for dead in [refusing(), silent.address] {
        for servers in [[dead, knot.address], [knot.address, dead]] {
            let router = router(&servers, Params::default());
            assert_eq!(way(&router, "halfdead.example").await, ["b.mx.example[192.0.2.2]:25"], "{servers:?}");
        }
    }
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    let targets = way(&router, "big.example").await;
    assert_eq!(targets.len(), 20, "{targets:?}");
    assert_eq!(targets[0], "exchange-number-00-with-a-rather-long-name.big.example[198.51.100.1]:25");
}

#[tokio::test]
async fn aliases_are_followed_for_the_domain_and_for_the_exchanger() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    assert_eq!(way(&router, "alias.example").await, way(&router, "order.example").await);
    // The name for TLS stays the one in the MX record (RFC 7817 3 asks for the name that the MX lookup gave).
    assert_eq!(way(&router, "viacname.example").await, ["cname.mx.example[2001:db8::1]:25", "cname.mx.example[192.0.2.1]:25"]);
}

#[tokio::test]
async fn this_host_and_everything_not_better_is_left_out() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    assert_eq!(way(&router, "ours.example").await, ["a.mx.example[2001:db8::1]:25", "a.mx.example[192.0.2.1]:25"]);
    assert_eq!(way(&router, "partly.example").await, ["b.mx.example[192.0.2.2]:25"]);
    // Another port than 25 is a test rig, which may stand here.
    let router = self::router(&[knot.address], Params { mx_port: 2525, ..Params::default() });
    assert!(way(&router, "here.example").await.contains(&"lo.mx.example[127.0.0.1]:2525".to_owned()));
}

#[tokio::test]
async fn a_u_label_domain_is_looked_up_as_its_a_label() {
    let Some(knot) = Knot::start() else { return };
    let router = router(&[knot.address], Params::default());
    assert_eq!(way(&router, "Bücher.example").await, ["b.mx.example[192.0.2.2]:25"]);
    assert_eq!(router.route_of(&Address::parse("a@BÜCHER.example").unwrap()), RouteKey::Mx("xn--bcher-kva.example".into()));
}

#[tokio::test]
async fn an_address_literal_asks_nobody() {
    let router = router(&[refusing()], Params { mx_port: 2525, ..Params::default() });
    assert_eq!(way(&router, "[192.0.2.1]").await, ["192.0.2.1[192.0.2.1]:2525"]);
    assert_eq!(way(&router, "[IPv6:2001:db8::1]").await, ["2001:db8::1[2001:db8::1]:2525"]);
    assert_eq!(router.route_of(&Address::parse("a@[IPv6:2001:DB8::1]").unwrap()).to_string(), "[IPv6:2001:db8::1]");
}

#[tokio::test]
async fn u07_a_configured_host_gives_all_its_addresses_and_never_fails_a_message() {
    let Some(knot) = Knot::start() else { return };
    let smarthost = router(&[knot.address], with_next_hop("smtps://me@a.mx.example"));
    let targets = ask(&smarthost, "user@nowhere.example").await.unwrap();
    let shown: Vec<String> = targets.iter().map(Target::to_string).collect();
    assert_eq!(shown, ["a.mx.example[2001:db8::1]:465", "a.mx.example[192.0.2.1]:465"]);
    assert!(targets.iter().all(|t| t.tls == TlsPolicy::Verified && t.implicit_tls && t.user.as_deref() == Some("me")));
    for (host, status) in [("nowhere.example", "4.4.4"), ("text.mx.example", "4.4.4"), ("x.broken", "4.4.3")] {
        let router = router(&[knot.address], with_next_hop(&format!("smtp://{host}")));
        assert_eq!(failure(&router, "order.example").await, (TRANSIENT, status.into()), "{host}");
    }
}

#[tokio::test]
async fn a_configured_address_a_hosts_name_and_a_socket_ask_nobody() {
    let hosts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(hosts.path(), "192.0.2.25 relay # the smarthost\n2001:db8::25 relay\n").unwrap();
    let ways = async |url: &str| {
        let resolver = Resolver::with_files(&[refusing()], hosts.path(), hosts.path());
        let router = Router::with_resolver(&with_next_hop(url), vec![], resolver);
        way(&router, "order.example").await
    };
    assert_eq!(ways("smtp://127.0.0.1:2525?tls=none").await, ["127.0.0.1[127.0.0.1]:2525"]);
    assert_eq!(ways("smtp://[::1]:2525").await, ["::1[::1]:2525"]);
    assert_eq!(ways("smtp://relay").await, ["relay[2001:db8::25]:587", "relay[192.0.2.25]:587"]);
    assert_eq!(ways("lmtp+unix:///run/lmtp").await, ["/run/lmtp"]);
    let router = router(&[refusing()], with_next_hop("lmtp+unix:///run/lmtp"));
    let target = ask(&router, "user@order.example").await.unwrap().remove(0);
    assert_eq!((target.lmtp, target.endpoint), (true, Endpoint::Unix("/run/lmtp".into())));
}

#[tokio::test]
async fn u12_a_changed_resolv_conf_or_hosts_file_counts_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (resolv_conf, hosts) = (directory.path().join("resolv.conf"), directory.path().join("hosts"));
    let resolver = Resolver::with_files(&[], &resolv_conf, &hosts);
    assert_eq!(resolver.servers(), Ok(vec!["127.0.0.1:53".parse().unwrap()]));
    std::fs::write(&resolv_conf, "nameserver 192.0.2.53\n").unwrap();
    assert_eq!(resolver.servers(), Ok(vec!["192.0.2.53:53".parse().unwrap()]));
    // As NetworkManager and resolvconf do it: a new file, and a symbolic link moved to it.
    std::fs::write(directory.path().join("other"), "nameserver 192.0.2.54\n").unwrap();
    std::fs::remove_file(&resolv_conf).unwrap();
    std::os::unix::fs::symlink("other", &resolv_conf).unwrap();
    assert_eq!(resolver.servers(), Ok(vec!["192.0.2.54:53".parse().unwrap()]));
    std::fs::write(&hosts, "192.0.2.1 relay.lan\n").unwrap();
    assert_eq!(resolver.host_addresses("relay.lan").await, Ok(vec!["192.0.2.1".parse().unwrap()]));
    std::fs::write(&hosts, "192.0.2.22 relay.lan\n").unwrap();
    assert_eq!(resolver.host_addresses("relay.lan").await, Ok(vec!["192.0.2.22".parse().unwrap()]));
}

#[test]
fn a_route_key_names_the_way_and_not_the_user() {
    let router = router(&[], with_next_hop("smtp://secret%40me@relay.example"));
    let key = router.route_of(&Address::parse("user@order.example").unwrap());
    assert_eq!(key.to_string(), "relay.example:587");
    assert!(key.is_configured());
    assert_eq!(key, router.route_of(&Address::parse("other@elsewhere.example").unwrap()));
}
