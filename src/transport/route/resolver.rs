//! DNS queries. In: names. Out: records, or one of three reasons why there are none. A negative answer makes a message fail today; no
//! answer means that it is tried again.
//!
//! Trusted: the configured DNS servers, as far as the answer goes; names and addresses in it belong to strangers and are judged by
//! [`super::mx`]. Nothing is cached here: each attempt asks again, and a changed resolv.conf or hosts file counts from the next
//! question on, so a laptop or a container that changes its network needs no restart. Caching is the local resolver's work.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::mx::{self, Mx};
use super::runtime::Runtime;
use super::servers::{self, Stamp};
use mail::printable;

/// The time limit for one lookup, including all servers and retries.
pub(crate) const LOOKUP_TIME: Duration = Duration::from_secs(20);

/// Why there are no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// NXDOMAIN: the name does not exist.
    NoSuchName,
    /// The name exists, without records of this type.
    NoData,
    /// No server answered the question: silence, refusal, SERVFAIL (also for bogus DNSSEC), garbage. The reason, printable.
    Unanswered(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            NoAnswer::NoSuchName => f.write_str("the name does not exist"),
            NoAnswer::NoData => f.write_str("the name has no record of this type"),
            NoAnswer::Unanswered(why) => f.write_str(why),
        }
    }
}

/// Asks the DNS servers of the configuration, or those of resolv.conf.
pub struct Resolver {
    fixed: Vec<SocketAddr>,
    resolv_conf: PathBuf,
    hosts: PathBuf,
    lookup_time: Duration,
    current: Mutex<Option<Current>>,
}

/// The resolver, and the state of the files it was built from.
#[derive(Clone)]
struct Current {
    stamps: [Option<Stamp>; 2],
    servers: Vec<SocketAddr>,
    client: Arc<hickory_resolver::Resolver<Runtime>>,
    hosts: Arc<Hosts>,
}

impl Resolver {
    /// A resolver that asks `dns_servers`; if empty, those in /etc/resolv.conf, read again whenever it changes.
    pub fn new(dns_servers: &[SocketAddr]) -> Self {
        Self::with_files(dns_servers, Path::new("/etc/resolv.conf"), Path::new("/etc/hosts"))
    }

    /// The same, with these files.
    pub fn with_files(dns_servers: &[SocketAddr], resolv_conf: &Path, hosts: &Path) -> Self {
        Resolver {
            fixed: dns_servers.to_vec(),
            resolv_conf: resolv_conf.to_owned(),
            hosts: hosts.to_owned(),
            lookup_time: LOOKUP_TIME,
            current: Mutex::new(None),
        }
    }

    /// The same, with another limit than [`LOOKUP_TIME`].
    #[must_use]
    pub fn with_lookup_time(mut self, limit: Duration) -> Self {
        self.lookup_time = limit;
        self
    }

    /// The servers for the next query.
    ///
    /// Errors: [`NoAnswer::Unanswered`] where resolv.conf cannot be read.
    pub fn servers(&self) -> Result<Vec<SocketAddr>, NoAnswer> {
        self.current().map(|current| current.servers)
    }

    /// The MX records of `domain` (an A-label name). Aliases are followed (RFC 5321 5.1).
    pub async fn mx(&self, domain: &str) -> Result<Vec<Mx>, NoAnswer> {
        let current = self.current()?;
        let records = self.ask(&current, fully_qualified(domain)?, RecordType::MX).await?;
        let records: Vec<Mx> = records
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: plain(&mx.exchange) }),
                _ => None,
            })
            .collect();
        if records.is_empty() { Err(NoAnswer::NoData) } else { Ok(records) }
    }

    /// The addresses of a mail exchanger, from the DNS alone: /etc/hosts and search lists are local and must not affect remote domains.
    pub(crate) async fn exchanger_addresses(&self, name: &str) -> Result<Vec<IpAddr>, NoAnswer> {
        let current = self.current()?;
        self.addresses(&current, fully_qualified(name)?).await
    }

    /// The addresses of a host that the administrator named: an address, a name in /etc/hosts, or one that the DNS has, with the
    /// search list of resolv.conf.
    pub async fn host_addresses(&self, host: &str) -> Result<Vec<IpAddr>, NoAnswer> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let current = self.current()?;
        let mut name = Name::from_ascii(host).map_err(|_| NoAnswer::NoSuchName)?;
        let in_file = |kind| current.hosts.lookup_static_host(&Query::query(name.clone(), kind)).map_or(vec![], |found| ips(&found));
        let known = mx::interleave(in_file(RecordType::AAAA), in_file(RecordType::A));
        if !known.is_empty() {
            return Ok(known);
        }
        name.set_fqdn(host.ends_with('.'));
        self.addresses(&current, name).await
    }

    /// Queries A and AAAA at once. One positive answer is enough; a negative result requires two negative answers.
    async fn addresses(&self, current: &Current, name: Name) -> Result<Vec<IpAddr>, NoAnswer> {
        let (v6, v4) = tokio::join!(self.ask(current, name.clone(), RecordType::AAAA), self.ask(current, name, RecordType::A));
        let found = |answer: &Result<Lookup, NoAnswer>| answer.as_ref().map_or(vec![], ips);
        let all = mx::interleave(found(&v6), found(&v4));
        if !all.is_empty() {
            return Ok(all);
        }
        Err(match (v4.err(), v6.err()) {
            (Some(NoAnswer::Unanswered(why)), _) | (_, Some(NoAnswer::Unanswered(why))) => NoAnswer::Unanswered(why),
            (Some(NoAnswer::NoSuchName), _) | (_, Some(NoAnswer::NoSuchName)) => NoAnswer::NoSuchName,
            _ => NoAnswer::NoData,
        })
    }

    async fn ask(&self, current: &Current, name: Name, kind: RecordType) -> Result<Lookup, NoAnswer> {
        let asked = |why: &str| {
            let servers: Vec<String> = current.servers.iter().map(ToString::to_string).collect();
            NoAnswer::Unanswered(format!("{} (asked {})", printable::text(why), servers.join(", ")))
        };
        match timeout(self.lookup_time, current.client.lookup(name, kind)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(judge(&error).unwrap_or_else(|| asked(&describe(&error)))),
            Err(_) => Err(asked("the DNS did not answer in time")),
        }
    }

    /// The last resolver, rebuilt if one of its files has changed.
    fn current(&self) -> Result<Current, NoAnswer> {
        let stamps = match self.fixed.is_empty() {
            true => [Stamp::of(&self.resolv_conf), Stamp::of(&self.hosts)],
            false => [None, Stamp::of(&self.hosts)],
        };
        let mut slot = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = slot.as_ref().filter(|current| current.stamps == stamps) {
            return Ok(current.clone());
        }
        let (config, options) = match self.fixed.is_empty() {
            true => servers::from_resolv_conf(&self.resolv_conf).map_err(NoAnswer::Unanswered)?,
            false => servers::fixed(&self.fixed),
        };
        let servers = servers::addresses(&config);
        let client = hickory_resolver::Resolver::builder_with_config(config, Runtime::default()).with_options(options).build();
        let client = client.map_err(|error| NoAnswer::Unanswered(describe(&error)))?;
        let current = Current { stamps, servers, client: Arc::new(client), hosts: Arc::new(servers::hosts(&self.hosts)) };
        *slot = Some(current.clone());
        Ok(current)
    }
}

