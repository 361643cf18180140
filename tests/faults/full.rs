//! Disks that are full, at many levels: no space, no inodes. What is acknowledged is whole, what is refused is gone, and when there
//! is room again everything arrives.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use spool::layout;

use super::disks::{Disk, Kind};
use super::injector::{Bench, Case, NO_RESERVE, cases};
use super::report::{Report, every, sweep};
use super::scenarios;
use super::tracer::Verdict;
use super::{Binaries, Choice};
use crate::support::command::{run, wait_until};
use crate::support::parts::Missing;
use crate::support::scripted::Script;

/// A disk with so much room, and what is dropped into it.
#[derive(Clone, Debug)]
enum Level {
    /// A tmpfs of so many KiB.
    Space(u64),
    /// A tmpfs with so many inodes.
    Inodes(u64),
    /// An ext4 with so many KiB left.
    Left(u64),
}

/// Messages that are tried at each level.
const TRIES: usize = 12;

pub(crate) fn all(binaries: &Binaries, choice: Choice, report: &Report) {
    let space = (48..640).step_by(16).map(Level::Space);
    let inodes = (9..29).map(Level::Inodes);
    let left = [0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048].map(Level::Left);
    let levels = every(space.chain(inodes).chain(left), choice.stride);
    sweep(
        &levels,
        choice,
        report,
        || (),
        |(), level| {
            for case in cases().iter().filter(|case| ["small", "1 MiB", "no O_TMPFILE"].contains(&case.name)) {
                let bench = Bench::new(binaries);
                let judged = Full::new(&bench, level).map_err(|missing| missing.0).and_then(|full| full.fill(&bench, case, binaries));
                report.add("fill levels", 1);
                report.note(judged.map_err(|why| format!("{}, {level:?}: {why}", case.name)));
            }
        },
    );
}

