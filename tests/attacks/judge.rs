//! The one judge of all attacks: nobody's mail was read, changed or removed, nothing outside the spool was touched, no secret and
//! no foreign name went out, and the daemon is the same, idle, and delivers.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::stage::{Role, SECRET_WORDS, Stage, VICTIMS_WORDS, WAITS};
use super::table::Attack;
use crate::support::command::{PATIENCE, cpu_seconds, wait_for};
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};

/// Files outside the directories of the spool, and how they were.
pub(crate) struct Canaries {
    roots: Vec<PathBuf>,
    secret: PathBuf,
    before: BTreeMap<PathBuf, DaemonSnapshot>,
}

/// A file as it looks: content, mode, owner, group, links, nanoseconds of its last change.
type DaemonSnapshot = (Vec<u8>, u32, u32, u32, u64, i128);

impl Canaries {
    /// Plants a secret of root, a file for all and a private one of the victim on the spool's own file system; the
    /// configuration directory is watched with them.
    pub(crate) fn plant(installation: &Installation) -> Canaries {
        let outside = installation.paths.spool.join("outside");
        std::fs::create_dir(&outside).unwrap();
        for (name, owner, mode) in [("secret", 0, 0o600), ("public", 0, 0o644), ("private", CALLER_ID, 0o600), ("open", CALLER_ID, 0o664)] {
            let path = outside.join(name);
            std::fs::write(&path, format!("From: {SECRET_WORDS}\n\n{SECRET_WORDS}\n")).unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let roots = vec![outside.clone(), installation.paths.config_file.parent().unwrap().to_owned()];
        Canaries { roots, secret: outside.join("secret"), before: BTreeMap::new() }
    }

    /// The file that only root may read.
    pub(crate) fn secret(&self) -> &Path {
        &self.secret
    }

    fn look(&self) -> BTreeMap<PathBuf, DaemonSnapshot> {
        let (mut found, mut pending) = (BTreeMap::new(), self.roots.clone());
        while let Some(path) = pending.pop() {
            let data = path.symlink_metadata().unwrap();
            let changed = i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec());
            let content = if data.is_dir() { Vec::new() } else { std::fs::read(&path).unwrap_or_default() };
            if data.is_dir() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            found.insert(path, (content, data.mode(), data.uid(), data.gid(), data.nlink(), changed));
        }
        found
    }

    /// Nothing is other than the first time that this was asked.
    fn judge(&mut self) {
        let now = self.look();
        if self.before.is_empty() {
            self.before.clone_from(&now);
        }
        assert_eq!(now.keys().collect::<Vec<_>>(), self.before.keys().collect::<Vec<_>>(), "files came or went outside the spool");
        for (path, look) in now {
            assert_eq!(look, self.before[&path], "{} was touched", path.display());
        }
    }
}

/// What the daemon has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    cpu: f64,
    descriptors: usize,
    at: Instant,
}

impl Usage {
    /// Of the process `pid`; a process that has ended has no descriptors.
    pub(crate) fn of(pid: u32) -> Usage {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        Usage { cpu: cpu_seconds(pid), descriptors, at: Instant::now() }
    }
}

/// CPU seconds of one window of an idle daemon. One window must be idle sooner or later: what an attack left to do takes its time.
const WINDOW: Duration = Duration::from_millis(400);
const IDLE_CPU: f64 = 0.1;

impl Stage {
    /// The common judgement, while the attack stands.
    pub(crate) fn judge(&mut self, attack: &Attack, before: &Usage) {
        self.judge_delivery(attack);
        self.judge_outside();
        self.judge_sent();
        if !(attack.may_modify && self.role == Role::Operator) {
            self.judge_victim();
        }
        if !attack.goes_on {
            self.judge_process(attack, before);
        }
    }

    /// A victim's new message arrives, once, as its own.
    fn judge_delivery(&self, attack: &Attack) {
        let recipient = format!("after-{}-{}@receiver.example", self.count, attack.name.replace('_', "-"));
        let message = format!("From: uid{CALLER_ID}@sender.example\nSubject: after\n\nas it was written\n");
        self.installation.sendmail_as(CALLER_ID, &[&recipient], message.as_bytes()).succeeded();
        wait_for(&format!("the victim's mail after {}", attack.name), || self.copies_to(&recipient) > 0);
        assert_eq!(self.copies_to(&recipient), 1, "{}", attack.name);
    }

