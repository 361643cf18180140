//! The names of this host: the domain for bare addresses, and the local domains (SENDMAIL.md S6, R6).
//!
//! In: the configuration, /etc/mailname, the kernel's host name; never DNS. Out: valid domain names.

use crate::load::Config;
use exit::{Exit, Failure};
use mail::Address;

/// The names of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Completes bare addresses; used in Message-ID and Received.
    pub mailname: String,
    /// True if the mailname is a guess, `hostname.localdomain`. `mailchute check` warns about it.
    pub is_guess: bool,
    local: Vec<String>,
}

impl Names {
    /// Reads /etc/mailname, unless the configuration names one, and the host name.
    ///
    /// Errors: EX_CONFIG if the configured mailname is not a domain name.
    pub fn load(config: &Config) -> Result<Names, Failure> {
        let file = match config.params.mailname {
            Some(_) => None,
            None => sys::fs::read_whole(&config.paths.mailname).ok(),
        };
        let first_line = file.as_deref().and_then(|bytes| bytes.split(|&b| b == b'\n').next());
        let line = first_line.and_then(|line| std::str::from_utf8(line.trim_ascii()).ok());
        Names::of(config.params.mailname.as_deref(), line, &sys::process::host_name(), &config.params.local_domains).map_err(|bad| {
            Failure::new(
                Exit::Config,
                format!("{}: mailname: `{bad}` is not a domain name; set one such as mail.example.org", config.paths.config_file.display()),
            )
        })
    }

    /// The names from the given sources. Pure.
    ///
    /// Errors: the configured mailname is not a domain name.
    pub fn of(configured: Option<&str>, file: Option<&str>, host_name: &str, local_domains: &[String]) -> Result<Names, String> {
        let (mailname, is_guess) = match configured {
            Some(name) if Names::is_domain(name) => (name.to_owned(), false),
            Some(name) => return Err(mail::printable::text(name)),
            None => match file.filter(|name| Names::is_domain(name)) {
                Some(name) => (name.to_owned(), false),
                None if host_name.contains('.') && Names::is_domain(host_name) => (host_name.to_owned(), false),
                None if Names::is_domain(host_name) => (format!("{host_name}.localdomain"), true),
                None => ("localhost.localdomain".to_owned(), true),
            },
        };
        let local = local_domains.iter().cloned().chain([mailname.clone(), host_name.to_owned()]).collect();
        Ok(Names { mailname, is_guess, local })
    }

    /// True for a domain in the characters of SENDMAIL.md S6.
    pub fn is_domain(name: &str) -> bool {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) && Address::new("x", name).is_ok()
    }

    /// True if aliases and `admin_address` apply to names at `domain`.
    pub fn is_local(&self, domain: &str) -> bool {
        is_loopback(domain) || self.local.iter().any(|local| local.eq_ignore_ascii_case(domain))
    }
}

/// `localhost` and `localhost.localdomain`: every host has these names, so no other host can take mail for them.
pub fn is_loopback(domain: &str) -> bool {
    ["localhost", "localhost.localdomain"].iter().any(|name| name.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailname(configured: Option<&str>, file: Option<&str>, host: &str) -> Result<(String, bool), String> {
        Names::of(configured, file, host, &[]).map(|names| (names.mailname, names.is_guess))
    }

    #[test]
    fn s6_configuration_then_mailname_then_host_name() {
        assert_eq!(mailname(Some("c.example"), Some("f.example"), "h.example"), Ok(("c.example".into(), false)));
        assert_eq!(mailname(None, Some("f.example"), "h.example"), Ok(("f.example".into(), false)));
        assert_eq!(mailname(None, None, "h.example"), Ok(("h.example".into(), false)));
        assert_eq!(mailname(None, Some("no domain!"), "host"), Ok(("host.localdomain".into(), true)));
        assert_eq!(mailname(None, Some(""), ""), Ok(("localhost.localdomain".into(), true)));
        assert_eq!(mailname(Some("a b"), None, "h"), Err("a b".into()));
    }

    #[test]
    fn r6_local_domains() {
        let names = Names::of(Some("m.example"), None, "web1", &["More.example".to_owned()]).unwrap();
        for local in ["M.EXAMPLE", "web1", "localhost", "localhost.localdomain", "more.example"] {
            assert!(names.is_local(local), "{local}");
        }
        assert!(!names.is_local("sub.m.example") && !names.is_local("example"));
    }
}
