//! One installation of the soak, and those who torment it: operators, and the one who kills.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exit::Exit;
use nix::sys::signal::Signal;

use super::inject::Fate;
use super::receiver::{self, Arrived};
use crate::support::command;
use crate::support::installation::Installation;

/// Messages that were acknowledged and have not arrived, before the injectors wait: memory is compared at like loads.
const BACKLOG: u64 = 3000;
/// Between two looks at the daemon.
const SAMPLE: Duration = Duration::from_secs(1);

/// How much is done, with which programs.
#[derive(Clone)]
pub(crate) struct Plan {
    pub messages: u64,
    pub injectors: usize,
    /// Between a start of the daemon and its end by kill -9.
    pub life: Duration,
    pub sendmail: PathBuf,
    pub mailchuted: PathBuf,
    pub mailchute: PathBuf,
}

impl Plan {
    /// A selection of this build; or as MAILCHUTE_SOAK (messages) and MAILCHUTE_SOAK_PROGRAMS (a directory) say.
    pub(crate) fn chosen() -> Plan {
        let whole = std::env::var("MAILCHUTE_SOAK").ok().map(|number| number.parse().unwrap());
        let programs = std::env::var_os("MAILCHUTE_SOAK_PROGRAMS").map(PathBuf::from);
        let program = |name: &str, built: &str| programs.as_ref().map_or_else(|| PathBuf::from(built), |path| path.join(name));
        Plan {
            messages: whole.unwrap_or(600),
            injectors: if whole.is_some() { 50 } else { 8 },
            life: Duration::from_secs(if whole.is_some() { 5 } else { 2 }),
            sendmail: program("sendmail", env!("CARGO_BIN_EXE_sendmail")),
            mailchuted: program("mailchuted", env!("CARGO_BIN_EXE_mailchuted")),
            mailchute: program("mailchute", env!("CARGO_BIN_EXE_mailchute")),
        }
    }
}

/// What all threads know.
pub(crate) struct Shared {
    pub next: AtomicU64,
    /// By message: 1 where `sendmail` promised it.
    pub promised: Vec<AtomicU8>,
    pub promises: AtomicU64,
    /// Those of them that arrive, or that a DSN arrives about.
    awaited: AtomicU64,
    /// Injectors that were killed in the middle.
    pub cut: AtomicU64,
    pub refused: Mutex<Vec<String>>,
    pub arrived: Arrived,
}

impl Shared {
    /// The number of the next message; none when enough were promised.
    pub(crate) fn next(&self, plan: &Plan) -> Option<u64> {
        while self.awaited.load(Ordering::Relaxed).saturating_sub(self.arrived.total()) > BACKLOG {
            std::thread::sleep(Duration::from_millis(20));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let is_wanted = self.promises.load(Ordering::Relaxed) < plan.messages && (number as usize) < self.promised.len();
        is_wanted.then_some(number)
    }

    /// `sendmail` said that it has the message.
    pub(crate) fn promise(&self, number: u64) {
        self.promised[number as usize].store(1, Ordering::SeqCst);
        self.awaited.fetch_add(u64::from(Fate::of(number) != Fate::Removed), Ordering::SeqCst);
        self.promises.fetch_add(1, Ordering::SeqCst);
    }
}

/// One look at the daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub second: f64,
    pub kibibytes: u64,
    pub descriptors: u64,
}

pub(crate) struct World {
    pub plan: Plan,
    pub shared: Arc<Shared>,
    pub installation: Installation,
    pub scratch: tempfile::TempDir,
    pub samples: Vec<Sample>,
    pub kills: u64,
    daemon: Mutex<Option<Child>>,
    began: Instant,
}

impl World {
    pub(crate) fn new(plan: Plan) -> World {
        // More numbers than messages: those of injectors that are killed are promised to nobody.
        let room = plan.messages as usize * 2 + 1000;
        let shared = Arc::new(Shared {
            next: AtomicU64::new(0),
            promised: (0..room).map(|_| AtomicU8::new(0)).collect(),
            promises: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            refused: Mutex::default(),
            arrived: Arrived::new(room),
        });
        let port = receiver::start(&shared);
        let installation = Installation::rootless();
        let beside = |name: &str| installation.paths.config_file.with_file_name(name);
        let more = format!(
            "retry_min = \"1s\"\nretry_max = \"1s\"\ndsn_limit = 1000000\nevent_file = {:?}\nevent_file_size = 0\nmetrics_file = {:?}\nmetrics_interval = \"1s\"\n",
            beside("events.jsonl"),
            beside("mail.prom")
        );
        installation.relay_to(&format!("smtp://127.0.0.1:{port}?tls=none"), &more);
        spool::layout::make_rootless(&installation.paths.spool).unwrap();
        let scratch = tempfile::TempDir::new().unwrap();
        World { plan, shared, installation, scratch, samples: Vec::new(), kills: 0, daemon: Mutex::default(), began: Instant::now() }
    }

    /// Where the daemon's words are collected.
    pub(crate) fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    pub(crate) fn spawn_daemon(&self) {
        *self.daemon.lock().unwrap() = Some(self.spawn());
    }

