//! The entries of an alias file, and its errors, line by line.

use std::collections::BTreeMap;
use std::path::Path;

use super::target::{Target, targets};
use mail::printable;

/// An error in the alias file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line on which the entry starts, counted from 1.
    pub line: usize,
    /// The error text.
    pub text: String,
}

/// The contents of an alias file.
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    entries: BTreeMap<String, Vec<Target>>,
    /// The errors.
    pub problems: Vec<Problem>,
    /// Size of the longest list of targets in bytes.
    pub longest: usize,
    /// Size of all names and targets in bytes.
    pub total: usize,
}

impl Aliases {
    /// Parses `text`.
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
            // Only commas. An alias without targets would silently discard mail; only /dev/null may do that.
            return Err(no_target(name));
        }
        self.longest = self.longest.max(value.len());
        self.total += name.len() + value.len();
        let known = self.entries.contains_key(&name.to_lowercase());
        if !known {
            // The first entry counts, as in Postfix. An invalid target stays in it, so that its mail goes to the administrator.
            self.entries.insert(name.to_lowercase(), targets);
        }
        match problems.first() {
            _ if known => Err(format!("duplicate alias {}", printable::text(name))),
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// Reads the file at `path`; `None` if it is missing.
    ///
    /// Errors: the kernel's.
    pub fn read(path: &Path) -> std::io::Result<Option<Aliases>> {
        match sys::fs::read_whole(path) {
            Ok(text) => Ok(Some(Aliases::parse(&text))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The number of aliases.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The entry for `name` and its key, case-insensitive; without the `+extension` if there is no entry with it.
    pub(super) fn lookup(&self, name: &str) -> Option<(&str, &[Target])> {
        let find = |name: &str| self.entries.get_key_value(name.to_lowercase().as_str());
        let bare = || name.split_once('+').map(|(bare, _)| bare).filter(|bare| !bare.is_empty());
        find(name).or_else(|| bare().and_then(find)).map(|(key, targets)| (key.as_str(), targets.as_slice()))
    }

    /// The entry for every other local name: `*`, or `default` if no user has that name.
    pub(super) fn catch_all(&self, is_user: impl FnOnce(&str) -> bool) -> Option<(&str, &[Target])> {
        let find = |key: &'static str| self.entries.get(key).map(|targets| (key, targets.as_slice()));
        find("*").or_else(|| find("default").filter(|_| !is_user("default")))
    }

    /// Every included file with the name of its alias.
    pub(crate) fn includes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().flat_map(|(name, targets)| {
            targets.iter().filter_map(move |target| match target {
                Target::Include(path) => Some((name.as_str(), path.as_str())),
                _ => None,
            })
        })
    }
}

/// The entries with the number of their first line. `#` starts a comment only at the start of a line. A line continues if it ends in a
/// backslash or the next line starts with a blank.
fn logical_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut entries: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut is_continued = false;
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_continuation = is_continued || matches!(line.first(), Some(b' ' | b'\t'));
        if !is_continued && (line.trim_ascii().is_empty() || line.starts_with(b"#")) {
            continue;
        }
        let (part, backslash) = line.strip_suffix(b"\\").map_or((line, false), |part| (part, true));
        match entries.last_mut().filter(|_| is_continuation) {
            Some((_, entry)) => entry.extend_from_slice(part),
            None => entries.push((number + 1, part.to_vec())),
        }
        is_continued = backslash;
    }
    entries
}

/// Splits an entry into the name, quoted or not, and the targets.
fn split_name(entry: &str) -> Result<(&str, &str), String> {
    let (name, rest) = match entry.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("unclosed quote")?,
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
