//! Single trials: promises that no sweep can see, because they are about an order and not about a place.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use spool::layout;

use super::injector;
use super::report::Report;
use super::scenarios::{self, SCENARIOS};
use super::tracer::{Boundary, Verdict};
use super::{Binaries, Choice, daemon};
use crate::support::command::{wait_for, wait_until};
use crate::support::scripted::{Reply, Script};

/// How long the daemon has to make the mistake of a trial.
const TEMPTATION: Duration = Duration::from_millis(600);

/// Errors: the promise that was broken.
type Trial = fn(&Binaries) -> Result<(), String>;

/// All of them.
pub(crate) fn all(binaries: &Binaries, _: Choice, report: &Report) {
    let trials: [(&str, Trial); 6] = [
        ("what is refused in the end is not sent before", refused_is_never_sent),
        ("what was changed behind the claim is not sent", changed_is_never_sent),
        ("a parked message is synced before anybody is told", parked_is_synced),
        ("a file moves behind the sync of its intention", intention_is_synced),
        ("an injection syncs once, behind the link", synced_behind_the_link),
        ("without any way to name a file, mail is refused", refused_without_a_name),
    ];
    for (name, trial) in trials {
        report.add("single trials", 1);
        report.note(trial(binaries).map_err(|why| format!("{name}: {why}")));
    }
}

/// A daemon that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(bench: &injector::Bench, binaries: &Binaries, next_hop: &str) -> Running {
    let log = bench.scratch.path().join("log");
    bench.installation.relay_to(next_hop, injector::NO_RESERVE);
    let mut command = bench.installation.program(&binaries.mailchuted);
    let file = std::fs::File::create(&log).unwrap();
    let running = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap());
    wait_for("the daemon", || std::fs::read_to_string(&log).unwrap().contains("mailchuted is ready"));
    running
}

/// The injector stands still between the name and the sync, and the sync fails. The daemon sees the file all the while.
pub(crate) fn refused_is_never_sent(binaries: &Binaries) -> Result<(), String> {
    let (bench, receiver) = (injector::Bench::new(binaries), Script::new().start());
    let _daemon = start(&bench, binaries, &receiver.url("smtp", "tls=none"));
    let case = &injector::cases()[0];
    let mut judge = |boundary: &Boundary| {
        if !(boundary.entry && boundary.call == libc::SYS_fsync) {
            return Verdict::Go;
        }
        std::thread::sleep(TEMPTATION);
        Verdict::Fail(Errno::EIO)
    };
    let (traced, ..) = bench.trace(case, "", &mut judge);
    std::thread::sleep(Duration::from_millis(100));
    match (traced.code, receiver.accepted()) {
        (Some(74), 0) => Ok(()),
        (code, sent) => Err(format!("exit {code:?}, sent {sent} times")),
    }
}

/// The caller still holds its file open for writing, and writes when the daemon has claimed it.
pub(crate) fn changed_is_never_sent(binaries: &Binaries) -> Result<(), String> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == "one recipient").unwrap();
    let mut bench = daemon::Bench::new(binaries, scenario);
    let receiver = Script::new().first(1, "RCPT", Reply::Lines("450 4.2.1 busy".into())).start();
    let _daemon = Running(bench.begin(&receiver)?);
    wait_for("the first attempt", || bench.log().contains("event=\"deferred\""));
    let (_, id, bytes) = &bench.letters[0];
    let path = bench.installation.paths.spool.join(layout::CUR).join(id);
    let changed = String::from_utf8(bytes.clone()).unwrap().replace("message one", "message two");
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all(changed.as_bytes()).unwrap();
    wait_until(|| {
        scenarios::flush(&bench.installation);
        // The message, and its reason.
        receiver.accepted() > 0 || bench.installation.spooled(layout::CORRUPT).len() > 1
    });
    match (receiver.accepted(), bench.installation.spooled(layout::CORRUPT).len()) {
        (0, 2) => Ok(()),
        (sent, found) => Err(format!("sent {sent} times, {found} files in corrupt/")),
    }
}

