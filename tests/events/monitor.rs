//! The plug-in for Nagios and its exit codes, for a user without any right.

use crate::support::installation::{CALLER_ID, Installation};
use crate::support::scripted::Script;

const MESSAGE: &[u8] = b"From: a@sender.example\nSubject: s\n\nbody\n";

#[test]
fn any_user_gets_state_and_performance_data_and_a_stopped_daemon_is_critical() {
    isolated!();
    let receiver = Script::new().say("RCPT TO:", "450 4.2.1 not now").start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    let monitor = |installation: &Installation, arguments: &[&str], code: i32| {
        let words: Vec<&str> = ["monitor"].iter().chain(arguments).copied().collect();
        let ended = installation.mailchute_as(CALLER_ID, &words).ended_with(code);
        assert_eq!(ended.stderr, "");
        ended.stdout
    };
    let stopped = monitor(&installation, &[], 2);
    assert!(stopped.starts_with("MAILCHUTE CRITICAL - mail system is down") && stopped.lines().count() == 1, "{stopped}");
    let motd = installation.mailchute_as(CALLER_ID, &["motd"]).succeeded().stdout;
    assert!(motd.starts_with("mailchute: mail system is down"), "{motd}");
    let status = installation.mailchute_as(CALLER_ID, &["status", "--json"]).ended_with(69).stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&status).unwrap()["live"], false, "{status}");
    installation.start_daemon();
    let well = monitor(&installation, &["-w", "0", "-c", "0"], 0);
    assert!(well.starts_with("MAILCHUTE OK - 0 queued, 0 held, 0 failed | queued=0;0;0;0 held=0;;;0 "), "{well}");
    installation.sendmail(&["bob@r.example"], MESSAGE).succeeded();
    installation.wait_for_entry("the message", |_| true);
    assert!(monitor(&installation, &["-w", "0"], 1).starts_with("MAILCHUTE WARNING - 1 queued"));
    assert!(monitor(&installation, &["-w", "0", "-c", "0"], 2).starts_with("MAILCHUTE CRITICAL - 1 queued"));
    assert!(monitor(&installation, &["-w", "nonsense"], 3).starts_with("MAILCHUTE UNKNOWN - "));
    // One that takes the question and never answers.
    installation.stop_daemon();
    let socket = installation.paths.control_socket();
    let _ = std::fs::remove_file(&socket);
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert!(monitor(&installation, &["-t", "1s"], 2).contains("did not answer within 1 s"));
    installation.configure("nonsense = 1\n");
    assert!(monitor(&installation, &[], 3).starts_with("MAILCHUTE UNKNOWN - "));
}
