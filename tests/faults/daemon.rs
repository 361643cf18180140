//! `mailchuted` under faults: killed at every boundary of every scenario, refused by the kernel, cut short; then started again
//! without a fault, to the end. Nothing that was acknowledged may be lost, nothing half may arrive, and what arrives twice must
//! have been called a possible duplicate.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use spool::layout;
use tempfile::TempDir;

use super::disks::{Disk, Kind};
use super::injector::INTERRUPTIONS;
use super::judge;
use super::report::{Report, every, sweep};
use super::scenarios::{self, Driver, SCENARIOS, Scenario};
use super::tracer::{self, Boundary, Live, Traced, Verdict};
use super::{Binaries, Choice, calls};
use crate::support::command::{self, wait_until};
use crate::support::installation::Installation;
use crate::support::parts::Missing;
use crate::support::scripted::{Receiver, Script};

/// A receiver and what became of it.
pub(crate) type Receivers = Vec<Receiver>;

/// An installation that one worker uses for one scenario again and again.
pub(crate) struct Bench<'a> {
    pub installation: Installation,
    pub binaries: &'a Binaries,
    pub scenario: &'a Scenario,
    scratch: TempDir,
    /// Letter, id, file.
    pub letters: Vec<(&'static str, String, Vec<u8>)>,
    /// The disk that its spool is, where the power is to be cut.
    disk: Option<Disk>,
}

