//! The URL of a webhook. Pure.
//!
//! It comes only from the configuration, which root owns: no message and no reply of a server can choose where the daemon connects
//! (THREATS T-OUT-3). HTTPS, because events name senders and recipients; HTTP only to this host.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

/// `https://host[:port]/path`, or `http://` to a loopback address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Parses `text`.
    pub fn parse(text: &str) -> Result<WebhookUrl, &'static str> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("must not contain a space, a control character or a non-ASCII character");
        }
        let (scheme, rest) = text.split_once("://").ok_or("must be a URL such as https://host/path")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("must not contain a user or password: everybody can read this file");
        }
        if text.contains('#') {
            return Err("a fragment is never sent: remove the part from # on");
        }
        let host = host(authority).ok_or("the host must be a name, an IPv4 address or an [IPv6] address, with a port up to 65535")?;
        match scheme {
            "https" => Ok(WebhookUrl(text.to_owned())),
            "http" if is_loopback(host) => Ok(WebhookUrl(text.to_owned())),
            "http" => Err("http:// is allowed for 127.0.0.1, [::1] and localhost only: events name senders and recipients"),
            _ => Err("the scheme must be https"),
        }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        WebhookUrl::parse(&text).map_err(|why| format!("url `{}`: {why}", super::wrong::without_passwords(&text)))
    }
}

/// The host in `host[:port]`, without brackets.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let is_named =
        authority.starts_with('[') || (!host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)));
    let has_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (is_named && has_port).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    let is_v4 = host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_v4 || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()) || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_to_anybody_and_http_to_this_host() {
        for good in [
            "https://hooks.example/mail?x=1",
            "https://192.0.2.1:8443/",
            "https://[2001:db8::1]:8443/x",
            "http://127.0.0.1:8080/x",
            "http://[::1]/x",
            "http://localhost:1",
        ] {
            assert!(WebhookUrl::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn t_out_3_what_could_lead_elsewhere_is_refused() {
        for bad in [
            "http://hooks.example/",
            "http://169.254.169.254/latest",
            "http://localhost.attacker.example/",
            "http://127.0.0.1.attacker.example/",
            "http://127.0.0.1@attacker.example/",
            "https://user:password@host/",
            "https://host/#x",
            "https://",
            "https:///path",
            "https://host:0/",
            "https://host:65536/",
            "https://[::1/",
            "https://[host]/",
            "https://ho st/",
            "https://host/\r\nX: y",
            "file:///etc/passwd",
            "ftp://host/",
            "host/path",
            "https://h\u{f6}st/",
        ] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