    fn judge_outside(&mut self) {
        self.canaries.judge();
        for directory in spool::layout::DIRECTORIES {
            let mode = self.installation.paths.spool.join(directory.name).metadata().unwrap().mode() & 0o7777;
            assert_eq!(mode, directory.mode, "{}", directory.name);
        }
    }

    /// No byte that went out is a secret, and each message has the owner's name and is whole.
    fn judge_sent(&self) {
        for connection in self.receiver.connections() {
            let all = String::from_utf8_lossy(&connection.received).into_owned();
            assert!(!all.contains(SECRET_WORDS), "a secret was sent: {all}");
            assert!(!connection.commands.iter().any(|command| command.contains("stolen@")), "{:?}", connection.commands);
        }
        for message in self.receiver.messages() {
            let text = String::from_utf8_lossy(&message.data).into_owned();
            let is_mallorys = text.contains("mallory") || message.recipients.iter().any(|recipient| recipient.contains("mallory"));
            let owner = if is_mallorys { OTHER_ID } else { CALLER_ID };
            let is_dsn = message.mail.starts_with("<>");
            // The topmost Received is ours; others the message may have brought.
            let received =
                text.split_once("from userid ").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
            assert!(is_dsn || received == Some(owner.to_string()), "not sent as uid {owner}: {text}");
            let is_whole = !text.contains("BEGIN mallory") || text.trim_end().ends_with(" END") || text.contains(" END\r\n");
            assert!(is_whole && !text.contains("EVIL"), "half or changed: {text}");
            // One that its injector had read to the end, before it was stopped.
            assert!(matches!(text.matches("half of mallory").count(), 0 | 3000), "half: {text}");
        }
    }

    /// The victim's message waits as it did, byte for byte.
    fn judge_victim(&self) {
        let path = self.installation.paths.spool.join("cur").join(&self.victim);
        let bytes = std::fs::read(&path).expect("the victim's message has gone");
        assert!(String::from_utf8_lossy(&bytes).contains(VICTIMS_WORDS));
        let entry = self.installation.queue().into_iter().find(|entry| entry["queue_id"] == self.victim.as_str());
        let entry = entry.expect("the victim's message is not in the queue");
        assert!(entry["queue_name"] != "hold" && entry.to_string().contains(WAITS), "{entry}");
    }

    /// The same daemon, not busy with nothing, with no more descriptors than it had.
    pub(crate) fn judge_process(&self, attack: &Attack, before: &Usage) {
        let log = self.installation.daemon_log();
        assert!(!log.contains("panicked") && !log.contains("internal error"), "{}: {log}", attack.name);
        let started = Instant::now();
        loop {
            let one = Usage::of(self.pid);
            std::thread::sleep(WINDOW);
            let other = Usage::of(self.pid);
            if other.cpu - one.cpu <= IDLE_CPU && other.descriptors <= before.descriptors + 40 {
                let (whole, time) = (other.cpu - before.cpu, before.at.elapsed().as_secs_f64());
                eprintln!("    {whole:.2} s CPU in {time:.1} s, {} descriptors", other.descriptors);
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{}: the daemon is busy: {before:?} {other:?}", attack.name);
        }
    }

    /// What the attacker got at.
    pub(crate) fn judge_heard(&self, attack: &Attack, heard: &str) {
        assert!(!heard.contains(SECRET_WORDS), "{}: {heard}", attack.name);
        let may_see = attack.may_modify && self.role == Role::Operator;
        assert!(may_see || !(heard.contains(VICTIMS_WORDS) || heard.contains(WAITS)), "{}: {heard}", attack.name);
        for done in ["linked ", "made in", "bound ", "traced", "took ", "listed ", "signalled ", "limited", "slowed "] {
            assert!(!heard.lines().any(|line| line.starts_with(done)), "{}: {heard}", attack.name);
        }
    }

    /// An operator's verbs were obeyed: by right, and by name in the log.
    pub(crate) fn judge_steered(&self, heard: &str) {
        assert!(heard.contains(VICTIMS_WORDS), "an operator may read mail at the socket: {heard}");
        assert!(self.installation.daemon_log().contains(&OTHER_ID.to_string()), "the log does not say who it was");
    }
}
