//! SENDMAIL.md section 8: SMTP on standard input and output.

use std::fs;
use std::io::{BufRead, BufReader, Write};

use super::sandbox::{SENDMAIL, Sandbox};

/// The reply lines to a dialogue whose lines end in CRLF, piped in blindly; and the exit code.
fn dialogue(sandbox: &Sandbox, lines: &[&str]) -> (Vec<String>, i32) {
    replies(sandbox, &lines.iter().map(|line| format!("{line}\r\n")).collect::<String>())
}

fn replies(sandbox: &Sandbox, input: &str) -> (Vec<String>, i32) {
    let run = sandbox.run(&["-bs"], input);
    assert!(run.stdout.split_terminator("\r\n").all(|line| !line.contains(['\r', '\n'])), "{:?}", run.stdout);
    (run.stdout.split_terminator("\r\n").map(ToOwned::to_owned).collect(), run.code())
}

#[test]
fn section_8_a_session_with_two_messages() {
    let sandbox = Sandbox::new("");
    let message = [
        "MAIL FROM:<f@x.example>",
        "RCPT TO:<a@x.example>",
        "RCPT TO:<root>",
        "DATA",
        "Subject: s",
        "Bcc: secret@x.example",
        "",
        "..hello",
        ".x",
        ".",
    ];
    let lines: Vec<&str> = ["EHLO me"].into_iter().chain(message).chain(["NOOP"]).chain(message).chain(["QUIT"]).collect();
    let (replies, code) = dialogue(&sandbox, &lines);
    assert_eq!(code, 0);
    let messages = sandbox.take_messages();
    assert_eq!(messages.len(), 2);
    let queued: Vec<String> = replies.iter().filter(|line| line.contains("queued")).cloned().collect();
    for message in &messages {
        assert!(queued.contains(&format!("250 2.0.0 Ok: queued as {}", message.envelope.id)), "{queued:?}");
        assert_eq!(message.recipients(), ["a@x.example", "root@m.example"]);
        assert_eq!(message.envelope.reverse_path.to_string(), "f@x.example");
        assert_eq!(message.body(), ".hello\r\nx\r\n");
        assert!(message.text.contains("\r\nFrom: f@x.example\r\n") && !message.text.contains("secret"), "{}", message.text);
    }
    let codes: Vec<&str> = replies.iter().map(|line| &line[..3]).collect();
    assert_eq!(codes.join(" "), "220 250 250 250 250 250 250 250 250 250 250 354 250 250 250 250 250 354 250 221");
    assert_eq!(replies[0], "220 m.example ESMTP mailchute");
    assert_eq!(
        replies[1..8],
        ["250-m.example", "250-PIPELINING", "250-SIZE 52428800", "250-8BITMIME", "250-ENHANCEDSTATUSCODES", "250-DSN", "250 SMTPUTF8"]
    );
    assert_eq!((replies[8].as_str(), replies[9].as_str()), ("250 2.1.0 Ok", "250 2.1.5 Ok"));
}

