//! The key ring: the signing keys for each From domain, and why a key is unusable.
//!
//! In: the parameters and the keys directory, read once at start and at reload. Out: signers, or the reason to hold a message. A key
//! that cannot be used stops only itself: its reason is kept, and the other selectors of the domain still sign.
//!
//! The domain in From must be the configured one exactly, in any case: a parent's key would give a signature with another `d=`, which
//! strict alignment (RFC 7489 3.1.1) does not count, and an administrator who configured `example.org` said nothing about
//! `dev.example.org`.

use std::collections::BTreeMap;
use std::path::Path;

use hickory_resolver::proto::rr::Name;

use super::from::{self, FromError};
use super::sign::Signer;
use crate::file;
use crate::name::{Selector, SigningDomain};
use config::params::{DkimPolicy, DomainParams, Params};

/// All configured domains.
#[derive(Debug, Default)]
pub struct KeyRing {
    domains: BTreeMap<String, Domain>,
    problems: Vec<String>,
}

#[derive(Debug)]
enum Domain {
    Off,
    Signers(Vec<Signer>),
    Unusable(String),
}

/// The decision for a message.
#[derive(Clone, Debug)]
pub enum Signing<'a> {
    /// Send it unsigned: the domain is not configured.
    NotConfigured,
    /// Send it unsigned: `dkim = "off"`.
    Off,
    /// Sign it with these, at least one.
    Signers(&'a [Signer]),
    /// Hold it, for this reason (one line): `dkim = "required"`, and no key can be used.
    Unusable(String),
}

impl KeyRing {
    /// Reads the keys of all configured domains, as the user that this process runs as. Never fails as a whole.
    pub fn load(params: &Params, keys: &Path) -> KeyRing {
        let mut ring = KeyRing::default();
        for (name, domain) in &params.domain {
            let key = lookup_name(name);
            let loaded = match ring.domains.contains_key(&key) {
                true => {
                    Domain::Unusable(format!("the domain {key} has two tables in the configuration that differ only in case; keep one"))
                }
                false => ring.load_domain(name, domain, keys),
            };
            if let Domain::Unusable(reason) = &loaded {
                ring.problems.push(reason.clone());
            }
            ring.domains.insert(key, loaded);
        }
        ring
    }

    fn load_domain(&mut self, name: &str, params: &DomainParams, keys: &Path) -> Domain {
        if params.dkim == DkimPolicy::Off {
            return Domain::Off;
        }
        let domain = match SigningDomain::parse(name) {
            Ok(domain) => domain,
            Err(why) => return Domain::Unusable(format!("the configured domain {name:?} cannot sign: {why}")),
        };
        if params.selectors.is_empty() {
            return Domain::Unusable(format!(
                "the domain {domain} has no selectors; create a key with `mailchute dkim keygen {domain} SELECTOR` and add its selector, or set dkim = \"off\""
            ));
        }
        let (signers, reasons) = load_signers(&domain, &params.selectors, keys);
        if signers.is_empty() {
            return Domain::Unusable(format!("no key of {domain} can be used: {}", reasons.join("; ")));
        }
        self.problems.extend(reasons);
        Domain::Signers(signers)
    }

    /// What an administrator should know at start and reload: each unusable key and domain, one line each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The keys for a domain in From, in any case, as U-labels or A-labels.
    pub(crate) fn for_from(&self, domain: &str) -> Signing<'_> {
        match self.domains.get(&lookup_name(domain)) {
            None => Signing::NotConfigured,
            Some(Domain::Off) => Signing::Off,
            Some(Domain::Signers(signers)) => Signing::Signers(signers),
            Some(Domain::Unusable(reason)) => Signing::Unusable(reason.clone()),
        }
    }

    /// The keys for a message, by its header section. Without a domain in From no table can apply; with several From fields none
    /// can be chosen, so such a message is held wherever a domain is configured at all.
    pub fn for_header(&self, header: &[u8]) -> Signing<'_> {
        match from::domain(header) {
            Ok(domain) => self.for_from(&domain),
            Err(why @ FromError::Several(_)) if !self.domains.is_empty() => {
                Signing::Unusable(format!("the message cannot be signed: {why}; remove it and send it again with one From field"))
            }
            Err(_) => Signing::NotConfigured,
        }
    }
}

/// The form in which domains are compared: lower case, A-labels, no trailing dot. Receivers compare so too (RFC 7489 3.1.1), so mail
/// from `bücher.example` needs the keys of `xn--bcher-kva.example`. What is no domain name stays as it is, and matches nothing.
fn lookup_name(domain: &str) -> String {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let ascii = if domain.is_ascii() { None } else { Name::from_utf8(domain).ok() };
    ascii.map_or_else(|| domain.to_lowercase(), |name| name.to_ascii().to_lowercase())
}

/// The usable keys, and the reasons against the others.
fn load_signers(domain: &SigningDomain, selectors: &[String], keys: &Path) -> (Vec<Signer>, Vec<String>) {
    let mut signers: Vec<Signer> = Vec::new();
    let mut reasons = Vec::new();
    for text in selectors {
        match load_signer(domain, text, keys) {
            // Twice the same selector would only make the message longer.
            Ok(signer) if signers.iter().any(|other| other.selector == signer.selector) => {}
            Ok(signer) => signers.push(signer),
            Err(reason) => reasons.push(reason),
        }
    }
    (signers, reasons)
}

fn load_signer(domain: &SigningDomain, text: &str, keys: &Path) -> Result<Signer, String> {
    let selector = Selector::parse(text).map_err(|why| format!("the selector {text:?} of {domain}: {why}"))?;
    selector.record_name(domain).map_err(|why| format!("the selector {selector} of {domain}: {why}"))?;
    let key = file::read(keys, domain, &selector, sys::process::euid()).map_err(|e| e.to_string())?;
    Ok(Signer { domain: domain.clone(), selector, key })
}

#[cfg(test)]
mod tests;
