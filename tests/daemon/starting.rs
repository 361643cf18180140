//! The first moments of the daemon: signals that come before it listens, and a second daemon.

use nix::sys::signal::Signal;

use crate::support::command;
use crate::support::installation::Installation;

/// Bit 25 of the blocked signals: SIGXFSZ, which the daemon blocks among the first things that it does.
const FILE_SIZE: u64 = 1 << 24;

fn blocked_signals(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    mask.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap())
}

#[test]
fn a_reload_asked_for_during_the_start_ends_nothing() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    for _ in 0..3 {
        installation.spawn_daemon();
        let pid = installation.daemon_pid();
        command::wait_for("the daemon's main()", || blocked_signals(pid) & FILE_SIZE != 0);
        let before = installation.daemon_log().matches("event=\"reloaded\"").count();
        let signal = || nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), Signal::SIGHUP);
        // All through the start, and a little longer.
        command::wait_for("a reload", || {
            signal().unwrap();
            installation.daemon_log().matches("event=\"reloaded\"").count() > before
        });
        assert!(installation.queue().is_empty());
        installation.stop_daemon();
    }
}

#[test]
fn the_spool_is_one_daemons_even_where_the_lock_file_was_deleted() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    installation.start_daemon();
    let second = |installation: &Installation| {
        let said = command::run(&mut installation.program(env!("CARGO_BIN_EXE_mailchuted")), b"").ended_with(69).stderr;
        assert!(said.contains("another mailchuted, or a command, has locked"), "{said}");
    };
    second(&installation);
    std::fs::remove_file(installation.paths.spool.join("lock")).unwrap();
    second(&installation);
    // A command that finds no socket does not touch the spool either.
    std::fs::rename(installation.paths.control_socket(), installation.paths.run.join("elsewhere")).unwrap();
    let said = installation.mailchute(&["hold", "ALL"]).ended_with(69).stderr;
    assert!(said.contains("mailchuted is running but does not answer"), "{said}");
    std::fs::rename(installation.paths.run.join("elsewhere"), installation.paths.control_socket()).unwrap();
    installation.stop_daemon();
    installation.start_daemon();
}
