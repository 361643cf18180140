//! The parts of documents that are made from tables: the sample configuration, the parameters in mailchute.toml(5), the
//! directories in mailchute-spool(5) and docs/SPOOL.md, the exit codes in sendmail(8).
//!
//! `UPDATE=1 cargo test documents` rewrites them.

use std::fmt::Write;

use config::params::{DOMAIN_PARAMETERS, PARAMETERS, Parameter, WEBHOOK_PARAMETERS};
use config::sample;
use observe::metrics::families::FAMILIES;
use spool::layout::DIRECTORIES;

/// Compares a file with what it should hold, or with UPDATE=1 writes it.
pub(crate) fn compare(path: &str, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(super::tree().join(path), wanted).unwrap();
    }
    let found = std::fs::read_to_string(super::tree().join(path)).unwrap_or_default();
    assert!(found == wanted, "{path} is not what its table gives: run `UPDATE=1 cargo test documents`");
}

/// The text of `path` with the lines between `BEGIN name` and `END name` replaced.
pub(crate) fn with_section(path: &str, name: &str, section: &str) -> String {
    let text = super::read(path);
    let line_after = |mark: &str, from: usize| from + text[from..].find(mark).unwrap_or_else(|| panic!("{path} lacks {mark}"));
    let begin = line_after(&format!("BEGIN {name} ("), 0);
    let start = begin + text[begin..].find('\n').unwrap() + 1;
    let end_mark = line_after(&format!("END {name}"), start);
    let end = text[..end_mark].rfind('\n').unwrap() + 1;
    format!("{}{section}{}", &text[..start], &text[end..])
}

/// Fills lines of at most `width` columns.
fn fill(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > width {
            out.push('\n');
            column = 0;
        }
        let lead = if column == 0 { "" } else { " " };
        write!(out, "{lead}{word}").unwrap();
        column += lead.len() + word.len();
    }
    out.push('\n');
    out
}

/// mdoc text: a sentence on its own line, no line that looks like a macro, backslashes as themselves.
fn mdoc(text: &str) -> String {
    let escaped = text.replace('\\', "\\e");
    escaped.split_inclusive(". ").map(|sentence| fill(sentence, 78).replace("\n.", "\n\\&.")).collect()
}

fn parameter_items(table: &[Parameter]) -> String {
    let mut out = ".Bl -tag -width Ds\n".to_owned();
    for row in table {
        writeln!(out, ".It Ic {} Pq {}", row.name, row.kind.replace('"', "\\(dq")).unwrap();
        out.push_str(&mdoc(row.prose));
        if !row.default.is_empty() {
            writeln!(out, "The default is\n.Ql {} .", row.default.replace('"', "\\(dq")).unwrap();
        }
    }
    out + ".El\n"
}

#[test]
fn the_sample_configuration_is_made_from_the_table_of_parameters() {
    compare("packaging/mailchute.toml", &sample::text());
}

#[test]
fn the_sample_configuration_is_valid_as_it_is_and_with_every_default_set() {
    let parse = |text: &str| config::parse(text.as_bytes(), std::path::Path::new("sample"));
    assert!(parse(&sample::text()).is_ok());
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && !line.ends_with('=');
    let set: String = sample::text().lines().filter(is_setting).map(|line| format!("{}\n", &line[1..])).collect();
    let params = parse(&set).unwrap_or_else(|e| panic!("{e}\n{set}"));
    // Where a default in the table differed from the one in the code, the two would be told apart here.
    let mut expected = config::Params::default();
    expected.domain.insert("example.org".to_owned(), config::DomainParams::default());
    expected.webhook.insert("ops".to_owned(), config::WebhookParams::default());
    assert_eq!(format!("{params:?}"), format!("{expected:?}"));
}

#[test]
fn the_manual_of_the_configuration_is_made_from_the_table_of_parameters() {
    let path = "man/mailchute.toml.5";
    compare(path, &with_section(path, "PARAMETERS", &parameter_items(PARAMETERS)));
    compare(path, &with_section(path, "DOMAIN PARAMETERS", &parameter_items(DOMAIN_PARAMETERS)));
    compare(path, &with_section(path, "WEBHOOK PARAMETERS", &parameter_items(WEBHOOK_PARAMETERS)));
}

#[test]
fn the_manual_of_the_spool_is_made_from_the_layout_table() {
    let mut list = ".Bl -column corrupt/ 3733\n.It Sy directory Ta Sy mode Ta Sy holds\n".to_owned();
    for row in DIRECTORIES {
        // A lone dot would be punctuation.
        let name = if row.name == "." { "\\&." } else { row.name };
        writeln!(list, ".It Pa {} Ta {:04o} Ta {}", name, row.mode, row.holds).unwrap();
    }
    let path = "man/mailchute-spool.5";
    compare(path, &with_section(path, "DIRECTORIES", &(list + ".El\n")));
}

#[test]
fn the_document_of_the_spool_has_the_layout_table() {
    let mut table = "| directory | mode | holds |\n|---|---|---|\n".to_owned();
    for row in DIRECTORIES {
        writeln!(table, "| `{}` | {:04o} | {} |", row.name, row.mode, row.holds).unwrap();
    }
    compare("docs/SPOOL.md", &with_section("docs/SPOOL.md", "DIRECTORIES", &table));
}

#[test]
fn the_manual_of_the_daemon_has_the_table_of_metrics() {
    let mut list = ".Bl -tag -width Ds\n".to_owned();
    for family in FAMILIES {
        writeln!(list, ".It Sy {} Pq {}", family.name, family.kind.word()).unwrap();
        list.push_str(&mdoc(family.help));
    }
    let path = "man/mailchuted.8";
    compare(path, &with_section(path, "METRICS", &(list + ".El\n")));
}

/// The rows of src/exit/lib.rs: number, sysexits name, what it means.
fn exit_codes() -> Vec<(u8, String, String)> {
    let source = super::read("src/exit/lib.rs");
    let mut rows = Vec::new();
    let mut prose = String::new();
    for line in source.lines().map(str::trim).skip_while(|line| !line.starts_with("pub enum Exit")) {
        if let Some(text) = line.strip_prefix("/// ") {
            prose = format!("{prose} {text}");
        } else if let Some((_, number)) = line.trim_end_matches(',').split_once(" = ") {
            if let Some((name, text)) = prose.trim().split_once(": ") {
                rows.push((number.parse().unwrap(), name.to_owned(), text.to_owned()));
            }
            prose.clear();
        } else if line == "}" {
            break;
        }
    }
    rows
}

#[test]
fn the_manual_of_sendmail_has_the_exit_codes_of_the_code() {
    let rows = exit_codes();
    assert!(rows.iter().any(|(code, name, _)| *code == 64 && name == "EX_USAGE"), "{rows:?}");
    let mut list = ".Bl -tag -width Ds\n".to_owned();
    for (code, name, text) in rows {
        let sentence = text.replace('`', "");
        let (head, tail) = sentence.split_at(1);
        write!(list, ".It {code} Pq Er {name}\n{}", mdoc(&format!("{}{tail}", head.to_uppercase()))).unwrap();
    }
    compare("man/sendmail.8", &with_section("man/sendmail.8", "EXIT CODES", &(list + ".El\n")));
}
