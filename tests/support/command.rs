//! Running a program: what it was given, what it answered. And waiting, for as long as any machine needs.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything is waited for: what is not there by then never comes. It is no measure of speed, so nothing shorter may end a
/// wait; the test runner's own limit (.config/nextest.toml) is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(5);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Ended {
        self.ended_with(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// Runs `command` to its end with `stdin` and collects its output. A program that never ends is killed.
#[track_caller]
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Ended {
    run_within(PATIENCE, command, stdin)
}

/// As [`run`], for what waits itself (another test, a build): only the test runner ends it.
#[track_caller]
pub(crate) fn run_unlimited(command: &mut Command, stdin: &[u8]) -> Ended {
    run_within(Duration::MAX, command, stdin)
}

#[track_caller]
fn run_within(limit: Duration, command: &mut Command, stdin: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let (pipe, stdout, stderr) = (child.stdin.take(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
    std::thread::scope(|scope| {
        // A program that does not read its input ends the pipe; that is its right.
        scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(stdin)));
        let stdout = scope.spawn(|| read_all(stdout));
        let stderr = scope.spawn(|| read_all(stderr));
        let status = wait(&mut child, limit);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let status = status.unwrap_or_else(|| panic!("{command:?} did not end in {limit:?}\nstdout: {stdout}\nstderr: {stderr}"));
        Ended { code: status.code(), stdout, stderr }
    })
}

/// Waits for `child` until `limit` is over. A limit other than [`PATIENCE`] is for a child that should not have ended by then.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if started.elapsed() < limit => std::thread::sleep(POLL),
            _ => return None,
        }
    }
}

/// Waits until `condition` holds; panics with `what` when it never does.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    assert!(wait_until(&mut condition), "waited in vain for {what}");
}

/// As [`wait_for`]; returns what was waited for.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let mut value = None;
    wait_for(what, || {
        value = found();
        value.is_some()
    });
    value.unwrap()
}

/// As [`wait_for`]; false when the condition never holds.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        match condition() {
            true => return true,
            false if started.elapsed() > PATIENCE => return false,
            false => std::thread::sleep(POLL),
        }
    }
}

/// Waits until `pid` uses less than `share` of a processor for `window`: what it still has to do takes its time, but ends. Processor
/// time, which other processes cannot use up.
#[track_caller]
pub(crate) fn wait_until_idle(pid: u32, window: Duration, share: f64) {
    wait_for(&format!("process {pid} to be idle"), || {
        let before = cpu_seconds(pid);
        std::thread::sleep(window);
        cpu_seconds(pid) - before <= share * window.as_secs_f64()
    });
}

/// Seconds of processor time that the process has used.
#[track_caller]
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process has ended");
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: f64 = [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// Sends `signal` to `child`, and to nobody else.
pub(crate) fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

fn read_all(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
