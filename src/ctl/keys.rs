//! `mailchute dkim keygen` and `mailchute dkim dns`: create keys and print DNS records.
//!
//! In: a domain and a selector, the configuration, the keys directory. Out: text for standard output; the caller prints it. Root runs
//! them, or the user of a rootless installation. They never change the configuration file. Errors have a sysexits code and one line.

use std::path::Path;

use config::paths::{Mode, Paths};
use config::{Config, params::Params};
use dkim::file;
use dkim::file::{KeyFileError, Refusal};
use dkim::{Kind, PrivateKey, Selector, SigningDomain, record};
use exit::{Exit, Failure};

/// The kind of key for the options of `keygen`. `bits` is `None` without the option.
///
/// Errors: EX_USAGE for both options at once, and for sizes other than 2048, 3072 and 4096.
pub fn kind(ed25519: bool, bits: Option<u32>) -> Result<Kind, Failure> {
    match (ed25519, bits) {
        (true, None) => Ok(Kind::Ed25519),
        (true, Some(_)) => Err(Failure::new(Exit::Usage, "--bits applies to RSA; Ed25519 keys have a fixed size")),
        (false, bits) => Kind::rsa(bits.unwrap_or(2048)).ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "--bits must be 2048, 3072 or 4096; receivers distrust smaller keys, and some cannot read larger ones",
            )
        }),
    }
}

/// `mailchute dkim keygen DOMAIN SELECTOR`: writes a new key and returns instructions.
///
/// Errors: EX_USAGE for an invalid name, EX_CANTCREAT for a key that exists or cannot be written.
pub fn keygen(config: &Config, domain: &str, selector: &str, kind: Kind) -> Result<String, Failure> {
    let domain = parse_domain(domain)?;
    let selector = Selector::parse(selector)
        .map_err(|why| Failure::new(Exit::Usage, format!("{selector:?} is not a selector: {why}; use a name such as s1")))?;
    let name = record_name(&domain, &selector)?;
    prepare_directory(&config.paths)?;
    let key = PrivateKey::generate(kind).map_err(|why| Failure::new(Exit::Software, format!("the new key {why}")))?;
    let text = record::text(&key).map_err(|why| Failure::new(Exit::Software, format!("the new key {why}")))?;
    let path = file::write(&config.paths.keys, &domain, &selector, &key).map_err(|e| not_written(&e))?;
    Ok(format!(
        "The private key is in {}.\n\n1. Publish this record:\n\n{}\n2. After the record is visible (`dig +short TXT {name}`), {}\n\n3. {}\n",
        path.display(),
        record_text(&name, &text),
        configuration_step(config, &domain, &selector),
        reload_step(config.paths.mode),
    ))
}

/// `mailchute dkim dns DOMAIN`: the records of all configured selectors, each as one string and for a zone file. The reason replaces
/// the record of a key that cannot be used; the other records are still printed.
///
/// Errors: EX_USAGE for an invalid name, EX_CONFIG if the domain has no selectors or none of its keys can be used.
pub fn dns(config: &Config, domain: &str) -> Result<String, Failure> {
    let domain = parse_domain(domain)?;
    let selectors: Vec<&String> = selectors(&config.params, &domain).collect();
    if selectors.is_empty() {
        let file = config.paths.config_file.display();
        let text = format!("{file} has no selectors for {domain}; create a key with `mailchute dkim keygen {domain} SELECTOR`");
        return Err(Failure::new(Exit::Config, text));
    }
    let signer = signing_user(&config.paths.keys);
    let records: Vec<Result<String, String>> =
        selectors.iter().map(|selector| published(&config.paths.keys, &domain, selector, signer)).collect();
    if records.iter().all(Result::is_err) {
        let reasons: Vec<String> = records.into_iter().filter_map(Result::err).collect();
        return Err(Failure::new(Exit::Config, reasons.join("; ")));
    }
    // A semicolon starts a comment in a zone file.
    Ok(records.into_iter().map(|record| record.unwrap_or_else(|reason| format!("; unusable: {reason}\n"))).collect::<Vec<_>>().join("\n"))
}

