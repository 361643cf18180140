//! The sample configuration, made from the table of parameters: every default, with its description.
//!
//! Out: valid TOML in which every line is a comment, and which stays valid when the settings are uncommented. install.sh installs it;
//! `mailchute config --defaults` prints it.

use super::params::{DOMAIN_PARAMETERS, PARAMETERS, Parameter, WEBHOOK_PARAMETERS};

const HEAD: &str = "\
# mailchute.toml: the values shown are the defaults. See mailchute.toml(5). After a change, run `systemctl reload mailchuted`.
# Everybody may read this file: do not put passwords here.
";
/// Columns of the prose.
const WIDTH: usize = 98;

/// The sample.
pub fn text() -> String {
    let (tables, settings): (Vec<&Parameter>, Vec<&Parameter>) = PARAMETERS.iter().partition(|row| row.kind == "tables");
    let mut out = HEAD.to_owned();
    settings.into_iter().for_each(|row| out.push_str(&setting(row)));
    for table in tables {
        let (example, rows) = inside(table.name);
        out.push_str(&format!("\n{}#[{}.\"{example}\"]\n", comment(table.prose), table.name));
        rows.iter().for_each(|row| out.push_str(&setting(row)));
    }
    out
}

/// An example name for the tables `name`, and their rows.
fn inside(name: &str) -> (&'static str, &'static [Parameter]) {
    match name {
        "webhook" => ("ops", WEBHOOK_PARAMETERS),
        _ => ("example.org", DOMAIN_PARAMETERS),
    }
}

fn setting(row: &Parameter) -> String {
    let value = if row.default.is_empty() { String::new() } else { format!(" {}", value(row.default)) };
    format!("\n{}#{} ={value}\n", comment(row.prose), row.name)
}

/// A default in TOML. Everything except numbers, booleans and lists is quoted.
fn value(default: &str) -> String {
    let is_bare = default.parse::<u64>().is_ok() || matches!(default, "true" | "false") || default.starts_with('[');
    if is_bare { default.to_owned() } else { format!("\"{default}\"") }
}

fn comment(prose: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in prose.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            out.push('\n');
            column = 0;
        }
        let lead = if column == 0 { "# " } else { " " };
        out.push_str(lead);
        out.push_str(word);
        column += lead.len() + word.len();
    }
    out + "\n"
}
