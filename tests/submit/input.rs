//! SENDMAIL.md section 4: what happens to the message between standard input and the spool.

use std::io::Write;

use mail::envelope::Body;
use proptest::prelude::*;

use super::sandbox::{SENDMAIL, Sandbox};

/// A header that lacks nothing.
const WHOLE: &str = "From: f@x.example\nDate: Sun, 22 Nov 2026 15:00:00 +0000\nMessage-ID: <m@x.example>\nTo: a@x.example\nSubject: s\n";

#[test]
fn c1_lf_crlf_and_mixed_input_are_the_same_message() {
    let sandbox = Sandbox::new("");
    let lf = format!("{WHOLE}\nline 1\n..\n\nline 2");
    let crlf = lf.replace('\n', "\r\n");
    let mixed = format!("{}\nline 1\n..\n\r\nline 2\r\n", WHOLE.replace('\n', "\r\n"));
    let expected = format!("{}\r\n", crlf);
    for input in [lf, crlf, mixed] {
        assert_eq!(sandbox.send(&["-t"], &input).text, expected, "{input:?}");
    }
}

#[test]
fn i2_the_dot_in_its_three_modes_and_with_i() {
    let input = format!("{WHOLE}\nbefore\n.\nafter\n.\n");
    let body = |config: &str, argv: &[&str]| sandbox_body(config, argv, &input);
    assert_eq!(body("", &["-t"]), "before\r\n.\r\nafter\r\n");
    assert_eq!(body("", &["-t", "-i"]), "before\r\n.\r\nafter\r\n.\r\n");
    assert_eq!(body("", &["-t", "-oi"]), "before\r\n.\r\nafter\r\n.\r\n");
    assert_eq!(body("", &["-t", "-OIgnoreDots"]), "before\r\n.\r\nafter\r\n.\r\n");
    assert_eq!(body("dot = \"strict\"", &["-t"]), "before\r\n");
    assert_eq!(body("dot = \"strict\"", &["-t", "-i"]), "before\r\n.\r\nafter\r\n.\r\n");
    assert_eq!(body("dot = \"data\"", &["-t"]), "before\r\n.\r\nafter\r\n.\r\n");
    let notices = Sandbox::new("").send(&["-t"], &input).envelope.warnings;
    assert_eq!(notices, ["1 lines with a single dot kept as data"]);
}

fn sandbox_body(config: &str, argv: &[&str], input: &str) -> String {
    Sandbox::new(config).send(argv, input).body().to_owned()
}

#[test]
fn i3_i4_bare_cr_and_nul_are_corrected_and_told() {
    let message = Sandbox::new("").send(&["-t"], format!("{WHOLE}X-Y: a\rb\0c\n\nx\ry\0\0z\r\r\n"));
    assert!(message.header().ends_with("X-Y: a bc"), "{}", message.text);
    assert_eq!(message.body(), "x yz\r\n");
    assert_eq!(message.envelope.warnings, ["3 NUL bytes removed", "2 CRs without LF replaced by blanks"]);
}

#[test]
fn i5_i6_from_lines_are_stripped_and_a_missing_blank_line_is_added() {
    let sandbox = Sandbox::new("");
    let text = sandbox.send(&["-t"], format!("From mbox Sun\n>From mbox\n{WHOLE}body line\nTo: not@header\n")).text;
    assert_eq!(text, format!("{}\r\nbody line\r\nTo: not@header\r\n", WHOLE.replace('\n', "\r\n")));
    let message = sandbox.send(&["a@x.example"], "no header at all\n");
    assert!(message.text.starts_with("Date: ") && message.body() == "no header at all\r\n", "{}", message.text);
}

#[test]
fn i7_size_and_hops_are_limited() {
    let sandbox = Sandbox::new("message_size_limit = \"1KiB\"");
    let (code, line) = sandbox.refused(&["a@x.example"], "x".repeat(1 << 20));
    assert_eq!(code, 65);
    assert!(line.contains("message too large"), "{line}");
    sandbox.send(&["a@x.example"], "x".repeat(700));
    let sandbox = Sandbox::new("message_size_limit = 0");
    sandbox.send(&["a@x.example"], "x\n".repeat(100_000));
    let (code, line) = sandbox.refused(&["a@x.example"], "Received: x\n".repeat(101));
    assert_eq!(code, 65);
    assert!(line.contains("too many hops"), "{line}");
    assert_eq!(sandbox.refused(&["a@x.example"], format!("A: {}\n", "x".repeat(2 << 20))).0, 65);
}

