//! `sendmail` under faults: killed at every boundary, refused by the kernel at every call, cut short at every write.
//!
//! The promise that is judged: what was acknowledged is there and whole, what was refused is not there, nothing is half, nothing
//! spins.

use std::cell::RefCell;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc;
use spool::{file, layout};
use tempfile::TempDir;

use super::calls;
use super::door::Door;
use super::report::{Report, every, sweep};
use super::tracer::{self, Boundary, Live, Traced, Verdict};
use super::{Binaries, Choice};
use crate::support::installation::Installation;

/// What the machine lacks, so that `sendmail` has to go another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Usual,
    /// The file system has no O_TMPFILE.
    Named,
    /// linkat knows no AT_EMPTY_PATH (before Linux 6.10).
    NoEmptyPath,
    /// A file system whose fsync does not commit the name.
    Foreign,
    /// Neither AT_EMPTY_PATH nor /proc.
    NoLink,
    /// There is no spool: only the daemon's socket.
    SubmissionSocket,
}

impl Way {
    /// What the lack does to a call.
    pub(crate) fn lacks(self, boundary: &Boundary) -> Option<Verdict> {
        let flag = |argument: usize, flag: i32| boundary.arguments[argument] & flag as u64 == flag as u64;
        let is_unnamed = boundary.call == libc::SYS_openat && flag(2, libc::O_TMPFILE);
        let is_link = boundary.call == libc::SYS_linkat;
        let is_empty_path = is_link && flag(4, libc::AT_EMPTY_PATH);
        let errno = match self {
            Way::Named if is_unnamed => Errno::EOPNOTSUPP,
            Way::NoEmptyPath if is_empty_path => Errno::ENOENT,
            Way::NoLink if is_link => Errno::ENOENT,
            Way::Foreign if boundary.call == libc::SYS_fstatfs => Errno::ENOSYS,
            _ => return None,
        };
        boundary.entry.then_some(Verdict::Lack(errno))
    }
}

/// One way to use `sendmail`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub name: &'static str,
    pub arguments: Vec<&'static str>,
    pub input: Vec<u8>,
    /// What each message ends with.
    pub ending: Vec<u8>,
    /// How many messages it makes.
    pub messages: usize,
    pub recipients: usize,
    pub way: Way,
}

/// The disks of the rig are small.
pub(crate) const NO_RESERVE: &str = "spool_reserve = 0\nspool_inode_reserve = 0";

const HELLO: &[u8] = b"From: alice@sender.example\nSubject: hello\n\nHello\n.leading dot\n";

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    let usual = vec!["-i", "-f", "alice@sender.example", "bob@receiver.example"];
    let small = Case {
        name: "small",
        arguments: usual,
        input: HELLO.to_vec(),
        ending: b"\r\n\r\nHello\r\n.leading dot\r\n".to_vec(),
        messages: 1,
        recipients: 1,
        way: Way::Usual,
    };
    let line = b"0123456789abcdef0123456789abcdef0123456789abcdef012345678901234\n";
    let large = Case {
        name: "1 MiB",
        input: [b"From: alice@sender.example\nSubject: large\n\n".as_slice(), &line.repeat(1 << 14), b"the end\n"].concat(),
        ending: b"\r\nthe end\r\n".to_vec(),
        ..small.clone()
    };
    let to: Vec<String> = (0..300).map(|n| format!("user{n}@receiver.example")).collect();
    let head = format!("From: alice@sender.example\nTo: {}\nBcc: secret@receiver.example\nSubject: many\n\nHello\n", to.join(",\n "));
    let header = Case {
        name: "-t",
        arguments: vec!["-i", "-t"],
        input: head.into_bytes(),
        ending: b"\r\n\r\nHello\r\n".to_vec(),
        recipients: 301,
        ..small.clone()
    };
    let aliases = Case { name: "aliases", arguments: vec!["-i", "team"], recipients: 3, ..small.clone() };
    let transaction =
        "MAIL FROM:<alice@sender.example>\r\nRCPT TO:<bob@receiver.example>\r\nDATA\r\nFrom: alice@sender.example\r\n\r\nHello\r\n.\r\n";
    let session = Case {
        name: "-bs",
        arguments: vec!["-bs"],
        input: format!("EHLO client.example\r\n{}QUIT\r\n", transaction.repeat(3)).into_bytes(),
        ending: b"\r\n\r\nHello\r\n".to_vec(),
        messages: 3,
        ..small.clone()
    };
    let ways = [("no O_TMPFILE", Way::Named), ("no AT_EMPTY_PATH", Way::NoEmptyPath), ("another file system", Way::Foreign)];
    let detours = ways.map(|(name, way)| Case { name, way, ..small.clone() });
    [small.clone(), large, header, aliases, session].into_iter().chain(detours).collect()
}