/// The negative answer in `error`; `None` if there was no answer or a fault.
fn judge(error: &NetError) -> Option<NoAnswer> {
    let NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, ns, soa, .. })) = error else { return None };
    match response_code {
        ResponseCode::NXDomain => Some(NoAnswer::NoSuchName),
        // A referral comes from a server without recursion for us. Treated as "no data" it would fail all mail permanently because
        // of one wrong line in resolv.conf.
        ResponseCode::NoError if ns.is_some() && soa.is_none() => None,
        ResponseCode::NoError => Some(NoAnswer::NoData),
        _ => None,
    }
}

fn describe(error: &NetError) -> String {
    match error {
        NetError::Timeout => "the DNS did not answer in time".to_owned(),
        NetError::Io(e) if e.kind() == std::io::ErrorKind::TimedOut => "the DNS did not answer in time".to_owned(),
        NetError::Io(e) => format!("no DNS server can be reached: {e}"),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the DNS answered {code}"),
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError => {
            "the DNS server answered with a referral: it does not provide recursion for this host".to_owned()
        }
        NetError::Dns(DnsError::NoRecordsFound(none)) => format!("the DNS answered {}", none.response_code),
        other => format!("the DNS did not answer: {other}"),
    }
}

fn ips(answer: &Lookup) -> Vec<IpAddr> {
    answer.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

fn fully_qualified(name: &str) -> Result<Name, NoAnswer> {
    let mut name = Name::from_ascii(name).map_err(|_| NoAnswer::NoSuchName)?;
    name.set_fqdn(true);
    Ok(name)
}

/// The name as text, lower case, without the final dot; empty for the root. Bytes that are no letters come out escaped.
fn plain(name: &Name) -> String {
    if name.is_root() { String::new() } else { name.to_lowercase().to_ascii().trim_end_matches('.').to_owned() }
}

/// The A-label form of `domain` in lower case (RFC 5890 2.3.2.1); nothing for a name that the DNS cannot hold.
pub(crate) fn a_label(domain: &str) -> Option<String> {
    let name = if domain.is_ascii() { Name::from_ascii(domain) } else { Name::from_utf8(domain) };
    name.ok().map(|name| plain(&name)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_u_label_becomes_an_a_label_and_the_case_goes() {
        assert_eq!(a_label("Bücher.EXAMPLE").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(a_label("My_Host.Example.org").as_deref(), Some("my_host.example.org"));
        assert_eq!(a_label("παράδειγμα.example").as_deref(), Some("xn--hxajbheg2az3al.example"));
        for broken in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(200), "\u{200d}.example"] {
            assert_eq!(a_label(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_referral_is_not_a_no() {
        let none = |code, soa: bool, ns: bool| {
            let mut none = NoRecords::new(Query::new(), code);
            none.ns = ns.then(|| Arc::from(vec![]));
            if soa {
                let data = hickory_resolver::proto::rr::rdata::SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, 1);
                none.soa = Some(Box::new(hickory_resolver::proto::rr::Record::from_rdata(Name::root(), 1, data)));
            }
            judge(&NetError::from(none))
        };
        assert_eq!(none(ResponseCode::NXDomain, false, false), Some(NoAnswer::NoSuchName));
        assert_eq!(none(ResponseCode::NoError, true, true), Some(NoAnswer::NoData));
        assert_eq!(none(ResponseCode::NoError, false, false), Some(NoAnswer::NoData));
        assert_eq!(none(ResponseCode::NoError, false, true), None);
        assert_eq!(none(ResponseCode::ServFail, false, false), None);
    }
}