#[test]
fn i8_a_second_from_is_refused_and_other_duplicates_are_told() {
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.refused(&["-t"], format!("{WHOLE}FROM: g@x.example\n\nx\n")).0, 65);
    let message = sandbox.send(&["-t"], format!("{WHOLE}subject: t\n\nx\n"));
    assert_eq!(message.envelope.warnings, ["more than one Subject field"]);
}

#[test]
fn h2_a_whole_header_is_left_as_it_is_and_a_bare_one_is_completed() {
    let sandbox = Sandbox::new("");
    let odd = format!("{WHOLE}X-Odd:   spaces\t\n  and folds \nReceived: by h\nReferences:<a>\n <b>\n");
    let message = sandbox.send(&["-t"], format!("{odd}\nx\n"));
    assert_eq!(message.text, format!("{odd}\nx\n").replace('\n', "\r\n"));
    let header = sandbox.send(&["a@x.example"], "Subject: only\n\nx\n");
    let names: Vec<&str> = header.header().lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["Subject", "Date", "Message-ID", "From"]);
    let id = header.header().lines().find(|line| line.starts_with("Message-ID")).unwrap();
    assert!(id.starts_with("Message-ID: <20") && id.ends_with("@m.example>"), "{id}");
}

#[test]
fn the_body_type_is_what_is_in_the_message() {
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.send(&["-B8BITMIME", "a@x.example"], "ascii\n").envelope.body, Body::SevenBit);
    assert_eq!(sandbox.send(&["-B7BIT", "a@x.example"], "\u{fc}\n").envelope.body, Body::EightBitMime);
    assert_eq!(sandbox.send(&["a@x.example"], "Subject: \u{fc}\n\nascii\n").envelope.body, Body::SevenBit);
}

#[test]
fn empty_input_with_operands_is_kept_and_told() {
    let message = Sandbox::new("").send(&["a@x.example"], "");
    assert_eq!(message.body(), "");
    assert_eq!(message.envelope.warnings, ["standard input was empty"]);
}

#[test]
fn t_smtp_1_no_end_of_data_in_any_dress_survives() {
    let sandbox = Sandbox::new("");
    for form in ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r\n\0.\r\n", "\r\n.\0\r\n"] {
        // take_messages checks the wire form as the daemon does.
        sandbox.send(&["-i", "a@x.example"], format!("text{form}MAIL FROM:<evil@x>\n"));
    }
}

/// 50 MiB through less than 16 MiB of memory.
#[test]
fn fifty_mebibytes_stream_through_a_few_of_memory() {
    require!(crate::support::parts::time());
    let sandbox = Sandbox::new("message_size_limit = 0");
    let mut child = sandbox.command(SENDMAIL).arg("a@x.example").spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let line = format!("{}\n", "x".repeat(75)).repeat(862);
    for _ in 0..800 {
        stdin.write_all(line.as_bytes()).unwrap();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let kib: u64 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kib < 16 << 10, "{peak}");
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert!(sandbox.take_messages()[0].envelope.size > 50 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, it is refused as data or becomes a file that the daemon's own check accepts.
    #[test]
    fn any_bytes_are_refused_or_become_a_valid_file(
        pieces in proptest::collection::vec(
            prop_oneof![
                "(From|To|Subject|X-Y|Bcc|Resent-To|Content-Type|Date)[ \t]?:[ -~\u{fc}\"<>@,;:()]{0,40}(\r?\n[ \t][ -~]{0,10})?(\n|\r\n)".prop_map(String::into_bytes),
                proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(0), Just(b' '), Just(b':'), any::<u8>()], 0..30),
                Just(b"\n".to_vec()),
                Just(b"x".repeat(2500)),
            ],
            0..12,
        ),
        argv in prop_oneof![Just(vec!["a@x.example"]), Just(vec!["-t", "a@x.example"]), Just(vec!["-i", "-t", "root"])],
    ) {
        let sandbox = Sandbox::new("");
        let run = sandbox.run(&argv, pieces.concat());
        let kept = sandbox.take_messages();
        prop_assert_eq!(kept.len(), usize::from(run.code() == 0), "{}", run.stderr);
        prop_assert!([0, 65].contains(&run.code()), "{}: {}", run.code(), run.stderr);
        for message in kept {
            prop_assert!(message.header().lines().all(|line| line.len() <= 998));
        }
    }
}
