//! The promise under the worst: the programs killed at their system calls, the kernel's refusals, and a hostile drop directory.
//! Rootless: no root is needed but for attaching strace.

mod connections;
mod copies;
mod crash;
mod directories;
mod hostile;
mod injector;
mod recovery;
mod starting;

use std::path::Path;
use std::process::Command;

use crate::support::parts::{Missing, tool};

/// The path of strace, if it may attach to a process that is not its child.
fn strace() -> Result<std::path::PathBuf, Missing> {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if scope.trim().parse().unwrap_or(0) > 0 && !nix::unistd::geteuid().is_root() {
        return Err(Missing("strace may not attach here (kernel.yama.ptrace_scope)".to_owned()));
    }
    tool("strace")
}

/// strace, quiet, that does `injection` (`renameat2:signal=KILL:when=1`) to what it traces.
fn injecting(strace: &Path, injection: &str) -> Command {
    let call = injection.split(':').next().unwrap();
    let mut command = Command::new(strace);
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={injection}")]);
    command
}