/// Those, and the cases of the second door, behind which a daemon has to run.
fn all_cases() -> Vec<Case> {
    let mut all = cases();
    let through = |case: &Case, name| Case { name, way: Way::SubmissionSocket, ..case.clone() };
    let [small, large, header] = [0, 1, 2].map(|index| all[index].clone());
    all.extend([through(&small, "second door"), through(&large, "second door, 1 MiB"), through(&header, "second door, -t")]);
    all
}

/// A spool without a daemon, used again and again by one worker.
pub(crate) struct Bench {
    pub installation: Installation,
    pub scratch: TempDir,
    sendmail: PathBuf,
    /// The daemon after all, for [`Way::SubmissionSocket`].
    door: Option<RefCell<Door>>,
}

/// One run of `sendmail`, and what is in the spool behind it.
#[derive(Debug)]
pub(crate) struct Run {
    pub traced: Traced,
    pub stderr: String,
    /// Messages that it acknowledged.
    pub acknowledged: usize,
    /// Messages in `new/`, all of them whole.
    pub kept: usize,
    /// Names in `tmp/`.
    pub left: usize,
}

impl Bench {
    pub(crate) fn new(binaries: &Binaries) -> Bench {
        let (installation, scratch) = (Installation::rootless(), TempDir::new().unwrap());
        let aliases = scratch.path().join("aliases");
        std::fs::write(&aliases, "team: ann@receiver.example, bob@receiver.example, people\npeople: cid@receiver.example\n").unwrap();
        installation.relay_to("smtp://127.0.0.1:1?tls=none", &format!("alias_file = \"{}\"\n{NO_RESERVE}", aliases.display()));
        layout::make_rootless(&installation.paths.spool).unwrap();
        Bench { installation, scratch, sendmail: binaries.sendmail.clone(), door: None }
    }

    /// One for `case`.
    fn of(binaries: &Binaries, case: &Case) -> Bench {
        let mut bench = Bench::new(binaries);
        let has_door = case.way == Way::SubmissionSocket;
        bench.door = has_door.then(|| RefCell::new(Door::open(&bench.installation, binaries, bench.scratch.path())));
        bench
    }

    /// Runs `case` in an empty spool. Errors: what is half, or not what was sent.
    pub(crate) fn run(&self, case: &Case, judge: &mut dyn FnMut(&Boundary) -> Verdict) -> Result<Run, String> {
        if let Some(door) = &self.door {
            door.borrow_mut().forget(&self.installation);
        }
        for directory in [layout::NEW, layout::TMP].iter().filter(|_| self.door.is_none()) {
            for name in self.installation.spooled(directory) {
                std::fs::remove_file(self.installation.paths.spool.join(directory).join(name)).unwrap();
            }
        }
        let (traced, stdout, stderr) = self.trace(case, "", judge);
        if let Some(door) = &self.door {
            door.borrow().settle(&self.installation);
        }
        Ok(Run {
            acknowledged: acknowledged(case, &traced, &stdout),
            kept: self.whole(case)?,
            left: self.installation.spooled(layout::TMP).len(),
            traced,
            stderr,
        })
    }

