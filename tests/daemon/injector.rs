//! `sendmail` killed at each of its system calls, and refused by the kernel where it can be.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use spool::{file, layout};

use super::injecting;
use crate::delivery::MESSAGE;
use crate::support::command::{self, Ended};
use crate::support::installation::Installation;
use crate::support::parts;

/// A spool and no daemon.
fn spool() -> Installation {
    let installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:1?tls=none", "");
    layout::make_rootless(&installation.paths.spool).unwrap();
    installation
}

/// Runs `sendmail` with what `tracing` does to it.
fn inject(installation: &Installation, mut tracing: Command) -> Ended {
    let sendmail = installation.program(env!("CARGO_BIN_EXE_sendmail"));
    tracing.env_clear().envs(sendmail.get_envs().filter_map(|(name, value)| Some((name, value?))));
    tracing.arg(sendmail.get_program()).args(["-i", "-f", "alice@sender.example", "bob@receiver.example"]);
    command::run(&mut tracing, MESSAGE)
}

/// The calls of an undisturbed injection: name, how often it was made before (from 1), the line.
fn calls(strace: &Path) -> Vec<(String, u32, String)> {
    let (installation, scratch) = (spool(), tempfile::tempdir().unwrap());
    let trace = scratch.path().join("trace");
    let mut tracing = Command::new(strace);
    tracing.args(["-f", "-qq", "-o"]).arg(&trace);
    inject(&installation, tracing).succeeded();
    let mut seen: HashMap<String, u32> = HashMap::new();
    let text = std::fs::read_to_string(trace).unwrap();
    let name = |line: &str| Some(line.split_once(' ')?.1.trim_start().split_once('(')?.0.to_owned());
    let named = text.lines().filter_map(|line| Some((name(line)?, line.to_owned())));
    let counted = named.map(|(name, line)| {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        (name, *count, line)
    });
    counted.collect()
}

/// Every file in `new/` must be a whole message; returns how many there are.
#[track_caller]
fn whole_messages(installation: &Installation, what: &str) -> usize {
    let names = installation.spooled(layout::NEW);
    for name in &names {
        let file = std::fs::File::open(installation.paths.spool.join(layout::NEW).join(name)).unwrap();
        let line = file::read_line(&file).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(line.envelope.id.to_string(), *name, "{what}");
        file::verify(&file, &line, |_| {}).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    names.len()
}

#[test]
fn t_env_4_an_injector_killed_at_any_call_leaves_a_whole_message_or_nothing() {
    let strace = require!(parts::tool("strace"));
    let calls = calls(&strace);
    assert!(calls.len() > 40, "{calls:?}");
    let (next, kept, killed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, count, line)) = calls.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let installation = spool();
                    let ended = inject(&installation, injecting(&strace, &format!("{name}:signal=KILL:when={count}")));
                    let whole = whole_messages(&installation, line);
                    assert!(ended.code != Some(0) || whole == 1, "acknowledged and not there: {line}");
                    assert!(whole <= 1 && installation.spooled(layout::TMP).is_empty(), "{line}");
                    let was_killed = usize::from(ended.code.is_none());
                    kept.fetch_add(whole * was_killed, Ordering::SeqCst);
                    killed.fetch_add(was_killed, Ordering::SeqCst);
                }
            });
        }
    });
    // Killed at linkat or before: nothing. Behind it: the message, acknowledged or not.
    let after = calls.iter().rev().take_while(|(name, ..)| name != "linkat").count();
    assert_eq!(kept.into_inner(), after, "of {} calls", calls.len());
    // All but the first one, by which strace itself starts the program.
    assert_eq!(killed.into_inner(), calls.len() - 1);
}

#[test]
fn a_refusal_of_the_kernel_is_a_refusal_of_the_message() {
    let strace = require!(parts::tool("strace"));
    let calls = calls(&strace);
    let number = |name: &str, part: &str| {
        let found = calls.iter().find(|(call, _, line)| call == name && line.contains(part));
        found.unwrap_or_else(|| panic!("no {name} with {part} in {calls:?}")).1
    };
    let refusals = [
        (format!("write:error=ENOSPC:when={}", number("write", "write(4")), 74),
        (format!("flock:error=ENOLCK:when={}", number("flock", "LOCK_EX")), 74),
        (format!("linkat:error=ENOSPC:when={}", number("linkat", "")), 73),
        (format!("fsync:error=EIO:when={}", number("fsync", "")), 74),
        (format!("openat:error=EACCES:when={}", number("openat", "O_TMPFILE")), 73),
        (format!("openat:error=ENOSPC:when={}", number("openat", "O_TMPFILE")), 73),
    ];
    for (refusal, code) in refusals {
        let installation = spool();
        let ended = inject(&installation, injecting(&strace, &refusal)).ended_with(code);
        assert_eq!(ended.stderr.lines().count(), 1, "{refusal}: {}", ended.stderr);
        assert!(installation.spooled(layout::NEW).is_empty() && installation.spooled(layout::TMP).is_empty(), "{refusal}");
    }
}

#[test]
fn a_taken_queue_id_and_a_file_system_without_unnamed_files_are_ways_around_and_no_refusals() {
    let strace = require!(parts::tool("strace"));
    let calls = calls(&strace);
    let unnamed = calls.iter().find(|(call, _, line)| call == "openat" && line.contains("O_TMPFILE")).unwrap().1;
    for way in [
        "linkat:error=EEXIST:when=1".to_owned(),
        "linkat:error=EPERM:when=1".to_owned(),
        format!("openat:error=EOPNOTSUPP:when={unnamed}"),
        format!("openat:error=EISDIR:when={unnamed}"),
    ] {
        let installation = spool();
        inject(&installation, injecting(&strace, &way)).succeeded();
        assert_eq!(whole_messages(&installation, &way), 1, "{way}");
        assert!(installation.spooled(layout::TMP).is_empty(), "{way}");
    }
    let installation = spool();
    let ended = inject(&installation, injecting(&strace, "linkat:error=EEXIST:when=1+")).ended_with(73);
    assert!(ended.stderr.contains("every queue id tried is taken"), "{}", ended.stderr);
    assert!(installation.spooled(layout::NEW).is_empty());
}
