//! Independent verifiers. None asks a network: the TXT records are given.
//!
//! Each says `pass` or why not for every signature, top first. A program that is missing here is an `Err`: the test says so loudly,
//! and fails where the variable CI is set.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};

use super::sender::Record;

/// What is missing, and how to get it.
pub struct Missing(String);

/// Ends the test that lacks something.
pub fn skip(missing: &Missing) {
    let line = format!("SKIPPED: {}; run tests/run\n", missing.0);
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    // Test runners swallow what passing tests print; tests/run shows the lines of this file.
    if let Some(path) = std::env::var_os("MAILCHUTE_SKIPS") {
        std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    }
    assert!(std::env::var_os("CI").is_none(), "{}: in CI nothing may be missing", missing.0);
}

/// A DNS cache that knows everything from the start.
struct Zone(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Zone {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// mail-auth, in this process. Version 0.13 takes lines of blanks at the end of a body for text, against RFC 6376 3.4.4, so its
/// copy of the message is cut before them; for a correct verifier that changes nothing.
pub fn mail_auth(message: &[u8], records: &[Record]) -> Vec<String> {
    let message = without_blank_tail(message);
    let zone = records.iter().map(|(name, text)| {
        let key = DomainKey::parse(text.as_bytes()).unwrap();
        (format!("{name}.").into_boxed_str(), Txt::DomainKey(Arc::new(key)))
    });
    let zone = Zone(zone.collect());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let authenticator = MessageAuthenticator::new_cloudflare().unwrap();
    let parsed = AuthenticatedMessage::parse(&message).unwrap();
    let parameters = Parameters::new(&parsed).with_txt_cache(&zone);
    let outputs = runtime.block_on(authenticator.verify_dkim(parameters));
    outputs
        .iter()
        .map(|output| if *output.result() == DkimResult::Pass { "pass".into() } else { format!("{:?}", output.result()) })
        .collect()
}

fn without_blank_tail(message: &[u8]) -> Vec<u8> {
    let body = mailchute::mail::header::Section::scan(message).body;
    let text = message[body..].iter().rposition(|b| !b" \t\r\n".contains(b)).map_or(body, |at| body + at + 1);
    let line_end = message[text..].windows(2).position(|two| two == b"\r\n").map_or(message.len(), |at| text + at + 2);
    if text == body { message[..body].to_vec() } else { message[..line_end].to_vec() }
}

/// dkimpy, in a Python of its own.
pub fn dkimpy(message: &[u8], records: &[Record]) -> Result<Vec<String>, Missing> {
    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dkim/dkimpy_judge.py");
    let python = part("venv/bin/python", "the Python environment")?;
    let mut command = Command::new(python);
    command.arg(SCRIPT).args(records.iter().flat_map(|(name, text)| [name, text]));
    let (good, output) = run(&mut command, message);
    assert!(good, "{output}");
    Ok(output.lines().map(str::to_owned).collect())
}

/// OpenDKIM, for a message with one signature.
pub fn opendkim(message: &[u8], records: &[Record]) -> Result<String, Missing> {
    let program = part("root/usr/sbin/opendkim", "OpenDKIM")?;
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = place.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let lines: String = records.iter().map(|(name, text)| format!("{name} {text}\n")).collect();
    let dns = write("dns", lines.as_bytes());
    let configuration = write("conf", format!("Mode v\nSyslog no\nTestDNSData file:{}\n", dns.display()).as_bytes());
    let message = write("message.eml", message);
    let mut command = Command::new(&program);
    command.env("LD_LIBRARY_PATH", libraries(&program)).arg("-x").arg(configuration).arg("-t").arg(message);
    let (_, output) = run(&mut command, b"");
    let passed = output.trim_end().ends_with("succeeded");
    Ok(if passed { "pass".to_owned() } else { output })
}

/// Where the unpacked packages have their libraries.
fn libraries(program: &Path) -> String {
    let lib = program.ancestors().nth(2).unwrap().join("lib");
    let mut places = vec![lib.clone()];
    places.extend(lib.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with("-linux-gnu")));
    places.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

fn part(path: &str, what: &str) -> Result<PathBuf, Missing> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/testparts").join(path);
    if file.exists() { Ok(file) } else { Err(Missing(format!("{what} is not in target/testparts"))) }
}

/// Runs to the end: whether it ended well, and what it printed.
fn run(command: &mut Command, input: &[u8]) -> (bool, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