    /// Runs `case`; how it ended, what it said.
    pub(crate) fn trace(&self, case: &Case, redirections: &str, judge: &mut dyn FnMut(&Boundary) -> Verdict) -> (Traced, String, String) {
        let file = |name: &str| self.scratch.path().join(name);
        std::fs::write(file("in"), &case.input).unwrap();
        let mut command = self.installation.program(&self.sendmail);
        command.args(&case.arguments);
        if let Some(door) = &self.door {
            command.env("XDG_STATE_HOME", &door.borrow().state);
        }
        let redirections = format!("<{} >{} 2>{} {redirections}", file("in").display(), file("out").display(), file("err").display());
        let mut both = |boundary: &Boundary| match judge(boundary) {
            Verdict::Go => case.way.lacks(boundary).unwrap_or(Verdict::Go),
            verdict => verdict,
        };
        let traced = tracer::run(&command, &redirections, &Live::default(), &mut both);
        let text = |name: &str| String::from_utf8_lossy(&std::fs::read(file(name)).unwrap_or_default()).into_owned();
        (traced, text("out"), text("err"))
    }

    /// How many messages there are in `new/`. Errors: one that is not whole, or not what was sent.
    pub(crate) fn whole(&self, case: &Case) -> Result<usize, String> {
        let names = self.names();
        names.iter().try_for_each(|(name, directory)| self.is_whole(case, name, directory))?;
        Ok(names.len())
    }

    /// The messages of the last run, with their directories.
    fn names(&self) -> Vec<(String, &'static str)> {
        match &self.door {
            Some(door) => door.borrow().fresh(&self.installation),
            None => self.installation.spooled(layout::NEW).into_iter().map(|name| (name, layout::NEW)).collect(),
        }
    }

    /// How many files in `new/` are whole messages, and how many are not.
    pub(crate) fn count(&self, case: &Case) -> (usize, usize) {
        let names = self.names();
        let whole = names.iter().filter(|(name, directory)| self.is_whole(case, name, directory).is_ok()).count();
        (whole, names.len() - whole)
    }

    /// Errors: why it is not a whole message, or not what was sent.
    pub(crate) fn is_whole(&self, case: &Case, name: &str, directory: &str) -> Result<(), String> {
        let path = self.installation.paths.spool.join(directory).join(name);
        let file = std::fs::File::open(&path).map_err(|e| format!("{name}: {e}"))?;
        let line = file::read_line(&file).map_err(|e| format!("half: {name}: {e}"))?;
        file::verify(&file, &line, |_| {}).map_err(|e| format!("half: {name}: {e}"))?;
        let is_sent = std::fs::read(&path).is_ok_and(|bytes| bytes.ends_with(&case.ending));
        let recipients = line.envelope.recipients.len();
        // An alias file that cannot be read keeps no mail away, and the history says so.
        let is_excused = case.name == "aliases" && line.envelope.warnings.iter().any(|notice| notice.contains("cannot be read"));
        let is_all = recipients == case.recipients || is_excused;
        if line.envelope.id.to_string() == name && is_sent && is_all {
            return Ok(());
        }
        Err(format!("half: {name} is not what was sent: {recipients} recipients"))
    }
}

/// What the caller believes to be kept.
pub(crate) fn acknowledged(case: &Case, traced: &Traced, stdout: &str) -> usize {
    match case.name {
        "-bs" => stdout.matches("queued as ").count(),
        _ if traced.code == Some(0) => case.messages,
        _ => 0,
    }
}

/// The calls of an undisturbed run, in front of each of which there is a boundary with this count.
pub(crate) fn calls_of(bench: &Bench, case: &Case) -> Vec<Boundary> {
    let mut seen = Vec::new();
    let run = bench.run(case, &mut |boundary| {
        seen.push(*boundary);
        Verdict::Go
    });
    let run = run.unwrap_or_else(|why| panic!("{} without a fault: {why}", case.name));
    assert_eq!((run.traced.code, run.kept, run.acknowledged), (Some(0), case.messages, case.messages), "{}: {run:?}", case.name);
    seen
}

