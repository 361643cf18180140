//! The verbs of operators, killed at every call: the daemon that does one, and the command that does it while the daemon is stopped.
//! Then a start, and a look at file, row, history and answers.
//!
//! Whatever the kill came to, the verb was done or it was not: the file is in one place, the row says so, the history names who
//! ordered it if and only if it was done, an answer that said "done" was true, and the same verb once more is not refused as unknown.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mail::code::{Code, Happened, QueueDir};
use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::report::{Report, every, sweep};
use super::tracer::{self, Boundary, Live, Verdict};
use super::{Binaries, Choice, calls};
use crate::support::command::{self, wait_until};
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Script};

/// Where a message is before the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// In `new/`, while the daemon is stopped.
    New,
    Deferred,
    Held,
    Failed,
    Removed,
}

/// A verb on a message in some state.
#[derive(Clone, Copy, Debug)]
struct Case {
    verb: &'static str,
    before: Before,
    after: QueueDir,
    happened: Happened,
}

const fn case(verb: &'static str, before: Before, after: QueueDir, happened: Happened) -> Case {
    Case { verb, before, after, happened }
}

const CASES: &[Case] = &[
    case("hold", Before::Deferred, QueueDir::Hold, Happened::Held),
    case("release", Before::Held, QueueDir::Cur, Happened::Released),
    case("remove", Before::Deferred, QueueDir::Trash, Happened::Removed),
    case("remove", Before::Failed, QueueDir::Trash, Happened::Removed),
    case("requeue", Before::Removed, QueueDir::Cur, Happened::Requeued),
    case("requeue", Before::Failed, QueueDir::Cur, Happened::Requeued),
    case("requeue", Before::Held, QueueDir::Cur, Happened::Requeued),
    case("bounce", Before::Deferred, QueueDir::Failed, Happened::Bounced),
    case("bounce", Before::Held, QueueDir::Failed, Happened::Bounced),
    case("expire", Before::Deferred, QueueDir::Cur, Happened::Expired),
    case("hold", Before::New, QueueDir::Hold, Happened::Held),
    case("remove", Before::New, QueueDir::Trash, Happened::Removed),
];

impl Before {
    fn dir(self) -> QueueDir {
        match self {
            Before::New | Before::Deferred => QueueDir::Cur,
            Before::Held => QueueDir::Hold,
            Before::Failed => QueueDir::Failed,
            Before::Removed => QueueDir::Trash,
        }
    }
}

const LETTER: &[u8] = b"From: alice@sender.example\nSubject: test\n\nmessage\n";
/// A daemon under a fault may never answer.
const ANSWER: Duration = Duration::from_secs(4);

/// An installation with one message in the state of its case, which each trial gets again.
struct Bench<'a> {
    installation: Installation,
    binaries: &'a Binaries,
    case: Case,
    /// The receiver wants no mail: whatever is released or requeued is deferred.
    receiver: Receiver,
    scratch: TempDir,
    id: String,
    file: Vec<u8>,
    /// Lines of the kind of the case in its history, before the verb.
    lines: i64,
}

