//! The targets of an alias: addresses, local names, includes. Commands and files are refused. Pure.

use mail::address_list::{AddressList, Spec};
use mail::{Address, printable};

/// A target of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A full address.
    Address(Address),
    /// A local name, which may be an alias.
    Local(String),
    /// `\name`: a local name that is not expanded.
    Final(String),
    /// `:include:path`
    Include(String),
    /// `/dev/null`
    Discard,
    /// `|command`, `/file`: not supported.
    Refused(String),
}

/// The targets of a list, and the errors in it.
pub(super) fn targets(value: &str) -> (Vec<Target>, Vec<String>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for item in split_items(value) {
        match target(item) {
            Ok(target) => {
                if let Target::Refused(what) = &target {
                    problems.push(format!("`{}`: commands and files are not supported", printable::text(what)));
                }
                found.push(target);
            }
            Err(why) => {
                problems.push(why);
                found.push(Target::Refused(item.to_owned()));
            }
        }
    }
    (found, problems)
}

/// Splits at commas outside quotes and parentheses.
fn split_items(value: &str) -> Vec<&str> {
    let (mut quoted, mut depth, mut escaped) = (false, 0usize, false);
    let is_separator = |c: char| {
        let plain = !std::mem::take(&mut escaped);
        match c {
            '\\' if plain => escaped = true,
            '"' if plain => quoted = !quoted,
            '(' if plain && !quoted => depth += 1,
            ')' if plain && !quoted => depth = depth.saturating_sub(1),
            ',' => return plain && !quoted && depth == 0,
            _ => {}
        }
        false
    };
    value.split(is_separator).map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn target(item: &str) -> Result<Target, String> {
    let inner = item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(item);
    if inner.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("`{}` contains a control character", printable::text(inner)));
    }
    if let Some(path) = inner.get(..9).filter(|head| head.eq_ignore_ascii_case(":include:")).and_then(|_| inner.get(9..)) {
        let path = path.trim();
        return if path.starts_with('/') {
            Ok(Target::Include(path.to_owned()))
        } else {
            Err(format!("`{}`: the path of an include must be absolute", printable::text(path)))
        };
    }
    match inner {
        "/dev/null" => Ok(Target::Discard),
        refused if refused.starts_with(['|', '/']) => Ok(Target::Refused(refused.to_owned())),
        _ => match item.strip_prefix('\\') {
            Some(name) => local(name).map(Target::Final),
            None => address(item),
        },
    }
}

fn local(name: &str) -> Result<String, String> {
    match address(name)? {
        Target::Local(name) => Ok(name),
        _ => Err(format!("`\\{}`: a local name must follow the backslash", printable::text(name))),
    }
}

fn address(item: &str) -> Result<Target, String> {
    let list = AddressList::parse(item.as_bytes());
    let shown = || printable::text(item);
    match list.mailboxes.as_slice() {
        [mailbox] => match &mailbox.spec {
            Ok(Spec::Full(address)) => Ok(Target::Address(address.clone())),
            Ok(Spec::Bare { local, .. }) => Ok(Target::Local(local.clone())),
            Ok(Spec::Null) => Err(format!("`{}`: no address", shown())),
            Err(why) => Err(format!("`{}`: {why}", shown())),
        },
        _ => Err(format!("`{}`: separate addresses with commas", shown())),
    }
}
