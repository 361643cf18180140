//! Programs that other people wrote send through our `sendmail`, as they are: each finds it at its place and knows nothing of us.
//!
//! Judged is our side: that `sendmail` took what it was given, what it said, and that the next hop got just that, envelope, header and
//! body, octet for octet ([`judge`]). What a program gives to `sendmail`, and what it makes of the answer, is recorded: it may be
//! another thing in its next version.
//!
//! They live in a root of their own, with their own passwd, where /usr/sbin/sendmail is ours behind a recorder (record.py); the daemon
//! and the receiver stand outside. Each sends [`BODY`], which holds what is easily broken.

mod jobs;
mod judge;
mod libraries;
mod mailers;
mod php;
mod refusals;

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use config::paths::PREFIX;

use crate::support::command::{Ended, run, wait_until};
use crate::support::foreign_root::ForeignRoot;
use crate::support::installation::{CALLER_ID, Installation};
use crate::support::isolation::mount;
use crate::support::parts::{self, Missing};
use crate::support::scripted::{Receiver, Script};
use judge::Call;

/// What each caller sends: bytes above 127, a lone dot, a doubled one, a line that looks like a mailbox separator, blanks at the
/// start of a line.
const BODY: &str = "Grüße,\n.\n..zwei\nFrom hier an\n  Ende\n";

/// Whom most of them send to; the last one in a Bcc field, if anywhere.
const THREE: [&str; 3] = ["bob@receiver.example", "carol@receiver.example", "hidden@receiver.example"];

/// Where the recorder writes, in the callers' root.
const CALLS: &str = "srv/calls";

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
        for directory in ["tmp", "var/tmp", CALLS] {
            let path = self.root.join(directory);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o1777)).unwrap();
        }
        symlink("var/run", self.root.join("run")).unwrap();
        self.show(Path::new(PREFIX), PREFIX);
        self.install_sendmail();
    }

    /// Our program at both of its places, over whatever lies there: the recorder, which runs it.
    fn install_sendmail(&self) {
        let (program, link) = (self.root.join("usr/sbin/sendmail"), self.root.join("usr/lib/sendmail"));
        for path in [&program, &link] {
            let _ = std::fs::remove_file(path);
        }
        self.root.write("usr/sbin/sendmail", include_str!("record.py"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink("../sbin/sendmail", link).unwrap();
        self.root.write("usr/lib/mailchute-under-test/sendmail", "");
        let real = self.root.join("usr/lib/mailchute-under-test/sendmail");
        mount(&["--bind".as_ref(), env!("CARGO_BIN_EXE_sendmail").as_ref(), &real]);
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

    /// Runs a program; how it ended and what it said is recorded, with its name.
    fn run(&self, name: &str, command: &mut Command, stdin: &[u8]) -> Ended {
        let ended = run(command, stdin);
        let said = [ended.stdout.as_str(), ended.stderr.as_str()].concat();
        let code = ended.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let last = said
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .map_or_else(|| "nothing".to_owned(), |line| format!("{:?}", line.chars().take(160).collect::<String>()));
        let exits: Vec<String> = self.calls().iter().map(|call| call.code.to_string()).collect();
        record(name, &format!("sendmail ended with {}; it ended with {code} and said {last}", exits.join(", ")));
        ended
    }

    /// The calls of `sendmail` so far.
    fn calls(&self) -> Vec<Call> {
        Call::all(&self.root.join(CALLS))
    }

    /// Forgets the calls so far, which have ended.
    fn forget_calls(&self) {
        self.calls();
        for entry in std::fs::read_dir(self.root.join(CALLS)).unwrap() {
            std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
    }

    /// As [`Host::judge`], for a program in the background, which gives `count` messages to `sendmail` in its own time.
    #[track_caller]
    fn judge_later(&self, name: &str, count: usize, meant: &[(&str, &[&str])]) {
        assert!(wait_until(|| self.given() >= count), "{name} gave {} of {count} messages to sendmail", self.given());
        self.judge(name, count, meant);
    }

    /// The number of messages that were given to `sendmail`.
    fn given(&self) -> usize {
        self.calls().iter().map(|call| call.submissions().len()).sum()
    }

    /// Asserts that each call of `sendmail` was taken and that each message arrived as it was given. What the program `name` meant to
    /// give is only compared: how many messages, whom each comes from, and whom it goes to.
    #[track_caller]
    fn judge(&self, name: &str, count: usize, meant: &[(&str, &[&str])]) {
        let calls = self.calls();
        if self.given() != count {
            record(name, &format!("it gave {} messages to sendmail, and was meant to give {count}", self.given()));
        }
        calls.iter().for_each(Call::assert_taken);
        let mut arrived = self.receiver.wait_for_messages(self.given());
        self.installation.wait_until_drained();
        let given: Vec<_> = calls.iter().flat_map(|call| call.submissions().into_iter().map(move |one| (one, call))).collect();
        for (submission, call) in &given {
            // They come over several connections, in any order.
            let judged: Vec<_> = arrived.iter().map(|one| submission.compare(one, call.uid)).collect();
            let fits = judged.iter().position(Result::is_ok);
            arrived.remove(fits.unwrap_or_else(|| panic!("{name}: {submission:?} of {call:?}\nis none of {judged:#?}\nin {arrived:?}")));
            let (sender, recipients) = submission.paths();
            let mut meant = meant.iter().map(|(from, to)| (*from, to.iter().copied().collect::<BTreeSet<_>>()));
            if !meant.any(|one| one == (sender, recipients.clone())) {
                record(name, &format!("it sent from {sender} to {recipients:?}, which it was not meant to"));
            }
        }
        assert!(arrived.is_empty(), "{name}: nobody gave {arrived:?}");
    }
}

/// Writes down what one of the callers did.
fn record(name: &str, what: &str) {
    let release = parts::callers().ok().and_then(|(_, release)| release).map(|release| format!("{release}: ")).unwrap_or_default();
    parts::record(&format!("{release}{name}: {what}"));
}