/// SIGKILL at every boundary.
pub(crate) fn killed(binaries: &Binaries, choice: Choice, report: &Report) {
    for case in all_cases() {
        let count = calls_of(&Bench::of(binaries, &case), &case).len() as u64;
        let points = every(0..count, choice.stride);
        sweep(&points, choice, report, || Bench::of(binaries, &case), |bench, point| report.note(kill(bench, &case, *point, report)));
    }
}

fn kill(bench: &Bench, case: &Case, point: u64, report: &Report) -> Result<(), String> {
    let at = |boundary: &Boundary| if boundary.count == point { Verdict::Kill } else { Verdict::Go };
    let what = format!("{} killed at {point}", case.name);
    let run = bench.run(case, &mut { at }).map_err(|why| format!("{what}: {why}"))?;
    // A run is a call or two shorter or longer than the one that was counted: the last points may lie behind its end.
    report.add("kill points injector", u64::from(run.traced.struck.is_some()));
    let where_ = run.traced.struck.unwrap_or_default();
    if run.kept < run.acknowledged {
        return Err(format!("lost: {what} {where_}: {} acknowledged, {} kept", run.acknowledged, run.kept));
    }
    if run.kept > run.acknowledged + 1 {
        return Err(format!("{what} {where_}: {} kept, {} acknowledged", run.kept, run.acknowledged));
    }
    if run.left > usize::from(case.way == Way::Named) {
        return Err(format!("{what} {where_}: {} files are left in tmp/", run.left));
    }
    Ok(())
}

/// One fault: at which call, which error, how often.
#[derive(Clone, Copy, Debug)]
struct Fault {
    at: u64,
    call: i64,
    errno: Errno,
    lasts: bool,
}

/// How often in a row a call is interrupted, or told to try again, at most: for ever would be no kernel's doing, and each retry of it
/// is right.
pub(crate) const INTERRUPTIONS: u64 = 25;
/// Boundaries that `sendmail` may come to after a fault, beyond those of an undisturbed run: room for a message and a way out.
const ROOM: u64 = 200;

/// Every error that fits, at every call on a file or a socket, once and from there on.
pub(crate) fn refused(binaries: &Binaries, choice: Choice, report: &Report) {
    for case in all_cases() {
        let seen = calls_of(&Bench::of(binaries, &case), &case);
        let of = |(at, boundary): (usize, &Boundary)| {
            let (at, call) = (at as u64, boundary.call);
            let both = |errno: &Errno| [false, true].map(|lasts| Fault { at, call, errno: *errno, lasts });
            calls::errors(call).iter().flat_map(both).collect::<Vec<_>>()
        };
        let faults = seen.iter().enumerate().filter(|(_, boundary)| boundary.entry).flat_map(of);
        let faults = every(faults, choice.stride);
        let limit = seen.len() as u64 + ROOM;
        sweep(
            &faults,
            choice,
            report,
            || Bench::of(binaries, &case),
            |bench, fault| report.note(refuse(bench, &case, *fault, limit, report)),
        );
    }
}

fn refuse(bench: &Bench, case: &Case, fault: Fault, limit: u64, report: &Report) -> Result<(), String> {
    let (mut struck, mut sync_failed, mut unlink_failed) = (0, false, false);
    let says_again = [Errno::EINTR, Errno::EAGAIN].contains(&fault.errno);
    let limit = if says_again { limit + 4 * INTERRUPTIONS } else { limit };
    let mut at = |boundary: &Boundary| {
        if boundary.count > limit {
            return Verdict::Kill;
        }
        let is_on = if fault.lasts { boundary.count >= fault.at } else { boundary.count == fault.at };
        let enough = says_again && struck >= INTERRUPTIONS;
        // A lasting fault is one of the kind: EMFILE everywhere where a descriptor is made, EIO everywhere where a disk is asked.
        let fits = boundary.call == fault.call || fault.lasts && calls::errors(boundary.call).contains(&fault.errno);
        if !(boundary.entry && is_on && fits) || enough {
            return Verdict::Go;
        }
        struck += 1;
        sync_failed |= calls::is_sync(boundary.call);
        unlink_failed |= boundary.call == libc::SYS_unlinkat;
        Verdict::Fail(fault.errno)
    };
    let what = format!("{}: {:?} {} at {}", case.name, fault.errno, if fault.lasts { "from now on" } else { "once" }, fault.at);
    let run = bench.run(case, &mut at).map_err(|why| format!("{what}: {why}"))?;
    report.add("errno injections", u64::from(struck > 0));
    report.add("errno injections injector", u64::from(struck > 0));
    let what = format!("{what}, {}", run.traced.struck.clone().unwrap_or_default());
    if run.traced.boundaries > limit {
        return Err(format!("spins: {what}: {run:?}"));
    }
    judge_refusal(case, &run, &what, sync_failed && fault.errno != Errno::EINTR, unlink_failed)
}

