//! The key and the targets of a route.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use config::TlsPolicy;
use config::next_hop::Host;

/// Groups messages on connections, schedules and limits: mail with the same key takes the same route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RouteKey {
    /// The mail exchangers of a domain: an A-label name in lower case, or a name that the DNS cannot hold, which has no targets.
    Mx(String),
    /// The host of an address literal (RFC 5321 4.1.3).
    Literal(IpAddr),
    /// The configured host, for all recipients.
    Host(Host),
    /// The configured unix socket.
    LmtpUnix(PathBuf),
}

impl RouteKey {
    /// True for the configured next hop. Its failures say nothing about a message or a recipient.
    pub fn is_configured(&self) -> bool {
        matches!(self, RouteKey::Host(_) | RouteKey::LmtpUnix(_))
    }
}

impl fmt::Display for RouteKey {
    /// The form in logs and listings: `example.org`, `[192.0.2.1]`, `relay.example:587`, `/run/lmtp`. Never the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteKey::Mx(domain) => f.write_str(domain),
            RouteKey::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            RouteKey::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
            RouteKey::Host(host) if host.host.contains(':') => write!(f, "[{}]:{}", host.host, host.port),
            RouteKey::Host(host) => write!(f, "{}:{}", host.host, host.port),
            RouteKey::LmtpUnix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The endpoint of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(f, "{address}"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// One address of a host, and how to connect to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The name that a certificate must have: the configured host, the mail exchanger, or the address where there is no name.
    pub name: String,
    /// Where to connect.
    pub endpoint: Endpoint,
    /// The TLS policy.
    pub tls: TlsPolicy,
    /// TLS from the first byte (RFC 8314 3.3).
    pub implicit_tls: bool,
    /// LMTP (RFC 2033) instead of SMTP.
    pub lmtp: bool,
    /// The user for AUTH.
    pub user: Option<String>,
}

impl Target {
    /// A mail exchanger: TLS where it is offered (RFC 7435), and never AUTH.
    pub(crate) fn exchanger(name: &str, address: SocketAddr) -> Self {
        Target {
            name: name.to_owned(),
            endpoint: Endpoint::Tcp(address),
            tls: TlsPolicy::Opportunistic,
            implicit_tls: false,
            lmtp: false,
            user: None,
        }
    }

    /// The configured host at one of its addresses.
    pub(crate) fn configured(host: &Host, address: IpAddr) -> Self {
        Target {
            name: host.host.clone(),
            endpoint: Endpoint::Tcp(SocketAddr::new(address, host.port)),
            tls: host.tls,
            implicit_tls: host.implicit_tls,
            lmtp: host.lmtp,
            user: host.user.clone(),
        }
    }

    /// A program behind a unix socket.
    pub(crate) fn unix(path: &std::path::Path) -> Self {
        Target {
            name: path.display().to_string(),
            endpoint: Endpoint::Unix(path.to_owned()),
            tls: TlsPolicy::None,
            implicit_tls: false,
            lmtp: true,
            user: None,
        }
    }
}

impl fmt::Display for Target {
    /// `mx.example.org[192.0.2.1]:25`, as usual in mail logs; the path of a unix socket.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp(address) => write!(f, "{}[{}]:{}", self.name, address.ip(), address.port()),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