    fn spawn(&self) -> Child {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        let mut command = self.installation.program(&self.plan.mailchuted);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// What an operator does. True if it succeeds; mostly that does not matter, since there may be no daemon.
    pub(crate) fn mailchute(&self, arguments: &[&str]) -> bool {
        let mut command = self.installation.program(&self.plan.mailchute);
        let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// What an operator reads.
    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        let mut command = self.installation.program(&self.plan.mailchute);
        command::run(command.args(arguments), b"").stdout
    }

    /// Ends what the receiver never takes, as an operator does.
    pub(crate) fn end_stuck(&self) {
        self.mailchute(&["remove", "--to", Fate::Removed.recipient(), "ALL"]);
        self.mailchute(&["bounce", "--to", Fate::Bounced.recipient(), "ALL"]);
    }

    /// Flushes, listings, holds and releases, removals and bounces, and reloads, each by a thread of its own.
    pub(crate) fn operate<'scope>(&'scope self, scope: &'scope std::thread::Scope<'scope, '_>) {
        let ops: [(u64, &[&[&str]]); 3] =
            [(700, &[&["flush"]]), (900, &[&["list"], &["count"]]), (1300, &[&["hold", "ALL"], &["release", "ALL"]])];
        for (pause, verbs) in ops {
            scope.spawn(move || {
                while !self.is_enough() {
                    for verb in verbs {
                        self.mailchute(verb);
                        std::thread::sleep(Duration::from_millis(pause));
                    }
                }
            });
        }
        scope.spawn(move || {
            while !self.is_enough() {
                self.end_stuck();
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        scope.spawn(move || {
            while !self.is_enough() {
                self.signal(Signal::SIGHUP);
                std::thread::sleep(Duration::from_millis(1100));
            }
        });
    }

    fn is_enough(&self) -> bool {
        self.shared.promises.load(Ordering::SeqCst) >= self.plan.messages
    }

    /// A daemon that has not taken its handlers yet would end by a reload, as by a kill.
    fn signal(&self, signal: Signal) {
        if let Some(child) = self.daemon.lock().unwrap().as_ref() {
            command::signal(child, signal);
        }
    }

    /// Kills the daemon and starts it again until enough was promised.
    pub(crate) fn torment(&self) -> (Vec<Sample>, u64) {
        let (mut samples, mut kills) = (Vec::new(), 0_u64);
        while !self.is_enough() {
            let started = Instant::now();
            while started.elapsed() < self.plan.life && !self.is_enough() {
                std::thread::sleep(SAMPLE.min(self.plan.life / 2));
                self.revive();
                samples.extend(self.sample());
            }
            self.kill();
            kills += 1;
            if kills.is_multiple_of(6) {
                let promises = self.shared.promises.load(Ordering::SeqCst);
                println!("{kills} kills, {promises} promised, {} arrived, {:?}", self.shared.arrived.total(), samples.last());
            }
            self.spawn_daemon();
        }
        (samples, kills)
    }

    /// What systemd does (Restart=always in the unit): a daemon that starts while an administrator's command works on the spool, which
    /// each does where it finds no daemon, finds it locked and ends; so does one that is reloaded before it has taken its handlers.
    pub(super) fn revive(&self) {
        // Whoever wants to signal waits for the new one.
        let mut daemon = self.daemon.lock().unwrap();
        let Some(status) = daemon.as_mut().and_then(|child| child.try_wait().unwrap()) else { return };
        let is_usual = status.code() == Some(i32::from(Exit::Unavailable.code())) || status.signal() == Some(Signal::SIGHUP as i32);
        assert!(is_usual, "the daemon ended by itself: {status}");
        *daemon = Some(self.spawn());
    }

    fn kill(&self) {
        if let Some(mut child) = self.daemon.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn sample(&self) -> Option<Sample> {
        let pid = self.daemon.lock().unwrap().as_ref().map(Child::id)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()?;
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        Some(Sample { second: self.began.elapsed().as_secs_f64(), kibibytes, descriptors })
    }

    /// How many promised messages have not arrived.
    pub(crate) fn missing(&self) -> usize {
        let arrived = &self.shared.arrived;
        self.shared
            .promised
            .iter()
            .enumerate()
            .filter(|(number, one)| {
                one.load(Ordering::SeqCst) == 1
                    && match Fate::of(*number as u64) {
                        Fate::Relayed => arrived.copies(*number) == 0,
                        Fate::Failed | Fate::Bounced => arrived.dsns(*number as u64) == 0,
                        // Whether it was removed is in the books.
                        Fate::Removed => false,
                    }
            })
            .count()
    }

    /// Ends the last daemon as an administrator does.
    pub(crate) fn stop_daemon(&self) {
        command::wait_for("the last daemon", || {
            self.revive();
            self.mailchute(&["status"])
        });
        let mut child = self.daemon.lock().unwrap().take().unwrap();
        command::signal(&child, Signal::SIGTERM);
        let status = command::wait(&mut child, command::PATIENCE);
        assert_eq!(status.and_then(|status| status.code()), Some(0), "the last daemon did not end well");
    }
}
