//! Whatever is written, what is kept has the wire form, and no byte of Bcc.

use mail::wire::WireCheck;
use proptest::prelude::*;

use super::super::sandbox::{Message, Run, Sandbox};
use super::headers::has_bcc;

/// The ways in. `Dialogue` is `-bs`, in a session whose lines end in LF or CRLF.
#[derive(Clone, Copy, Debug)]
enum Way {
    Operand,
    Header,
    Both,
    Dialogue(&'static str),
}

fn ways() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Operand), Just(Way::Header), Just(Way::Both), Just(Way::Dialogue("\n")), Just(Way::Dialogue("\r\n"))]
}

fn give(sandbox: &Sandbox, way: Way, input: &[u8]) -> Run {
    match way {
        Way::Operand => sandbox.run(&["op@x.example"], input),
        Way::Header => sandbox.run(&["-t"], input),
        Way::Both => sandbox.run(&["-i", "-t", "op@x.example"], input),
        Way::Dialogue(end) => {
            let lines = ["HELO h", "MAIL FROM:<f@x.example>", "RCPT TO:<op@x.example>", "DATA"].map(|line| format!("{line}{end}")).concat();
            sandbox.run(&["-bs"], [lines.as_bytes(), input, format!("{end}.{end}QUIT{end}").as_bytes()].concat())
        }
    }
}

/// What was kept agrees with what the caller was told.
fn kept(sandbox: &Sandbox, way: Way, run: &Run) -> Vec<Message> {
    let kept = sandbox.take_messages();
    let told = match way {
        Way::Dialogue(_) => run.stdout.matches("250 2.0.0 Ok: queued as ").count(),
        _ => usize::from(run.code() == 0),
    };
    assert_eq!(kept.len(), told, "{} {} {}", run.code(), run.stdout, run.stderr);
    sandbox.assert_nothing_is_left();
    kept
}

/// A Bcc field as nobody should write it, or another field. `SECRET` marks what must not go out.
fn field() -> impl Strategy<Value = String> {
    let name = "(Bcc|BCC|bcc|bCC|BcC|Resent-Bcc|RESENT-BCC|resent-bCc)";
    let fold = "(\r?\n[ \t]{1,3})?";
    let piece = prop_oneof![
        Just("SECRET@x.example".to_owned()),
        Just("\"SECRET q\"@x.example".to_owned()),
        Just("(SECRET (nested) c) SECRET@x.example".to_owned()),
        Just("\"SECRET, S\" <SECRET@x.example>".to_owned()),
        Just("SECRET\u{fc} <SECRET@x.example>".to_owned()),
        Just("SECRET: SECRET@x.example, SECRET2@x.example;".to_owned()),
        Just("<@SECRET.example:SECRET@x.example>".to_owned()),
        Just("=?utf-8?q?SECRET?= <SECRET@x.example>".to_owned()),
        Just(String::new()),
    ];
    let bcc = (name, "[ \t]{0,3}", proptest::collection::vec((fold, piece, "[ \t]{0,2}"), 0..4), "(\n|\r\n)").prop_map(
        |(name, blanks, pieces, end)| {
            let list: Vec<String> = pieces.into_iter().map(|(fold, piece, after)| fold + &piece + &after).collect();
            format!("{name}{blanks}:{}{end}", list.join(","))
        },
    );
    let plain = "(To|Cc|X-Y|Subject|Received)[ \t]?:[ ]?[a-z]{1,8}(\r?\n[ \t][a-z]{1,5})?(\n|\r\n)";
    prop_oneof![3 => bcc, 2 => plain.prop_map(|text| text.replace("To:", "X-To:"))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r9_t_hdr_2_no_byte_of_bcc_is_kept_however_it_is_written_and_handed_in(
        begin in "(From x Sun\n)?",
        fields in proptest::collection::vec(field(), 1..6),
        end in "(\n|\r\n)?(body\n)?",
        way in ways(),
    ) {
        let sandbox = Sandbox::new("");
        let input = format!("{begin}{}{end}", fields.concat());
        let run = give(&sandbox, way, input.as_bytes());
        for message in kept(&sandbox, way, &run) {
            let is_there = message.text.to_lowercase().contains("secret") || has_bcc(&message);
            prop_assert!(!is_there, "{:?} became {:?}", input, message.text);
        }
    }

    #[test]
    fn i3_i4_t_smtp_1_the_spool_has_no_bare_cr_no_bare_lf_and_no_nul(
        input in proptest::collection::vec(
            prop_oneof![
                4 => prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(0), Just(b' '), Just(b':'), Just(b'A')].prop_map(|byte| vec![byte]),
                1 => any::<u8>().prop_map(|byte| vec![byte]),
                1 => Just(b"\r\n.\r\n".to_vec()),
                1 => Just(b"To: a@x.example\n".to_vec()),
                1 => Just(b"x".repeat(1200)),
            ],
            0..60,
        ),
        way in ways(),
    ) {
        let sandbox = Sandbox::new("");
        let run = give(&sandbox, way, &input.concat());
        let is_dialogue = matches!(way, Way::Dialogue(_));
        prop_assert!(is_dialogue || [0, 64, 65].contains(&run.code()), "{}: {}", run.code(), run.stderr);
        for message in kept(&sandbox, way, &run) {
            let mut check = WireCheck::default();
            prop_assert!(check.feed(message.text.as_bytes()).is_ok() && check.finish().is_ok(), "{:?}", message.text);
            prop_assert!(!message.text.contains('\0'));
        }
    }

    #[test]
    fn t_hdr_3_what_was_printed_is_taken_back_as_the_same_address(local in "[ -~\u{fc}]{1,20}", domain in "[a-z0-9]{1,8}(\\.[a-z\u{fc}]{2,6}){1,3}") {
        prop_assume!(!local.starts_with('-'));
        let address = mail::Address::new(&local, &domain).unwrap();
        let sandbox = Sandbox::new("");
        let printed = address.to_string();
        let message = sandbox.send(&["-t", "-f", &printed, "--", &printed], format!("Cc: {printed}\n\nx\n"));
        prop_assert_eq!(&message.envelope.recipients[0].address, &address);
        prop_assert_eq!(message.recipients(), vec![printed.clone()]);
        prop_assert_eq!(message.envelope.reverse_path.address(), Some(&address));
    }
}
