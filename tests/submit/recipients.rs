//! SENDMAIL.md section 3, through the program.

use super::sandbox::Sandbox;

#[test]
fn r1_r2_r6_operands_and_header_together_bare_names_qualified() {
    let sandbox = Sandbox::new("");
    let message = sandbox.send(&["-t", "root,op@y.example"], "To: A <a@x.example>, g: b;\nCc: c@x.example (c)\nBcc: d\n\nx\n");
    assert_eq!(message.recipients(), ["root@m.example", "op@y.example", "a@x.example", "b@m.example", "c@x.example", "d@m.example"]);
    assert!(message.header().contains("To: A <a@x.example>, g: b@m.example;\r\n"));
    assert_eq!(message.envelope.recipients.iter().filter(|recipient| recipient.original.is_some()).count(), 0);
}

#[test]
fn r2_resent_fields_replace_the_plain_ones() {
    let sandbox = Sandbox::new("");
    let message = sandbox.send(&["-t"], "To: a@x.example\nFrom: f@x.example\nDate: d\nResent-Bcc: b@x.example\n\nx\n");
    assert_eq!(message.recipients(), ["b@x.example"]);
    assert!(message.header().contains("\r\nResent-From: ") && !message.text.contains("b@x.example"));
}

#[test]
fn r5_one_malformed_address_and_nothing_is_kept() {
    let sandbox = Sandbox::new("");
    let (code, line) = sandbox.refused(&["good@x.example", "a b@x.example", ""], "x\n");
    assert_eq!(code, 65);
    assert!(line.contains("`a b@x.example`") && line.contains("`` (empty address)") && !line.contains("`good"), "{line}");
    let (code, line) = sandbox.refused(&["x@", "@y.example", "bob@[1.2.3]"], "x\n");
    assert_eq!(code, 65);
    for text in ["`x@` (nothing after the @)", "`@y.example` (nothing before the @)", "`bob@[1.2.3]` (no IP address in the brackets"] {
        assert!(line.contains(text), "{line}");
    }
    assert_eq!(sandbox.refused(&["-t"], "To: a@x.example\nCc: \"unclosed\n\nx\n").0, 65);
    assert_eq!(sandbox.refused(&["--", "-oQ/tmp"], "x\n").0, 65);
}

#[test]
fn r7_duplicates_are_one_and_too_many_are_65() {
    let sandbox = Sandbox::new("recipient_limit = 3");
    let message = sandbox.send(&["a@x.example", "a@X.EXAMPLE", "<a@x.example>", "A@x.example"], "x\n");
    assert_eq!(message.recipients(), ["a@x.example", "A@x.example"]);
    let (code, line) = sandbox.refused(&["a@x,b@x,c@x,d@x"], "x\n");
    assert_eq!(code, 65);
    assert!(line.contains("too many recipients"), "{line}");
}

#[test]
fn r8_r11_no_recipients_are_64() {
    let sandbox = Sandbox::new("");
    let (code, line) = sandbox.refused(&["-t"], "\nTo: a@x.example\n\nx\n");
    assert_eq!(code, 64);
    assert!(line.ends_with(": No recipient addresses found in message header\n"), "{line}");
    let (code, line) = sandbox.refused(&[], "To: a@x.example\n\nx\n");
    assert_eq!(code, 64);
    assert!(line.ends_with("must be specified on the command line or via the -t option\n"), "{line}");
}

#[test]
fn r3_operands_are_taken_away_where_configured() {
    let sandbox = Sandbox::new("t_arguments = \"remove\"");
    assert_eq!(sandbox.send(&["-t", "a@x.example"], "To: a@x.example, b@x.example\n\n").recipients(), ["b@x.example"]);
}

#[test]
fn section_9_admin_address_and_unknown_local() {
    let sandbox = Sandbox::new("admin_address = \"admin@y.example\"");
    let message = sandbox.send(&["root", "alice@localhost", "far@x.example"], "x\n");
    assert_eq!(message.recipients(), ["admin@y.example", "far@x.example"]);
    assert_eq!(message.envelope.recipients[0].original.as_deref(), Some("root"));
    let sandbox = Sandbox::new("unknown_local = \"reject\"");
    assert_eq!(sandbox.refused(&["root"], "x\n").0, 67);
}

#[test]
fn c6_a_backslash_quotes_the_next_character_and_is_removed() {
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.send(&["o\\'neil@x.example", "x\\=y@x.example"], "x\n").recipients(), ["o'neil@x.example", "x=y@x.example"]);
}

#[test]
fn rfc_6531_addresses_beyond_ascii_ask_for_smtputf8_and_subjects_do_not() {
    let sandbox = Sandbox::new("");
    assert!(sandbox.send(&["grün@bücher.example"], "x\n").envelope.smtputf8);
    assert!(sandbox.send(&["a@x.example"], "To: jörg@x.example\n\nx\n").envelope.smtputf8);
    assert!(!sandbox.send(&["a@x.example"], "Subject: Grüße\nTo: Jörg <j@x.example>\n\nx\n").envelope.smtputf8);
}