#[test]
fn section_8_replies_to_everything_else() {
    let sandbox = Sandbox::new("message_size_limit = \"1KiB\"\nrecipient_limit = 2\nunknown_local = \"reject\"");
    for (line, reply) in [
        ("HELO me", "250 m.example"),
        ("NOOP", "250 2.0.0 Ok"),
        ("RSET", "250 2.0.0 Ok"),
        ("VRFY root", "252 2.0.0"),
        ("HELP", "214"),
        ("EXPN x", "502 5.5.1"),
        ("ETRN x", "502 5.5.1"),
        ("STARTTLS", "502 5.5.1"),
        ("AUTH PLAIN x", "503 5.5.1"),
        ("BDAT 1", "502"),
        ("XYZZY", "500 5.5.2"),
        ("RCPT TO:<a@x>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("MAIL FROM:<a b@x>", "501 5.1.7"),
        ("MAIL FROM:<a@x> SIZE=9999", "552 5.3.4"),
        (&format!("NOOP {}", "x".repeat(9000)), "500 5.5.2"),
    ] {
        let (replies, code) = dialogue(&sandbox, &[line, "QUIT"]);
        assert!(replies[1].starts_with(reply), "{line:.40}: {replies:?}");
        assert_eq!((replies[2].as_str(), code), ("221 2.0.0 Bye", 0));
    }
    let (replies, _) = dialogue(
        &sandbox,
        &[
            "MAIL FROM:<a@x>",
            "MAIL FROM:<a@x>",
            "DATA",
            "RCPT TO:<a b@x>",
            "RCPT TO:<nobody>",
            "RCPT TO:<a@x>",
            "RCPT TO:<b@x>",
            "RCPT TO:<c@x>",
            "QUIT",
        ],
    );
    let codes: Vec<&str> = replies[1..].iter().map(|line| &line[..9]).collect();
    assert_eq!(
        codes,
        ["250 2.1.0", "503 5.5.1", "554 5.5.1", "501 5.1.3", "550 5.1.1", "250 2.1.5", "250 2.1.5", "452 4.5.3", "221 2.0.0"],
        "{replies:?}"
    );
    sandbox.assert_nothing_is_left();
}

#[test]
fn s8_dsn_parameters_are_kept_for_each_recipient() {
    let sandbox = Sandbox::new("");
    dialogue(
        &sandbox,
        &[
            "EHLO me",
            "MAIL FROM:<> RET=FULL ENVID=a+20b BODY=8BITMIME SMTPUTF8 AUTH=<>",
            "RCPT TO:<a@x.example> NOTIFY=NEVER ORCPT=rfc822;orig@x",
            "RCPT TO:<b@x.example>",
            "DATA",
            "",
            "x",
            ".",
            "QUIT",
        ],
    );
    let envelope = sandbox.take_messages().remove(0).envelope;
    assert_eq!(envelope.reverse_path.to_string(), "");
    assert_eq!((envelope.ret, envelope.envid.as_deref()), (Some(mail::envelope::Ret::Full), Some("a b")));
    assert_eq!(envelope.recipients[0].orcpt.as_deref(), Some("rfc822;orig@x"));
    assert_eq!(envelope.recipients[0].notify, Some(mail::envelope::Notify::NEVER));
    assert_eq!((&envelope.recipients[1].orcpt, envelope.recipients[1].notify), (&None, None));
}

#[test]
fn section_8_a_lf_session_and_a_bare_lf_in_a_crlf_session() {
    let sandbox = Sandbox::new("");
    let (lf, code) = replies(&sandbox, "HELO me\nMAIL FROM:<f@x>\nRCPT TO:<a@x>\nDATA\nA: 1\n\n..b\n.\nQUIT\n");
    assert_eq!((lf.last().map(String::as_str), code), (Some("221 2.0.0 Bye"), 0), "{lf:?}");
    assert_eq!(sandbox.take_messages().remove(0).body(), ".b\r\n");
    let smuggled = "HELO me\r\nMAIL FROM:<f@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n\r\nx\n.\r\nMAIL FROM:<evil@x>\r\n.\r\nQUIT\r\n";
    let (crlf, code) = replies(&sandbox, smuggled);
    assert!(crlf[5].starts_with("550 5.5.2 bare LF"), "{crlf:?}");
    assert_eq!((crlf[6].as_str(), code), ("221 2.0.0 Bye", 0));
    let (bare, _) = replies(&sandbox, "HELO me\r\nNOOP\nQUIT\r\n");
    assert!(bare[2].starts_with("500 5.5.2"), "{bare:?}");
    sandbox.assert_nothing_is_left();
}

#[test]
fn section_8_the_fix_ups_and_limits_are_those_of_any_message() {
    let sandbox = Sandbox::new("message_size_limit = \"1KiB\"");
    let head = ["HELO me", "MAIL FROM:<f@x>", "RCPT TO:<a@x>", "DATA"];
    let send = |lines: &[&str]| dialogue(&sandbox, &head.iter().chain(lines).copied().chain([".", "QUIT"]).collect::<Vec<_>>());
    let (replies, _) = send(&["Subject: Gr\u{fc}\u{df}e", "To : root", "no blank line"]);
    assert!(replies[5].starts_with("250 2.0.0 Ok: queued as "), "{replies:?}");
    let message = sandbox.take_messages().remove(0);
    assert!(message.header().starts_with("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nTo: root@m.example\r\nDate: "), "{}", message.text);
    assert_eq!(message.body(), "no blank line\r\n");
    let long = "x".repeat(3000);
    for (lines, reply) in [(&[long.as_str()][..], "552 5.3.4"), (&["From: a@x", "From: b@x", ""], "554 5.6.0")] {
        let (replies, code) = send(lines);
        assert!(replies[5].starts_with(reply), "{replies:?}");
        assert_eq!((replies[6].as_str(), code), ("221 2.0.0 Bye", 0), "the session goes on");
    }
    sandbox.assert_nothing_is_left();
}

#[test]
fn section_8_policy_and_a_missing_spool_have_their_replies() {
    let sandbox = Sandbox::new("sender_policy = \"list\"");
    let (replies, code) = dialogue(&sandbox, &["MAIL FROM:<f@x>", "QUIT"]);
    let is_root = nix::unistd::Uid::current().is_root();
    assert_eq!((replies[1].starts_with("554 5.7.1"), code), (!is_root, 0), "{replies:?}");
    let sandbox = Sandbox::new("");
    fs::remove_dir_all(sandbox.spool()).unwrap();
    let (replies, code) = dialogue(&sandbox, &["MAIL FROM:<f@x>", "RCPT TO:<a@x>", "DATA", "", "x", ".", "QUIT"]);
    assert!(replies[4].starts_with("451 4.3.0 Error: cannot open the drop directory"), "{replies:?}");
    assert_eq!((replies[5].as_str(), code), ("221 2.0.0 Bye", 0));
}

#[test]
fn section_8_how_a_session_ends() {
    let sandbox = Sandbox::new("");
    assert_eq!(dialogue(&sandbox, &["HELO me"]).1, 0, "the end of the input between messages");
    assert_eq!(dialogue(&sandbox, &["HELO me", "MAIL FROM:<f@x>", "RCPT TO:<a@x>"]).1, 0);
    let (_, code) = dialogue(&sandbox, &["HELO me", "MAIL FROM:<f@x>", "RCPT TO:<a@x>", "DATA", "", "half"]);
    assert_eq!(code, 74, "the end of the input within a message");
    sandbox.assert_nothing_is_left();
    let (replies, code) = dialogue(&sandbox, &["XYZZY"; 30]);
    assert_eq!((replies.len(), replies.last().map(|line| &line[..3]), code), (22, Some("421"), 0), "{replies:?}");
}

#[test]
fn c3_a_client_that_waits_for_each_reply_gets_it() {
    let sandbox = Sandbox::new("");
    let mut child = sandbox.command(SENDMAIL).args(["-bs", "-odb", "-oem", "-fignored@x"]).spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut expect = |code: &str| {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        assert!(line.starts_with(code), "{code}: {line}");
    };
    expect("220 ");
    for _ in 0..3 {
        for (line, code) in
            [("HELO [127.0.0.1]", "250 "), ("MAIL FROM:<f@x.example>", "250 "), ("RCPT TO:<a@x.example>", "250 "), ("DATA", "354 ")]
        {
            to.write_all(format!("{line}\r\n").as_bytes()).unwrap();
            expect(code);
        }
        to.write_all(b"Subject: s\r\n\r\nbody\r\n.\r\n").unwrap();
        expect("250 2.0.0 Ok: queued as ");
    }
    to.write_all(b"QUIT\r\n").unwrap();
    expect("221 ");
    assert!(child.wait().unwrap().success());
    assert_eq!(sandbox.take_messages().len(), 3);
}
