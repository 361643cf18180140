//! Which file of a crate imports which: in one direction only. A reader can then take a file with what it imports, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{ROOT, Source, files};

/// A module: its path below the crate. The root is empty.
type Module = Vec<String>;

/// The crate and module of a source file: `src/daemon/answer/act.rs` is daemon, answer::act.
fn module_of(path: &Path) -> (String, Module) {
    let inner = path.strip_prefix("src").unwrap().with_extension("");
    let mut names: Vec<String> = inner.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let room = names.remove(0);
    if names.last().is_some_and(|name| name == "mod" || name == "lib") {
        names.pop();
    }
    (room, names)
}

/// The text without comments and without the unit tests at its foot.
fn product_of(text: &str) -> String {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    product.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths of `a::{b, c::{d, e}}`, each in full.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        found.push(format!("{prefix}{tree}"));
        return;
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let prefix = format!("{prefix}{head}");
    let mut depth = 0;
    let items = inner.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    items.filter(|item| !item.is_empty()).for_each(|item| expand(&prefix, item, found));
}

/// Every path that begins with a word of `heads`: in `use` trees and in the code.
fn paths(text: &str, heads: &[String]) -> Vec<String> {
    let (mut found, mut code, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find("use ").filter(|at| *at == 0 || !rest.as_bytes()[at - 1].is_ascii_alphanumeric()) {
        let (before, tree) = rest.split_at(at);
        let (tree, after) = tree.split_once(';').unwrap_or((tree, ""));
        code.push_str(before);
        let tree: String = tree["use ".len()..].split_whitespace().take_while(|word| *word != "as").collect();
        expand("", &tree, &mut found);
        rest = after;
    }
    code.push_str(rest);
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    found.extend(code.split(|c: char| !is_path(c)).filter(|word| word.contains("::")).map(str::to_owned));
    let begins = |path: &String| path.split("::").next().is_some_and(|head| heads.iter().any(|known| known == head));
    found.into_iter().filter(begins).collect()
}

/// The module that `path`, written in module `here`, leads into.
fn target(path: &str, here: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let mut words: Vec<&str> = path.split("::").collect();
    let mut at: Module = match words[0] {
        "crate" => Module::new(),
        _ => here.clone(),
    };
    if ["crate", "self"].contains(&words[0]) {
        words.remove(0);
    }
    while words.first() == Some(&"super") {
        at.pop();
        words.remove(0);
    }
    at.extend(words.into_iter().map(str::to_owned));
    while !modules.contains(&at) {
        at.pop()?;
    }
    Some(at)
}

/// What each module of one crate imports of the others.
fn graph(sources: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules: BTreeSet<Module> = sources.keys().cloned().collect();
    let imports = |(here, text): (&Module, &String)| {
        let children = modules.iter().filter(|module| module.len() == here.len() + 1 && module.starts_with(here));
        let mut heads: Vec<String> = children.filter_map(|module| module.last().cloned()).collect();
        heads.extend(["crate", "self", "super"].map(str::to_owned));
        let found = paths(text, &heads).iter().filter_map(|path| target(path, here, &modules)).filter(|other| other != here).collect();
        (here.clone(), found)
    };
    sources.iter().map(imports).collect()
}

/// A circle of imports, if there is one: each module imports the next, and the last one the first.
fn circle(graph: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let mut is_done: BTreeMap<&Module, bool> = BTreeMap::new();
    fn visit<'a>(
        at: &'a Module,
        graph: &'a BTreeMap<Module, BTreeSet<Module>>,
        is_done: &mut BTreeMap<&'a Module, bool>,
        way: &mut Vec<Module>,
    ) -> bool {
        match is_done.get(at) {
            Some(true) => return false,
            Some(false) => return true,
            None => {}
        }
        is_done.insert(at, false);
        way.push(at.clone());
        if graph.get(at).into_iter().flatten().any(|next| visit(next, graph, is_done, way)) {
            return true;
        }
        way.pop();
        is_done.insert(at, true);
        false
    }
    let mut way = Vec::new();
    graph.keys().any(|module| visit(module, graph, &mut is_done, &mut way)).then_some(way)
}

#[test]
fn no_two_files_of_a_crate_import_each_other_in_a_circle() {
    let mut crates: BTreeMap<String, BTreeMap<Module, String>> = BTreeMap::new();
    for Source { path, text } in files(&["src"], &["rs"]) {
        let is_test = path.file_stem().is_some_and(|stem| ["tests", "testing", "scratch"].iter().any(|name| stem == *name));
        if !path.starts_with("src/bin") && !is_test {
            let (room, module) = module_of(&path);
            crates.entry(room).or_default().insert(module, product_of(&text));
        }
    }
    assert!(crates.len() > 10 && crates.values().map(BTreeMap::len).sum::<usize>() > 200);
    for (name, sources) in crates {
        assert_eq!(circle(&graph(&sources)), None, "in src/{name}");
    }
}

#[test]
fn the_judge_of_files_sees_every_form_of_import() {
    let here: Module = vec!["smtp".to_owned(), "session".to_owned()];
    let names = [vec![], vec!["tls"], vec!["smtp"], vec!["smtp", "session"], vec!["smtp", "reply"], vec!["smtp", "session", "open"]];
    let modules: BTreeSet<Module> = names.iter().map(|names| names.iter().map(|name| (*name).to_owned()).collect()).collect();
    let seen = |text: &str| {
        let sources =
            modules.iter().map(|module| (module.clone(), if *module == here { text.to_owned() } else { String::new() })).collect();
        graph(&sources)[&here].iter().map(|module| module.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(seen("use crate::tls::Client;"), ["tls"]);
    assert_eq!(seen("use crate::{smtp::reply::{Reply, self}, tls};"), ["smtp::reply", "tls"]);
    assert_eq!(seen("use super::reply;"), ["smtp::reply"]);
    assert_eq!(seen("use super::Settings;"), ["smtp"], "what the parent defines is an import of the parent");
    assert_eq!(seen("fn f() { super::super::tls::start() }"), ["tls"]);
    assert_eq!(seen("pub(super) use open::Session;\nfn g() -> open::Error {}"), ["smtp::session::open"]);
    assert!(seen("use std::io;\nlet x = tls::start();").is_empty(), "a crate of that name");
    let parts = |text: &str| product_of(text);
    assert_eq!(parts("use a::b; // use super::c\n#[cfg(test)]\nmod tests { use super::*; }").trim(), "use a::b;");
}

#[test]
fn the_judge_of_files_finds_a_circle_and_only_a_circle() {
    let of = |edges: &[(&str, &str)]| {
        let module = |name: &str| vec![name.to_owned()];
        let mut graph: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry(module(from)).or_default().insert(module(to));
            graph.entry(module(to)).or_default();
        }
        circle(&graph).is_some()
    };
    assert!(!of(&[("a", "b"), ("a", "c"), ("b", "c")]));
    assert!(of(&[("a", "b"), ("b", "c"), ("c", "b")]));
    let path = PathBuf::from("src/daemon/answer/act.rs");
    assert_eq!(module_of(&path), ("daemon".to_owned(), vec!["answer".to_owned(), "act".to_owned()]));
    assert_eq!(module_of(Path::new("src/mail/lib.rs")), ("mail".to_owned(), vec![]));
    assert!(Path::new(ROOT).join(path).exists());
}

#[test]
fn no_source_depends_on_a_feature() {
    for Source { path, text } in files(&["src"], &["rs"]) {
        assert!(!text.contains(concat!("cfg(feat", "ure")), "{}: programs are cut apart by crates", path.display());
    }
}
