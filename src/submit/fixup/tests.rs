use super::*;
use crate::head::Collector;

/// `header` (LF lines) completed with fixed additions, as LF lines.
fn completed(header: &[u8]) -> String {
    fixed_by(header, Some(b"Alice"), false)
}

fn fixed_by(header: &[u8], display_name: Option<&[u8]>, undisclosed: bool) -> String {
    let mut collector = Collector::default();
    for line in header.split_inclusive(|&b| b == b'\n') {
        collector.feed(line.strip_suffix(b"\n").unwrap_or(line)).unwrap();
        collector.feed(b"\r\n").unwrap();
    }
    let collected = collector.finish();
    let head = collected.head();
    let author = Address::parse("alice@m.example").unwrap();
    let additions = Additions { date: "DATE".into(), message_id: "<ID@m.example>".into(), display_name, author: &author, undisclosed };
    let out = fix(&head, "m.example", Missing::of(&head), &additions);
    String::from_utf8(out).unwrap().replace("\r\n", "\n")
}

/// A header that lacks nothing, so that only the line under test can change.
fn line(text: &str) -> String {
    let rest = "Date: d\nMessage-ID: <m>\nFrom: a@x.example\n";
    let out = completed(format!("{text}{rest}").as_bytes());
    out.strip_suffix(rest).unwrap_or(&out).to_owned()
}

#[test]
fn h2_what_is_missing_is_added_at_the_end_and_nothing_else() {
    assert_eq!(completed(b"Subject: x\n"), "Subject: x\nDate: DATE\nMessage-ID: <ID@m.example>\nFrom: Alice <alice@m.example>\n");
    assert_eq!(completed(b""), "Date: DATE\nMessage-ID: <ID@m.example>\nFrom: Alice <alice@m.example>\n");
    let whole = "X-First:  odd   spacing \nDATE: d\nmessage-id: <m>\nfrom: a@x.example\n\tX\n";
    assert_eq!(completed(whole.as_bytes()), whole);
    assert!(fixed_by(b"Subject: x\n", None, true).ends_with("To: undisclosed-recipients:;\n"));
    assert!(!fixed_by(b"Cc: x@y\n", None, true).contains("undisclosed"));
}

#[test]
fn h4_a_resent_message_gets_resent_fields_and_plain_ones_only_if_it_has_none() {
    assert_eq!(
        completed(b"Date: d\nFrom: a@x.example\nResent-To: b@x.example\n"),
        "Date: d\nFrom: a@x.example\nResent-To: b@x.example\nResent-Date: DATE\nResent-Message-ID: <ID@m.example>\nResent-From: Alice <alice@m.example>\n"
    );
    let bare = completed(b"Resent-Bcc: b@x.example\nResent-Date: d\n");
    assert!(bare.contains("\nDate: DATE\n") && bare.contains("\nFrom: Alice") && !bare.contains("\nMessage-ID"), "{bare}");
}

#[test]
fn r9_i9_bcc_and_fields_that_are_not_the_submitters_are_dropped_with_their_folds() {
    let header = "Bcc: secret@x.example,\n more@x.example\nTo: a@x.example\nBCC : s@x\nbcc:\nReturn-Path: <r@x>\nContent-Length: 7\n";
    let kept = "Received: kept\nSender: s@x.example\nErrors-To: e@x\nX-Y: z\n";
    assert_eq!(line(&format!("{header}{kept}")), format!("To: a@x.example\n{kept}"));
    assert!(!completed(b"Resent-Bcc: s@x.example\n").contains("Bcc"));
}

#[test]
fn r10_a_blank_before_the_colon_is_removed() {
    assert_eq!(line("To : a@x.example\nX-Y\t : z\n"), "To: a@x.example\nX-Y: z\n");
}

#[test]
fn h5_bare_addresses_are_qualified_where_they_stand() {
    for (given, expected) in [
        ("To: root\n", "To: root@m.example\n"),
        ("To: Root <root>, b@x.example,  alice (c)\n", "To: Root <root@m.example>, b@x.example,  alice@m.example (c)\n"),
        ("Cc: g: root, \"a b\";\n", "Cc: g: root@m.example, \"a b\"@m.example;\n"),
        ("Reply-To:\n root\n", "Reply-To:\n root@m.example\n"),
        ("Sender: cron\n", "Sender: cron@m.example\n"),
        ("To: John Smith\n", "To: John Smith\n"),
        ("To: undisclosed-recipients:;\n", "To: undisclosed-recipients:;\n"),
        ("Errors-To: root\n", "Errors-To: root\n"),
        ("X-To: root\n", "X-To: root\n"),
    ] {
        assert_eq!(line(given), expected, "{given:?}");
    }
}