impl<'a> Bench<'a> {
    fn new(binaries: &'a Binaries, case: Case) -> Bench<'a> {
        let mut installation = Installation::rootless();
        let (receiver, refusing) = (Script::new().say("RCPT", "450 4.2.1 busy").start(), Script::new().say("RCPT", "550 5.1.1 no").start());
        let hour = "retry_min = \"1h\"\nretry_max = \"1h\"\nspool_reserve = 0\nspool_inode_reserve = 0\n";
        let first = if case.before == Before::Failed { &refusing } else { &receiver };
        installation.relay_to(&first.url("smtp", "tls=none"), hour);
        installation.start_daemon();
        let send = |installation: &Installation| {
            installation.sendmail(&["-i", "-f", "alice@sender.example", "bob@receiver.example"], LETTER).succeeded();
        };
        if case.before != Before::New {
            send(&installation);
            let place = if case.before == Before::Failed { "failed" } else { "deferred" };
            let id = installation.wait_for_entry("its first attempt", |entry| entry["queue_name"] == place)["queue_id"].to_string();
            for verb in [(Before::Held, "hold"), (Before::Removed, "remove")].iter().filter(|(before, _)| *before == case.before) {
                installation.mailchute(&[verb.1, id.trim_matches('"')]).succeeded();
            }
        }
        installation.stop_daemon();
        if case.before == Before::New {
            send(&installation);
        }
        installation.relay_to(&receiver.url("smtp", "tls=none"), hour);
        let directory = if case.before == Before::New { "new" } else { case.before.dir().directory().unwrap() };
        let id = installation.spooled(directory).remove(0);
        let file = std::fs::read(installation.paths.spool.join(directory).join(&id)).unwrap();
        let scratch = TempDir::new().unwrap();
        copy(&installation.paths.spool, &scratch.path().join("spool"));
        let mut bench = Bench { installation, binaries, case, receiver, scratch, id, file, lines: 0 };
        bench.lines = bench.number(&bench.of_history());
        bench
    }

    /// The spool as it was before the verb.
    fn prepare(&self) {
        let _ = std::fs::remove_file(self.installation.paths.control_socket());
        let _ = std::fs::remove_file(self.log_path());
        std::fs::remove_dir_all(&self.installation.paths.spool).unwrap();
        copy(&self.scratch.path().join("spool"), &self.installation.paths.spool);
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn verb(&self) -> Command {
        let mut command = self.installation.program(&self.binaries.mailchute);
        command.args([self.case.verb, &self.id]);
        command
    }

    /// The command does it itself. True if it said that it was done.
    fn offline(&self, judge: &mut dyn FnMut(&Boundary) -> Verdict) -> bool {
        self.prepare();
        tracer::run(&self.verb(), "</dev/null >/dev/null 2>/dev/null", &Live::default(), judge).code == Some(0)
    }

    /// The daemon does it, and is killed at the latest when it has answered. True if the command said that it was done.
    fn online(&self, judge: &mut (dyn FnMut(&Boundary) -> Verdict + Send)) -> bool {
        self.prepare();
        let (live, armed) = (Live::default(), AtomicBool::new(false));
        let daemon = self.installation.program(&self.binaries.mailchuted);
        let redirections = format!("</dev/null >/dev/null 2>>{}", self.log_path().display());
        std::thread::scope(|scope| {
            let tracing = scope.spawn(|| {
                let mut counted = 0;
                tracer::run(&daemon, &redirections, &live, &mut |boundary| {
                    if !armed.load(Ordering::SeqCst) {
                        return Verdict::Go;
                    }
                    counted += 1;
                    judge(&Boundary { count: counted - 1, ..*boundary })
                })
            });
            wait_until(|| self.is_ready(1) || live.pid() > 0 && live.has_ended());
            armed.store(true, Ordering::SeqCst);
            let mut asking = self.verb().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let limit = if live.was_struck() { ANSWER } else { command::PATIENCE };
            let ended = command::wait(&mut asking, limit);
            let _ = asking.kill();
            let _ = asking.wait();
            live.signal(Signal::SIGKILL);
            tracing.join().unwrap();
            ended.is_some_and(|status| status.success())
        })
    }

    fn is_ready(&self, times: usize) -> bool {
        self.log().matches("mailchuted is ready").count() >= times
    }

    /// The daemon, untraced.
    fn start(&self) -> Result<Started, String> {
        let before = self.log().matches("mailchuted is ready").count();
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.log_path()).unwrap();
        let mut command = self.installation.program(&self.binaries.mailchuted);
        let mut daemon = Started(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let mut ended = None;
        wait_until(|| {
            ended = daemon.0.try_wait().unwrap();
            ended.is_some() || self.is_ready(before + 1)
        });
        ended.map_or(Ok(daemon), |status| Err(format!("does not start again: {status}")))
    }

    /// Starts the daemon, and looks whether all agrees. `is_answered`: somebody was told that it was done.
    fn judge(&self, is_answered: bool) -> Result<(), String> {
        let _daemon = self.start()?;
        // A file that was claimed and has no row gets it in the background.
        wait_until(|| self.number("SELECT count(*) FROM message WHERE id = ?1") == 1);
        let is_done = self.agrees()?;
        if is_answered && !is_done {
            return Err("was answered, and is not done".to_owned());
        }
        if self.log().contains("moved by hand") {
            return Err("the log says that somebody moved it by hand".to_owned());
        }
        let again = command::run(&mut self.verb(), b"");
        if again.stderr.contains("no such message") || again.code.is_none_or(|code| code > 1) || !is_done && again.code != Some(0) {
            return Err(format!("the same once more: {again:?}"));
        }
        // What is being sent follows after its attempt.
        if !wait_until(|| self.agrees() == Ok(true)) {
            return Err(format!("after the same once more: {:?}", self.agrees()));
        }
        if self.receiver.accepted() == 0 { Ok(()) } else { Err("was sent".to_owned()) }
    }

    /// Whether the verb was done, by every account.
    fn agrees(&self) -> Result<bool, String> {
        let lines = self.number(&self.of_history()) - self.lines;
        let dir = QueueDir::of_number(self.number("SELECT dir FROM message WHERE id = ?1")).ok_or("no directory")?;
        let all = ["new", "cur", "hold", "failed", "trash", "corrupt"];
        let places: Vec<&str> = all.into_iter().filter(|place| self.installation.spooled(place).contains(&self.id)).collect();
        let intentions = self.number("SELECT count(*) FROM intention WHERE message = ?1");
        let is_done = lines > 0;
        let expected = if is_done { self.case.after } else { self.case.before.dir() };
        let is_right = dir == expected && places == [expected.word()] && intentions == 0;
        if !is_right {
            return Err(format!("done {is_done}: row {}, file {places:?}, intentions {intentions}", dir.word()));
        }
        if std::fs::read(self.installation.paths.spool.join(expected.word()).join(&self.id)).ok() != Some(self.file.clone()) {
            return Err("its file has changed".to_owned());
        }
        if is_done && self.case.verb == "bounce" && self.notices() == 0 {
            return Err("nobody is told of the bounce".to_owned());
        }
        Ok(is_done)
    }

    /// Lines of its history that name who did what the case does.
    fn of_history(&self) -> String {
        let kind = self.case.happened.number();
        format!("SELECT count(*) FROM history WHERE message = ?1 AND kind = {kind} AND by_uid IS NOT NULL")
    }

    /// DSNs that are due or were written.
    fn notices(&self) -> i64 {
        let due = self.number("SELECT count(*) FROM dsn WHERE message = ?1");
        let others = ["new", "cur"].map(|place| self.installation.spooled(place).iter().filter(|name| **name != self.id).count());
        due + others.iter().sum::<usize>() as i64
    }

    fn number(&self, sql: &str) -> i64 {
        let path = self.installation.paths.spool.join("state.sqlite");
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        let id = i64::from_str_radix(&self.id, 16).unwrap();
        database.query_row(sql, [id], |row| row.get(0)).unwrap_or(-1)
    }
}

/// A daemon that ends with the value.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    command::run(Command::new("cp").arg("-a").arg(from).arg(to), b"").succeeded();
}

/// SIGKILL at every call of every verb, in the daemon and in the command, between its first change and its last.
pub(crate) fn killed(binaries: &Binaries, choice: Choice, report: &Report) {
    sweep(CASES, choice, report, || (), |(), case| killed_in(*case, binaries, choice, report));
}

fn killed_in(case: Case, binaries: &Binaries, choice: Choice, report: &Report) {
    let bench = Bench::new(binaries, case);
    let modes: &[bool] = if case.before == Before::New { &[false] } else { &[false, true] };
    for is_online in modes {
        let by = if *is_online { "the daemon" } else { "the command" };
        let points = match changes(&bench, *is_online) {
            Ok(points) => every(points, choice.stride),
            Err(why) => return report.violation(format!("{} {:?} by {by}, not killed: {why}\n{}", case.verb, case.before, bench.log())),
        };
        for point in points {
            let struck = AtomicBool::new(false);
            let mut at = |boundary: &Boundary| {
                if boundary.count != point {
                    return Verdict::Go;
                }
                struck.store(true, Ordering::SeqCst);
                Verdict::Kill
            };
            let is_answered = if *is_online { bench.online(&mut at) } else { bench.offline(&mut at) };
            report.add("kill points verbs", u64::from(struck.load(Ordering::SeqCst)));
            let judged = bench.judge(is_answered);
            report
                .note(judged.map_err(|why| format!("{} {:?} by {by}, killed at {point}: {why}\n{}", case.verb, case.before, bench.log())));
            if choice.hunts && report.violations() > 0 {
                return;
            }
        }
    }
}

/// The boundaries from the first change to the last, of an undisturbed run. Errors: it does not do what it is for.
fn changes(bench: &Bench, is_online: bool) -> Result<std::ops::Range<u64>, String> {
    let mut seen: Vec<u64> = Vec::new();
    let mut look = |boundary: &Boundary| {
        if calls::is_write(boundary.call) || calls::is_sync(boundary.call) || calls::is_naming(boundary.call) {
            seen.push(boundary.count);
        }
        Verdict::Go
    };
    let is_done = if is_online { bench.online(&mut look) } else { bench.offline(&mut look) };
    if !is_done {
        return Err("is not done".to_owned());
    }
    bench.judge(true)?;
    Ok(seen.first().copied().unwrap_or(0)..seen.last().map_or(0, |last| last + 1))
}
