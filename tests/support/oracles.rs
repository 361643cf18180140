//! Independent judges. Of a signature: dkimpy (Python) and OpenDKIM (C); neither asks a network, the TXT records are given. Of what
//! a message holds: Python's email parser.

use std::process::Command;

use super::command;
use super::parts::{self, Missing};

/// The name and the text of a TXT record.
pub(crate) type Txt<'a> = (&'a str, &'a str);

/// What dkimpy says of each signature in `message`, top first: `pass`, or why not.
pub(crate) fn dkimpy(message: &[u8], records: &[Txt]) -> Result<Vec<String>, Missing> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/dkimpy_verify.py");
    let mut command = Command::new(parts::python()?);
    command.arg(script).args(records.iter().flat_map(|(name, text)| [name, text]));
    let ended = command::run(&mut command, message).succeeded();
    Ok(ended.stdout.lines().map(str::to_owned).collect())
}

/// What OpenDKIM says of `message`: its one line, which ends in `succeeded` for a good signature.
pub(crate) fn opendkim(message: &[u8], records: &[Txt]) -> Result<String, Missing> {
    let packages = parts::packages()?;
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = place.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let lines: Vec<String> = records.iter().map(|(name, text)| format!("{name} {text}\n")).collect();
    let dns = write("dns", lines.concat().as_bytes());
    let configuration = write("conf", format!("Mode v\nSyslog no\nTestDNSData file:{}\n", dns.display()).as_bytes());
    let message = write("message.eml", message);
    let lib = packages.join("usr/lib");
    let architecture = std::fs::read_dir(&lib).unwrap().map(|entry| entry.unwrap().path());
    let architecture = architecture.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    let libraries: Vec<String> = architecture.chain([lib.clone()]).map(|path| path.display().to_string()).collect();
    let mut command = Command::new(packages.join("usr/sbin/opendkim"));
    command.env("LD_LIBRARY_PATH", libraries.join(":")).arg("-x").arg(configuration).arg("-t").arg(message);
    let ended = command::run(&mut command, b"");
    Ok(format!("{}{}", ended.stdout, ended.stderr).trim().to_owned())
}

/// What Python finds in a message.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Mime {
    /// Media type and decoded content, in hex, of each leaf.
    pub leaves: Vec<(String, String)>,
    pub defects: Vec<String>,
}

/// What Python's email parser finds in `message`.
pub(crate) fn python_email(message: &[u8]) -> Result<Mime, Missing> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mime_judge.py");
    let ended = command::run(Command::new(parts::python()?).arg(script), message).succeeded();
    Ok(serde_json::from_str(&ended.stdout).unwrap())
}