/// What one run under a fault left.
pub(crate) struct Ordeal {
    pub traced: Traced,
    pub sent: Vec<&'static str>,
    pub asked: Vec<scenarios::Asked>,
    /// A step ran out of time.
    pub late: bool,
    pub receivers: Receivers,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(binaries: &'a Binaries, scenario: &'a Scenario) -> Bench<'a> {
        let (installation, scratch) = (Installation::rootless(), TempDir::new().unwrap());
        let mut bench = Bench { installation, binaries, scenario, scratch, letters: Vec::new(), disk: None };
        bench.configure("smtp://127.0.0.1:1?tls=none");
        layout::make_rootless(&bench.installation.paths.spool).unwrap();
        for letter in scenario.letters.iter().filter(|letter| letter.waits) {
            let mut command = bench.installation.program(&binaries.sendmail);
            command.args(["-i", "-f", "alice@sender.example"]).args(letter.recipients.iter().map(|(address, _)| address));
            command::run(&mut command, &scenarios::bytes(letter.name)).succeeded();
            let id = bench.installation.spooled(layout::NEW).pop().unwrap();
            let path = bench.installation.paths.spool.join(layout::NEW).join(&id);
            bench.letters.push((letter.name, id, std::fs::read(&path).unwrap()));
            std::fs::remove_file(path).unwrap();
        }
        bench
    }

    /// The same, with a spool that is a disk of its own.
    pub(crate) fn on_disk(mut self, kind: Kind) -> Result<Bench<'a>, Missing> {
        let spool = self.installation.paths.spool.clone();
        std::fs::remove_dir_all(&spool).unwrap();
        let (letters, place) = (&self.letters, &spool);
        self.disk = Some(Disk::new(kind, &spool, || fill(place, letters))?);
        Ok(self)
    }

    fn configure(&self, next_hop: &str) {
        // Its disks are small, where it has any.
        let timeouts = "reply_timeout = \"2s\"\nconnect_timeout = \"2s\"\nspool_reserve = 0\nspool_inode_reserve = 0\n";
        self.installation.relay_to(next_hop, &format!("{timeouts}{}", self.scenario.toml));
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A fresh spool with the letters that wait.
    fn prepare(&mut self) {
        let spool = &self.installation.paths.spool;
        let _ = std::fs::remove_file(self.installation.paths.control_socket());
        if let Some(disk) = &mut self.disk {
            disk.renew();
        } else {
            let _ = std::fs::remove_dir_all(spool);
            fill(spool, &self.letters);
        }
        let _ = std::fs::remove_file(self.log_path());
    }

    fn start_receiver(&self, script: fn() -> Script) -> Receiver {
        let receiver = script().start();
        self.configure(&receiver.url("smtp", self.scenario.query));
        receiver
    }

    /// A fresh spool, and an untraced daemon that sends to `receiver`.
    pub(crate) fn begin(&mut self, receiver: &Receiver) -> Result<Child, String> {
        self.prepare();
        self.configure(&receiver.url("smtp", self.scenario.query));
        self.start()
    }

    /// One traced life of the daemon. `judge` sees each boundary, from the start or from the readiness on; `watch` is called when
    /// the steps are over, and before a daemon that still runs is killed.
    pub(crate) fn torment(&mut self, judge: &mut (dyn FnMut(&Boundary) -> Verdict + Send), watch: impl Fn(&Live)) -> Ordeal {
        self.prepare();
        let receiver = self.start_receiver(self.scenario.script);
        let (live, armed) = (Live::default(), AtomicBool::new(self.scenario.from_start));
        let ids: Vec<_> = self.letters.iter().map(|(name, id, _)| (*name, id.clone())).collect();
        let log = self.log_path();
        let driver = Driver {
            installation: &self.installation,
            binaries: self.binaries,
            receiver: &receiver,
            live: &live,
            log: &log,
            ids: &ids,
            sent: Mutex::default(),
            asked: Mutex::default(),
            armed: &armed,
            begun: Instant::now(),
            late: AtomicBool::new(false),
        };
        let command = self.installation.program(&self.binaries.mailchuted);
        let plug = self.disk.as_ref().map(|_| format!("{}<{}", tracer::PLUG, self.installation.paths.spool.display()));
        let redirections = format!("</dev/null >/dev/null 2>>{} {}", log.display(), plug.unwrap_or_default());
        let traced = std::thread::scope(|scope| {
            let tracing = scope.spawn(|| {
                let mut counted = 0;
                tracer::run(&command, &redirections, &live, &mut |boundary| {
                    if !armed.load(Ordering::SeqCst) {
                        return Verdict::Go;
                    }
                    counted += 1;
                    judge(&Boundary { count: counted - 1, ..*boundary })
                })
            });
            driver.drive(self.scenario);
            watch(&live);
            live.signal(Signal::SIGKILL);
            tracing.join().unwrap()
        });
        let (sent, asked, late) = (driver.sent.into_inner().unwrap(), driver.asked.into_inner().unwrap(), driver.late.into_inner());
        Ordeal { traced, sent, asked, late, receivers: vec![receiver] }
    }

    /// A life without faults, until nothing is left to do. Errors: it does not come to that.
    pub(crate) fn recover(&mut self, ordeal: &mut Ordeal) -> Result<(), String> {
        if let Some(after) = self.scenario.after {
            ordeal.receivers.push(self.start_receiver(after));
        }
        if let Some(disk) = &mut self.disk {
            disk.replug();
        }
        let mut daemon = self.start()?;
        let is_settled = wait_until(|| {
            scenarios::flush(&self.installation);
            self.is_settled(ordeal)
        });
        let _ = daemon.kill();
        let _ = daemon.wait();
        let left = [layout::NEW, layout::CUR].map(|name| self.installation.spooled(name));
        if is_settled { Ok(()) } else { Err(format!("stuck: {left:?}")) }
    }

    /// Starts the daemon, untraced, and waits until it is ready.
    fn start(&self) -> Result<Child, String> {
        let ready = |log: &str| log.matches("mailchuted is ready").count();
        let before = ready(&self.log());
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.log_path()).unwrap();
        let mut command = self.installation.program(&self.binaries.mailchuted);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut ended = None;
        let is_ready = wait_until(|| {
            ended = child.try_wait().unwrap();
            ended.is_some() || ready(&self.log()) > before
        });
        if is_ready && ended.is_none() {
            return Ok(child);
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("does not start again: {ended:?}"))
    }

    /// Nothing waits, and who has to be told has been told.
    fn is_settled(&self, ordeal: &Ordeal) -> bool {
        let has_failed = !self.installation.spooled(layout::FAILED).is_empty();
        scenarios::is_drained(&self.installation) && (!has_failed || ordeal.receivers.iter().any(scenarios::has_dsn))
    }

    /// Recovers and judges. The error says what, in which scenario, by which fault.
    pub(crate) fn judge(&mut self, mut ordeal: Ordeal, what: &str) -> Result<(), String> {
        let recovered = self.recover(&mut ordeal);
        let words = recovered.and_then(|()| judge::judge(self, &ordeal));
        let where_ = ordeal.traced.struck.clone().unwrap_or_default();
        words.map_err(|why| format!("{}: {what} ({where_}): {why}\n{}", self.scenario.name, self.log()))
    }
}

