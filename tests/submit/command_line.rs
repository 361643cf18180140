//! SENDMAIL.md sections 1, 2, 6 and 7: options, codes, and what is printed.

use std::os::unix::fs::symlink;

use super::sandbox::{SENDMAIL, Sandbox, finish};

const MESSAGE: &str = "To: a@x.example\n\nhello\n";

#[test]
fn p4_a_mistake_in_the_form_is_64_with_one_usage_line() {
    let sandbox = Sandbox::new("");
    for (argv, line) in [
        (&["-Z", "a@x.example"][..], "sendmail: usage: unknown option -Z; see sendmail(8)\n"),
        (&["--nothing"], "sendmail: usage: unknown option --nothing; see sendmail(8)\n"),
        (&["-f"], "sendmail: usage: option -f requires a value; see sendmail(8)\n"),
    ] {
        assert_eq!(sandbox.refused(argv, MESSAGE), (64, line.to_owned()), "{argv:?}");
    }
}

#[test]
fn section_6_a_failure_is_one_line_with_the_caller_and_a_code() {
    let sandbox = Sandbox::new("");
    let (code, line) = sandbox.refused(&["-bz"], MESSAGE);
    assert_eq!(code, 64);
    assert!(line.starts_with("sendmail: fatal: ") && line.ends_with("): -bz is not supported; see sendmail(8)\n"), "{line}");
    let (code, line) = sandbox.refused(&["-bd"], "");
    assert_eq!(code, 69);
    assert!(line.contains("no network listener; mailchuted.service delivers"), "{line}");
    let quiet = sandbox.run(&["-oeq", "-bz"], "");
    assert_eq!((quiet.code(), quiet.stderr.as_str()), (64, ""));
    let quiet = sandbox.run(&["-oeq", "a b@x.example"], "");
    assert_eq!((quiet.code(), quiet.stderr.as_str()), (65, ""));
}

#[test]
fn i1_a_writer_is_read_to_the_end_after_a_failure() {
    let sandbox = Sandbox::new("");
    let mut child = sandbox.command(SENDMAIL).arg("-Z").spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let big = vec![b'x'; 4 << 20];
    std::io::Write::write_all(&mut stdin, &big).expect("no broken pipe");
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(64));
}

#[test]
fn p1_the_name_decides() {
    let sandbox = Sandbox::new("");
    for name in ["mailq", "runq"] {
        let link = sandbox.path(name);
        symlink(SENDMAIL, &link).unwrap();
        let run = finish(sandbox.command(&link).spawn().unwrap(), b"");
        assert_eq!(run.code(), 69, "{name}");
        assert!(run.stderr.contains("): mail system is down: "), "{}", run.stderr);
    }
}

#[test]
fn q5_queries_without_the_daemon_are_69_and_intervals_are_nothing() {
    let sandbox = Sandbox::new("");
    for argv in [&["-bp"][..], &["-bp", "-j"], &["-bP"], &["-q"], &["-qf"], &["-qIABC"], &["-q!Rx"]] {
        let (code, line) = sandbox.refused(argv, "");
        assert_eq!(code, 69, "{argv:?}");
        assert!(line.contains("): mail system is down: "), "{line}");
    }
    for argv in [&["-q30m"][..], &["-qp5m"], &["-bh"]] {
        let run = sandbox.run(argv, MESSAGE);
        assert_eq!((run.code(), run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{argv:?}");
    }
    sandbox.assert_nothing_is_left();
}

#[test]
fn help_is_printed_and_nothing_is_read() {
    let help = Sandbox::new("").run(&["--help"], "");
    assert_eq!(help.code(), 0);
    assert!(help.stdout.contains("\n  -t                 Take recipients"), "{}", help.stdout);
}

#[test]
fn s8_what_the_options_say_of_the_message_stands_in_its_envelope() {
    let sandbox = Sandbox::new("");
    let argv = [
        "-Nfailure,delay",
        "-Rhdrs",
        "-V",
        "id 1",
        "-OPriority=-3",
        "-O",
        "HoldUntil=2099-01-01T00:00:00Z",
        "-O",
        "DeliverBy=2h",
        "a@x.example",
    ];
    let envelope = sandbox.send(&argv, "hello\n").envelope;
    assert_eq!(envelope.recipients[0].notify.map(|notify| notify.to_string()).as_deref(), Some("FAILURE,DELAY"));
    assert_eq!(envelope.ret, Some(mail::envelope::Ret::Hdrs));
    assert_eq!(envelope.envid.as_deref(), Some("id 1"));
    assert_eq!((envelope.priority, envelope.hold_until.as_deref()), (Some(-3), Some("2099-01-01T00:00:00Z")));
    let lead = mail::date::parse_rfc3339(&envelope.deliver_by.unwrap()).unwrap() - mail::date::parse_rfc3339(&envelope.time).unwrap();
    assert!((7190..=7210).contains(&lead), "{lead}");
}
