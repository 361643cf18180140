//! Programs that other people wrote send through our `sendmail`, as they are: each finds it at its place, knows nothing of us, and
//! is judged by what a receiver got of it: envelope, header and body, byte for byte, and by how it ended.
//!
//! They live in a root of their own, with their own passwd, where /usr/sbin/sendmail is ours; the daemon and the receiver stand
//! outside. Each sends [`BODY`], which holds what is easily broken.

mod jobs;
mod libraries;
mod mailers;
mod php;
mod refusals;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use config::paths::PREFIX;

use crate::support::command::{Ended, run};
use crate::support::foreign_root::ForeignRoot;
use crate::support::installation::{CALLER_ID, Installation};
use crate::support::isolation::mount;
use crate::support::parts::Missing;
use crate::support::scripted::{Receiver, Script, Transaction};

/// What each caller sends: bytes above 127, a lone dot, a doubled one, a line that looks like a mailbox separator, blanks at the
/// start of a line.
const BODY: &str = "Grüße,\n.\n..zwei\nFrom hier an\n  Ende\n";

/// What the daemon puts before a message of alice's.
const ALICE: &str = "Received: by sender.example (mailchute, from userid 4301)\n\tid *; *, * +*";
/// And before one of root's.
const ROOT: &str = "Received: by sender.example (mailchute, from userid 0)\n\tid *; *, * +*";

/// The accounts of the callers' root. alice has no right at all.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
    mail:x:8:8:mail:/var/mail:/bin/false\n\
    alice:x:4301:4301:Alice Liddell,,,:/home/alice:/bin/sh\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nmail:x:8:\ncrontab:x:102:\nalice:x:4301:\n";

/// One host: the callers inside, our `sendmail` at its place, our daemon, and the next hop.
struct Host {
    root: ForeignRoot,
    installation: Installation,
    receiver: Receiver,
}

impl Host {
    /// Only after `isolated!()`.
    fn start() -> Result<Host, Missing> {
        Host::start_before(Script::new().offer("8BITMIME"))
    }

    /// As [`Host::start`], with a next hop that follows `script`.
    fn start_before(script: Script) -> Result<Host, Missing> {
        let root = ForeignRoot::mount_callers()?;
        let receiver = script.start();
        let mut installation = Installation::system();
        installation.relay_to(&receiver.url("smtp", "tls=none"), "");
        let host = Host {
            root,
            receiver,
            installation: {
                installation.start_daemon();
                installation
            },
        };
        host.settle();
        Ok(host)
    }

    fn settle(&self) {
        nix::unistd::sethostname("host.sender.example").unwrap();
        for (name, content) in [
            ("etc/passwd", PASSWD),
            ("etc/group", GROUP),
            ("etc/shadow", "root:*:19000::::::\nalice:*:19000::::::\n"),
            ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 host.sender.example host\n"),
            ("etc/hostname", "host.sender.example\n"),
            ("etc/mailname", "sender.example\n"),
            ("srv/body.txt", BODY),
        ] {
            self.root.write(name, content);
        }
        let home = self.root.join("home/alice");
        std::fs::create_dir_all(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(CALLER_ID), Some(CALLER_ID)).unwrap();
        for directory in ["tmp", "var/tmp"] {
            let path = self.root.join(directory);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o1777)).unwrap();
        }
        symlink("var/run", self.root.join("run")).unwrap();
        self.show(Path::new(PREFIX), PREFIX);
        self.install_sendmail();
    }

    /// Our program at both of its places, over whatever lies there.
    fn install_sendmail(&self) {
        let (program, link) = (self.root.join("usr/sbin/sendmail"), self.root.join("usr/lib/sendmail"));
        for path in [&program, &link] {
            let _ = std::fs::remove_file(path);
        }
        std::fs::write(&program, "").unwrap();
        mount(&["--bind".as_ref(), env!("CARGO_BIN_EXE_sendmail").as_ref(), &program]);
        symlink("../sbin/sendmail", link).unwrap();
    }

    /// Makes the directory `outside` visible at `inside`.
    fn show(&self, outside: &Path, inside: &str) {
        let place = self.root.join(inside.trim_start_matches('/'));
        std::fs::create_dir_all(&place).unwrap();
        mount(&["--rbind".as_ref(), outside, &place]);
    }

    /// A program inside, as alice, who has no right and can get none.
    fn alice(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.root.command("/usr/bin/setpriv");
        let id = CALLER_ID.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs", "--"]).arg(program);
        command.env("HOME", "/home/alice").env("USER", "alice").env("LOGNAME", "alice").env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs a program of alice's that must end well and say nothing.
    #[track_caller]
    fn quiet(&self, command: &mut Command, stdin: &[u8]) -> Ended {
        let ended = run(command, stdin).succeeded();
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""), "{command:?}");
        ended
    }

    /// Waits for `count` messages, and for the daemon to have nothing left; gives each as text, in the order of what does not change
    /// from run to run: they come over several connections.
    #[track_caller]
    fn arrived(&self, count: usize) -> Vec<String> {
        let transactions = self.receiver.wait_for_messages(count);
        self.installation.wait_until_drained();
        assert_eq!(transactions.len(), count, "{transactions:?}");
        let mut all: Vec<String> = transactions.iter().map(text).collect();
        all.sort_by_cached_key(|one| one.lines().filter(|line| !line.starts_with("\tid ")).collect::<String>());
        all
    }

    /// Waits for the only message, which must be `expected`: a line each, where `*` stands for what changes from run to run.
    #[track_caller]
    fn assert_arrived(&self, expected: &str) {
        assert_fits(&self.arrived(1)[0], expected);
    }
}

/// One transaction: the envelope, an empty line, the message. Bytes that are not UTF-8 are shown as `<fc>`.
fn text(one: &Transaction) -> String {
    let shown = |chunk: std::str::Utf8Chunk| {
        chunk.valid().to_owned() + &chunk.invalid().iter().map(|byte| format!("<{byte:02x}>")).collect::<String>()
    };
    let data: String = one.data.utf8_chunks().map(shown).collect();
    assert!(!data.replace("\r\n", "").contains(['\r', '\n']), "every line ends in CRLF: {data:?}");
    format!("MAIL FROM:{}\nRCPT TO:{}\n\n{}", one.mail, one.recipients.join(","), data.replace("\r\n", "\n"))
}

/// Asserts that `actual` is `expected`, line by line.
#[track_caller]
fn assert_fits(actual: &str, expected: &str) {
    let (lines, patterns): (Vec<&str>, Vec<&str>) = (actual.split('\n').collect(), expected.split('\n').collect());
    let first = lines.iter().zip(&patterns).position(|(line, pattern)| !fits(line, pattern)).unwrap_or(lines.len().min(patterns.len()));
    assert!(
        lines.len() == patterns.len() && first == lines.len(),
        "line {}\nis:       {:?}\nexpected: {:?}\nin:\n{actual}",
        first + 1,
        lines.get(first),
        patterns.get(first),
    );
}

/// True if `line` is `pattern`, in which `*` stands for anything.
fn fits(line: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return line == pattern };
    let Some(line) = line.strip_prefix(head) else { return false };
    // Whatever follows the star may begin at any place.
    (0..=line.len()).filter(|&at| line.is_char_boundary(at)).any(|at| fits(&line[at..], rest))
}

#[test]
fn a_star_stands_for_anything_in_a_line() {
    assert!(fits("Date: Sun, 1 +0000", "Date: *, * +0000") && fits("", "*") && fits("a", "a"));
    assert!(!fits("Date: Sun", "Date: * +0000") && !fits("ab", "a"));
}