/// Puts letters into a new spool.
fn fill(spool: &Path, letters: &[(&'static str, String, Vec<u8>)]) {
    layout::make_rootless(spool).unwrap();
    // The root of a new file system is open to all.
    std::fs::set_permissions(spool, std::fs::Permissions::from_mode(0o700)).unwrap();
    for (_, id, bytes) in letters {
        let path = spool.join(layout::NEW).join(id);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(layout::FILE_MODE)).unwrap();
    }
}

/// An undisturbed run: the boundaries that it came to.
pub(crate) fn calls_of(bench: &mut Bench) -> Vec<Boundary> {
    let mut seen = Vec::new();
    let ordeal = bench.torment(
        &mut |boundary| {
            seen.push(*boundary);
            Verdict::Go
        },
        |_| {},
    );
    assert!(!ordeal.late && ordeal.traced.code == Some(0), "{}: {:?}\n{}", bench.scenario.name, ordeal.traced, bench.log());
    bench.judge(ordeal, "without a fault").unwrap();
    seen
}

/// SIGKILL at every boundary of every scenario.
pub(crate) fn killed(binaries: &Binaries, choice: Choice, report: &Report) {
    SCENARIOS.iter().for_each(|scenario| killed_in(scenario.name, binaries, choice, report));
}

/// SIGKILL at every boundary of one scenario.
pub(crate) fn killed_in(name: &str, binaries: &Binaries, choice: Choice, report: &Report) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
    let seen = calls_of(&mut Bench::new(binaries, scenario));
    let points = every(0..seen.len() as u64, choice.stride);
    sweep(
        &points,
        choice,
        report,
        || Bench::new(binaries, scenario),
        |bench, point| {
            let at = |boundary: &Boundary| if boundary.count == *point { Verdict::Kill } else { Verdict::Go };
            let ordeal = bench.torment(&mut { at }, |_| {});
            report.add("kill points daemon", u64::from(ordeal.traced.struck.is_some()));
            report.note(bench.judge(ordeal, &format!("killed at {point}")));
        },
    );
}

/// EIO at every write and every sync behind the readiness, while outcomes are committed.
pub(crate) fn refused_commits(binaries: &Binaries, choice: Choice, report: &Report) {
    for name in ["250, 450 and 550", "a notice"] {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let seen = calls_of(&mut Bench::new(binaries, scenario));
        let commits =
            |boundary: &&Boundary| boundary.entry && [libc::SYS_pwrite64, libc::SYS_fsync, libc::SYS_fdatasync].contains(&boundary.call);
        let faults = seen.iter().filter(commits).map(|boundary| (boundary.count, boundary.call, Errno::EIO, false));
        let faults = every(faults, choice.stride);
        sweep(&faults, choice, report, || Bench::new(binaries, scenario), |bench, fault| report.note(refuse(bench, *fault, report)));
    }
}

/// Boundaries in a quarter of a second, of a daemon that has nothing to do but its duties after a fault. What is under way and
/// what an idle runtime does stays far below; a spin is tens of thousands, even traced.
const BUSY: u64 = 2500;

/// Errors at every call on a file or a socket, once and from there on.
pub(crate) fn refused(binaries: &Binaries, choice: Choice, report: &Report) {
    for scenario in SCENARIOS {
        let seen = calls_of(&mut Bench::new(binaries, scenario));
        let of = |boundary: &Boundary| {
            let (at, call) = (boundary.count, boundary.call);
            calls::errors(call).iter().flat_map(|errno| [false, true].map(|lasts| (at, call, *errno, lasts))).collect::<Vec<_>>()
        };
        let faults = every(seen.iter().filter(|boundary| boundary.entry).flat_map(of), choice.stride);
        sweep(&faults, choice, report, || Bench::new(binaries, scenario), |bench, fault| report.note(refuse(bench, *fault, report)));
    }
}