/// Exit 0 if and only if it was kept.
fn judge_refusal(case: &Case, run: &Run, what: &str, sync_failed: bool, unlink_failed: bool) -> Result<(), String> {
    let (kept, acknowledged) = (run.kept, run.acknowledged);
    if kept < acknowledged {
        return Err(format!("lost: {what}: {acknowledged} acknowledged, {kept} kept: {run:?}"));
    }
    if sync_failed && acknowledged >= case.messages {
        return Err(format!("lost: {what}: success after a failed fsync: {run:?}"));
    }
    // SPOOL.md, guarantee 2: after a failed fsync, what cannot be removed may be delivered.
    let excused = sync_failed && unlink_failed;
    // A reply that could not be written, or not be read, is none, though the message is kept.
    let unheard = case.name == "-bs" || case.way == Way::SubmissionSocket && what.contains("before recvfrom");
    if kept > acknowledged && !excused && !unheard {
        return Err(format!("refused and kept: {what}: {acknowledged} acknowledged, {kept} kept: {run:?}"));
    }
    if run.left > usize::from(unlink_failed) {
        return Err(format!("{what}: {} files are left in tmp/", run.left));
    }
    let is_known = match run.traced.code {
        // 127 is the loader's.
        Some(code) => code == 0 || (64..=78).contains(&code) && code != 70 || code == 127,
        // Out of memory there is no other way.
        None => run.traced.signal.is_some(),
    };
    if is_known { Ok(()) } else { Err(format!("{what}: ended by a wrong code: {run:?}")) }
}

/// Every write is cut short: to one byte, to a half, to all but one.
pub(crate) fn shortened(binaries: &Binaries, choice: Choice, report: &Report) {
    for case in all_cases() {
        let seen = calls_of(&Bench::of(binaries, &case), &case);
        let lengths = |boundary: &Boundary| {
            let length = boundary.arguments[2];
            let (count, mut shorter) = (boundary.count, vec![1, length / 2, length - 1]);
            shorter.retain(|shorter| (1..length).contains(shorter));
            shorter.dedup();
            shorter.into_iter().map(move |shorter| (count, shorter))
        };
        let writes = seen.iter().filter(|boundary| boundary.entry && calls::is_write(boundary.call) && boundary.arguments[2] > 1);
        let writes = every(writes.flat_map(lengths), choice.stride);
        sweep(
            &writes,
            choice,
            report,
            || Bench::of(binaries, &case),
            |bench, (point, length)| {
                let at = |boundary: &Boundary| if boundary.count == *point { Verdict::Shorten(*length) } else { Verdict::Go };
                let what = format!("{}: write {point} cut to {length}", case.name);
                let judged = bench.run(&case, &mut { at }).and_then(|run| {
                    report.add("short writes", u64::from(run.traced.struck.is_some()));
                    let is_right = run.kept == case.messages && run.acknowledged == case.messages;
                    if is_right { Ok(()) } else { Err(format!("{run:?}")) }
                });
                report.note(judged.map_err(|why| format!("{what}: {why}")));
            },
        );
    }
}
