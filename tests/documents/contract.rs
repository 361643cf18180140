//! The contract of `sendmail`, docs/SENDMAIL.md, row by row: a test is named after each. Names like I2, H6 and S5 are those that
//! comments and tests use; `option_f`, `exit_65` and `section_8_…` are the rows of its tables.

use std::collections::BTreeSet;

use exit::Exit;
use submit::cli::{Class, OPTIONS};

/// The rules of sections that have no ids of their own: what a test is named after, and what it asks.
#[rustfmt::skip] // a list is easier to keep when each row is a line
const SECTIONS: &[(&str, &str)] = &[
    // 6. Exit codes
    ("section_6_a_failure_is_one_line", "the form of the line"),
    // 7. Flushing
    ("section_7_now", "-q, -q0, -qf, runq"),
    ("section_7_interval", "-q<time>, -qp"),
    ("section_7_selected", "-qI, -qR, -qS, and ! before the letter"),
    ("section_7_unsupported", "-qG, -qL, -qQ, -Q"),
    ("section_7_operands", "with operands or -t"),
    // 8. -bs
    ("section_8_a_session", "banner, keywords, replies, several transactions"),
    ("section_8_replies_to_everything_else", "the other commands and errors"),
    ("section_8_a_lf_session", "line ends"),
    ("section_8_the_fix_ups", "the fix-ups of section 4"),
    ("section_8_policy", "policy, and a spool that cannot be used"),
    ("section_8_how_a_session_ends", "exit codes, 421"),
    // 9. Aliases
    ("section_9_names_and_values", "the syntax"),
    ("section_9_local_names", "the order for a local recipient"),
    ("section_9_loops_commands_and_files", "what is refused falls back"),
    ("section_9_an_included_list", ":include:"),
    ("section_9_only_a_file_of_root", "whose lists are read"),
    ("section_9_the_catch_all", "* and default"),
    ("section_9_admin_address", "admin_address"),
    ("section_9_a_broken_file", "a broken file does not block mail"),
    ("section_9_newaliases", "newaliases"),
    // 14. Small decisions
    ("section_14_all_recipients_discarded", "0, logged, no file"),
    ("section_14_a_flush_too_soon", "0"),
    ("section_14_local_domains", "never from DNS"),
    ("section_14_a_writer_that_stays", "is waited for"),
];

/// docs/SENDMAIL.md.
fn document() -> String {
    super::read("docs/SENDMAIL.md")
}

/// The rows of the tables in a section of the document, cell by cell, without quotes.
fn table(number: u32) -> Vec<Vec<String>> {
    let text = document();
    let section = text.split("\n## ").find(|part| part.starts_with(&format!("{number}. "))).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

/// What tests are named after: the ids of the document, its options, modes and exit codes, and the sections above.
fn rows() -> BTreeSet<String> {
    let file = super::tree::File { path: "docs/SENDMAIL.md".to_owned(), text: document() };
    let mut rows: BTreeSet<String> = super::rules::judge::rules(&[file]).iter().map(|rule| rule.id.to_lowercase()).collect();
    // The first column of section 2: options, and modes such as `-bh -bH`.
    let options = table(2).into_iter().flat_map(|row| row[0].split(' ').map(str::to_owned).collect::<Vec<_>>());
    rows.extend(options.filter_map(|word| word.strip_prefix('-').map(|letters| format!("option_{letters}"))));
    rows.extend(table(6).iter().filter(|row| row[0].parse::<u8>().is_ok()).map(|row| format!("exit_{}", row[0])));
    rows.extend(["option_od", "option_hyphen"].map(str::to_owned));
    rows.extend(SECTIONS.iter().map(|(row, _)| (*row).to_owned()));
    rows
}

/// The names of all tests of this tree.
fn tests() -> BTreeSet<String> {
    super::tree::tests(&super::tree::files())
}

/// True if `test` is named after `row`: `i3` of `i3_i4_bare_cr_…` and of `t_smtp_1_i3_…`, and not of `ipv6_i3x_…`.
fn is_named_after(test: &str, row: &str) -> bool {
    format!("_{test}_").contains(&format!("_{row}_"))
}

#[test]
fn every_row_of_the_contract_has_a_test_named_after_it() {
    let (tests, rows) = (tests(), rows());
    assert!(tests.len() > 500 && rows.len() > 130, "{} {}", tests.len(), rows.len());
    let without: Vec<_> = rows.iter().filter(|row| !tests.iter().any(|test| is_named_after(test, row))).collect();
    assert!(without.is_empty(), "no test is named after {without:#?}");
}

#[test]
fn the_document_has_every_option_with_its_class_and_whom_it_follows() {
    let class = |class| match class {
        Class::Honour => "H",
        Class::Ignore => "I",
        Class::Refuse => "X",
        Class::Unsupported => "64",
    };
    let of_table: BTreeSet<_> =
        OPTIONS.iter().map(|row| [format!("-{}", row.letter), class(row.class).to_owned(), row.follows.to_owned()]).collect();
    let rows = table(2).into_iter().filter(|row| row.len() == 4 && row[0].starts_with('-'));
    let of_document: BTreeSet<_> = rows.map(|row| [row[0].clone(), row[1].clone(), row[3].clone()]).collect();
    assert_eq!(of_document, of_table);
}

#[test]
fn every_option_and_every_exit_code_is_a_row_and_every_row_is_named_once() {
    let rows = rows();
    for option in OPTIONS {
        assert!(rows.contains(format!("option_{}", option.letter).as_str()), "-{}", option.letter);
    }
    // 1 is the administrator's command's alone.
    for code in (0..=u8::MAX).filter(|&code| Exit::from_code(code).code() == code && code != Exit::NotFound.code()) {
        assert!(rows.contains(format!("exit_{code}").as_str()), "{code}");
    }
    let named = |test: &&String| test.starts_with("option_") || test.starts_with("exit_");
    for test in tests().iter().filter(named) {
        assert!(rows.iter().any(|row| is_named_after(test, row)), "{test} is named after nothing");
    }
}

#[test]
fn a_name_counts_only_as_a_whole_word() {
    assert!(
        is_named_after("i3_i4_bare_cr", "i4")
            && is_named_after("t_env_2_c9_closed", "c9")
            && is_named_after("option_f_and_option_r", "option_r")
    );
    assert!(!is_named_after("i34_x", "i3") && !is_named_after("option_bp_lists", "option_b") && !is_named_after("c10_x", "c1"));
}
