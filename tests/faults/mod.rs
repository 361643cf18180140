//! The crash and fault rig: the shipped programs, killed at every system call, refused by the kernel at every call, their disks
//! unplugged, filled and lied to; and a look at what is left.
//!
//! `tests/faults/run` does all of it and prints its counts; the tests in here are a selection that takes seconds. docs/SPOOL.md
//! names the promises. x86-64 Linux, because the tracer knows its registers.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

pub mod calls;
pub mod daemon;
mod disks;
pub mod full;
pub mod injector;
mod judge;
pub mod mutants;
pub mod power;
pub mod report;
mod scenarios;
pub mod tracer;
pub mod trials;

use std::path::PathBuf;

/// The programs under test.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub sendmail: PathBuf,
    pub mailchuted: PathBuf,
    pub mailchute: PathBuf,
}

impl Binaries {
    /// Those of this build.
    pub fn built() -> Binaries {
        Binaries {
            sendmail: env!("CARGO_BIN_EXE_sendmail").into(),
            mailchuted: env!("CARGO_BIN_EXE_mailchuted").into(),
            mailchute: env!("CARGO_BIN_EXE_mailchute").into(),
        }
    }
}

/// How much of a part is done.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Every how manieth trial; 1 is all.
    pub stride: usize,
    pub workers: usize,
    /// It ends with the first violation: a mutant is hunted.
    pub hunts: bool,
}

impl Choice {
    pub const WHOLE: Choice = Choice { stride: 1, workers: 2, hunts: false };
}