fn parse_domain(domain: &str) -> Result<SigningDomain, Failure> {
    SigningDomain::parse(domain).map_err(|why| Failure::new(Exit::Usage, format!("{domain:?} is not a domain name: {why}")))
}

fn record_name(domain: &SigningDomain, selector: &Selector) -> Result<String, Failure> {
    selector.record_name(domain).map_err(|why| Failure::new(Exit::Usage, format!("{selector}._domainkey.{domain}: {why}")))
}

/// Creates the keys directory of a rootless installation. In a system installation the directory belongs to the daemon's user, so
/// install.sh creates it: the daemon could not read a directory created here by root.
fn prepare_directory(paths: &Paths) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    if paths.keys.symlink_metadata().is_ok() {
        return Ok(());
    }
    let keys = paths.keys.display();
    if paths.mode == Mode::System {
        return Err(Failure::new(Exit::Config, format!("{keys} does not exist; run install.sh again to create it")));
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&paths.keys)
        .map_err(|e| Failure::new(Exit::CantCreate, format!("cannot create {keys}: {e}")))
}

fn not_written(error: &KeyFileError) -> Failure {
    let text = match error.why {
        Refusal::Denied(_) => format!("cannot write {}: permission denied; run this as root", error.path.display()),
        _ => error.to_string(),
    };
    Failure::new(Exit::CantCreate, text)
}

/// The record in both forms.
fn record_text(name: &str, text: &str) -> String {
    format!(
        "; for a web form:\n;   name   {name}\n;   type   TXT\n;   value  {text}\n; for a zone file:\n{}",
        record::zone_lines(name, text)
    )
}

/// The lines for mailchute.toml. TOML allows one table per domain, so an existing table must be changed, not repeated.
fn configuration_step(config: &Config, domain: &SigningDomain, selector: &Selector) -> String {
    let file = config.paths.config_file.display();
    let valid = selectors(&config.params, domain).filter_map(|text| Selector::parse(text).ok());
    let mut names: Vec<String> = valid.map(|selector| selector.to_string()).collect();
    let verb = if is_configured(&config.params, domain) { "change this table in" } else { "add this table to" };
    if !names.iter().any(|name| name == selector.as_str()) {
        names.push(selector.to_string());
    }
    let list: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{verb} {file}:\n\n[domain.\"{domain}\"]\nselectors = [{}]", list.join(", "))
}

fn reload_step(mode: Mode) -> String {
    format!("Reload the daemon: {}", mode.systemctl("reload"))
}

fn is_configured(params: &Params, domain: &SigningDomain) -> bool {
    params.domain.keys().any(|name| SigningDomain::parse(name).as_ref() == Ok(domain))
}

/// The selectors of the domain in the configuration. The name of the table is case-insensitive.
fn selectors<'a>(params: &'a Params, domain: &SigningDomain) -> impl Iterator<Item = &'a String> {
    let tables = params.domain.iter().filter(move |(name, _)| SigningDomain::parse(name).as_ref() == Ok(domain));
    tables.flat_map(|(_, table)| &table.selectors)
}

/// The uid that signs with the keys: for root the owner of the keys directory, for other users themselves.
fn signing_user(keys: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    match sys::process::euid() {
        0 => keys.symlink_metadata().map_or(0, |metadata| metadata.uid()),
        uid => uid,
    }
}

fn published(keys: &Path, domain: &SigningDomain, selector: &str, signer: u32) -> Result<String, String> {
    let selector = Selector::parse(selector).map_err(|why| format!("the selector {selector:?}: {why}"))?;
    let name = record_name(domain, &selector).map_err(|e| e.text)?;
    let key = file::read(keys, domain, &selector, signer).map_err(|e| e.to_string())?;
    let text = record::text(&key).map_err(|why| format!("{} {why}", file::path(keys, domain, &selector).display()))?;
    Ok(record_text(&name, &text))
}

#[cfg(test)]
mod tests;