fn refuse(bench: &mut Bench, (at, call, errno, lasts): (u64, i64, Errno, bool), report: &Report) -> Result<(), String> {
    let says_again = [Errno::EINTR, Errno::EAGAIN].contains(&errno);
    let mut struck = 0;
    let mut judge = |boundary: &Boundary| {
        // A daemon counts by several threads: the call with this number may be another one. Then the next one of the kind.
        let is_on = boundary.count >= at && (lasts || struck == 0);
        let fits = boundary.call == call || lasts && calls::errors(boundary.call).contains(&errno);
        if !(boundary.entry && is_on && fits) || says_again && struck >= INTERRUPTIONS {
            return Verdict::Go;
        }
        struck += 1;
        Verdict::Fail(errno)
    };
    let spun = AtomicBool::new(false);
    let watch = |live: &Live| {
        if live.has_ended() {
            return;
        }
        let before = live.boundaries.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(250));
        spun.store(live.boundaries.load(Ordering::Relaxed) - before > BUSY, Ordering::SeqCst);
    };
    let ordeal = bench.torment(&mut judge, watch);
    report.add("errno injections", u64::from(struck > 0));
    report.add("errno injections daemon", u64::from(struck > 0));
    let what = format!("{errno:?} {} at {at}", if lasts { "from now on" } else { "once" });
    if spun.into_inner() {
        return Err(format!("spins: {}: {what} ({:?})\n{}", bench.scenario.name, ordeal.traced, bench.log()));
    }
    ended_well(&ordeal.traced, bench, call, lasts && calls::errors(libc::SYS_write).contains(&errno))
        .map_err(|why| format!("{}: {what}: {why}\n{}", bench.scenario.name, bench.log()))?;
    bench.judge(ordeal, &what)
}

/// It went on until it was stopped or killed by us, or ended loudly with a code of sysexits.h.
fn ended_well(traced: &Traced, bench: &Bench, call: i64, is_mute: bool) -> Result<(), String> {
    // The runtime has no other answer to a machine without threads, memory or events.
    let is_machinery = [libc::SYS_mmap, libc::SYS_brk, libc::SYS_clone3, libc::SYS_write, libc::SYS_epoll_ctl, libc::SYS_epoll_wait];
    match (traced.code, traced.signal) {
        // Out of memory there is no other way. SIGKILL is ours, and SIGTERM where it was not ready for it yet.
        (None, Some(Signal::SIGKILL | Signal::SIGTERM | Signal::SIGABRT | Signal::SIGSEGV)) | (Some(0 | 127), _) => Ok(()),
        (Some(code), _) if (64..=78).contains(&code) && (code != 70 || is_mute || is_machinery.contains(&call)) => {
            // Where every write fails there is no way to tell.
            if is_mute || bench.log().contains("mailchuted: fatal: ") {
                Ok(())
            } else {
                Err(format!("ended with {code} and without a word"))
            }
        }
        _ => Err(format!("ended by a wrong code: {traced:?}")),
    }
}

/// Every write is cut short.
pub(crate) fn shortened(binaries: &Binaries, choice: Choice, report: &Report) {
    for scenario in SCENARIOS {
        let seen = calls_of(&mut Bench::new(binaries, scenario));
        let writes = seen.iter().filter(|boundary| boundary.entry && calls::is_write(boundary.call) && boundary.arguments[2] > 1);
        let writes = every(writes.map(|boundary| (boundary.count, boundary.call)), choice.stride);
        sweep(
            &writes,
            choice,
            report,
            || Bench::new(binaries, scenario),
            |bench, (at, call)| {
                let mut struck = false;
                let mut judge = |boundary: &Boundary| {
                    // Eight bytes are a counter's: the kernel writes it whole or not.
                    let fits = boundary.entry && boundary.call == *call && boundary.arguments[2] > 8;
                    if struck || !fits || boundary.count < *at {
                        return Verdict::Go;
                    }
                    struck = true;
                    Verdict::Shorten(boundary.arguments[2] / 2)
                };
                let ordeal = bench.torment(&mut judge, |_| {});
                report.add("short writes", u64::from(struck));
                report.note(bench.judge(ordeal, &format!("short write at {at}")));
            },
        );
    }
}
