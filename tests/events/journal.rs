//! The journal: the daemon's events arrive at journald's socket with their fields.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::support::command::PATIENCE;
use crate::support::installation::Installation;
use crate::support::isolation;
use crate::support::scripted::Script;

/// The entries that arrive: each a list of fields (systemd's native protocol; our texts hold no line feed, so all are one line).
fn entries(socket: &UnixDatagram, until: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("{e}: {entries:#?}"));
        // Values with a length before them: the name, a line feed, eight bytes, the value.
        entries.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
        if entries.last().is_some_and(|entry| entry.contains(until)) {
            return entries;
        }
    }
}

/// True if the entry has this field, in either form.
fn has(entry: &str, name: &str, value: &str) -> bool {
    let plain = format!("{name}={value}\n");
    let binary = entry.split(&format!("{name}\n")).nth(1).is_some_and(|rest| rest.get(..).is_some_and(|rest| rest.contains(value)));
    entry.contains(&plain) || binary
}

#[test]
fn t_out_1_events_reach_the_journal_with_their_fields_and_no_forged_one() {
    isolated!();
    isolation::mount_fresh(Path::new("/run/systemd/journal"), "mode=755");
    let socket = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let receiver = Script::new().say("RCPT TO:", "550 5.1.1 no \u{202e}\x1b[2J such user").start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.spawn_daemon_with(&[("JOURNAL_STREAM", "1:1".as_ref())]);
    entries(&socket, "started");
    installation.sendmail(&["-N", "never", "-f", "alice@sender.example", "bob@r.example"], b"From: a@s.example\n\nx\n").succeeded();
    let failed = entries(&socket, "550 5.1.1").pop().unwrap();
    for (name, value) in [
        ("MAILCHUTE_EVENT", "failed"),
        ("MAILCHUTE_FROM", "alice@sender.example"),
        ("MAILCHUTE_TO", "bob@r.example"),
        ("MAILCHUTE_DSN", "5.1.1"),
        ("MAILCHUTE_STATUS", "failed"),
        ("MAILCHUTE_DELAY", ""),
        ("MAILCHUTE_QUEUE_ID", ""),
        ("PRIORITY", "4"),
    ] {
        assert!(has(&failed, name, value), "{name}={value} is not in {failed:?}");
    }
    assert!(!failed.contains('\x1b') && !failed.contains('\u{202e}'), "{failed:?}");
}
