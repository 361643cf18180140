//! Expands a local name into addresses (SENDMAIL.md section 9): by an alias, the catch-all, the administrator, or `name@mailname`, in
//! this order.

use std::collections::BTreeSet;

use super::file::Aliases;
use super::target::Target;
use config::Names;
use mail::{Address, limits, printable};

/// Maximum nesting of aliases.
const DEPTH: usize = 16;

/// Lookups outside the alias file.
pub trait Lookup {
    /// The targets in an included file.
    fn include(&mut self, path: &str) -> Result<Vec<Target>, String>;
    /// True if a user has this name.
    fn is_user(&mut self, name: &str) -> bool;
}

/// The result for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The addresses; empty if the mail is discarded.
    pub addresses: Vec<Address>,
    /// Warnings for the log.
    pub warnings: Vec<String>,
}

/// Expands `name`. `None` if there is no alias and no catch-all for it. `admin` gets the mail of targets that cannot be expanded.
pub fn expand(aliases: &Aliases, name: &str, names: &Names, admin: Option<&Address>, lookup: &mut dyn Lookup) -> Option<Expansion> {
    let (key, targets) = find(aliases, name, lookup)?;
    let key = key.to_owned();
    let mut walk = Walk { names, admin, origin: name, out: Expansion::default(), work: Vec::new() };
    walk.push(targets, &[], &key);
    let mut expanded = BTreeSet::from([key]);
    // A work list instead of recursion, so that a file cannot exhaust the stack (THREATS PF26-4).
    while let Some((target, path)) = walk.work.pop() {
        if walk.out.addresses.len() > limits::RECIPIENTS {
            break;
        }
        match target {
            Target::Address(address) if !names.is_local(address.domain()) => walk.out.addresses.push(address),
            Target::Address(address) => walk.local(address.local(), &path, aliases, &mut expanded, lookup),
            Target::Local(name) => walk.local(&name, &path, aliases, &mut expanded, lookup),
            Target::Final(name) => walk.deliver(&name),
            Target::Discard => {}
            Target::Include(file) if path.contains(&file) => walk.fall_back(&format!("{file} leads back to itself")),
            Target::Include(_) if path.len() >= DEPTH => walk.fall_back("aliases are nested too deep"),
            // Each file is read once: files that include two others, 16 levels deep, would be read 65,536 times.
            Target::Include(file) if !expanded.insert(file.clone()) => {}
            Target::Include(file) => match lookup.include(&file) {
                Ok(targets) => walk.push(&targets, &path, &file),
                Err(why) => walk.fall_back(&why),
            },
            Target::Refused(what) => walk.fall_back(&format!("`{what}` is not supported")),
        }
    }
    Some(walk.out)
}

fn find<'a>(aliases: &'a Aliases, name: &str, lookup: &mut dyn Lookup) -> Option<(&'a str, &'a [Target])> {
    aliases.lookup(name).or_else(|| aliases.catch_all(|name| lookup.is_user(name)))
}

struct Walk<'a> {
    names: &'a Names,
    admin: Option<&'a Address>,
    /// The requested name.
    origin: &'a str,
    out: Expansion,
    /// Pending targets, last one first, each with the keys that led to it.
    work: Vec<(Target, Vec<String>)>,
}

impl Walk<'_> {
    fn push(&mut self, targets: &[Target], path: &[String], key: &str) {
        let path: Vec<String> = path.iter().cloned().chain([key.to_owned()]).collect();
        self.work.extend(targets.iter().rev().map(|target| (target.clone(), path.clone())));
    }

    fn local(&mut self, name: &str, path: &[String], aliases: &Aliases, expanded: &mut BTreeSet<String>, lookup: &mut dyn Lookup) {
        match find(aliases, name, lookup) {
            // `alice: alice, bob` is not a loop: it delivers to alice. A catch-all expands a name once.
            Some((key, _)) if path.last().is_some_and(|last| last == key) => self.deliver(name),
            Some(("*" | "default", _)) if path.iter().any(|key| key == "*" || key == "default") => self.deliver(name),
            Some((key, _)) if path.iter().any(|seen| seen == key) => self.fall_back(&format!("alias {key} leads back to itself")),
            Some(_) if path.len() >= DEPTH => self.fall_back("aliases are nested too deep"),
            // Each name is expanded once; a second expansion gives the same addresses.
            Some((key, targets)) if expanded.insert(key.to_owned()) => self.push(targets, path, key),
            Some(_) => {}
            None => match self.admin {
                Some(admin) => self.out.addresses.push(admin.clone()),
                None => self.deliver(name),
            },
        }
    }

    /// Adds `name@mailname`.
    fn deliver(&mut self, name: &str) {
        match Address::new(name, &self.names.mailname) {
            Ok(address) => self.out.addresses.push(address),
            Err(why) => self.warning(&format!("`{name}`: {why}")),
        }
    }

    /// An invalid alias never loses mail: the mail goes to the administrator, otherwise to the requested name.
    fn fall_back(&mut self, why: &str) {
        self.warning(why);
        match self.admin {
            Some(admin) => self.out.addresses.push(admin.clone()),
            None => self.deliver(self.origin),
        }
    }

    fn warning(&mut self, why: &str) {
        let mut text = printable::text(&format!("alias {}: {why}", self.origin));
        text.truncate(text.floor_char_boundary(200));
        if !self.out.warnings.contains(&text) {
            self.out.warnings.push(text);
        }
    }
}
