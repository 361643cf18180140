//! Errors are types: their kind decides, and their sentence is for people. What is left of errors that are only a sentence is listed here
//! with the reason, so that the list can only become shorter.

use std::collections::BTreeSet;

use super::files;

/// Files in which a function returns a sentence as its error, and why. The sentence is shown, and nothing else happens with it.
const SENTENCES: &[(&str, &str)] = &[
    ("src/admin/take.rs", "why a file is no message; shown to the operator whose verb is refused"),
    ("src/config/names.rs", "why a name is none; shown with the file or the parameter"),
    ("src/config/next_hop.rs", "a parser of one value; serde wants a text, shown with file and line"),
    ("src/config/params.rs", "parameters that contradict each other; shown with the file"),
    ("src/config/webhook.rs", "a parser of one value; serde wants a text, shown with file and line"),
    ("src/ctl/args.rs", "a parser of one argument; clap wants a text"),
    ("src/ctl/keys.rs", "a comment in the output of `mailchute dkim dns`"),
    ("src/ctl/select.rs", "parsers of one argument; clap wants a text"),
    ("src/daemon/answer/show.rs", "why the bytes of a message cannot be shown; every reason ends alike"),
    ("src/daemon/config_check.rs", "a finding of `mailchuted --check`"),
    ("src/daemon/setup.rs", "a part of the configuration that cannot be used; shown and raised as an alarm"),
    ("src/dkim/ring.rs", "a key that cannot be used; shown, raised as an alarm, and the detail of a hold"),
    ("src/mail/envelope.rs", "which rule of an envelope is broken; every one ends as FileFault::Envelope"),
    ("src/observe/alarms/canary.rs", "why the canary was not sent; every reason ends alike"),
    ("src/observe/alarms/command.rs", "why alarm_command failed; shown"),
    ("src/observe/hooks/client.rs", "CA certificates that cannot be used; shown"),
    ("src/observe/hooks/endpoint.rs", "a webhook that cannot be used; shown and raised as an alarm"),
    ("src/observe/hooks/secret.rs", "a secret that is none; shown with its file"),
    ("src/spool/layout.rs", "a directory with wrong owner or mode; the daemon does not start"),
    ("src/store/lib.rs", "a directory or a file that is not as it must be; the kind of the fault is the function's"),
    ("src/submit/aliases/expand.rs", "a line of an alias file; shown with file and line"),
    ("src/submit/aliases/file.rs", "a line of an alias file; shown with file and line"),
    ("src/submit/aliases/include.rs", "a line of an alias file; shown with file and line"),
    ("src/submit/aliases/target.rs", "a line of an alias file; shown with file and line"),
    ("src/submit/local.rs", "a line of an alias file; shown with file and line"),
    ("src/submit/verify.rs", "what -bv prints beside an address"),
    ("src/sys/private.rs", "a secret file with wrong owner or mode; shown with its path"),
    ("src/transport/route/servers.rs", "resolv.conf without a server; shown"),
    ("src/transport/smtp/auth.rs", "a password that no server can take; shown with its file"),
    ("src/transport/tls/mod.rs", "stage Tls is the kind; the sentence is its detail"),
    ("src/transport/tls/roots.rs", "certificates that cannot be used; shown with the file"),
];

/// What only reads a text to decide.
const BY_TEXT: &[&str] = &[
    ".to_string().contains(",
    ".to_string().starts_with(",
    ".to_string() == \"",
    ".text.contains(",
    ".text.starts_with(",
    ".reason.contains(",
    ".reason.starts_with(",
    ".cause.contains(",
    ".cause.starts_with(",
    ":?}\").contains(",
    ":?}\") ==",
];

/// The source without comments and unit tests, line by line, of every file that is not a test as a whole.
fn product() -> Vec<(String, Vec<String>)> {
    let is_product = |path: &str| !path.ends_with("tests.rs") && !path.starts_with("src/testing/") && !path.starts_with("src/bin/");
    let of = |text: &str| {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect()
    };
    let sources = files(&["src"], &["rs"]).into_iter().map(|source| (source.path.display().to_string(), of(&source.text)));
    sources.filter(|(path, _)| is_product(path)).collect()
}

/// The files with a line that `is_found`.
fn with(is_found: impl Fn(&str) -> bool) -> BTreeSet<String> {
    product().into_iter().filter(|(_, lines)| lines.iter().any(|line| is_found(line))).map(|(path, _)| path).collect()
}

fn listed(list: &[(&str, &str)]) -> BTreeSet<String> {
    list.iter().map(|(path, _)| (*path).to_owned()).collect()
}

fn is_sentence_error(line: &str) -> bool {
    line.contains("Result<") && [", String>", ", &'static str>"].iter().any(|end| line.contains(end)) && !line.contains("BTreeMap<")
}

#[test]
fn an_error_is_a_type_and_what_is_only_a_sentence_is_listed() {
    assert_eq!(with(is_sentence_error), listed(SENTENCES));
    assert!(is_sentence_error("fn f() -> Result<(), String> {") && !is_sentence_error("fn f() -> Result<String, E> {"));
}

#[test]
fn sqlite_is_known_to_the_state_and_to_the_queue_of_webhooks() {
    let found = with(|line| line.contains("rusqlite::"));
    let others: Vec<&String> =
        found.iter().filter(|path| !path.starts_with("src/state/") && !path.starts_with("src/observe/hooks/")).collect();
    assert!(others.is_empty() && found.len() > 3, "{others:?}");
}

#[test]
fn no_exit_code_decides_within_a_program() {
    assert_eq!(with(|line| line.contains(".exit ==") || line.contains(".exit !=")), BTreeSet::new());
}

#[test]
fn nothing_is_decided_from_the_text_of_an_error() {
    // The migration reads the sentences of schema 2: they are its input.
    for (path, lines) in product().into_iter().filter(|(path, _)| !path.starts_with("src/state/schema/")) {
        for line in lines {
            let found = BY_TEXT.iter().any(|pattern| line.contains(pattern));
            // The beginning of a queue id, and the bytes of a message, are what is asked about.
            let is_subject = line.contains("id.to_string().starts_with(") || line.contains(".text.starts_with(b\"");
            assert!(!found || is_subject, "{path}: {line}");
        }
    }
}
