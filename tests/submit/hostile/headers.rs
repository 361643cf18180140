//! T-HDR-1, T-HDR-2, T-HDR-5: header sections as callers write and forge them, with `-t`: who gets the message, and what becomes of
//! the section.

use super::super::sandbox::{Message, Sandbox};

/// Fields that leave nothing to be added.
const WHOLE: &str = "From: f@x.example\nDate: Sun, 22 Nov 2026 15:00:00 +0000\nMessage-ID: <m@x.example>\n";

/// The input, in which `{}` is [`WHOLE`]; the recipients, or the exit code and a word of the line; the header section with LF line
/// ends, in which `{}` is [`WHOLE`] again and `+Date` is an added field.
type Row = (&'static str, &'static str, &'static str);

#[rustfmt::skip] // a table is easier to read when each row is a line
const HEADERS: &[Row] = &[
    // Bcc in every dress (T-HDR-2): it names recipients and is gone.
    ("{}Bcc: b@y.example\n\nx\n", "b@y.example", "{}"),
    ("{}BCC: b@y.example\n\nx\n", "b@y.example", "{}"),
    ("{}bCc:b@y.example\n\nx\n", "b@y.example", "{}"),
    ("{}Bcc : b@y.example\n\nx\n", "b@y.example", "{}"),
    ("{}Bcc\t \t: b@y.example\n\nx\n", "b@y.example", "{}"),
    ("{}Bcc:\n b@y.example\n\nx\n", "b@y.example", "{}"),
    ("{}Bcc:\n\tb@y.example,\n\n c@y.example\n\nx\n", "b@y.example", "{}"),
    ("{}Bcc: b@y.example,\n c@y.example,\n\td@y.example\nTo: a@x.example\n\nx\n", "b@y.example c@y.example d@y.example a@x.example", "{}To: a@x.example\n"),
    ("{}Bcc: b@y.example,\n \n c@y.example\nTo: a@x.example\n\nx\n", "b@y.example c@y.example a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nBcc:\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nBcc: \n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nBcc: b@y.example", "a@x.example b@y.example", "{}To: a@x.example\n"),
    ("{}Bcc: b@y.example\nBcc: c@y.example\n\nx\n", "b@y.example c@y.example", "{}"),
    ("{}Bcc: hidden: b@y.example, c@y.example;\n\nx\n", "b@y.example c@y.example", "{}"),
    ("{}Bcc: \"B, B\" <b@y.example> (note)\n\nx\n", "b@y.example", "{}"),
    ("{}Bcc: B\u{fc}ro <b@y.example>\n\nx\n", "b@y.example", "{}"),
    ("{}Bcc: b@y.example\r\n\r\nx\r\n", "b@y.example", "{}"),
    ("{}Bcc: b@y.example\r\n c@y.example\n\nx\n", "65 words", ""),
    ("{}B\rcc: b@y.example\nTo: a@x.example\n\nx\n", "64 No recipient addresses", ""),
    ("{}B\0cc: b@y.example\nTo: a@x.example\n\nx\n", "b@y.example a@x.example", "{}To: a@x.example\n"),
    ("{}Bcc;: b@y.example\nTo: a@x.example\n\nx\n", "a@x.example", "{}Bcc;: b@y.example\nTo: a@x.example\n"),
    ("{}X-Bcc: b@y.example\nTo: a@x.example\n\nx\n", "a@x.example", "{}X-Bcc: b@y.example\nTo: a@x.example\n"),
    ("{}To: a@x.example\n\nBcc: b@y.example\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nno field\nBcc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}Resent-To: a@x.example\nResent-Date: d\nResent-Message-ID: <r>\nResent-From: r@x\nResent-Bcc: b@y.example\n\nx\n", "a@x.example b@y.example", "{}Resent-To: a@x.example\nResent-Date: d\nResent-Message-ID: <r>\nResent-From: r@x\n"),
    ("{}To: a@x.example\nResent-bcc : b@y.example,\n c@y.example\n\nx\n", "b@y.example c@y.example", "{}To: a@x.example\n+Resent-Date\n+Resent-Message-ID\n+Resent-From\n"),
    ("{}Bcc: b@y.example\nResent-Cc: c@y.example\nResent-Date: d\nResent-Message-ID: <r>\nResent-From: r@x\n\nx\n", "c@y.example", "{}Resent-Cc: c@y.example\nResent-Date: d\nResent-Message-ID: <r>\nResent-From: r@x\n"),
    // Recipients.
    ("{}To: a@x.example\nTo: b@y.example\n\nx\n", "a@x.example b@y.example", "{}To: a@x.example\nTo: b@y.example\n"),
    ("{}to:a@x.example\ncC:b@y.example\n\nx\n", "a@x.example b@y.example", "{}to:a@x.example\ncC:b@y.example\n"),
    ("{}To : a@x.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example, root\n\nx\n", "a@x.example root@m.example", "{}To: a@x.example, root@m.example\n"),
    ("{}To: g: root, a@x.example;, Undisclosed:;\n\nx\n", "root@m.example a@x.example", "{}To: g: root@m.example, a@x.example;, Undisclosed:;\n"),
    ("{}To: undisclosed-recipients:;\nCc: a@x.example\n\nx\n", "a@x.example", "{}To: undisclosed-recipients:;\nCc: a@x.example\n"),
    ("{}To: undisclosed-recipients:;\n\nx\n", "64 No recipient addresses", ""),
    ("{}To: a@x.example; b@y.example\n\nx\n", "a@x.example b@y.example", "{}To: a@x.example; b@y.example\n"),
    ("{}To: a@x.example,, ,\n\nx\n", "a@x.example", "{}To: a@x.example,, ,\n"),
    ("{}To: a@x.example\nApparently-To: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\nApparently-To: b@y.example\n"),
    ("{}To: a@x.example\nResent-From: r@x\n\nx\n", "a@x.example", "{}To: a@x.example\nResent-From: r@x\n"),
    ("{}To: a b@x.example\n\nx\n", "65 `a b@x.example`", ""),
    ("{}To: a@x.example\nCc: @\n\nx\n", "65 `@`", ""),
    ("{}To: \"a@x.example\n\nx\n", "65 unclosed", ""),
    ("{}To: a@x.example (\n\nx\n", "65 unclosed", ""),
    ("{}Subject: s\n\nx\n", "64 No recipient addresses", ""),
    ("{}To:\n\nx\n", "64 No recipient addresses", ""),
    ("{}To: \n \n\t\n\nx\n", "64 No recipient addresses", ""),
    ("\n{}To: a@x.example\n\nx\n", "64 No recipient addresses", ""),
    ("\r\n{}To: a@x.example\n\nx\n", "64 No recipient addresses", ""),
    (" folded\n{}To: a@x.example\n\nx\n", "64 No recipient addresses", ""),
    ("", "64 No recipient addresses", ""),
    (".\n", "64 No recipient addresses", ""),
    ("just text\nTo: a@x.example\n\nx\n", "64 No recipient addresses", ""),
    // What is added (H2, H3, H4), and what is not.
    ("To: a@x.example\n\nx\n", "a@x.example", "To: a@x.example\n+Date\n+Message-ID\n+From\n"),
    ("To: a@x.example\nDATE:\n\nx\n", "a@x.example", "To: a@x.example\nDATE:\n+Message-ID\n+From\n"),
    ("message-id: <m>\ndate: d\nfrom: f\nto: a@x.example\n\nx\n", "a@x.example", "message-id: <m>\ndate: d\nfrom: f@m.example\nto: a@x.example\n"),
    ("{}To: a@x.example\nSender: cron\nReply-To: (c) root\n\nx\n", "a@x.example", "{}To: a@x.example\nSender: cron@m.example\nReply-To: (c) root@m.example\n"),
    ("From: f@x.example\n>From: g@x.example\nTo: a@x.example\n\nx\n", "a@x.example", "From: f@x.example\n>From: g@x.example\nTo: a@x.example\n+Date\n+Message-ID\n"),
    ("From: \nTo: a@x.example\n\nx\n", "a@x.example", "From: \nTo: a@x.example\n+Date\n+Message-ID\n"),
    // What is refused or removed (I5, I7, I8, I9).
    ("{}From: g@x.example\nTo: a@x.example\n\nx\n", "65 more than one From", ""),
    ("{}FROM : g@x.example\nTo: a@x.example\n\nx\n", "65 more than one From", ""),
    ("{}To: a@x.example\nReturn-Path: <r@x>\nContent-Length: 9\nreturn-path: x\n fold\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nErrors-To: e\nX-A: 1\nReceived: r\n\nx\n", "a@x.example", "{}To: a@x.example\nErrors-To: e\nX-A: 1\nReceived: r\n"),
    ("From mbox Sun\n>From mbox\n>>From mbox\n{}To: a@x.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nFrom mbox Sun\nCc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("from mbox Sun\n{}To: a@x.example\n\nx\n", "64 No recipient addresses", ""),
    // Header injection (T-HDR-1) and odd bytes: text stays text.
    ("{}To: a@x.example\nSubject: s\r\rBcc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\nSubject: s  Bcc: b@y.example\n"),
    ("{}To: a@x.example\nSubject: s\u{2028}Bcc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\nSubject: =?utf-8?Q?s=E2=80=A8Bcc=3A?= b@y.example\n"),
    ("{}To: a@x.example\nSubject: s\u{85}Bcc: b\n\nx\n", "a@x.example", "{}To: a@x.example\nSubject: =?utf-8?Q?s=C2=85Bcc=3A?= b\n"),
    ("{}To: a@x.example\nSubject: \x1b[2J\x07\n\nx\n", "a@x.example", "{}To: a@x.example\nSubject: \x1b[2J\x07\n"),
    ("{}To: a@x.example\nSubject: a\0b\n\nx\n", "a@x.example", "{}To: a@x.example\nSubject: ab\n"),
    ("{}To: a@x.example\nSubject: =?utf-8?q?=0D=0ABcc=3A_b=40y?=\n\nx\n", "a@x.example", "{}To: a@x.example\nSubject: =?utf-8?q?=0D=0ABcc=3A_b=40y?=\n"),
    ("{}To: a@x.example\nX-A: v\n Bcc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\nX-A: v\n Bcc: b@y.example\n"),
    ("{}To: a@x.example\n: nameless\nCc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nTwo words: v\nCc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nX-\u{fc}: v\nCc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\n:\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\n.\nCc: b@y.example\n\nx\n", "a@x.example", "{}To: a@x.example\n"),
    ("{}To: a@x.example\nX:\n\nx\n", "a@x.example", "{}To: a@x.example\nX:\n"),
    ("{}To: a@x.example\nX-A:   v  \n\t \n w\n\nx\n", "a@x.example", "{}To: a@x.example\nX-A:   v  \n\t \n w\n"),
    ("{}To: a@x.example\r\nX-A: v\r\r\nX-B: w\n\r\nx\n", "a@x.example", "{}To: a@x.example\nX-A: v\nX-B: w\n"),
    ("{}To: J\u{f6}rg <a@x.example>, (\u{fc}) b\n\nx\n", "a@x.example b@m.example", "{}To: =?utf-8?Q?J=C3=B6rg?= <a@x.example>, (=?utf-8?Q?=C3=BC?=) b@m.example\n"),
    ("{}To: \"a\n b\"@x.example\n\nx\n", "\"a b\"@x.example", "{}To: \"a\n b\"@x.example\n"),
    ("\u{feff}To: a@x.example\n\nx\n", "64 No recipient addresses", ""),
    ("{}To: a@x.example", "a@x.example", "{}To: a@x.example\n"),
];

#[test]
fn t_hdr_2_t_hdr_5_header_sections_in_every_dress() {
    assert!(HEADERS.len() >= 80, "{}", HEADERS.len());
    let sandbox = Sandbox::new("");
    let mut wrong = Vec::new();
    for (input, recipients, header) in HEADERS {
        let run = sandbox.run(&["-t"], input.replace("{}", WHOLE));
        let kept = sandbox.take_messages();
        let found = match (run.code(), kept.as_slice()) {
            (0, [message]) => (message.recipients().join(" "), shape(message, input)),
            (0, _) | (_, [_, ..]) => panic!("{input:?}: exit code {} and {} messages", run.code(), kept.len()),
            (code, []) => {
                let word = recipients.split_once(' ').map_or("", |(_, word)| word);
                assert!(run.stderr.lines().count() == 1 && run.stdout.is_empty(), "{input:?}: {}", run.stderr);
                let line = if run.stderr.contains(word) { word } else { &run.stderr };
                (format!("{code} {line}"), String::new())
            }
        };
        if found != (recipients.to_string(), header.to_string()) {
            wrong.push((input, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The header section, with what was added by its name alone.
fn shape(message: &Message, input: &str) -> String {
    let whole = message.text.split_inclusive("\r\n").take_while(|line| *line != "\r\n").collect::<String>().replace("\r\n", "\n");
    let text = whole.replace(WHOLE, "{}");
    let lines = text.split_inclusive('\n').map(|line| match line.split_once(": ") {
        Some((name, _)) if ADDED.contains(&name) && !input.to_lowercase().contains(&format!("{}:", name.to_lowercase())) => {
            format!("+{name}\n")
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

const ADDED: &[&str] = &["Date", "Message-ID", "From", "Resent-Date", "Resent-Message-ID", "Resent-From"];

#[test]
fn t_hdr_1_nothing_that_is_said_of_the_sender_adds_a_field() {
    let sandbox = Sandbox::new("");
    for name in [
        "Ann\nBcc: b@y.example",
        "Ann\r\n\r\nbody",
        "Ann\rBcc: b",
        "Ann\u{2028}Bcc: b",
        "\"",
        "\\",
        "(",
        "Ann <evil@y>",
        "=?utf-8?q?=0ABcc:?=",
        "\u{7f}\u{1b}[2J",
    ] {
        let by_option = sandbox.send(&["-F", name, "a@x.example"], "Subject: s\n\nx\n");
        let mut command = sandbox.command(super::super::sandbox::SENDMAIL);
        let run = super::super::sandbox::finish(command.env("NAME", name).arg("a@x.example").spawn().unwrap(), b"Subject: s\n\nx\n");
        assert_eq!(run.code(), 0, "{name:?}");
        for message in [by_option, sandbox.take_messages().remove(0)] {
            let names: Vec<&str> = message.header().split("\r\n").map(|line| line.split(':').next().unwrap()).collect();
            assert_eq!((names.as_slice(), message.body()), (&["Subject", "Date", "Message-ID", "From"][..], "x\r\n"), "{name:?}");
            let from = message.header().rsplit("From:").next().unwrap();
            assert!(from.ends_with("@m.example>") && from.chars().all(|c| c.is_ascii() && !c.is_control()), "{name:?}: {from:?}");
        }
    }
}

/// True if a line begins as a Bcc field does. The letters alone stand in many a random Message-ID.
pub(crate) fn has_bcc(message: &Message) -> bool {
    let names = message.text.split("\r\n").filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim_end());
    names.into_iter().any(|name| ["bcc", "resent-bcc"].iter().any(|bcc| name.eq_ignore_ascii_case(bcc)))
}

#[test]
fn t_hdr_2_every_position_of_bcc_among_other_fields_is_found() {
    let sandbox = Sandbox::new("");
    let fields = ["Subject: s\n", "To: a@x.example\n", "X-A: v\n w\n", "Received: r\n", "From: f@x.example\n"];
    for place in 0..=fields.len() {
        let mut header = fields.to_vec();
        header.insert(place, "Bcc: secret@y.example\n (secret)\n");
        for argv in [&["-t"][..], &["a@x.example"], &["-t", "-i", "a@x.example"]] {
            let message = sandbox.send(argv, format!("{}\nx\n", header.concat()));
            assert_eq!(message.recipients().contains(&"secret@y.example".to_owned()), argv.contains(&"-t"));
            assert!(!message.text.contains("secret") && !has_bcc(&message), "{}", message.text);
        }
    }
}
