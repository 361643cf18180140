//! kill -9 at a system call of a delivery, in the thread that makes it: nothing is lost, and what may arrive twice is said.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::{injecting, strace};
use crate::delivery::{MESSAGE, has};
use crate::support::command::{wait_for, wait_until};
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script, Transaction};

/// Thread, call, and which one of them by that thread ends the daemon.
const POINTS: &[(&str, &str, &[u32])] = &[
    ("intake", "openat", &[1, 2]),
    ("intake", "flock", &[1]),
    ("intake", "renameat2", &[1, 2]),
    ("intake", "pread64", &[1, 3]),
    ("intake", "write", &[1]),
    ("state_writer", "pwrite64", &[1, 2, 3, 5, 8, 11, 14, 17, 20, 23]),
    ("state_writer", "fsync", &[1, 2, 3, 4, 5]),
    ("state_writer", "unlinkat", &[1]),
    ("state_writer", "renameat2", &[1]),
    ("tokio-rt-worker", "connect", &[1]),
    ("tokio-rt-worker", "sendto", &[1, 2, 3, 4, 5, 6]),
    ("tokio-rt-worker", "recvfrom", &[2, 4, 6, 8]),
    ("tokio-rt-worker", "openat", &[1, 2]),
    ("tokio-rt-worker", "write", &[1, 2, 3]),
];

/// The recipients that are accepted sooner or later.
const ACCEPTED: [&str; 3] = ["now@receiver.example", "later@receiver.example", "other@receiver.example"];

#[test]
fn a_daemon_killed_at_any_step_loses_nothing_and_says_what_may_come_twice() {
    let strace = require!(strace());
    let points = POINTS.iter().flat_map(|(thread, call, numbers)| numbers.iter().map(move |number| (*thread, *call, *number)));
    let left = Mutex::new(points.collect::<Vec<_>>());
    let total = left.lock().unwrap().len();
    let killed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(point) = { left.lock().unwrap().pop() } {
                    if crash(&strace, point) {
                        killed.lock().unwrap().push(point);
                    }
                }
            });
        }
    });
    let killed = killed.into_inner().unwrap();
    assert!(killed.len() * 3 >= total * 2, "only {} of {total} points were reached: {killed:?}", killed.len());
}

/// One crash at `point`, and the life after it. False where the delivery never came to that point.
fn crash(strace: &Path, point: (&str, &str, u32)) -> bool {
    let script = Script::new().offer("PIPELINING").say("RCPT TO:<gone@", "550 5.1.1 no such user");
    let receiver = script.first(1, "RCPT TO:<later@", Reply::Lines("450 4.2.1 mailbox busy".into())).start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let mut tracer = attach(strace, &installation, point);
    let mixed = ["now@receiver.example", "later@receiver.example", "gone@receiver.example"];
    installation.sendmail(&mixed, MESSAGE).succeeded();
    installation.sendmail(&["other@receiver.example"], MESSAGE).succeeded();
    let was_killed = wait_for_crash(&installation, &mut tracer);
    installation.kill_daemon();
    drop(tracer);
    installation.start_daemon();
    let is_over = wait_until(|| {
        installation.mailchute(&["flush"]);
        std::thread::sleep(Duration::from_millis(50));
        let is_drained = installation.spooled("new").is_empty() && installation.spooled("cur").is_empty();
        is_drained && receiver.messages().iter().any(is_dsn)
    });
    assert!(is_over, "{point:?}: still queued\n{}", installation.daemon_log());
    judge(&format!("{point:?}"), &installation, &receiver);
    was_killed
}

/// A strace that goes with the value; what it traced goes on.
struct Tracer(Child);

impl Tracer {
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Attaches to the threads with this name, and returns when all calls go by strace.
fn attach(strace: &Path, installation: &Installation, (thread, call, number): (&str, &str, u32)) -> Tracer {
    let tasks = format!("/proc/{}/task", installation.daemon_pid());
    let named = |id: &String| std::fs::read_to_string(format!("{tasks}/{id}/comm")).is_ok_and(|name| name.trim() == thread);
    let all = || std::fs::read_dir(&tasks).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // It answers a little before all its threads have their names.
    installation.wait_for_log("mailchuted is ready");
    wait_for(thread, || all().any(|id| named(&id)));
    let ids: Vec<String> = all().filter(named).collect();
    let mut command = injecting(strace, &format!("{call}:signal=KILL:when={number}"));
    command.args(ids.iter().flat_map(|id| ["-p", id.as_str()]));
    let mut tracer = Tracer(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let is_traced = |id: &String| {
        let status = std::fs::read_to_string(format!("{tasks}/{id}/status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    };
    wait_for("strace to attach", || tracer.has_ended() || ids.iter().all(is_traced));
    assert!(!tracer.has_ended(), "strace did not attach");
    tracer
}

/// True if the daemon was killed before everything was delivered.
fn wait_for_crash(installation: &Installation, tracer: &mut Tracer) -> bool {
    let is_drained = || installation.spooled("new").is_empty() && installation.spooled("cur").is_empty();
    wait_for("a crash, or the end of the delivery", || tracer.has_ended() || is_drained());
    // What is dead by now was killed with its last call.
    std::thread::sleep(Duration::from_millis(100));
    tracer.has_ended()
}

/// What must hold in the end.
#[track_caller]
fn judge(point: &str, installation: &Installation, receiver: &Receiver) {
    let (messages, log) =
        (receiver.messages().into_iter().filter(|message| !is_dsn(message)).collect::<Vec<_>>(), installation.daemon_log());
    for recipient in ACCEPTED {
        let path = format!("<{recipient}>");
        let copies: Vec<&Transaction> = messages.iter().filter(|message| message.recipients.contains(&path)).collect();
        assert!(!copies.is_empty(), "{point}: {recipient} was lost\n{log}");
        let id = queue_id(copies[0]);
        let warns = |line: &str| line.contains("possible_duplicate") || line.contains("a duplicate is possible");
        let is_told = log.lines().any(|line| warns(line) && line.contains(&id));
        assert!(copies.len() == 1 || is_told, "{point}: {recipient} got {id} {} times without a word\n{log}", copies.len());
    }
    assert!(messages.iter().all(|message| message.data.ends_with(b"\r\n\r\nHello\r\n.leading dot\r\n")), "{point}: {messages:?}");
    let failed = installation.queue();
    let gone = failed.iter().any(|entry| entry["queue_name"] == "failed" && has(entry, "gone@receiver.example", "failed", "550 5.1.1"));
    assert!(gone && failed.len() == 1, "{point}: {failed:?}\n{log}");
    assert!(installation.spooled("corrupt").is_empty() && installation.spooled("hold").is_empty(), "{point}\n{log}");
}

/// True for the DSN of the recipient that failed, which is a message with a life of its own.
fn is_dsn(message: &Transaction) -> bool {
    message.mail.starts_with("<>")
}

/// The queue id in our Received field.
#[track_caller]
fn queue_id(message: &Transaction) -> String {
    let text = String::from_utf8_lossy(&message.data);
    let id = text.split_once("\tid ").unwrap_or_else(|| panic!("{text}")).1;
    id.chars().take_while(char::is_ascii_hexdigit).collect()
}
