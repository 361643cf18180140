//! T-HDR-4: eight times the input costs eight times the CPU, with threefold slack for a loaded machine and a program that was not
//! optimised; a quadratic step would cost sixty-four times. `benches/hostile.py` measures it precisely.

use super::super::sandbox::Sandbox;
use crate::support::parts;

/// Bytes of the smaller input: a header section has 1 MiB at most.
const SMALL: usize = 100 << 10;
const FACTOR: usize = 8;
const SLACK: f64 = 3.0;
/// User CPU seconds below which a run is all start-up.
const LEAST: f64 = 0.02;

/// The arguments; what stands once before, what is repeated, what stands once after.
const INPUTS: &[(&[&str], &str, &str, &str)] = &[
    (&["-t"], "To: ", "(", "\n\nx\n"),
    (&["-t"], "To: a@x.example", "(\u{fc})", "\n\nx\n"),
    (&["-t"], "To: ", "\"\\", "\n\nx\n"),
    (&["-t"], "To: ", "<", "\n\nx\n"),
    (&["-t"], "To: ", "a b,", "\n\nx\n"),
    (&["-t"], "To: a@x.example", ",\u{fc} <a@x.example>", "\n\nx\n"),
    (&["-t"], "To: a@x.example", ",g:a@x.example;", "\n\nx\n"),
    (&["-t"], "To: a@x.example\n", "Bcc: a@x.example\n", "\nx\n"),
    (&["a@x.example"], "Subject: ", "=?\u{fc} ", "\n\nx\n"),
    (&["a@x.example"], "Subject: a", " ", "b\n\nx\n"),
    (&["a@x.example"], "Subject: a", "\n b", "\n\nx\n"),
    (&["a@x.example"], "", "A:\n", "\nx\n"),
    (&["a@x.example"], "Content-Type: text/plain", ";n=\"\u{fc}\"", "\n\nx\n"),
    (&["a@x.example"], "", ">From x\n", "A: b\n\nx\n"),
    (&["a@x.example"], "\n", "\r", "x\n"),
    (&["a@x.example"], "\n", ".\n", "x\n"),
];

/// User CPU seconds of a run, as bash has them from the kernel. The code is 0 or 65.
fn user_seconds(sandbox: &Sandbox, argv: &[&str], input: String) -> f64 {
    let words: String = argv.iter().map(|word| format!(" '{word}'")).collect();
    let run = sandbox.shell(&format!("bash -c 'TIMEFORMAT=%U; time \"$@\" 2>&-' bash \"$S\"{words}"), input);
    sandbox.take_messages();
    assert!([0, 65].contains(&run.code()), "{}", run.stderr);
    run.stderr.trim().parse().unwrap_or_else(|_| panic!("no time: {}", run.stderr))
}

#[test]
fn t_hdr_4_eight_times_the_input_costs_no_more_than_a_few_times_eight() {
    require!(parts::tool("bash"));
    let sandbox = Sandbox::new("");
    for (argv, before, piece, after) in INPUTS {
        let input = |size: usize| format!("{before}{}{after}", piece.repeat(size / piece.len()));
        let small = user_seconds(&sandbox, argv, input(SMALL)).max(LEAST);
        let large = user_seconds(&sandbox, argv, input(SMALL * FACTOR));
        let ratio = large / small;
        assert!(ratio < FACTOR as f64 * SLACK, "{before}{piece}: {small:.3} s, then {large:.3} s");
    }
}

#[test]
fn t_hdr_4_the_largest_header_section_and_ten_thousand_recipients_are_taken_or_refused_by_rule() {
    let sandbox = Sandbox::new("");
    let fields = |count: usize| (0..count).map(|number| format!("To: N {number} <a{number}@x{number}.example>\r\n")).collect::<String>();
    let filled = |count: usize, size: usize| {
        let fields = fields(count);
        format!("{fields}Subject: {}\r\n\r\nx\r\n", "s ".repeat((size - fields.len() - 11) / 2))
    };
    let limit = 1 << 20;
    let run = sandbox.run(&["-t"], filled(10_000, limit));
    assert_eq!(run.code(), 0, "{}", run.stderr);
    assert_eq!(sandbox.take_messages()[0].envelope.recipients.len(), 10_000);
    for (input, word) in [(filled(10_001, limit), "too many recipients"), (filled(10_000, limit + 100), "larger than 1 MiB")] {
        let (code, line) = sandbox.refused(&["-t"], input);
        assert!(code == 65 && line.contains(word), "{code} {line}");
    }
}

#[test]
fn section_8_a_session_syncs_once_for_each_message() {
    require!(parts::tool("strace"));
    let sandbox = Sandbox::new("");
    let message = "MAIL FROM:<f@x>\r\nRCPT TO:<a@x>\r\nDATA\r\nSubject: s\r\n\r\nx\r\n.\r\n";
    let trace = sandbox.path("trace");
    let script = format!("strace -f -e trace=fsync,fdatasync,syncfs,sync -o {} $S -bs", trace.display());
    let run = sandbox.shell(&script, format!("EHLO h\r\n{}QUIT\r\n", message.repeat(100)));
    assert_eq!((run.code(), sandbox.take_messages().len()), (0, 100), "{}", run.stderr);
    let calls = std::fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains("sync")).count();
    assert_eq!(calls, 100);
}
