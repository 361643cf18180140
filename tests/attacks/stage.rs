//! Where attacks happen: a system installation, a victim with a message that waits, things that must not be touched, and the way
//! to run the attacker as its own user.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::judge::{Canaries, Usage};
use super::table::Attack;
use crate::support::command::wait_for;
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::isolation::mount;
use crate::support::parts::Missing;
use crate::support::scripted::{Receiver, Script};

/// What only the victim, its message and its next hop may know.
pub(crate) const VICTIMS_WORDS: &str = "words of the victim";
/// What a file holds that only root may read.
pub(crate) const SECRET_WORDS: &str = "words of a secret file";
/// Where the victim's message goes that waits.
pub(crate) const WAITS: &str = "waits@receiver.example";

const ADMIN_GROUP: u32 = 4400;

/// Who attacks: the same uid, with or without `admin_group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Stranger,
    Operator,
}

/// The interpreter of the attacker, where every user can run it.
pub(crate) fn python() -> Result<PathBuf, Missing> {
    let path = PathBuf::from("/usr/bin/python3");
    if path.is_file() { Ok(path) } else { Err(Missing("/usr/bin/python3 is not installed".to_owned())) }
}

/// One installation under attack.
pub(crate) struct Stage {
    pub installation: Installation,
    pub receiver: Receiver,
    pub role: Role,
    /// The queue id of the victim's message that waits.
    pub victim: String,
    pub pid: u32,
    pub canaries: Canaries,
    /// How many attacks there were.
    pub count: usize,
}

impl Stage {
    /// A running daemon, and a message of the victim that its next hop does not want yet.
    pub(crate) fn new(role: Role) -> Stage {
        let receiver = Script::new().say(&format!("RCPT TO:<{WAITS}"), "451 4.3.0 later").start();
        let mut installation = Installation::system_with_spool("size=512m,nr_inodes=150k,mode=755");
        installation.relay_to(&receiver.url("smtp", "tls=none"), "retry_min = \"1h\"\nretry_max = \"1h\"");
        let canaries = Canaries::plant(&installation);
        let own = own(&installation);
        std::fs::create_dir(&own).unwrap();
        chown(&own, Some(OTHER_ID), Some(OTHER_ID)).unwrap();
        name_operator(&installation, role);
        installation.start_daemon();
        let pid = installation.daemon_pid();
        let mut stage = Stage { installation, receiver, role, victim: String::new(), pid, canaries, count: 0 };
        stage.send_victim();
        stage
    }

    /// A message of the victim that waits, with what nobody else may read.
    fn send_victim(&mut self) {
        let message = format!("From: uid{CALLER_ID}@sender.example\nSubject: {VICTIMS_WORDS}\n\n{VICTIMS_WORDS}\n");
        self.installation.sendmail_as(CALLER_ID, &[WAITS], message.as_bytes()).succeeded();
        let waits = |entry: &serde_json::Value| entry.to_string().contains(WAITS) && entry.to_string().contains("451 4.3.0");
        let entry = self.installation.wait_for_entry("the victim's message", |entry| waits(entry) && entry["queue_name"] == "deferred");
        self.victim = entry["queue_id"].as_str().unwrap().to_owned();
    }

    /// Runs one attack and judges it while it stands.
    pub(crate) fn suffer(&mut self, attack: &Attack) {
        self.count += 1;
        eprintln!("{:?}: {}: {}", self.role, attack.name, attack.must);
        let usage = Usage::of(self.pid);
        let mut attacker = self.start(attack.name);
        if attack.starves {
            // An attempt, whose outcome has no room.
            self.installation.mailchute(&["flush"]);
            std::thread::sleep(std::time::Duration::from_secs(1));
        } else {
            self.judge(attack, &usage);
            (attack.holds)(self);
        }
        let heard = attacker.end();
        self.judge_heard(attack, &heard);
        if attack.goes_on {
            self.judge_process(attack, &usage);
        }
        if attack.starves {
            self.judge(attack, &usage);
            (attack.holds)(self);
        }
        if attack.may_modify && self.role == Role::Operator {
            self.judge_steered(&heard);
            self.send_victim();
        }
        self.sweep();
    }

    /// The daemon ends well, and finds nothing to mend.
    pub(crate) fn end(mut self) {
        self.installation.stop_daemon();
        eprintln!("{} attacks", self.count);
    }

