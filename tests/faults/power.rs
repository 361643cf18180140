//! Power cuts: the disk is unplugged at each boundary of an injection and of a delivery, and mounted again.
//!
//! The plug is the shutdown that ext4 and xfs have for such tests: from one call to the next, nothing more reaches the disk. Each
//! trial has a fresh image. What was acknowledged before the cut must be there, and whole.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;
use spool::layout;

use super::disks::{Disk, Kind};
use super::injector::{self, Case};
use super::report::{Report, every, sweep};
use super::scenarios::{SCENARIOS, Scenario};
use super::tracer::{self, Boundary, Live, PLUG, Verdict};
use super::{Binaries, Choice, calls, daemon};
use crate::support::isolation;
use crate::support::parts::Missing;

/// How the power goes: as a frozen file system, with the log written out, with nothing written any more.
const FLAGS: [u64; 3] = [0, 1, 2];
const KINDS: [Kind; 2] = [Kind::Ext4, Kind::Xfs];

/// An injector's bench on a disk, with one message on it already.
struct OnDisk {
    bench: injector::Bench,
    disk: Disk,
}

impl OnDisk {
    fn new(binaries: &Binaries, kind: Kind, case: &Case) -> Result<OnDisk, Missing> {
        let bench = injector::Bench::new(binaries);
        let spool = bench.installation.paths.spool.clone();
        let disk = Disk::new(kind, &spool, || {
            layout::make_rootless(&spool).unwrap();
            bench.trace(case, "", &mut |_| Verdict::Go);
            assert_eq!(bench.count(case), (case.messages, 0));
        })?;
        Ok(OnDisk { bench, disk })
    }
}

/// One power cut: in front of which boundary, and how.
type Cut = (u64, u64);
/// The boundary behind the end of the program: the caller knows that its message is kept.
const BEHIND_THE_END: u64 = u64::MAX;

/// At each boundary of an injection, from the moment that it opens the spool.
pub(crate) fn of_injection(binaries: &Binaries, choice: Choice, report: &Report) {
    let cases: Vec<Case> = injector::cases().into_iter().filter(|case| !["-t", "aliases"].contains(&case.name)).collect();
    for kind in KINDS {
        for case in &cases {
            if let Err(missing) = cut_injection(binaries, choice, report, kind, case) {
                return report.violation(missing.0);
            }
        }
    }
}

fn cut_injection(binaries: &Binaries, choice: Choice, report: &Report, kind: Kind, case: &Case) -> Result<(), Missing> {
    OnDisk::new(binaries, kind, case)?;
    let seen = injector::calls_of(&injector::Bench::new(binaries), case);
    let is_opened = |boundary: &&Boundary| boundary.call == libc::SYS_openat && boundary.arguments[2] & libc::O_PATH as u64 != 0;
    let first = seen.iter().find(is_opened).map_or(0, |boundary| boundary.count);
    let entries = seen.iter().filter(|boundary| boundary.entry && boundary.count >= first).map(|boundary| boundary.count);
    let cuts = every(entries.flat_map(|point| FLAGS.map(|flags| (point, flags))), choice.stride);
    let cuts: Vec<Cut> = FLAGS.map(|flags| (BEHIND_THE_END, flags)).into_iter().chain(cuts).collect();
    let bench = || OnDisk::new(binaries, kind, case).unwrap();
    sweep(&cuts, choice, report, bench, |on_disk, cut| {
        let what = format!("{} on {}, power cut {cut:?}", case.name, kind.name());
        report.note(cut_once(on_disk, case, *cut, report).map_err(|why| format!("{what}: {why}")));
    });
    Ok(())
}

