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
            match rest.strip_prefix(':') {
                None if !rest.is_empty() => return Err("unexpected text after the bracket"),
                port => (host, port),
            }
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
    fn each_scheme_has_its_port_and_its_policy_and_each_policy_its_word() {
        for (text, port, implicit_tls, tls) in [
            ("smtp://x?tls=opportunistic", 587, false, TlsPolicy::Opportunistic),
            ("smtp://x?tls=verified", 587, false, TlsPolicy::Verified),
            ("smtps://x", 465, true, TlsPolicy::Verified),
            ("smtps://x?tls=required", 465, true, TlsPolicy::Required),
            ("lmtp://x", 24, false, TlsPolicy::None),
            ("lmtp://x/?tls=required", 24, false, TlsPolicy::Required),
        ] {
            assert_eq!(host(text), Some(("x".to_owned(), port, implicit_tls, tls, None)), "{text}");
            let Ok(NextHop::Host(parsed)) = NextHop::parse(text) else { panic!("{text}") };
            assert_eq!(parsed.lmtp, text.starts_with("lmtp"));
        }
        for word in ["", "None", "any"] {
            assert!(NextHop::parse(&format!("smtp://x?tls={word}")).is_err(), "{word:?}");
        }
        assert!(NextHop::parse("smtps://x?tls=opportunistic").is_err());
        assert_eq!(NextHop::parse("mx"), Ok(NextHop::Mx));
    }

    #[test]
    fn a_user_is_decoded_and_may_hold_what_its_place_allows() {
        let user = |text: &str| match NextHop::parse(&format!("smtp://{text}@x")) {
            Ok(NextHop::Host(host)) => host.user,
            _ => None,
        };
        for (text, name) in [("me", "me"), ("me%40x.example", "me@x.example"), ("a@b", "a@b"), ("%c3%BC", "ü"), ("%7e%7E", "~~")] {
            assert_eq!(user(text).as_deref(), Some(name), "{text}");
        }
        for text in ["", "%", "%4", "%zz", "%ff", "%0a", "me:secret"] {
            assert_eq!(user(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_is_host_and_port_and_never_the_user() {
        for (text, shown) in [("mx", "mx"), ("smtp://me@x", "x:587"), ("smtp://[::1]:25", "::1:25"), ("lmtp+unix:///run/l", "/run/l")] {
            assert_eq!(NextHop::parse(text).unwrap().to_string(), shown);
        }
        let why = NextHop::try_from("smtp://me:secret@x".to_owned()).unwrap_err();
        assert!(why.starts_with("next hop `") && !why.contains("secret"), "{why}");
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_stands_behind_it() {
        for text in
            ["smtp://[::1", "smtp://[::1]25", "smtp://[]", "smtp://:25", "smtp://x:", "smtp://x_y!", "smtp://ü.example", "smtp://x:-1"]
        {
            assert!(NextHop::parse(text).is_err(), "{text}");
        }
        for text in ["smtp://a-b_c.example", "smtp://[::1]", "smtp://192.0.2.1:0"] {
            assert!(NextHop::parse(text).is_ok(), "{text}");
        }
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
            "smtp://a b@x",
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
