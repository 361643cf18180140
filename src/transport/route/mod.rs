//! Routing: the route of a recipient, and the hosts to try in order.
//!
//! In: a recipient's address and the configuration. Out: a [`RouteKey`] (pure), and for a key the [`Target`]s of one attempt (after DNS
//! queries), or the reason why there are none.
//!
//! Trusted: the configuration. Strangers control the DNS data of a recipient's domain: it cannot lead
//! to this host, cannot name more than [`mx::EXCHANGES`] hosts, and cannot turn TLS or AUTH on or off.
//!
//! Failures: a domain that does not exist or does not accept mail is permanent; a DNS that does not answer is transient; a configured
//! next hop without an address is a failure of the route, never of a message.

mod failure;
pub mod mx;
pub mod resolver;
mod runtime;
mod servers;
mod target;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use config::next_hop::Host;
use config::{NextHop, Params};
pub use failure::{Class, RouteFailure};
use mail::Address;
use mx::Exchanges;
use resolver::{NoAnswer, Resolver, a_label};
pub use target::{Endpoint, RouteKey, Target};

/// The time limit for all lookups of one route. Results up to then are used.
pub(crate) const ROUTE_TIME: Duration = Duration::from_secs(60);
/// The port of mail exchangers (RFC 5321 4.5.4.2).
const SMTP_PORT: u16 = 25;

/// The router. One per configuration, shared by all tasks.
pub struct Router {
    next_hop: NextHop,
    mx_port: u16,
    own_names: Vec<String>,
    resolver: Resolver,
}

impl Router {
    /// A router for `params`. `own_names` are the public names of *this* host (the one in EHLO): an exchange with such a name is
    /// this host. A mailname shared with other hosts does not belong there.
    pub fn new(params: &Params, own_names: Vec<String>) -> Self {
        Self::with_resolver(params, own_names, Resolver::new(&params.dns_servers))
    }

    /// The same, with `resolver`.
    pub fn with_resolver(params: &Params, own_names: Vec<String>, resolver: Resolver) -> Self {
        Router { next_hop: params.next_hop.clone(), mx_port: params.mx_port, own_names, resolver }
    }

    /// The configured route of all mail, if any. Pure.
    pub fn configured(&self) -> Option<RouteKey> {
        match &self.next_hop {
            NextHop::Host(host) => Some(RouteKey::Host(host.clone())),
            NextHop::LmtpUnix(path) => Some(RouteKey::LmtpUnix(path.clone())),
            NextHop::Mx => None,
        }
    }

    /// The route of mail for `recipient`. Pure.
    pub fn route_of(&self, recipient: &Address) -> RouteKey {
        self.configured().unwrap_or_else(|| {
            let domain = recipient.domain();
            let name = || RouteKey::Mx(a_label(domain).unwrap_or_else(|| domain.to_lowercase()));
            mx::literal(domain).map_or_else(name, RouteKey::Literal)
        })
    }

    /// The hosts of `route` in the order to try them, at least one. Looked up for each attempt.
    ///
    /// Errors: [`RouteFailure`]; always transient for a configured next hop. Takes at most [`ROUTE_TIME`].
    pub async fn targets(&self, route: &RouteKey) -> Result<Vec<Target>, RouteFailure> {
        match route {
            RouteKey::Host(host) => self.host_targets(host).await,
            RouteKey::LmtpUnix(path) => Ok(vec![Target::unix(path)]),
            RouteKey::Literal(address) => self.literal_target(*address),
            RouteKey::Mx(domain) => self.mx_targets(domain).await,
        }
    }

    async fn host_targets(&self, host: &Host) -> Result<Vec<Target>, RouteFailure> {
        let found = self.resolver.host_addresses(&host.host).await.map_err(|why| match why {
            NoAnswer::Unanswered(why) => RouteFailure::no_answer(format!("cannot look up the next hop {}: {why}", host.host)),
            why => RouteFailure::no_such_host(format!("the next hop {} has no address: {why}; check next_hop", host.host)),
        })?;
        Ok(found.into_iter().map(|address| Target::configured(host, address)).collect())
    }

