//! A document never names a file that is not there, and what it says to write into the configuration is valid.

/// The words of `text` that stand between back quotes and look like a path of this tree.
fn named_paths(text: &str) -> Vec<&str> {
    let tops = ["src/", "tests/", "man/", "docs/", "packaging/", "examples/", "benches/", ".cargo/"];
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| tops.iter().any(|top| word.starts_with(top)) && !word.contains([' ', '*', '{'])).collect()
}

/// README, CHANGELOG, and everything in docs/.
fn documents() -> Vec<String> {
    let files = super::tree::files().into_iter().map(|file| file.path);
    files.filter(|path| path.ends_with(".md") && (!path.contains('/') || path.starts_with("docs/"))).collect()
}

#[test]
fn every_path_that_a_document_names_exists() {
    for document in documents() {
        for path in named_paths(&super::read(&document)) {
            assert!(super::tree().join(path).exists(), "{document} names {path}");
        }
    }
}

#[test]
fn the_architecture_names_every_module() {
    let text = super::read("docs/ARCHITECTURE.md");
    for entry in std::fs::read_dir(super::tree().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if super::tree().join("src").join(&name).is_dir() {
            assert!(text.contains(&format!("`src/{name}/`")), "docs/ARCHITECTURE.md does not name src/{name}/");
        }
    }
}

#[test]
fn every_link_in_a_document_leads_to_a_file() {
    for document in documents() {
        let text = super::read(&document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http") && !target.starts_with('#')) {
            let base = super::tree().join(&document);
            let path = base.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(path.exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn every_configuration_in_the_documents_is_valid() {
    let readme = super::read("README.md");
    let blocks: Vec<_> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let page = super::read("man/mailchute.toml.5");
    let examples = page.split(".Bd -literal -offset indent\n").skip(1).filter_map(|rest| rest.split(".Ed").next());
    assert!(blocks.len() >= 2);
    for block in blocks.into_iter().chain(examples) {
        let parsed = config::parse(block.as_bytes(), std::path::Path::new("a document"));
        assert!(parsed.is_ok(), "{}\n{block}", parsed.unwrap_err());
    }
}
