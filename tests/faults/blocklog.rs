//! Power cuts as the disk sees them: every write of a file system is logged while messages are injected, and the disk is made
//! again as it was at each point of the log, also with the writes since the last flush in part lost, which is what a disk with a
//! cache may do. Each such disk is mounted, and what was acknowledged by then must be on it, whole.
//!
//! The log is that of qemu's `blklogwrites`, in the form of dm-log-writes; the disk is its FUSE export behind a loop device. btrfs,
//! which has no plug to pull, is proved by this alone.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use spool::layout;
use tempfile::TempDir;

use super::disks::{self, Kind};
use super::injector::{Bench, Case, cases};
use super::report::{Report, every};
use super::tracer::Verdict;
use super::{Binaries, Choice};
use crate::support::command::{run, wait_for};
use crate::support::parts::{Missing, disks, tool};

/// Bytes of a sector, and of an entry's head.
const SECTOR: u64 = 512;
/// Flags of an entry.
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
/// Disks that are made of each point: the writes in their order, and in part lost.
const LOSSES: u64 = 3;
/// Messages of each case.
const ROUNDS: usize = 3;

/// One entry of the log.
#[derive(Clone, Debug)]
struct Entry {
    offset: u64,
    flags: u64,
    data: Vec<u8>,
}

/// What was on the disk for good when so many entries had been logged.
struct Promise {
    entries: usize,
    case: Case,
    names: BTreeSet<String>,
}

/// On each kind of file system.
pub(crate) fn all(binaries: &Binaries, choice: Choice, report: &Report) {
    for kind in [Kind::Ext4, Kind::Xfs, Kind::Btrfs] {
        if let Err(missing) = replayed(binaries, choice, report, kind) {
            report.violation(missing.0);
        }
    }
}

fn replayed(binaries: &Binaries, choice: Choice, report: &Report, kind: Kind) -> Result<(), Missing> {
    let (bench, scratch) = (Bench::new(binaries), TempDir::new().unwrap());
    let base = scratch.path().join("base");
    let spool = bench.installation.paths.spool.clone();
    kind.make(&base)?;
    disks::mount(kind, &base, &spool);
    layout::make_rootless(&spool).unwrap();
    disks::unmount(&spool);
    let (log, promises) = record(&bench, kind, &base, scratch.path())?;
    let points = every(1..=log.len(), choice.stride);
    let trial = scratch.path().join("trial");
    for point in points {
        for loss in 0..LOSSES {
            remake(&base, &trial, &log, point, loss);
            let judged = judge(&bench, kind, &trial, &promises, point);
            report.add(&format!("block-log states {}", kind.name()), 1);
            report.note(judged.map_err(|why| format!("{}: {point} of {} entries, loss {loss}: {why}", kind.name(), log.len())));
        }
    }
    Ok(())
}

/// The export of a disk whose writes are logged; it ends with the value.
struct Logged {
    qemu: Child,
    device: PathBuf,
}