#[test]
fn h6_raw_8_bit_text_is_encoded_and_addresses_are_not() {
    for (given, expected) in [
        ("Subject: Grüße\n", "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\n"),
        ("To: Jörg Müller <jm@x.example>\n", "To: =?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <jm@x.example>\n"),
        ("To: \"Müller, Jörg\" <jm@x.example>, root\n", "To: =?utf-8?Q?M=C3=BCller=2C_J=C3=B6rg?= <jm@x.example>, root@m.example\n"),
        ("To: Hans J. Müller <h@x.example>\n", "To: Hans J. =?utf-8?Q?M=C3=BCller?= <h@x.example>\n"),
        ("To: a@x.example (Büro (groß) da)\n", "To: a@x.example (=?utf-8?Q?B=C3=BCro?= (=?utf-8?Q?gro=C3=9F?=) da)\n"),
        ("To: Büro: a@x.example;\n", "To: =?utf-8?Q?B=C3=BCro?=: a@x.example;\n"),
        ("To: <jörg@x.example>\n", "To: <jörg@x.example>\n"),
        ("Errors-To: Ü <e@x.example>\n", "Errors-To: =?utf-8?Q?=C3=9C?= <e@x.example>\n"),
        (
            "Content-Disposition: attachment; filename=\"Maß 1.pdf\"\n",
            "Content-Disposition: attachment; filename*=utf-8''Ma%C3%9F%201.pdf\n",
        ),
        ("Content-Type: text/plain; name=ü\n", "Content-Type: text/plain; =?utf-8?Q?name=3D=C3=BC?=\n"),
        ("X-Note: \"ü\n", "X-Note: =?utf-8?B?IsO8?=\n"),
    ] {
        assert_eq!(line(given), expected, "{given:?}");
    }
    let latin1 = completed(b"Subject: Gr\xfc\xdfe\nTo: M\xfcller <m@x.example>\n");
    assert!(latin1.starts_with("Subject: =?unknown-8bit?Q?Gr=FC=DFe?=\nTo: =?unknown-8bit?Q?M=FCller?= <m@x.example>\n"), "{latin1}");
}

#[test]
fn h3_display_names_are_atoms_quoted_or_encoded() {
    let from = |name: &[u8]| fixed_by(b"Date: d\nMessage-ID: <m>\n", Some(name), false).lines().skip(2).collect::<Vec<_>>().join("\n");
    for (name, field) in [
        ("Alice Q", "From: Alice Q <alice@m.example>"),
        ("Alice Q. Example", "From: \"Alice Q. Example\" <alice@m.example>"),
        ("Q (x) \"y\" <z>\\", "From: \"Q (x) \\\"y\\\" <z>\\\\\" <alice@m.example>"),
        ("  ", "From: alice@m.example"),
        ("a\r\nBcc: b@x", "From: \"a  Bcc: b@x\" <alice@m.example>"),
        ("Jörg", "From: =?utf-8?Q?J=C3=B6rg?= <alice@m.example>"),
    ] {
        assert_eq!(from(name.as_bytes()), field, "{name:?}");
    }
    assert_eq!(from(b"J\xf6rg"), "From: =?unknown-8bit?Q?J=F6rg?= <alice@m.example>");
    assert_eq!(fixed_by(b"Date: d\nMessage-ID: <m>\n", None, false), "Date: d\nMessage-ID: <m>\nFrom: alice@m.example\n");
}

#[test]
fn h9_no_line_that_leaves_is_longer_than_998_bytes() {
    let out = fixed_by(format!("To: {}\nSubject: {}\n", "a, ".repeat(900), "x".repeat(3000)).as_bytes(), Some(&b"n ".repeat(2000)), false);
    assert!(out.lines().all(|line| line.len() <= 998));
}

#[test]
fn t_hdr_4_a_mebibyte_of_any_one_thing_is_corrected_in_linear_time() {
    for (begin, piece, end) in [
        ("To: ", "ü <a@x>,", ""),
        ("To: ", "(ü)ü (ü) b <a@x>(ü),", ""),
        ("To: ", "\"ü\" ", "<a@x>"),
        ("To: ", "(ü", ""),
        ("Subject: ", "=?ü ", ""),
        ("Content-Type: text/plain; ", "n=\"ü\";", ""),
        ("Content-Type: text/plain; ", "\"", "ü"),
        ("X: a", " ", ""),
        ("X: a", " ", "b"),
        ("X: a\n", " ", ""),
        ("X: ", "aü", ""),
    ] {
        let header = format!("{begin}{}{end}\n", piece.repeat((1 << 19) / piece.len()));
        // Processor time: other processes cannot use it up.
        let cpu = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
        let start = cpu();
        let out = completed(header.as_bytes());
        // A quadratic step needs minutes here, a linear one a tenth of a second.
        assert!((cpu() - start).tv_sec() < 20, "{begin}{piece}");
        assert!(out.lines().all(|line| line.len() <= 998 && !line.trim().is_empty()), "{begin}{piece}");
    }
}

proptest::proptest! {
    #[test]
    fn r9_no_byte_of_bcc_survives_and_the_result_is_a_header_section(
        fields in proptest::collection::vec(("(bcc|BCC|Resent-Bcc|To|X-Y|Subject|From )( |\t)?", "[ -~\u{fc}\t]{0,30}"), 0..6),
    ) {
        let mut header = String::new();
        let mut has_from = false;
        for (name, value) in &fields {
            has_from |= name.trim() == "From";
            let secret = if name.to_lowercase().contains("bcc") { "SECRET" } else { "" };
            header.push_str(&format!("{name}: {secret}{value}\n {secret}fold\n"));
        }
        let out = completed(header.as_bytes());
        proptest::prop_assert!(!out.contains("SECRET"));
        let wire = out.replace('\n', "\r\n");
        let section = mail::header::Section::scan(wire.as_bytes());
        proptest::prop_assert_eq!(section.end, wire.len());
        let kept = fields.iter().filter(|(name, _)| !name.to_lowercase().contains("bcc")).count();
        let resent = fields.iter().any(|(name, _)| name.trim() == "Resent-Bcc");
        let added = 1 + usize::from(!has_from) + if resent { 3 } else { 1 };
        proptest::prop_assert_eq!(section.fields.len(), kept + added);
    }
}
