//! The daemon killed at each step of a submission: who was told an id finds the message delivered, and who was not finds it
//! delivered whole, once, or not at all.

use std::process::Stdio;

use super::sendmail_without_spool;
use crate::delivery::MESSAGE;
use crate::support::command::{run, wait_for};
use crate::support::installation::Installation;
use crate::support::parts;
use crate::support::scripted::Script;

/// Calls of a submission, and which one of each thread ends the daemon.
const POINTS: &[(&str, &[u32])] = &[
    ("accept4", &[1, 2]),
    ("recvfrom", &[1, 2, 3, 4]),
    ("statfs", &[1, 2]),
    ("openat", &[1, 2, 3]),
    ("write", &[1, 2, 3]),
    ("pread64", &[1]),
    ("pwrite64", &[1]),
    ("fchmod", &[1]),
    ("flock", &[1]),
    ("linkat", &[1]),
    ("fsync", &[1]),
    ("sendto", &[1]),
    ("renameat2", &[1]),
];

#[test]
fn a_daemon_killed_at_any_step_of_a_submission_keeps_what_it_has_acknowledged() {
    isolated!();
    let strace = require!(parts::tool("strace"));
    let (mut killed, mut kept) = (0, 0);
    let points: Vec<(&str, u32)> = POINTS.iter().flat_map(|(call, numbers)| numbers.iter().map(move |n| (*call, *n))).collect();
    for (call, number) in &points {
        let receiver = Script::new().start();
        let mut installation = Installation::system();
        installation.relay_to(&receiver.url("smtp", "tls=none"), "");
        installation.start_daemon();
        let pid = installation.daemon_pid().to_string();
        let mut command = std::process::Command::new(&strace);
        command.args(["-f", "-qq", "-o", "/dev/null", "-p", &pid, "-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:signal=KILL:when={number}")]);
        let mut tracer = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_traced = || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let mut states = tasks.map(|task| std::fs::read_to_string(task.path().join("status")).unwrap_or_default());
            states.all(|status| !status.contains("TracerPid:\t0\n"))
        };
        wait_for("strace", is_traced);
        let ended = run(sendmail_without_spool(&installation).arg("bob@receiver.example"), MESSAGE);
        let point = format!("{call} {number}: {ended:?}");
        assert!(matches!(ended.code, Some(0 | 73 | 74)), "{point}");
        let was_killed = tracer.try_wait().unwrap().is_some() || ended.code != Some(0);
        killed += usize::from(was_killed);
        kept += usize::from(was_killed && ended.code == Some(0));
        // Ends what is left of both.
        installation.kill_daemon();
        tracer.wait().unwrap();
        let before = receiver.messages().len();
        installation.start_daemon();
        installation.mailchute(&["flush"]).succeeded();
        installation.wait_until_drained();
        let messages = receiver.messages();
        assert!(ended.code != Some(0) || !messages.is_empty(), "acknowledged and lost: {point}\n{}", installation.daemon_log());
        assert!(messages.len() <= before.max(1), "{point}: {messages:?}\n{}", installation.daemon_log());
        assert!(messages.iter().all(|message| message.data.ends_with(b"\r\n\r\nHello\r\n.leading dot\r\n")), "{point}");
        assert!(installation.spooled("corrupt").is_empty(), "{point}");
    }
    assert!(killed * 2 > points.len(), "only {killed} of {} points were reached, {kept} after the answer", points.len());
}