impl Logged {
    fn new(disk: &Path, log: &Path, export: &Path) -> Result<Logged, Missing> {
        let disks = disks()?;
        let unpacked = disks.join("usr/bin/qemu-storage-daemon");
        let program = if unpacked.exists() { unpacked } else { tool("qemu-storage-daemon")? };
        let qemu = Command::new(program)
            .env("LD_LIBRARY_PATH", disks.join("usr/lib/x86_64-linux-gnu"))
            .arg("--blockdev")
            .arg(format!("driver=file,node-name=disk,filename={}", disk.display()))
            .arg("--blockdev")
            .arg(format!("driver=file,node-name=log,filename={}", log.display()))
            .args(["--blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log", "--export"])
            .arg(format!("type=fuse,id=export,node-name=logged,writable=on,mountpoint={}", export.display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the export of the disk", || std::fs::metadata(export).is_ok_and(|metadata| metadata.len() > 0));
        let found = run(Command::new("losetup").args(["--find", "--show"]).arg(export), b"").succeeded();
        Ok(Logged { qemu, device: found.stdout.trim().into() })
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
        // Its own child, by its handle: SIGTERM makes it end its export in order.
        crate::support::command::signal(&self.qemu, nix::sys::signal::Signal::SIGTERM);
        let _ = self.qemu.wait();
    }
}

/// Injects, and returns the log with what was promised when.
fn record(bench: &Bench, kind: Kind, base: &Path, scratch: &Path) -> Result<(Vec<Entry>, Vec<Promise>), Missing> {
    let file = |name: &str| scratch.join(name);
    run(Command::new("cp").arg("--sparse=always").arg(base).arg(file("disk")), b"").succeeded();
    std::fs::File::create(file("log")).unwrap().set_len(1 << 30).unwrap();
    std::fs::File::create(file("export")).unwrap();
    let logged = Logged::new(&file("disk"), &file("log"), &file("export"))?;
    let spool = &bench.installation.paths.spool;
    disks::mount(kind, &logged.device, spool);
    let log = std::fs::File::open(file("log")).unwrap();
    let (mut promises, mut known) = (Vec::new(), BTreeSet::new());
    for case in cases().into_iter().filter(|case| ["small", "1 MiB", "no O_TMPFILE", "-bs"].contains(&case.name)) {
        for _ in 0..ROUNDS {
            let (traced, ..) = bench.trace(&case, "", &mut |_| Verdict::Go);
            assert_eq!(traced.code, Some(0), "{}", case.name);
            let all: BTreeSet<String> = bench.installation.spooled(layout::NEW).into_iter().collect();
            let names = all.difference(&known).cloned().collect();
            known = all;
            // The number of entries is written with each flush, so with the one that the acknowledgement waited for.
            promises.push(Promise { entries: usize::try_from(number(&log, 16)).unwrap(), case: case.clone(), names });
        }
    }
    disks::unmount(spool);
    drop(logged);
    Ok((read(&log), promises))
}

/// A number of the log, which is little-endian.
fn number(log: &std::fs::File, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    log.read_exact_at(&mut bytes, offset).unwrap();
    u64::from_le_bytes(bytes)
}

fn read(log: &std::fs::File) -> Vec<Entry> {
    let mut at = SECTOR;
    let count = number(log, 16);
    (0..count)
        .map(|_| {
            let [sector, sectors, flags] = [0, 8, 16].map(|offset| number(log, at + offset));
            at += SECTOR;
            let mut data = vec![0; if flags & DISCARD == 0 { usize::try_from(sectors * SECTOR).unwrap() } else { 0 }];
            log.read_exact_at(&mut data, at).unwrap();
            at += data.len() as u64;
            Entry { offset: sector * SECTOR, flags, data }
        })
        .collect()
}

/// The disk as it may have been when `point` entries had been logged. Before the last flush all are there; of the rest, `loss` says
/// which: 0 none is lost, else each other one, by a hash, so that later ones are there without earlier ones.
fn remake(base: &Path, trial: &Path, log: &[Entry], point: usize, loss: u64) {
    run(Command::new("cp").arg("--sparse=always").arg(base).arg(trial), b"").succeeded();
    let disk = std::fs::OpenOptions::new().write(true).open(trial).unwrap();
    let flushed = log[..point].iter().rposition(|entry| entry.flags & FLUSH != 0).map_or(0, |last| last + 1);
    for (n, entry) in log[..point].iter().enumerate() {
        // What is written with FUA is on the disk when it is answered.
        let is_sure = n < flushed || loss == 0 || entry.flags & FUA != 0;
        let hash = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ loss.wrapping_mul(0xD1B5_4A32_D192_ED03)) >> 33;
        if is_sure || hash.is_multiple_of(2) {
            disk.write_all_at(&entry.data, entry.offset).unwrap();
        }
    }
}

fn judge(bench: &Bench, kind: Kind, trial: &Path, promises: &[Promise], point: usize) -> Result<(), String> {
    let spool = &bench.installation.paths.spool;
    if !disks::try_mount(kind, trial, spool) {
        return Err("the file system cannot be mounted".to_owned());
    }
    let kept = promises.iter().filter(|promise| promise.entries <= point);
    let lost =
        kept.flat_map(|promise| promise.names.iter().map(|name| bench.is_whole(&promise.case, name, layout::NEW))).find_map(Result::err);
    disks::unmount(spool);
    lost.map_or(Ok(()), |why| Err(format!("lost: {why}")))
}
