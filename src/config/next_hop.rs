//! The next hop as a URL (mailchute.toml(5), `next_hop`): `smtp://host` (587, TLS required and verified), `smtps://host` (465),
//! `?tls=opportunistic|required|verified|none` (none: port 25), `lmtp://host`, `lmtp+unix:///path`. The URL may contain
//! the user name, never the password.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// The destination of all mail.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum NextHop {
    /// To the mail exchangers of each recipient's domain.
    Mx,
    /// To one host.
    Host(Host),
    /// To a program behind a unix socket, by LMTP.
    LmtpUnix(PathBuf),
}

/// One host of the URL form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// SMTP or LMTP.
    pub lmtp: bool,
    /// A name or an address, as configured: the name that a certificate must have.
    pub host: String,
    /// The port.
    pub port: u16,
    /// TLS from the first byte (RFC 8314 3.3).
    pub implicit_tls: bool,
    /// What TLS must prove before mail is sent.
    pub tls: TlsPolicy,
    /// The user for AUTH.
    pub user: Option<String>,
}

/// The TLS policy: what must be proved before mail is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsPolicy {
    /// TLS is not used.
    None,
    /// TLS is used if offered, with any certificate; otherwise, or if TLS fails, mail goes in clear. The default to mail exchangers.
    Opportunistic,
    /// TLS must be used, with any certificate.
    Required,
    /// TLS must be used, with a valid certificate for the configured name. The default to a smarthost.
    Verified,
}

impl TryFrom<String> for NextHop {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        NextHop::parse(&text).map_err(|why| format!("next hop `{}`: {why}", super::wrong::without_passwords(&text)))
    }
}

impl NextHop {
    /// The next hop that `text` names.
    pub fn parse(text: &str) -> Result<NextHop, &'static str> {
        if text == "mx" {
            return Ok(NextHop::Mx);
        }
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err("must not contain a space or a control character");
        }
        let (scheme, rest) = text.split_once("://").ok_or("must be \"mx\" or a URL such as smtp://host")?;
        if scheme == "lmtp+unix" {
            let path = PathBuf::from(rest);
            return if path.is_absolute() { Ok(NextHop::LmtpUnix(path)) } else { Err("the path of the socket must be absolute") };
        }
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let asked = query.strip_prefix("tls=").map(parse_tls).transpose()?;
        if !query.is_empty() && asked.is_none() {
            return Err("the only option is ?tls=");
        }
        let (lmtp, implicit_tls, tls, port) = match (scheme, asked) {
            ("smtp", Some(TlsPolicy::None)) => (false, false, TlsPolicy::None, 25),
            ("smtp", tls) => (false, false, tls.unwrap_or(TlsPolicy::Verified), 587),
            ("smtps", Some(TlsPolicy::None | TlsPolicy::Opportunistic)) => return Err("smtps always uses TLS: use required or verified"),
            ("smtps", tls) => (false, true, tls.unwrap_or(TlsPolicy::Verified), 465),
            ("lmtp", tls) => (true, false, tls.unwrap_or(TlsPolicy::None), 24),
            _ => return Err("the scheme must be smtp, smtps, lmtp or lmtp+unix"),
        };
        let (user, host_port) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(parse_user(user)?), host),
            None => (None, authority),
        };
        if user.is_some() && tls == TlsPolicy::None {
            return Err("a password is sent over TLS only: remove tls=none or the user");
        }
        let (host, port) = parse_host(host_port.trim_end_matches('/'), port)?;
        Ok(NextHop::Host(Host { lmtp, host, port, implicit_tls, tls, user }))
    }
}

fn parse_tls(word: &str) -> Result<TlsPolicy, &'static str> {
    match word {
        "none" => Ok(TlsPolicy::None),
        "opportunistic" => Ok(TlsPolicy::Opportunistic),
        "required" => Ok(TlsPolicy::Required),
        "verified" => Ok(TlsPolicy::Verified),
        _ => Err("tls must be none, opportunistic, required or verified"),
    }
}

/// The user part, with percent-encoding for `@`, `:` and `/`. A colon would introduce a password.
fn parse_user(user: &str) -> Result<String, &'static str> {
    if user.contains(':') {
        return Err("the password must not be in the URL: put it in the password file");
    }
    let mut bytes = Vec::new();
    let mut rest = user.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
                let [Some(high), Some(low)] = digits else { return Err("the user name has a broken % escape") };
                u8::try_from(high * 16 + low).map_err(|_| "the user name has a broken % escape")?
            }
            byte => byte,
        });
    }
    let name = String::from_utf8(bytes).map_err(|_| "the user name is not UTF-8")?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err("the user name is empty or has a control character");
    }
    Ok(name)
}

fn parse_host(text: &str, default_port: u16) -> Result<(String, u16), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(literal) => {
            let (host, rest) = literal.split_once(']').ok_or("the bracket is not closed")?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let good = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c));
    if !good {
        return Err("the host must be a name, an IPv4 address or an [IPv6] address");
    }
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| "the port must be a number up to 65535"))?;
    Ok((host.to_owned(), port))
}

impl fmt::Display for NextHop {
    /// The form in listings, logs and route keys: `mx`, `host:port`, or the path of the socket. Never the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NextHop::Mx => f.write_str("mx"),
            NextHop::Host(host) => write!(f, "{}:{}", host.host, host.port),
            NextHop::LmtpUnix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<(String, u16, bool, TlsPolicy, Option<String>)> {
        match NextHop::parse(text) {
            Ok(NextHop::Host(h)) => Some((h.host, h.port, h.implicit_tls, h.tls, h.user)),
            _ => None,
        }
    }

    #[test]
    fn a_bare_smtp_url_requires_verified_tls() {
        assert_eq!(host("smtp://relay.example"), Some(("relay.example".into(), 587, false, TlsPolicy::Verified, None)));
        assert_eq!(
            host("smtps://me%40x@relay.example:1465"),
            Some(("relay.example".into(), 1465, true, TlsPolicy::Verified, Some("me@x".into())))
        );
        assert_eq!(host("smtp://127.0.0.1?tls=none"), Some(("127.0.0.1".into(), 25, false, TlsPolicy::None, None)));
        assert_eq!(host("smtp://[::1]:2525?tls=required").map(|h| (h.0, h.1)), Some(("::1".into(), 2525)));
        assert_eq!(NextHop::parse("lmtp+unix:///run/lmtp"), Ok(NextHop::LmtpUnix("/run/lmtp".into())));
    }

    #[test]
    fn a_password_in_the_url_and_auth_in_clear_are_refused() {
        for text in [
            "smtp://me:secret@relay.example",
            "smtp://me@relay.example?tls=none",
            "relay.example",
            "http://x",
            "smtp://",
            "smtp://a b",
            "smtps://x?tls=none",
            "smtp://x:99999",
            "smtp://x?auth=plain",
            "lmtp+unix://relative",
            "smtp://x\r\ny",
        ] {
            assert!(NextHop::parse(text).is_err(), "{text}");
        }
    }
}