    fn start(&self, name: &str) -> Attacker {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/attacker.py");
        let id = OTHER_ID.to_string();
        let mut command: Command = self.installation.program("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--no-new-privs"]);
        match self.role {
            Role::Stranger => command.arg("--clear-groups"),
            Role::Operator => command.arg("--groups").arg(ADMIN_GROUP.to_string()),
        };
        command.arg("--").args([&python().unwrap(), &script]).arg(name).current_dir("/");
        let paths = &self.installation.paths;
        command.env("SPOOL", &paths.spool).env("RUN", &paths.run).env("SECRET", self.canaries.secret()).env("OWN", own(&self.installation));
        command.env("VICTIM", &self.victim).env("DAEMON", self.pid.to_string()).env("SENDMAIL", env!("CARGO_BIN_EXE_sendmail"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut attacker = Attacker { child, out, heard: String::new() };
        attacker.wait_until_ready(name);
        attacker
    }

    /// Root removes what the daemon could not: the next attack begins in a clean place.
    fn sweep(&self) {
        for directory in ["new", "tmp", "corrupt"] {
            for entry in std::fs::read_dir(self.installation.paths.spool.join(directory)).unwrap() {
                let path = entry.unwrap().path();
                // What the daemon takes away at the same time is gone, which is as good.
                let _ = if path.symlink_metadata().is_ok_and(|data| data.is_dir()) {
                    std::fs::remove_dir_all(path)
                } else {
                    std::fs::remove_file(path)
                };
            }
        }
        let own = own(&self.installation);
        std::fs::remove_dir_all(&own).unwrap();
        std::fs::create_dir(&own).unwrap();
        chown(&own, Some(OTHER_ID), Some(OTHER_ID)).unwrap();
    }

    /// All that the attacker put into the drop directory has gone from there.
    pub(crate) fn clears_new(&self) {
        wait_for("an empty drop directory", || self.installation.spooled_bytes("new").is_empty());
    }

    /// No message of the attacker arrived in this attack.
    pub(crate) fn sends_nothing_of_mallory(&self) {
        let sent = self.receiver.messages().into_iter().filter(|one| String::from_utf8_lossy(&one.data).contains("BEGIN mallory")).count();
        assert_eq!(sent, 0, "something of the attacker was sent");
    }

    /// A message to this recipient arrives.
    pub(crate) fn waits_for(&self, recipient: &str) {
        wait_for(recipient, || self.copies_to(recipient) > 0);
    }

    /// How many messages to this recipient arrived.
    pub(crate) fn copies_to(&self, recipient: &str) -> usize {
        let path = format!("<{recipient}>");
        self.receiver.messages().iter().filter(|one| one.recipients.contains(&path)).count()
    }
}

/// The attacker's own directory, on the file system of the spool: what is moved or linked in comes from here.
fn own(installation: &Installation) -> PathBuf {
    installation.paths.spool.join("home-of-mallory")
}

/// Gives the users their names, in this world alone; the operator is in the group.
fn name_operator(installation: &Installation, role: Role) {
    let etc = installation.paths.config_file.parent().unwrap();
    let members = if role == Role::Operator { "mallory" } else { "" };
    let users = format!("mallory:x:{OTHER_ID}:{OTHER_ID}::/:/bin/sh\n");
    for (file, more) in [("passwd", users), ("group", format!("mailchute-admin:x:{ADMIN_GROUP}:{members}\n"))] {
        let path = etc.join(file);
        let system = Path::new("/etc").join(file);
        std::fs::write(&path, std::fs::read_to_string(&system).unwrap() + &more).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        mount(&["--bind".as_ref(), &path, &system]);
    }
}

/// The attacker at work.
struct Attacker {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    heard: String,
}

impl Attacker {
    fn wait_until_ready(&mut self, name: &str) {
        loop {
            let before = self.heard.len();
            self.out.read_line(&mut self.heard).unwrap();
            match &self.heard[before..] {
                "ready\n" => return,
                "" => {
                    let mut why = String::new();
                    self.child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                    panic!("{name} did not come to its attack: {why}");
                }
                _ => {}
            }
        }
    }

    /// It lets go; what it got at.
    fn end(&mut self) -> String {
        drop(self.child.stdin.take());
        let mut bytes = Vec::new();
        self.out.read_to_end(&mut bytes).unwrap();
        self.child.wait().unwrap();
        let mut heard = std::mem::take(&mut self.heard);
        heard.push_str(&String::from_utf8_lossy(&bytes));
        heard.replacen("ready\n", "", 1)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
