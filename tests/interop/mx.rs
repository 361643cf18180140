//! Direct delivery by the mail exchangers of a real DNS server, and the watch over every socket while it happens.

use std::process::Command;

use crate::delivery::{MESSAGE, has};
use crate::support::certificates::Authority;
use crate::support::command::{run, wait_for};
use crate::support::dns::Dns;
use crate::support::foreign_root::ForeignRoot;
use crate::support::installation::{CALLER_ID, Installation};
use crate::support::parts;
use crate::support::scripted::{Receiver, Script};
use crate::support::sockets::Watch;

const ZONE: &str = "\
ordered.example. MX 20 last.hosts.example.
ordered.example. MX 10 first.hosts.example.
implicit.example. A 192.0.2.3
null.example. MX 0 .
dead.example. MX 5 nobody.hosts.example.
dead.example. MX 10 first.hosts.example.
first.hosts.example. A 192.0.2.1
last.hosts.example. A 192.0.2.2
nobody.hosts.example. A 192.0.2.9
";

/// Receivers at 192.0.2.1 (first), .2 (last) and .3 (implicit), all at port 25. The addresses are those of documents (RFC 5737):
/// mail never goes to loopback on the word of a DNS record. At .9 is a host without a mail server.
struct Exchangers([Receiver; 3]);

impl Exchangers {
    fn start() -> Exchangers {
        for last in [1, 2, 3, 9] {
            run(Command::new("ip").args(["address", "add", &format!("192.0.2.{last}/32"), "dev", "lo"]), b"").succeeded();
        }
        let identity = Authority::new().identity(&["whoever.example"]);
        Exchangers(["192.0.2.1:25", "192.0.2.2:25", "192.0.2.3:25"].map(|address| Script::new().starttls(&identity).start_at(address)))
    }

    fn recipients(&self, which: usize) -> Vec<String> {
        let mut all: Vec<String> = self.0[which].messages().into_iter().flat_map(|message| message.recipients).collect();
        all.sort();
        all
    }
}

fn installation() -> Installation {
    let installation = Installation::system();
    installation.relay_to("mx", "dns_servers = [\"127.0.0.1:53\"]");
    installation
}

#[test]
fn mail_goes_to_the_exchangers_in_order_and_nowhere_else() {
    isolated!();
    let root = require!(ForeignRoot::mount());
    let _dns = Dns::start(&root, ZONE);
    let exchangers = Exchangers::start();
    let mut installation = installation();
    installation.start_daemon();
    let recipients = ["a@ordered.example", "b@implicit.example", "c@null.example", "d@dead.example", "e@absent.example"];
    installation.sendmail(&recipients, MESSAGE).succeeded();
    wait_for("both at the first", || exchangers.recipients(0) == ["<a@ordered.example>", "<d@dead.example>"]);
    wait_for("the implicit exchanger", || exchangers.recipients(2) == ["<b@implicit.example>"]);
    let entry = installation.wait_for_entry("the failed", |entry| entry["queue_name"] == "failed" && entry["sender"] != "");
    // RFC 7505 4.1 and RFC 5321 5.1: no such domain, and a domain that takes no mail.
    assert!(has(&entry, "c@null.example", "failed", "5.1.10"), "{entry}");
    assert!(has(&entry, "e@absent.example", "failed", "5.1.2"), "{entry}");
    assert!(exchangers.recipients(1).is_empty(), "the last one was not needed");
    // Opportunistic TLS, with a certificate that proves nothing.
    assert!(exchangers.0[0].connections().iter().filter(|one| !one.transactions.is_empty()).all(|one| one.tls));
}

#[test]
fn a_dns_server_that_does_not_answer_delays_and_fails_nothing() {
    isolated!();
    let exchangers = Exchangers::start();
    let mut installation = installation();
    installation.start_daemon();
    installation.sendmail(&["a@ordered.example"], MESSAGE).succeeded();
    let entry = installation.wait_for_entry("a reason", |entry| entry["queue_name"] == "deferred" && entry.to_string().contains("DNS"));
    assert!(has(&entry, "a@ordered.example", "deferred", ""), "{entry}");
    let root = require!(ForeignRoot::mount());
    let _dns = Dns::start(&root, ZONE);
    wait_for("the message", || {
        installation.mailchute(&["flush"]);
        exchangers.recipients(0) == ["<a@ordered.example>"]
    });
}

#[test]
fn no_process_of_ours_ever_listens_or_has_an_unconnected_udp_socket() {
    isolated!();
    let root = require!(ForeignRoot::mount());
    let _dns = Dns::start(&root, ZONE);
    let exchangers = Exchangers::start();
    let mut installation = installation();
    let watch = Watch::begin();
    installation.start_daemon();
    for number in 0..20 {
        installation.sendmail_as(CALLER_ID, &[&format!("{number:02}@ordered.example"), "x@implicit.example"], MESSAGE).succeeded();
    }
    wait_for("twenty messages", || exchangers.recipients(0).len() == 20);
    installation.mailchute(&["list"]).succeeded();
    installation.wait_until_drained();
    installation.stop_daemon();
    let seen = watch.end();
    assert!(seen.looks > 10, "{} looks", seen.looks);
    assert!(seen.forbidden.is_empty(), "{:?}", seen.forbidden);
}

#[test]
fn the_kernel_is_never_asked_for_a_listener_or_for_an_unconnected_query() {
    isolated!();
    let strace = require!(parts::tool("strace"));
    let root = require!(ForeignRoot::mount());
    let _dns = Dns::start(&root, ZONE);
    let exchangers = Exchangers::start();
    let mut installation = installation();
    installation.start_daemon();
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut tracer = Command::new(strace)
        .args(["-f", "-yy", "-e", "trace=network,write,writev", "-p", &installation.daemon_pid().to_string(), "-o"])
        .arg(trace.path())
        .spawn()
        .unwrap();
    let traced = || std::fs::read_to_string(trace.path()).unwrap();
    wait_for("strace", || {
        run(installation.program("cat").arg(format!("/proc/{}/status", installation.daemon_pid())), b"")
            .stdout
            .lines()
            .any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    });
    installation.sendmail(&["a@ordered.example", "b@implicit.example"], MESSAGE).succeeded();
    wait_for("the message", || exchangers.recipients(2).len() == 1 && exchangers.recipients(0).len() == 1);
    installation.stop_daemon();
    let _ = tracer.wait();
    let calls = traced();
    assert!(calls.contains("connect(") && calls.contains("UDP:["), "strace saw no delivery:\n{calls}");
    for call in calls.lines() {
        let listens = call.contains(" listen(") && !call.contains("UNIX");
        let unconnected = ["sendto(", "sendmsg(", "sendmmsg(", "recvfrom(", "recvmsg("]
            .iter()
            .any(|name| call.contains(&format!(" {name}")) && call.contains("<UDP") && !call.contains("->"));
        assert!(!listens && !unconnected, "{call}");
    }
}