/// The full disk of one trial, in the place of a spool.
enum Full<'a> {
    Tmpfs(&'a Path),
    Ext4(Disk, &'a Path),
}

/// What takes the room of an ext4.
const FILLER: &str = "filler";

impl<'a> Full<'a> {
    fn new(bench: &'a Bench, level: &Level) -> Result<Full<'a>, Missing> {
        let spool = bench.installation.paths.spool.as_path();
        let options = match level {
            Level::Space(kib) => format!("mode=700,size={kib}k"),
            Level::Inodes(inodes) => format!("mode=700,nr_inodes={inodes}"),
            Level::Left(kib) => return full_ext4(spool, *kib).map(|disk| Full::Ext4(disk, spool)),
        };
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(spool), b"").succeeded();
        layout::make_rootless(spool).unwrap();
        Ok(Full::Tmpfs(spool))
    }

    /// Somebody makes room.
    fn make_room(&self) {
        match self {
            Full::Tmpfs(place) => {
                run(Command::new("mount").args(["-o", "remount,size=64m,nr_inodes=10000"]).arg(place), b"").succeeded();
            }
            Full::Ext4(_, place) => std::fs::remove_file(place.join(FILLER)).unwrap(),
        }
    }

    /// Messages until the disk is full, a daemon that meets it so, room, and a daemon that goes on.
    fn fill(&self, bench: &Bench, case: &Case, binaries: &Binaries) -> Result<(), String> {
        let mut acknowledged = 0;
        for _ in 0..TRIES {
            let (traced, _, stderr) = bench.trace(case, "", &mut |_| Verdict::Go);
            match traced.code {
                Some(0) => acknowledged += 1,
                // Refused by the reserve, at the creation, at the write.
                Some(69 | 73 | 74) if stderr.lines().count() == 1 => {}
                _ => return Err(format!("{traced:?}: {stderr}")),
            }
            let kept = bench.whole(case)?;
            if kept != acknowledged || !bench.installation.spooled(layout::TMP).is_empty() {
                return Err(format!("lost: {acknowledged} acknowledged, {kept} kept"));
            }
        }
        self.deliver(bench, case, acknowledged, binaries)
    }

    fn deliver(&self, bench: &Bench, case: &Case, acknowledged: usize, binaries: &Binaries) -> Result<(), String> {
        let receiver = Script::new().start();
        bench.installation.relay_to(&receiver.url("smtp", "tls=none"), NO_RESERVE);
        let start = || bench.installation.program(&binaries.mailchuted).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut meeting = start();
        std::thread::sleep(Duration::from_millis(250));
        let _ = meeting.kill();
        let _ = meeting.wait();
        self.make_room();
        let mut going_on = start();
        // What is held is judged below.
        let is_there = || receiver.accepted() + bench.installation.spooled(layout::HOLD).len() >= acknowledged;
        wait_until(|| {
            scenarios::flush(&bench.installation);
            scenarios::is_drained(&bench.installation) && is_there()
        });
        let _ = going_on.kill();
        let _ = going_on.wait();
        let held = bench.installation.spooled(layout::HOLD).len();
        let messages = receiver.messages();
        if let Some(half) = messages.iter().find(|message| !message.data.ends_with(&case.ending)) {
            return Err(format!("half: {} bytes", half.data.len()));
        }
        let corrupt = bench.installation.spooled(layout::CORRUPT);
        if messages.len() + held < acknowledged || !corrupt.is_empty() {
            return Err(format!("lost: {acknowledged} acknowledged, {} arrived, {held} held, corrupt: {corrupt:?}", messages.len()));
        }
        Ok(())
    }
}

/// Programs that map a file which has holes die by SIGBUS where the disk is full: a line and a code of sysexits.h is what they owe.
pub(crate) fn small_blocks(binaries: &Binaries) -> Result<(), String> {
    let bench = Bench::new(binaries);
    let installation = &bench.installation;
    let spool = installation.paths.spool.as_path();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", NO_RESERVE);
    let run = |program: &Path, argument: &[&str]| {
        let mut command = installation.program(program);
        command.args(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let end = |mut daemon: Child| {
        crate::support::command::signal(&daemon, nix::sys::signal::Signal::SIGTERM);
        daemon.wait().unwrap()
    };
    let make = || layout::make_rootless(spool).unwrap();
    let mut disk = Disk::new(Kind::Ext4SmallBlocks, spool, make).map_err(|missing| missing.0)?;
    for kib in (0..48).step_by(6).chain((64..640).step_by(96)) {
        disk.renew();
        std::fs::set_permissions(spool, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        // A database that is there already: to make one is what fails first.
        let daemon = run(&binaries.mailchuted, &[]);
        wait_until(|| spool.join("ballast").exists() && installation.paths.control_socket().exists());
        end(daemon);
        std::fs::remove_file(spool.join("ballast")).unwrap();
        fill(spool, kib);
        let daemon = run(&binaries.mailchuted, &[]);
        std::thread::sleep(Duration::from_millis(400));
        let listing = run(&binaries.mailchute, &["list"]).wait().unwrap();
        let ended = end(daemon);
        let without = run(&binaries.mailchute, &["list"]).wait().unwrap();
        // Ours may come before the daemon listens to it: it may end a start.
        let is_ours = std::os::unix::process::ExitStatusExt::signal(&ended) == Some(nix::sys::signal::Signal::SIGTERM as i32);
        let is_code = |status: &std::process::ExitStatus| matches!(status.code(), Some(0 | 64..=78));
        if ![listing, without].iter().all(is_code) || !(is_code(&ended) || is_ours) {
            return Err(format!("{kib} KiB left: list: {listing}; the daemon: {ended}; list without it: {without}"));
        }
    }
    Ok(())
}

fn full_ext4(spool: &Path, kib: u64) -> Result<Disk, Missing> {
    let mut disk = Disk::new(Kind::Ext4, spool, || layout::make_rootless(spool).unwrap())?;
    disk.renew();
    fill(spool, kib);
    std::fs::set_permissions(spool, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    Ok(disk)
}

/// Leaves so much room.
fn fill(spool: &Path, kib: u64) {
    let mut filler = std::fs::File::create(spool.join(FILLER)).unwrap();
    // What was removed just now is room only behind the next commit of the journal.
    sys::fs::sync_file_system(&filler).unwrap();
    for piece in [4096, 512] {
        while filler.write_all(&vec![b'x'; piece]).is_ok() {}
    }
    let taken = filler.metadata().unwrap().len();
    filler.set_len(taken.saturating_sub(kib << 10)).unwrap();
    sys::fs::sync_file_system(&filler).unwrap();
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        if let Full::Tmpfs(place) = self {
            let _ = Command::new("umount").arg("--lazy").arg(place).status();
        }
    }
}
