//! Resolves local names: `root`, and names at a domain of this host (SENDMAIL.md R6, section 9).
//!
//! In: an address as given. Out: the addresses to send to. There are no mailboxes here. A local name is resolved by an alias, the
//! catch-all or `admin_address`, in this order; otherwise it is qualified and relayed. The alias file is opened for the first local
//! name, so a message without local names does not need it.

use std::cell::LazyCell;
use std::path::Path;

use super::aliases::{self, Aliases, Lookup, Target};
use super::recipients::{Resolved, Wanted};
use config::names::is_loopback;
use config::{Config, Names, Params, UnknownLocal};
use exit::{Exit, Report};
use mail::address::AddressError;
use mail::{Address, printable};

/// Why a recipient has no address.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// There is no alias and no `admin_address` for this name, and such names are refused.
    NoUser(String),
    /// The name cannot be the local part of an address.
    Name(String, AddressError),
    /// `admin_address` is none: this is about the host, and not about the recipient.
    Admin(AddressError),
}

impl std::fmt::Display for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            Unresolved::NoUser(name) => {
                write!(f, "no such local name `{}`: there is no alias and no admin_address for it", printable::text(name))
            }
            Unresolved::Name(name, why) => write!(f, "{}: {why}", printable::text(name)),
            Unresolved::Admin(why) => write!(f, "admin_address: {why}"),
        }
    }
}

impl std::error::Error for Unresolved {}

impl Report for Unresolved {
    fn code(&self) -> &'static str {
        match self {
            Unresolved::NoUser(_) => "no_user",
            Unresolved::Name(..) => "name",
            Unresolved::Admin(_) => "admin_address",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Unresolved::NoUser(_) => Exit::NoUser,
            Unresolved::Name(..) => Exit::DataErr,
            Unresolved::Admin(_) => Exit::Config,
        }
    }
}

/// Maximum warnings per message; further ones have the same cause.
const WARNINGS: usize = 5;

/// Resolves addresses.
pub(crate) struct Resolver<'a> {
    params: &'a Params,
    names: &'a Names,
    aliases: LazyCell<Loaded, Box<dyn FnOnce() -> Loaded + 'a>>,
    warnings: Vec<String>,
}

/// The alias file and its first error.
struct Loaded {
    aliases: Aliases,
    warning: Option<String>,
}

/// The alias file of this installation.
pub(crate) fn alias_file(config: &Config) -> &Path {
    config.params.alias_file.as_deref().unwrap_or(&config.paths.aliases)
}

impl<'a> Resolver<'a> {
    /// A resolver for one message.
    pub(crate) fn new(config: &'a Config, names: &'a Names) -> Self {
        let file = alias_file(config).to_owned();
        Resolver { params: &config.params, names, aliases: LazyCell::new(Box::new(move || load(&file))), warnings: Vec::new() }
    }

    /// Takes the warnings for the history.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Resolves `wanted`.
    ///
    /// Errors: as [`Unresolved`] has them.
    pub(crate) fn resolve(&mut self, wanted: &Wanted) -> Result<Resolved, Unresolved> {
        let name = match wanted {
            Wanted::Bare(name) => name,
            Wanted::Full(address) if self.names.is_local(address.domain()) => address.local(),
            Wanted::Full(address) => return Ok(Resolved::Address(address.clone())),
        };
        let admin = self.admin()?;
        if let Some(addresses) = self.expand(name, admin.as_ref()) {
            return Ok(Resolved::Expanded(addresses));
        }
        match (admin, wanted) {
            (Some(admin), _) => Ok(Resolved::Expanded(vec![admin])),
            (None, Wanted::Bare(name)) if self.params.unknown_local == UnknownLocal::Reject => Err(Unresolved::NoUser(name.clone())),
            (None, Wanted::Bare(name)) => self.qualified(name),
            // No other host accepts mail for localhost.
            (None, Wanted::Full(address)) if is_loopback(address.domain()) => self.qualified(address.local()),
            (None, Wanted::Full(address)) => Ok(Resolved::Address(address.clone())),
        }
    }

    fn expand(&mut self, name: &str, admin: Option<&Address>) -> Option<Vec<Address>> {
        let loaded = &*self.aliases;
        let expansion = aliases::expand(&loaded.aliases, name, self.names, admin, &mut Host);
        let found = loaded.warning.iter().cloned().chain(expansion.iter().flat_map(|expansion| expansion.warnings.clone()));
        for warning in found {
            if self.warnings.len() < WARNINGS && !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        expansion.map(|expansion| expansion.addresses)
    }

    fn qualified(&self, name: &str) -> Result<Resolved, Unresolved> {
        let address = Address::new(name, &self.names.mailname);
        address.map(Resolved::Address).map_err(|why| Unresolved::Name(name.to_owned(), why))
    }

    fn admin(&self) -> Result<Option<Address>, Unresolved> {
        self.params.admin_address.as_deref().map(|text| Address::parse(text).map_err(Unresolved::Admin)).transpose()
    }
}

/// Loads the alias file. Errors in it never stop mail: valid entries are used, and the first error becomes a warning.
fn load(file: &Path) -> Loaded {
    let shown = file.display();
    match Aliases::read(file) {
        Ok(None) => Loaded { aliases: Aliases::default(), warning: None },
        Ok(Some(aliases)) => {
            let more = aliases.problems.len().saturating_sub(1);
            let warning = aliases.problems.first().map(|first| {
                let text = printable::text(&first.text);
                format!("{shown}:{}: {}; {more} more errors; run newaliases", first.line, text.chars().take(100).collect::<String>())
            });
            Loaded { aliases, warning }
        }
        Err(e) => Loaded { aliases: Aliases::default(), warning: Some(format!("cannot read {shown}: {e}")) },
    }
}

/// Lookups on this host.
struct Host;

impl Lookup for Host {
    fn include(&mut self, path: &str) -> Result<Vec<Target>, String> {
        aliases::read_include(path)
    }

    fn is_user(&mut self, name: &str) -> bool {
        sys::passwd::has_user(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Paths;

    fn resolved(text: &str, params: &Params) -> Result<String, Exit> {
        let names = Names::of(Some("m.example"), None, "web1", &[]).unwrap();
        let config = Config { params: params.clone(), paths: Paths::system(Path::new("/nonexistent")) };
        let wanted = Address::parse(text).map_or_else(|_| Wanted::Bare(text.to_owned()), Wanted::Full);
        match Resolver::new(&config, &names).resolve(&wanted) {
            Ok(Resolved::Address(address)) => Ok(address.to_string()),
            Ok(Resolved::Expanded(addresses)) => {
                Ok(format!("->{}", addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")))
            }
            Err(failure) => Err(failure.exit()),
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
    fn section_9_admin_address_gets_every_local_name_and_no_other() {
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

    #[test]
    fn section_9_aliases_come_before_admin_address_and_errors_become_warnings() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "root: r@x.example\nbroken\n").unwrap();
        let params = Params {
            alias_file: Some(file.path().to_owned()),
            admin_address: Some("admin@x.example".into()),
            unknown_local: UnknownLocal::Reject,
            ..Params::default()
        };
        assert_eq!(resolved("root@localhost", &params).as_deref(), Ok("->r@x.example"));
        assert_eq!(resolved("other", &params).as_deref(), Ok("->admin@x.example"));
        assert!(load(file.path()).warning.is_some_and(|warning| warning.contains(":2: no colon")));
        let unreadable = load(Path::new("/"));
        assert!(unreadable.warning.is_some_and(|warning| warning.starts_with("cannot read /")));
    }
}
