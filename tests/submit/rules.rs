//! Rows of SENDMAIL.md that belong to no other scenario: P2, P3, P8, S4, C5, C7, C8, and sections 7 and 14.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::sandbox::{SENDMAIL, Sandbox};
use crate::support::command;
use crate::support::installation::Installation;
use crate::support::parts;

const MESSAGE: &str = "To: a@x.example\nSubject: s\n\nhello\n";

#[test]
fn p2_letters_are_bundled_values_are_attached_or_next_and_the_first_operand_ends_the_options() {
    let sandbox = Sandbox::new("");
    for argv in [&["-tif", "s@y"][..], &["-tifs@y"], &["-it", "-fs@y"], &["-t", "-i", "-f", "s@y"], &["-ti", "-fs@y", "--"]] {
        let message = sandbox.send(argv, format!("{MESSAGE}.\n"));
        assert_eq!((message.envelope.reverse_path.to_string().as_str(), message.body()), ("s@y", "hello\r\n.\r\n"), "{argv:?}");
    }
    for argv in [&["a@x", "-t"][..], &["-", "-t"], &["--", "-i"]] {
        assert_eq!(sandbox.refused(argv, MESSAGE).0, 65, "{argv:?}");
    }
}

#[test]
fn p3_a_value_that_must_be_attached_takes_no_next_word_and_others_do() {
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.send(&["-d", "a@x.example"], "x\n").recipients(), ["a@x.example"]);
    let (code, line) = sandbox.refused(&["-q", "30m"], "");
    assert!(code == 64 && line.contains("takes no operands"), "{line}");
    for letter in ["A", "B", "b", "C", "D", "e", "F", "f", "h", "L", "N", "O", "o", "p", "R", "r", "V", "X"] {
        let (code, line) = sandbox.refused(&["-t", &format!("-{letter}")], MESSAGE);
        assert!(code == 64 && line.contains(&format!("option -{letter} requires a value")), "-{letter}: {line}");
    }
}

#[test]
fn p8_the_mask_is_set_first_and_hangups_are_blocked_before_the_file_has_its_name() {
    require!(parts::tool("strace"));
    let sandbox = Sandbox::new("");
    let trace = sandbox.path("trace");
    assert_eq!(sandbox.shell(&format!("umask 0; strace -o {} $S -t", trace.display()), MESSAGE).code(), 0);
    let trace = fs::read_to_string(trace).unwrap();
    let at = |call: &str| trace.find(call).unwrap_or_else(|| panic!("{call} is not in\n{trace}"));
    assert!(at("umask(077)") < at("O_TMPFILE") && at("SIG_BLOCK, [XFSZ]") < at("O_TMPFILE"));
    assert!(at("SIG_BLOCK, [HUP]") < at("fsync(") && at("fsync(") > at("linkat("), "the name first, then the one fsync");
}

#[test]
fn s4_no_field_says_more_of_the_sender() {
    let message = Sandbox::new("").send(&["-t", "-f", "s@y.example"], MESSAGE);
    let header = message.header().to_lowercase();
    assert!(!header.contains("x-authentication-warning") && !header.contains("sender:"), "{header}");
}

#[test]
fn c5_operands_and_fields_overlap_lists_come_as_one_word_and_root_is_bare() {
    let message = Sandbox::new("").send(&["-t", "a@x.example,root", "A@X.example"], MESSAGE);
    assert_eq!(message.recipients(), ["a@x.example", "root@m.example", "A@X.example"]);
}

#[test]
fn c7_the_sender_comes_glued_bundled_separate_null_and_bare() {
    let sandbox = Sandbox::new("");
    for (argv, path) in [
        (&["-fs@y"][..], "s@y"),
        (&["-ifs@y"], "s@y"),
        (&["-f", "s@y"], "s@y"),
        (&["-f", ""], ""),
        (&["-f<>"], ""),
        (&["-f", "www"], "www@m.example"),
    ] {
        let message = sandbox.send(&[argv, &["-t"]].concat(), MESSAGE);
        assert_eq!(message.envelope.reverse_path.to_string(), path, "{argv:?}");
    }
}

#[test]
fn c8_a_success_prints_nothing() {
    let sandbox = Sandbox::new("");
    for argv in
        [&["-t"][..], &["-t", "-i", "-fs@y"], &["-oi", "-odb", "-oem", "a@x.example"], &["-FCronDaemon", "-i", "-odi", "-oem", "root"]]
    {
        sandbox.send(argv, MESSAGE);
    }
}

