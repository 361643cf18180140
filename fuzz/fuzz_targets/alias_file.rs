//! The alias file, the lists that it includes, and the way from a name to addresses.
//!
//! Input: an alias file; after each NUL, a list that `:include:/0`, `:include:/1` … brings.
//!
//! Asserts: the expansion ends, at any depth and with any loop, within its limits; every address prints and parses back; mail is
//! discarded only where the file says so or a notice tells; every problem has its line and is printable.

#![no_main]

use config::Names;
use libfuzzer_sys::fuzz_target;
use mail::{Address, limits};
use mailchute_fuzz::is_printable;
use mailchute_fuzz::judge::same_again;
use submit::aliases::{self, Aliases, Lookup, Target};

/// Names that every file is asked for, beside those that stand in it.
const ASKED: [&str; 5] = ["root", "a", "a+b", "ROOT", "nobody"];

struct Lists<'a>(Vec<&'a [u8]>);

impl Lookup for Lists<'_> {
    fn include(&mut self, path: &str) -> Result<Vec<Target>, String> {
        let number: usize = path.trim_start_matches('/').parse().map_err(|_| format!("{path}: no such file"))?;
        aliases::parse_include(self.0.get(number).ok_or("no such file")?)
    }

    fn is_user(&mut self, name: &str) -> bool {
        name.len().is_multiple_of(2)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|&byte| byte == 0);
    let text = parts.next().unwrap_or_default();
    let mut lookup = Lists(parts.collect());
    let aliases = Aliases::parse(text);
    let lines = text.split(|&byte| byte == b'\n').count();
    let mut last = 0;
    for problem in &aliases.problems {
        assert!(problem.line > last && problem.line <= lines, "line {} of {lines}", problem.line);
        assert!(is_printable(&problem.text) && !problem.text.contains('\n'), "{:?}", problem.text);
        last = problem.line;
    }
    assert!(aliases.count() <= lines && aliases.longest <= aliases.total && aliases.total <= text.len());
    let names = Names::of(Some("m.example"), None, "web1", &[]).unwrap();
    let admin = Address::parse("admin@x.example").unwrap();
    let in_file = text.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line.split(|&byte| byte == b':').next()?).ok());
    for name in in_file.take(8).chain(ASKED) {
        for admin in [None, Some(&admin)] {
            expand(&aliases, name, &names, admin, &mut lookup, data);
        }
    }
});

fn expand(aliases: &Aliases, name: &str, names: &Names, admin: Option<&Address>, lookup: &mut Lists, data: &[u8]) {
    let Some(expansion) = aliases::expand(aliases, name, names, admin, lookup) else { return };
    // The last list that was opened may go over the limit, which the caller then refuses.
    assert!(expansion.addresses.len() <= limits::RECIPIENTS + data.len());
    expansion.addresses.iter().for_each(same_again);
    assert!(expansion.warnings.iter().all(|warning| is_printable(warning) && !warning.contains('\n')), "{:?}", expansion.warnings);
    // A line may go on in the middle of it.
    let joined: Vec<u8> = data.iter().copied().filter(|byte| !matches!(byte, b'\\' | b'\r' | b'\n' | b' ' | b'\t')).collect();
    let says_so = joined.windows(9).any(|window| window == b"/dev/null");
    let has_lists = !lookup.0.is_empty();
    assert!(!expansion.addresses.is_empty() || !expansion.warnings.is_empty() || says_so || has_lists, "mail for {name:?} vanishes");
}