fn cut_once(on_disk: &mut OnDisk, case: &Case, (point, flags): Cut, report: &Report) -> Result<(), String> {
    let OnDisk { bench, disk } = on_disk;
    disk.renew();
    // Every sync that came back is the promise of one message more. Where the way is another one, the second sync counts.
    let (mut synced, mut flushed) = (0, 0);
    let mut judge = |boundary: &Boundary| {
        if !boundary.entry && boundary.result == 0 {
            synced += usize::from(boundary.call == libc::SYS_fsync);
            flushed += usize::from(boundary.call == libc::SYS_syncfs);
        }
        if boundary.entry && boundary.count == point { Verdict::PullPlug(flags) } else { Verdict::Go }
    };
    let plug = format!("{PLUG}<{}", bench.installation.paths.spool.display());
    let (traced, stdout, _) = bench.trace(case, &plug, &mut judge);
    let acknowledged = injector::acknowledged(case, &traced, &stdout);
    let promised = acknowledged.max(if case.way == injector::Way::Foreign { flushed } else { synced });
    let pulled = if point == BEHIND_THE_END { pull(bench, &plug, flags) } else { traced.plug };
    match pulled {
        Some(0) => report.add(&format!("power cuts {}", disk.kind.name()), 1),
        Some(e) => return Err(format!("the plug could not be pulled: {e}")),
        // The run was shorter than the one that was counted.
        None => return Ok(()),
    }
    disk.replug();
    let (whole, torn) = bench.count(case);
    report.add("torn and never acknowledged", torn as u64);
    // Those of before, and those that were promised; one more may have come through.
    let least = case.messages + promised;
    if whole < least || whole + torn > least + 1 {
        return Err(format!("lost: {whole} whole and {torn} torn, promised {least}: {traced:?}"));
    }
    Ok(())
}

/// Pulls the plug between two programs.
fn pull(bench: &injector::Bench, plug: &str, flags: u64) -> Option<i64> {
    let command = bench.installation.program("/bin/true");
    tracer::run(&command, plug, &Live::default(), &mut |_| Verdict::PullPlug(flags)).plug
}

/// Scenarios of the daemon in which something is settled on the disk.
fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    let names = ["one recipient", "250, 450 and 550", "hold, release, remove", "requeue"];
    SCENARIOS.iter().filter(move |scenario| names.contains(&scenario.name))
}

/// At the boundaries of a delivery.
pub(crate) fn of_delivery(binaries: &Binaries, choice: Choice, report: &Report) {
    for kind in KINDS {
        for scenario in scenarios() {
            let on_disk = || daemon::Bench::new(binaries, scenario).on_disk(kind);
            let seen = match on_disk() {
                Ok(mut bench) => daemon::calls_of(&mut bench),
                Err(missing) => return report.violation(missing.0),
            };
            // The disk only changes by calls on files; in front of each of those, and behind it, which is in front of the next one.
            let is_of_file = |boundary: &&Boundary| {
                boundary.entry && (calls::is_write(boundary.call) || calls::is_sync(boundary.call) || calls::is_naming(boundary.call))
            };
            let cuts = seen.iter().filter(is_of_file).flat_map(|boundary| [(boundary.count, 1), (boundary.count, 2)]);
            let cuts = every(cuts, choice.stride);
            sweep(
                &cuts,
                choice,
                report,
                || on_disk().unwrap(),
                |bench, cut| {
                    report.note(cut_delivery(bench, *cut, kind, report));
                },
            );
        }
    }
}

fn cut_delivery(bench: &mut daemon::Bench, (point, flags): Cut, kind: Kind, report: &Report) -> Result<(), String> {
    let mut judge = |boundary: &Boundary| {
        if boundary.entry && boundary.count == point { Verdict::PullPlug(flags) } else { Verdict::Go }
    };
    let ordeal = bench.torment(&mut judge, |_| {});
    match ordeal.traced.plug {
        Some(0) => report.add(&format!("power cuts {}", kind.name()), 1),
        Some(e) => return Err(format!("the plug could not be pulled: {e}")),
        None => {}
    }
    boot();
    bench.judge(ordeal, &format!("power cut {:?} on {}", (point, flags), kind.name()))
}

/// The machine has another boot id from now on. Only in a mount namespace of our own.
fn boot() {
    static BOOTS: AtomicU64 = AtomicU64::new(0);
    let file = std::env::temp_dir().join("boot_id");
    let boot = BOOTS.fetch_add(1, Ordering::SeqCst);
    std::fs::write(&file, format!("00000000-0000-0000-0000-{boot:012}\n")).unwrap();
    if boot == 0 {
        let place = "/proc/sys/kernel/random/boot_id";
        isolation::mount(&["--bind".as_ref(), &file, place.as_ref()]);
    }
}
