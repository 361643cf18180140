//! The repository explains itself: every rule id, document and manual page that a file cites is there, and every rule has somebody
//! who obeys it. docs/WALKTHROUGH.md, "Rule ids", says which ids stand where.

mod ids;
pub(crate) mod judge;
mod texts;

use super::tree::{self, File};

#[test]
fn every_rule_document_and_page_that_is_cited_is_there_and_every_rule_is_obeyed() {
    let files = tree::files();
    assert!(judge::rules(&files).len() > 150, "{}", judge::rules(&files).len());
    let problems = judge::problems(&files);
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// A tree in which nothing is wrong, and some more files. It and its documents exist only here.
fn problems_with(more: &[(&str, &str)]) -> Vec<String> {
    let whole = [
        (
            "docs/INVENTED.md",
            "# Rules\n\n## 1. One\n\n* **R1** first,\n  and more.\n\n| step | what |\n|---|---|\n| D1 | open |\n| D2 | write |\n",
        ),
        ("src/a.rs", "//! R1; INVENTED.md section 1; INVENTED.md, \"1. One\"; tool(8); aliases(5).\n// D1 to D2\n"),
        ("man/tool.8", "Nothing.\n"),
    ];
    let files = whole.iter().chain(more).map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() });
    judge::problems(&files.collect::<Vec<_>>())
}

#[test]
fn a_tree_without_mistakes_has_no_problems() {
    assert!(problems_with(&[]).is_empty(), "{:?}", problems_with(&[]));
}

#[test]
fn each_kind_of_mistake_is_found() {
    for (path, text, what) in [
        ("src/b.rs", "// R7\n", "R7 stands in no document, and is cited by src/b.rs:1"),
        ("src/b.rs", "// ZZ9: a family that nobody knows\n", "ZZ9 stands in no document"),
        ("src/b.rs", "// D1 to D4\n", "D3 stands in no document"),
        ("src/b.rs", "assert!(x, \"R8: {y}\");\n", "R8 stands in no document"),
        ("tests/b.rs", "#[test]\nfn t_new_1_something_holds() {}\n", "T-NEW-1 stands in no document, and is cited by the test"),
        ("tests/b.patch", concat!(" /", "/ D9. Nobody else.\n"), "D9 stands in no document"),
        ("benches/b.py", "# R9\n", "R9 stands in no document"),
        ("docs/INVENTED-2.md", "| D1 | again |\n", "D1 stands in docs/"),
        ("docs/INVENTED-2.md", "* **U01** a demand\n", "nobody cites U01 of docs/INVENTED-2.md, and it names no test"),
        ("docs/INVENTED-2.md", "* **U01** a demand. Proof: `this_test_is_not_there`.\n", "U01 names a test that is not there"),
        ("src/b.rs", "// NOT-THERE.md says so.\n", "src/b.rs:1 cites NOT-THERE.md, which is not there"),
        ("src/b.rs", "// (INVENTED.md sections 1 and 2)\n", "cites section 2 of docs/INVENTED.md, which has none"),
        ("src/b.rs", "// (INVENTED.md, \"Two\")\n", "cites docs/INVENTED.md, \"Two\", which is no heading there"),
        ("src/b.rs", "// see tool(5)\n", "cites tool(5), which is not there"),
        ("src/b.rs", "// see mailchute-nothing(7)\n", "cites mailchute-nothing(7), which is not there"),
    ] {
        let problems = problems_with(&[(path, text)]);
        assert!(problems.iter().any(|problem| problem.contains(what)), "{text:?}: {problems:?}");
    }
}

#[test]
fn a_rule_that_names_its_test_or_is_by_design_needs_no_comment() {
    let test = ("tests/b.rs", "#[test]\nfn a_test_that_is_there() {}\n");
    assert!(problems_with(&[("docs/INVENTED-2.md", "* **U01** a demand.\n  Proof: `a_test_that_is_there`.\n"), test]).is_empty());
    assert!(problems_with(&[("docs/INVENTED-2.md", "* **U01** a demand. By design: nothing is to be built.\n")]).is_empty());
    assert!(problems_with(&[("docs/INVENTED-2.md", "* **U01** a demand\n"), ("tests/b.rs", "#[test]\nfn u01_holds() {}\n")]).is_empty());
}
