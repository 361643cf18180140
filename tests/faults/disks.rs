//! File systems on images: made once, copied fresh for each trial, mounted by a loop device, unplugged, mounted again.
//!
//! Needs root and a mount namespace of its own (`tests/faults/run` and `isolated!()` make one).

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::command::{run, wait_for};
use crate::support::parts::{self, Missing};

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ext4,
    /// With blocks of 1 KiB.
    Ext4SmallBlocks,
    Xfs,
    Btrfs,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ext4 | Kind::Ext4SmallBlocks => "ext4",
            Kind::Xfs => "xfs",
            Kind::Btrfs => "btrfs",
        }
    }

    /// The size of an image, in MiB: near the least that the kind allows.
    pub(crate) fn mebibytes(self) -> u64 {
        match self {
            Kind::Ext4 | Kind::Ext4SmallBlocks => 32,
            Kind::Xfs => 300,
            Kind::Btrfs => 128,
        }
    }

    /// Two copies of one xfs have one name, which it minds.
    fn options(self) -> &'static str {
        match self {
            Kind::Xfs => "nouuid",
            Kind::Ext4 | Kind::Ext4SmallBlocks | Kind::Btrfs => "defaults",
        }
    }

    /// Makes the file system in `image`.
    pub(crate) fn make(self, image: &Path) -> Result<(), Missing> {
        let disks = parts::disks()?;
        std::fs::File::create(image).unwrap().set_len(self.mebibytes() << 20).unwrap();
        let (program, arguments): (_, &[&str]) = match self {
            Kind::Ext4 => ("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0"]),
            Kind::Ext4SmallBlocks => ("mkfs.ext4", &["-q", "-F", "-b", "1024", "-m", "0", "-E", "lazy_itable_init=0"]),
            Kind::Xfs => ("mkfs.xfs", &["-q"]),
            Kind::Btrfs => ("mkfs.btrfs", &["-q"]),
        };
        run(of_disks(&disks, program).args(arguments).arg(image), b"").succeeded();
        Ok(())
    }
}

/// A program of the unpacked packages, with their libraries.
pub(crate) fn of_disks(disks: &Path, program: &str) -> Command {
    let found = ["usr/sbin", "usr/bin"].map(|directory| disks.join(directory).join(program)).into_iter().find(|path| path.exists());
    let mut command = Command::new(found.unwrap_or_else(|| panic!("{program} is not in {}", disks.display())));
    command.env("LD_LIBRARY_PATH", disks.join("usr/lib/x86_64-linux-gnu"));
    command
}

/// Mounts the file system in `image`, or on a device, at `place`.
pub(crate) fn mount(kind: Kind, image: &Path, place: &Path) {
    let options = if image.is_file() { format!("loop,{}", kind.options()) } else { kind.options().to_owned() };
    run(Command::new("mount").args(["-t", kind.name(), "-o", &options]).arg(image).arg(place), b"").succeeded();
}

/// As [`mount`]; false where the file system cannot be mounted.
pub(crate) fn try_mount(kind: Kind, image: &Path, place: &Path) -> bool {
    let options = if image.is_file() { format!("loop,{}", kind.options()) } else { kind.options().to_owned() };
    run(Command::new("mount").args(["-t", kind.name(), "-o", &options]).arg(image).arg(place), b"").code == Some(0)
}

/// Unmounts it. A child that another thread is just starting holds our files for a moment, and with them the file system.
pub(crate) fn unmount(place: &Path) {
    wait_for("umount", || run(Command::new("umount").arg(place), b"").code == Some(0));
}

/// A disk that one worker uses for one trial after the other.
pub(crate) struct Disk {
    pub kind: Kind,
    fresh: PathBuf,
    image: PathBuf,
    place: PathBuf,
    mounted: bool,
    _scratch: TempDir,
}

impl Disk {
    /// A disk at `place`. `fill` puts into the fresh one what every trial begins with.
    pub(crate) fn new(kind: Kind, place: &Path, fill: impl Fn()) -> Result<Disk, Missing> {
        let scratch = TempDir::new().unwrap();
        let (fresh, image) = (scratch.path().join("fresh"), scratch.path().join("image"));
        kind.make(&fresh)?;
        std::fs::create_dir_all(place).unwrap();
        mount(kind, &fresh, place);
        fill();
        unmount(place);
        Ok(Disk { kind, fresh, image, place: place.to_owned(), mounted: false, _scratch: scratch })
    }

    /// A fresh disk in its place.
    pub(crate) fn renew(&mut self) {
        self.pull();
        run(Command::new("cp").arg("--sparse=always").args([&self.fresh, &self.image]), b"").succeeded();
        mount(self.kind, &self.image, &self.place);
        self.mounted = true;
    }

    /// The machine starts again.
    pub(crate) fn replug(&mut self) {
        self.pull();
        mount(self.kind, &self.image, &self.place);
        self.mounted = true;
    }

    fn pull(&mut self) {
        if std::mem::take(&mut self.mounted) {
            unmount(&self.place);
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(&self.place).status();
        }
    }
}