/// The file system journal of ext4 and xfs makes this true by the way, that of btrfs does not: so the order is looked at.
pub(crate) fn parked_is_synced(binaries: &Binaries) -> Result<(), String> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == "hold, release, remove").unwrap();
    let seen = daemon::calls_of(&mut daemon::Bench::new(binaries, scenario));
    let mut parked = 0;
    // Directories that a rename changed and that no sync has reached, by descriptor.
    let mut unsynced: HashMap<u64, u64> = HashMap::new();
    for boundary in &seen {
        let [first, _, third, ..] = boundary.arguments;
        match boundary.call {
            // The claim is told to nobody, and repeated by the file; each other move has a counterpart that somebody is told of.
            libc::SYS_renameat2 if boundary.entry => {
                parked += 1;
                unsynced.insert(first, boundary.count);
                unsynced.insert(third, boundary.count);
            }
            libc::SYS_fsync if !boundary.entry && boundary.result == 0 => {
                unsynced.remove(&first);
            }
            _ => {}
        }
    }
    // Four verbs, and claims: those only that came behind the first word of the daemon, where the count begins.
    if parked < 4 {
        return Err(format!("{parked} renames: the trial does not see what it is for"));
    }
    // new/ and, by its last use, nothing else: every move between the other directories was synced.
    if unsynced.len() > 1 { Err(format!("never synced: descriptors {unsynced:?}")) } else { Ok(()) }
}

/// A kill cannot show it, because the kernel keeps what was written: so the order is looked at. What the database has written last
/// before a message moves between two directories of the daemon was synced: its intention.
pub(crate) fn intention_is_synced(binaries: &Binaries) -> Result<(), String> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == "hold, release, remove").unwrap();
    let seen = daemon::calls_of(&mut daemon::Bench::new(binaries, scenario));
    let renames = || seen.iter().filter(|boundary| boundary.entry && boundary.call == libc::SYS_renameat2);
    // new/ is a source and never a target: a claim needs no intention.
    let is_target = |directory: u64| renames().any(|boundary| boundary.arguments[2] == directory);
    let (mut unsynced, mut moves) = (HashSet::new(), 0);
    for boundary in &seen {
        let [first, ..] = boundary.arguments;
        match boundary.call {
            libc::SYS_pwrite64 if !boundary.entry => drop(unsynced.insert(first)),
            libc::SYS_fsync | libc::SYS_fdatasync if !boundary.entry => drop(unsynced.remove(&first)),
            libc::SYS_renameat2 if boundary.entry && is_target(first) => {
                moves += 1;
                if !unsynced.is_empty() {
                    return Err(format!("move {moves}: descriptors {unsynced:?} were written and not synced"));
                }
            }
            _ => {}
        }
    }
    if moves < 3 { Err(format!("{moves} moves: the trial does not see what it is for")) } else { Ok(()) }
}

/// D7 is behind D6, and there is no other sync.
pub(crate) fn synced_behind_the_link(binaries: &Binaries) -> Result<(), String> {
    let bench = injector::Bench::new(binaries);
    let seen = injector::calls_of(&bench, &injector::cases()[0]);
    let order: Vec<_> = seen
        .iter()
        .filter(|boundary| !boundary.entry && boundary.result >= 0)
        .filter(|boundary| [libc::SYS_linkat, libc::SYS_fsync, libc::SYS_syncfs, libc::SYS_fdatasync].contains(&boundary.call))
        .map(|boundary| boundary.call)
        .collect();
    if order == [libc::SYS_linkat, libc::SYS_fsync] { Ok(()) } else { Err(format!("{order:?}")) }
}

/// Neither AT_EMPTY_PATH nor /proc: one line, 73, and nothing left.
pub(crate) fn refused_without_a_name(binaries: &Binaries) -> Result<(), String> {
    let bench = injector::Bench::new(binaries);
    let case = injector::Case { way: injector::Way::NoLink, ..injector::cases()[0].clone() };
    let run = bench.run(&case, &mut |_| Verdict::Go)?;
    let is_right = run.traced.code == Some(73) && run.kept == 0 && run.left == 0 && run.stderr.lines().count() == 1;
    if is_right { Ok(()) } else { Err(format!("{run:?}")) }
}