#[test]
fn section_7_now_every_form_wakes_the_daemon() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:9?tls=none", "");
    for argv in [&["-q"][..], &["-q0"], &["-qf"]] {
        installation.sendmail(argv, b"").ended_with(69);
    }
    installation.start_daemon();
    for argv in [&["-q"][..], &["-q0"], &["-qf"]] {
        let ended = installation.sendmail(argv, b"").succeeded();
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""), "{argv:?}");
    }
    let runq = installation.paths.run.join("runq");
    symlink(SENDMAIL, &runq).unwrap();
    command::run(&mut installation.program(&runq), b"").succeeded();
}

#[test]
fn section_7_interval_is_checked_and_nothing_happens() {
    let sandbox = Sandbox::new("");
    for argv in [["-q30m"], ["-q1h30m"], ["-qp"], ["-qp5m"], ["-q90"]] {
        let run = sandbox.run(&argv, MESSAGE);
        assert_eq!((run.code(), run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{argv:?}");
    }
    for argv in [["-q30x"], ["-qpx"], ["-q-1"]] {
        assert_eq!(sandbox.refused(&argv, "").0, 64, "{argv:?}");
    }
    sandbox.assert_nothing_is_left();
}

#[test]
fn section_7_selected_messages_are_asked_for_by_id_recipient_or_sender() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:9?tls=none", "");
    installation.start_daemon();
    for argv in [["-qI6921CE05"], ["-qRx.example"], ["-qSx.example"], ["-q!I6921CE05"], ["-q!Rx"], ["-q!Sx"]] {
        installation.sendmail(&argv, b"").succeeded();
    }
}

#[test]
fn section_7_unsupported_forms_are_64() {
    let sandbox = Sandbox::new("");
    for argv in [["-qGgroup"], ["-qL"], ["-qQreason"], ["-Q"], ["-Qreason"], ["-qI"], ["-q!"]] {
        assert_eq!(sandbox.refused(&argv, "").0, 64, "{argv:?}");
    }
}

#[test]
fn section_7_operands_and_t_do_not_go_with_it() {
    let sandbox = Sandbox::new("");
    for argv in [&["-q", "a@x"][..], &["-t", "-q"], &["-q30m", "a@x"], &["-qIx", "-t"]] {
        assert_eq!(sandbox.refused(argv, MESSAGE).0, 64, "{argv:?}");
    }
}

#[test]
fn section_14_a_flush_too_soon_after_another_ends_with_0() {
    isolated!();
    let mut installation = Installation::system();
    installation.relay_to("smtp://127.0.0.1:9?tls=none", "");
    installation.start_daemon();
    for _ in 0..3 {
        let ended = installation.sendmail_as(4242, &["-q"], b"").succeeded();
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    }
}

#[test]
fn section_14_local_domains_never_come_from_dns() {
    require!(parts::tool("strace"));
    let sandbox = Sandbox::new("");
    let trace = sandbox.path("trace");
    let script = format!("strace -e trace=network -o {} $S root root@localhost root@elsewhere.example", trace.display());
    assert_eq!(sandbox.shell(&script, "x\n").code(), 0);
    let trace = fs::read_to_string(trace).unwrap();
    assert!(!trace.contains("AF_INET"), "{trace}");
}

#[test]
fn section_14_a_writer_that_stays_after_a_lone_dot_is_waited_for() {
    let sandbox = Sandbox::new("");
    let mut child = sandbox.command(SENDMAIL).arg("-t").spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{MESSAGE}.\n").as_bytes()).unwrap();
    assert!(command::wait(&mut child, Duration::from_millis(300)).is_none(), "more may follow, and then the dot is data");
    stdin.write_all(b"more\n").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(sandbox.take_messages()[0].body(), "hello\r\n.\r\nmore\r\n");
}

#[test]
fn option_bp_with_v_shows_more_of_each_message() {
    let mut installation = Installation::rootless();
    installation.relay_to("smtp://127.0.0.1:9?tls=none", "");
    installation.start_daemon();
    installation.sendmail(&["-t"], MESSAGE.as_bytes()).succeeded();
    installation.wait_for_entry("an attempt", |entry| entry["recipients"][0]["delay_reason"].is_string());
    let listing = |argv: &[&str]| installation.sendmail(argv, b"").succeeded().stdout;
    let (short, long) = (listing(&["-bp"]), listing(&["-bp", "-v"]));
    let uid = format!("(uid {}, attempts ", nix::unistd::getuid());
    assert!(long.contains(&uid) && long.contains(", expires ") && !short.contains(&uid), "{long}");
    let last = |text: &str| text.lines().last().unwrap().to_owned();
    assert_eq!(last(&long), last(&short), "what monitoring reads is the same");
}
