//! SENDMAIL.md section 6: each exit code by something that ends with it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use super::sandbox::Sandbox;
use crate::support::installation::Installation;
use crate::support::parts;

const MESSAGE: &str = "To: a@x.example\nSubject: s\n\nhello\n";

#[test]
fn exit_0_is_kept_or_answered() {
    let sandbox = Sandbox::new("");
    sandbox.send(&["-t"], MESSAGE);
    assert_eq!(sandbox.run(&["-bv", "a@x.example"], "").code(), 0);
}

#[test]
fn exit_64_is_the_command_line() {
    let sandbox = Sandbox::new("");
    for argv in [&["-Z"][..], &["-bz"], &["-t", "-N", "x"], &["-t", "-X/x"], &[], &["-q", "a@x"], &["-f", "a b", "a@x"]] {
        assert_eq!(sandbox.refused(argv, "x\n").0, 64, "{argv:?}");
    }
}

#[test]
fn exit_65_is_the_message_or_its_recipients() {
    let sandbox = Sandbox::new("message_size_limit = \"1KiB\"\nrecipient_limit = 2");
    for (argv, input) in [
        (&["a b"][..], "x\n".to_owned()),
        (&["a@x"], "x\n".repeat(1000)),
        (&["a@x"], "Received: r\n".repeat(101)),
        (&["a@x,b@x,c@x"], String::new()),
        (&["a@x"], "From: a@x\nFrom: b@x\n\n".to_owned()),
        (&["a@x"], format!("A: {}\n", "x".repeat(2 << 20))),
    ] {
        assert_eq!(sandbox.refused(argv, input).0, 65, "{argv:?}");
    }
    fs::write(sandbox.path("aliases"), "a: |command\n").unwrap();
    assert_eq!(sandbox.run(&["-bi"], "").code(), 65);
}

#[test]
fn exit_67_is_nobody_of_that_name() {
    let sandbox = Sandbox::new("unknown_local = \"reject\"");
    assert_eq!(sandbox.refused(&["nobody"], "x\n").0, 67);
    assert_eq!(sandbox.run(&["-bv", "nobody"], "").code(), 67);
}

#[test]
fn exit_69_is_the_daemon_that_is_needed_and_stopped() {
    let sandbox = Sandbox::new("");
    for argv in [["-bd"], ["-q"], ["-bp"], ["-bP"], ["-qRx"]] {
        assert_eq!(sandbox.refused(&argv, "").0, 69, "{argv:?}");
    }
}

#[test]
fn exit_70_is_an_answer_that_makes_no_sense() {
    let installation = Installation::rootless();
    fs::create_dir_all(&installation.paths.run).unwrap();
    let listener = UnixListener::bind(installation.paths.control_socket()).unwrap();
    let daemon = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut request = String::new();
        BufReader::new(&socket).read_line(&mut request).unwrap();
        (&socket).write_all(b"{\"not\":\"an answer\"}\n").unwrap();
    });
    let ended = installation.sendmail(&["-bP"], b"");
    daemon.join().unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(70), ""), "{}", ended.stderr);
}

/// The kernel refuses what it never refuses.
#[test]
fn exit_71_is_the_kernel() {
    require!(parts::tool("strace"));
    let sandbox = Sandbox::new("");
    let run = sandbox.shell("strace -o /dev/null -P /dev/urandom -e inject=openat:error=EIO $S -t", MESSAGE);
    assert!(run.code() == 71 && run.stderr.contains("random bytes"), "{}: {}", run.code(), run.stderr);
    sandbox.assert_nothing_is_left();
}

#[test]
fn exit_73_is_a_spool_file_that_cannot_be_made() {
    let sandbox = Sandbox::new("");
    fs::remove_dir_all(sandbox.spool()).unwrap();
    assert_eq!(sandbox.run(&["-t"], MESSAGE).code(), 73);
}

/// Each call that makes the message durable fails once.
#[test]
fn exit_74_is_input_or_output_that_fails() {
    require!(parts::tool("strace"));
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.shell("$S a@x.example </", "").code(), 74);
    for (inject, code) in [("fsync:error=EIO", 74), ("fsync:error=ENOSPC", 74), ("linkat:error=ENOSPC", 73), ("linkat:error=EACCES", 73)] {
        let run = sandbox.shell(&format!("strace -o /dev/null -e inject={inject} $S -t"), MESSAGE);
        assert_eq!(run.code(), code, "{inject}: {}", run.stderr);
        sandbox.assert_nothing_is_left();
    }
}

#[test]
fn exit_75_is_only_where_it_was_asked_for() {
    for (config, code) in [("", 73), ("spool_error_exit = 75", 75)] {
        let sandbox = Sandbox::new(config);
        fs::remove_dir_all(sandbox.spool()).unwrap();
        assert_eq!(sandbox.run(&["-t"], MESSAGE).code(), code, "{config}");
    }
}

#[test]
fn exit_77_is_policy() {
    isolated!();
    let installation = Installation::system();
    installation.configure("sender_policy = \"own\"\n");
    let send = |argv: &[&str]| installation.sendmail_as(4242, argv, MESSAGE.as_bytes()).code;
    assert_eq!(send(&["-t", "-f", "root@sender.example"]), Some(77));
    assert_eq!((send(&["-t"]), send(&["-t", "-f", "uid4242"]), send(&["-t", "-f", ""])), (Some(0), Some(0), Some(0)));
    installation.configure("sender_policy = \"list\"\n");
    assert_eq!(send(&["-t"]), Some(77));
}

#[test]
fn exit_78_is_the_configuration() {
    for config in ["no_such_key = 1", "dot = 7", "not toml", "mailname = \"a b\""] {
        let sandbox = Sandbox::new("");
        fs::write(sandbox.path("config/mailchute/mailchute.toml"), config).unwrap();
        assert_eq!(sandbox.refused(&["-t"], MESSAGE).0, 78, "{config}");
    }
}
