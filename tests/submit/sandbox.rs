//! A one-user installation in a temporary directory, and the real `sendmail` in it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use mail::Envelope;
use spool::{file, layout};
use tempfile::TempDir;

/// The program under test.
pub(crate) const SENDMAIL: &str = env!("CARGO_BIN_EXE_sendmail");

/// A kept message.
pub(crate) struct Message {
    pub envelope: Envelope,
    /// The message in wire form.
    pub text: String,
}

impl Message {
    /// The lines of the header section.
    pub(crate) fn header(&self) -> &str {
        self.text.split("\r\n\r\n").next().unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub(crate) fn recipients(&self) -> Vec<String> {
        self.envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect()
    }
}

/// What a run left.
pub(crate) struct Run {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

pub(crate) struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    /// With `config` in mailchute.toml; the mailname is m.example, the alias file is `aliases` in the sandbox and not there.
    pub(crate) fn new(config: &str) -> Sandbox {
        let sandbox = Sandbox { directory: TempDir::new().unwrap() };
        let config_directory = sandbox.path("config/mailchute");
        std::fs::create_dir_all(&config_directory).unwrap();
        let aliases = sandbox.path("aliases");
        let text = format!("mailname = \"m.example\"\n{config}\nalias_file = {aliases:?}\n");
        std::fs::write(config_directory.join("mailchute.toml"), text).unwrap();
        layout::make_rootless(&sandbox.spool()).unwrap();
        sandbox
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.path("state/mailchute/spool")
    }

    /// `program` with the environment of this installation.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `sendmail` with `input` on its standard input.
    pub(crate) fn run(&self, argv: &[&str], input: impl AsRef<[u8]>) -> Run {
        let mut command = self.command(SENDMAIL);
        finish(command.args(argv).spawn().unwrap(), input.as_ref())
    }

    /// The same through `sh -c`, with the program as `$S`.
    pub(crate) fn shell(&self, script: &str, input: impl AsRef<[u8]>) -> Run {
        let mut command = self.command("/bin/sh");
        finish(command.env("S", SENDMAIL).args(["-c", script]).spawn().unwrap(), input.as_ref())
    }

    /// Sends and returns the one message that is in the spool then.
    pub(crate) fn send(&self, argv: &[&str], input: impl AsRef<[u8]>) -> Message {
        let run = self.run(argv, input);
        assert_eq!((run.code(), run.stderr.as_str(), run.stdout.as_str()), (0, "", ""), "{argv:?}");
        let mut messages = self.take_messages();
        assert_eq!(messages.len(), 1, "{argv:?}");
        messages.remove(0)
    }

    /// Runs what must be refused: the code and the line; nothing may be left in the spool.
    pub(crate) fn refused(&self, argv: &[&str], input: impl AsRef<[u8]>) -> (i32, String) {
        let run = self.run(argv, input);
        self.assert_nothing_is_left();
        assert_eq!(run.stdout, "", "{argv:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{argv:?}: {}", run.stderr);
        (run.code(), run.stderr)
    }

    /// Reads and removes what is in `new/`; every file is checked as the daemon checks it.
    pub(crate) fn take_messages(&self) -> Vec<Message> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(self.spool().join(layout::NEW)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| take(path)).collect()
    }

    pub(crate) fn assert_nothing_is_left(&self) {
        for directory in layout::DIRECTORIES.iter().filter(|directory| directory.name != ".") {
            let path = self.spool().join(directory.name);
            if path.exists() {
                assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "{}", path.display());
            }
        }
    }
}

/// Reads and removes a file of the spool, checked as the daemon checks it.
pub(crate) fn take(path: &Path) -> Message {
    let opened = File::open(path).unwrap();
    let line = file::read_line(&opened).unwrap();
    let mut bytes = Vec::new();
    file::verify(&opened, &line, |piece| bytes.extend_from_slice(piece)).unwrap();
    assert_eq!(line.envelope.id.to_string(), path.file_name().unwrap().to_string_lossy());
    let text = String::from_utf8_lossy(&bytes[line.length() as usize..]).into_owned();
    std::fs::remove_file(path).unwrap();
    Message { envelope: line.envelope, text }
}

/// Writes the input, which the program may not want to the end, and waits.
pub(crate) fn finish(mut child: Child, input: &[u8]) -> Run {
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Run {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
