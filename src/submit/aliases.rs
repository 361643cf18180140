//! The alias file (SENDMAIL.md section 9): text, read at injection; there is no database.
//!
//! In: a file of root's, in the syntax of aliases(5). Out: for each name its targets, and a list of what is wrong, line by line.
//! A broken line costs itself alone: a message is never refused because of this file. Commands and files are targets that this
//! system does not serve: nothing is executed, and nothing but the spool is written.

mod expand;
mod include;

use std::collections::BTreeMap;
use std::path::Path;

use mail::address_list::{AddressList, Spec};
use mail::{Address, printable};

pub use expand::{Expansion, World, expand};
pub use include::{parse as parse_include, read as read_include};

/// Where mail for a name goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A whole address.
    Address(Address),
    /// A local name, which may be an alias itself.
    Local(String),
    /// `\name`: a local name that is not looked up again.
    Final(String),
    /// `:include:path`
    Include(String),
    /// `/dev/null`
    Discard,
    /// `|command`, `/file`: not served.
    Refused(String),
}

/// A line that is wrong, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line on which the entry begins.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

/// The contents of an alias file.
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    entries: BTreeMap<String, Vec<Target>>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Bytes of the longest list of targets.
    pub longest: usize,
    /// Bytes of all names and targets.
    pub total: usize,
}

impl Aliases {
    /// The entries in `text`.
    pub fn parse(text: &[u8]) -> Aliases {
        let mut aliases = Aliases::default();
        for (line, entry) in logical_lines(text) {
            if let Err(why) = aliases.add(&entry) {
                aliases.problems.push(Problem { line, text: why });
            }
        }
        aliases
    }

    fn add(&mut self, entry: &[u8]) -> Result<(), String> {
        let entry = std::str::from_utf8(entry).map_err(|_| "not UTF-8".to_owned())?;
        let (name, value) = split_name(entry)?;
        let (targets, problems) = targets(value);
        if targets.is_empty() {
            // Commas alone. An alias without targets would discard mail in silence; only /dev/null may.
            return Err(no_target(name));
        }
        self.longest = self.longest.max(value.len());
        self.total += name.len() + value.len();
        let known = self.entries.contains_key(&name.to_lowercase());
        if !known {
            // The first one counts, as in Postfix; a broken target stays in it, so that its mail goes to the administrator.
            self.entries.insert(name.to_lowercase(), targets);
        }
        match problems.first() {
            _ if known => Err(format!("duplicate alias {}", printable::text(name))),
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// The file at `path`; no file is an empty one.
    ///
    /// Errors: the kernel's reason.
    pub fn read(path: &Path) -> std::io::Result<Option<Aliases>> {
        match sys::fs::read_whole(path) {
            Ok(text) => Ok(Some(Aliases::parse(&text))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// How many aliases there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The entry for `name`, in any case, without a `+extension` if there is none with it; and the key that was found.
    fn lookup(&self, name: &str) -> Option<(&str, &[Target])> {
        let find = |name: &str| self.entries.get_key_value(name.to_lowercase().as_str());
        let bare = || name.split_once('+').map(|(bare, _)| bare).filter(|bare| !bare.is_empty());
        find(name).or_else(|| bare().and_then(find)).map(|(key, targets)| (key.as_str(), targets.as_slice()))
    }

    /// The entry that takes every other local name: `*`, or `default` where no user has that name.
    fn catch_all(&self, is_user: impl FnOnce(&str) -> bool) -> Option<(&str, &[Target])> {
        let find = |key: &'static str| self.entries.get(key).map(|targets| (key, targets.as_slice()));
        find("*").or_else(|| find("default").filter(|_| !is_user("default")))
    }

    /// Every file that is included, with the name that does it.
    pub(crate) fn includes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().flat_map(|(name, targets)| {
            targets.iter().filter_map(move |target| match target {
                Target::Include(path) => Some((name.as_str(), path.as_str())),
                _ => None,
            })
        })
    }
}

/// The entries with the number of their first line: `#` begins a comment only at the start of a line; a line continues if it ends
/// in a backslash or the next one begins with a blank.
fn logical_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut entries: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_continuation = goes_on || matches!(line.first(), Some(b' ' | b'\t'));
        if !goes_on && (line.trim_ascii().is_empty() || line.starts_with(b"#")) {
            continue;
        }
        let (part, backslash) = line.strip_suffix(b"\\").map_or((line, false), |part| (part, true));
        match entries.last_mut().filter(|_| is_continuation) {
            Some((_, entry)) => entry.extend_from_slice(part),
            None => entries.push((number + 1, part.to_vec())),
        }
        goes_on = backslash;
    }
    entries
}

/// The name before the colon, quoted or not, and what follows.
fn split_name(entry: &str) -> Result<(&str, &str), String> {
    let (name, rest) = match entry.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quote that does not close")?,
        None => entry.split_at(entry.find(':').ok_or("no colon after the name")?),
    };
    let value = rest.trim_start().strip_prefix(':').ok_or("no colon after the name")?.trim();
    let name = name.trim();
    if name.is_empty() || name.contains(['@', ',', '<', '>']) || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("`{}` is not a local name", printable::text(name)));
    }
    if value.is_empty() {
        return Err(no_target(name));
    }
    Ok((name, value))
}

fn no_target(name: &str) -> String {
    format!("{}: no target", printable::text(name))
}

/// The targets in a list, and what is wrong with some of them.
fn targets(value: &str) -> (Vec<Target>, Vec<String>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for item in split_items(value) {
        match target(item) {
            Ok(target) => {
                if let Target::Refused(what) = &target {
                    problems.push(format!("`{}`: commands and files are not served here", printable::text(what)));
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

/// The items between commas that stand outside quotes and parentheses.
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
        return Err(format!("`{}`: a control character", printable::text(inner)));
    }
    if let Some(path) = inner.get(..9).filter(|head| head.eq_ignore_ascii_case(":include:")).and_then(|_| inner.get(9..)) {
        let path = path.trim();
        return if path.starts_with('/') {
            Ok(Target::Include(path.to_owned()))
        } else {
            Err(format!("`{}`: the path of an include is absolute", printable::text(path)))
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
        _ => Err(format!("`\\{}`: a local name is expected after the backslash", printable::text(name))),
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
        _ => Err(format!("`{}`: one address is expected between two commas", shown())),
    }
}

#[cfg(test)]
mod tests;
