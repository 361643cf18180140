//! Local names: what becomes of `root`, and of names at a domain of this host (SENDMAIL.md R6, section 9).
//!
//! In: an address as it was asked for. Out: where it is sent. There are no mailboxes here: a local name is redirected to
//! `admin_address`, or qualified and relayed.

use super::recipients::{Resolved, Wanted};
use crate::config::names::is_loopback;
use crate::config::{Names, Params, UnknownLocal};
use crate::exit::{Exit, Failure};
use crate::mail::{Address, printable};

/// Resolves addresses, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Resolver<'a> {
    params: &'a Params,
    names: &'a Names,
}

impl<'a> Resolver<'a> {
    /// A resolver for one message.
    pub fn new(params: &'a Params, names: &'a Names) -> Self {
        Resolver { params, names }
    }

    /// Where `wanted` is sent.
    ///
    /// Errors: EX_NOUSER where unknown bare names are refused; EX_CONFIG for an `admin_address` that is none.
    pub fn resolve(&mut self, wanted: &Wanted) -> Result<Resolved, Failure> {
        match wanted {
            Wanted::Full(address) if !self.names.is_local(address.domain()) => return Ok(Resolved::Address(address.clone())),
            _ => {}
        }
        if let Some(admin) = self.admin()? {
            return Ok(Resolved::Expanded(vec![admin]));
        }
        match wanted {
            Wanted::Bare(name) if self.params.unknown_local == UnknownLocal::Reject => {
                let text = format!("{}: no such local name: no alias and no admin_address takes it", printable::text(name));
                Err(Failure::new(Exit::NoUser, text))
            }
            Wanted::Bare(name) => self.qualified(name),
            // No other host can take mail for localhost.
            Wanted::Full(address) if is_loopback(address.domain()) => self.qualified(address.local()),
            Wanted::Full(address) => Ok(Resolved::Address(address.clone())),
        }
    }

    fn qualified(&self, name: &str) -> Result<Resolved, Failure> {
        let address = Address::new(name, &self.names.mailname);
        address.map(Resolved::Address).map_err(|why| Failure::new(Exit::DataErr, format!("{}: {why}", printable::text(name))))
    }

    fn admin(&self) -> Result<Option<Address>, Failure> {
        let bad = |why| Failure::new(Exit::Config, format!("admin_address: {why}"));
        self.params.admin_address.as_deref().map(|text| Address::parse(text).map_err(bad)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, params: &Params) -> Result<String, Exit> {
        let names = Names::of(Some("m.example"), None, "web1", &[]).unwrap();
        let wanted = Address::parse(text).map_or_else(|_| Wanted::Bare(text.to_owned()), Wanted::Full);
        match Resolver::new(params, &names).resolve(&wanted) {
            Ok(Resolved::Address(address)) => Ok(address.to_string()),
            Ok(Resolved::Expanded(addresses)) => {
                Ok(format!("->{}", addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")))
            }
            Err(failure) => Err(failure.exit),
        }
    }

    #[test]
    fn r6_bare_names_and_loopback_names_are_qualified() {
        let params = Params::default();
        for (text, address) in [
            ("root", "root@m.example"),
            ("root@localhost", "root@m.example"),
            ("root@Localhost.LocalDomain", "root@m.example"),
            ("root@m.example", "root@m.example"),
            ("root@web1", "root@web1"),
            ("a@x.example", "a@x.example"),
        ] {
            assert_eq!(resolved(text, &params).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn section_9_admin_address_takes_every_local_name_and_no_other() {
        let params = Params { admin_address: Some("admin@x.example".into()), ..Params::default() };
        for text in ["root", "root@localhost", "root@m.example", "root@web1"] {
            assert_eq!(resolved(text, &params).as_deref(), Ok("->admin@x.example"), "{text}");
        }
        assert_eq!(resolved("a@x.example", &params).as_deref(), Ok("a@x.example"));
        let params = Params { admin_address: Some("nobody".into()), ..Params::default() };
        assert_eq!(resolved("root", &params), Err(Exit::Config));
        let params = Params { unknown_local: UnknownLocal::Reject, ..Params::default() };
        assert_eq!(resolved("root", &params), Err(Exit::NoUser));
    }
}