    fn literal_target(&self, address: IpAddr) -> Result<Vec<Target>, RouteFailure> {
        if !self.may_connect(address) {
            return Err(RouteFailure::loops_back(format!("the address literal [{address}] is this host, which does not accept mail")));
        }
        Ok(vec![Target::exchanger(&address.to_string(), SocketAddr::new(address, self.mx_port))])
    }

    async fn mx_targets(&self, domain: &str) -> Result<Vec<Target>, RouteFailure> {
        if !domain.is_ascii() {
            return Err(RouteFailure::no_such_domain(format!("{domain} is not a valid DNS name (RFC 5891)")));
        }
        let records = match self.resolver.mx(domain).await {
            Ok(records) => records,
            Err(NoAnswer::NoData) => Vec::new(),
            Err(NoAnswer::NoSuchName) => return Err(RouteFailure::no_such_domain(format!("the domain {domain} does not exist"))),
            Err(NoAnswer::Unanswered(why)) => {
                return Err(RouteFailure::no_answer(format!("cannot look up the mail exchangers of {domain}: {why}")));
            }
        };
        let ourselves = || {
            let why =
                format!("mail for {domain} would return to this host, which does not accept mail: its DNS names us as mail exchanger");
            Err(RouteFailure::loops_back(why))
        };
        // Without randomness the equals keep the order of the answer, which most servers rotate.
        match mx::order(records, &self.own_names, sys::clock::random().unwrap_or(0)) {
            Exchanges::Implicit if mx::is_own(domain, &self.own_names) => ourselves(),
            Exchanges::Implicit => self.exchanger_targets(domain, &[domain.to_owned()], true).await,
            Exchanges::Ordered(names) => self.exchanger_targets(domain, &names, false).await,
            Exchanges::Ourselves => ourselves(),
            Exchanges::Null => Err(RouteFailure::null_mx(format!("the domain {domain} does not accept mail (null MX, RFC 7505)"))),
            Exchanges::Unusable => Err(RouteFailure::no_usable_exchange(format!("no MX record of {domain} contains a host name"))),
        }
    }

    /// The addresses of `names`, in order. A name that does not resolve does not affect the others.
    async fn exchanger_targets(&self, domain: &str, names: &[String], implicit: bool) -> Result<Vec<Target>, RouteFailure> {
        let deadline = Instant::now() + ROUTE_TIME;
        let (mut targets, mut unanswered, mut ourselves) = (Vec::new(), None, false);
        for name in names {
            match timeout_at(deadline, self.resolver.exchanger_addresses(name)).await {
                Ok(Ok(found)) => {
                    let (remote, here): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(|address| self.may_connect(*address));
                    ourselves |= !here.is_empty();
                    targets.extend(remote.into_iter().map(|ip| Target::exchanger(name, SocketAddr::new(ip, self.mx_port))));
                }
                Ok(Err(NoAnswer::Unanswered(why))) => unanswered = unanswered.or(Some(format!("{name}: {why}"))),
                Ok(Err(NoAnswer::NoSuchName | NoAnswer::NoData)) => {}
                Err(_) => {
                    unanswered = unanswered.or(Some(format!("{name}: no time left for the lookup")));
                    break;
                }
            }
        }
        if !targets.is_empty() {
            return Ok(targets);
        }
        // The failure is permanent only if every name got an answer.
        Err(match unanswered {
            Some(why) => RouteFailure::no_answer(format!("cannot look up the mail exchangers of {domain}: {why}")),
            None if ourselves => RouteFailure::loops_back(format!(
                "the mail exchangers of {domain} have only addresses of this host, which does not accept mail"
            )),
            None if implicit => RouteFailure::no_such_domain(format!("the domain {domain} has neither mail exchangers nor addresses")),
            None => RouteFailure::no_usable_exchange(format!("no mail exchanger of {domain} has an address")),
        })
    }

    /// With an `mx_port` other than 25, the mail exchangers are a test setup, which may run on this host.
    fn may_connect(&self, address: IpAddr) -> bool {
        self.mx_port != SMTP_PORT || mx::is_remote(address)
    }
}
