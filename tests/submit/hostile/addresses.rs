//! T-HDR-3: addresses as people, programs and attackers write them: as an operand, in a `To` field with `-t`, and as the value of
//! `-f`. Where one is taken, the canonical form is that of the envelope, which stands between `<` and `>` on the wire.

use super::super::sandbox::{Run, Sandbox};

/// The text; the recipients that it stands for, or the exit code; the reverse-path that it stands for, or the exit code.
type Row = (&'static str, &'static str, &'static str);

#[rustfmt::skip] // a table is easier to read when each row is a line
const ADDRESSES: &[Row] = &[
    // Plain ones.
    ("a@x.example", "a@x.example", "a@x.example"),
    ("A.B@X.Example", "A.B@X.Example", "A.B@X.Example"),
    ("a", "a@m.example", "a@m.example"),
    ("a@x", "a@x", "a@x"),
    ("a@x.example.", "a@x.example", "a@x.example"),
    ("1@2", "1@2", "1@2"),
    ("<a@x.example>", "a@x.example", "a@x.example"),
    ("<a>", "a@m.example", "a@m.example"),
    ("a+tag@x.example", "a+tag@x.example", "a+tag@x.example"),
    ("a/b@x.example", "a/b@x.example", "a/b@x.example"),
    ("a=b@x.example", "a=b@x.example", "a=b@x.example"),
    ("a%b.example@x.example", "a%b.example@x.example", "a%b.example@x.example"),
    ("y.example!a", "y.example!a@m.example", "y.example!a@m.example"),
    ("y!a@x.example", "y!a@x.example", "y!a@x.example"),
    ("!#$%&'*+-/=?^_`{|}~@x.example", "!#$%&'*+-/=?^_`{|}~@x.example", "!#$%&'*+-/=?^_`{|}~@x.example"),
    ("|a@x.example", "|a@x.example", "|a@x.example"),
    ("~root", "~root@m.example", "~root@m.example"),
    ("*", "*@m.example", "*@m.example"),
    ("a-@x.example", "a-@x.example", "a-@x.example"),
    ("_a_@x_y.example", "_a_@x_y.example", "_a_@x_y.example"),
    // Dots where RFC 5321 4.1.2 has none go in quotes, as with Postfix.
    (".b.@y.example", "\".b.\"@y.example", "\".b.\"@y.example"),
    ("a..b@y.example", "\"a..b\"@y.example", "\"a..b\"@y.example"),
    (".@y.example", "\".\"@y.example", "\".\"@y.example"),
    ("\".b.\"@y.example", "\".b.\"@y.example", "\".b.\"@y.example"),
    // Blanks.
    (" a@x.example ", "a@x.example", "64"),
    ("< a@x.example >", "a@x.example", "64"),
    ("a @ x . example", "a@x.example", "64"),
    ("a @x.example", "a@x.example", "64"),
    ("a b", "65", "64"),
    ("a b@x.example", "65", "64"),
    ("a@x.example b@y.example", "65", "64"),
    ("a@x example", "65", "64"),
    ("a@x. .example", "65", "64"),
    // Comments.
    ("a@x.example (c)", "a@x.example", "64"),
    ("(c) a@x.example", "a@x.example", "64"),
    ("a(c)@x.example", "a@x.example", "64"),
    ("a@(c)x.example", "a@x.example", "64"),
    ("a@x(c).example", "a@x.example", "64"),
    ("<a@x.example(c)>", "a@x.example", "64"),
    ("a@x.example (a(b(c)d)e)", "a@x.example", "64"),
    ("a@x.example (\\) \\( \\\\)", "a@x.example", "64"),
    ("a@x.example (evil@y.example)", "a@x.example", "64"),
    ("(a@x.example", "65", "64"),
    ("a@x.example (", "65", "64"),
    ("a@x.example )", "65", "64"),
    ("a@x.example (()", "65", "64"),
    ("a()b@x.example", "65", "64"),
    // Names.
    ("Name <a@x.example>", "a@x.example", "64"),
    ("Name<a@x.example>", "a@x.example", "64"),
    ("N. M. <a@x.example>", "a@x.example", "64"),
    ("\"N, M\" <a@x.example>", "a@x.example", "64"),
    ("\"N <evil@y.example>\" <a@x.example>", "a@x.example", "64"),
    ("\"\" <a@x.example>", "a@x.example", "64"),
    ("=?utf-8?q?N=2C?= <a@x.example>", "a@x.example", "64"),
    ("J\u{f6}rg <a@x.example>", "a@x.example", "64"),
    ("a@x.example <b@y.example>", "b@y.example", "64"),
    ("Name (c) <a> (c)", "a@m.example", "64"),
    ("Name a@x.example", "65", "64"),
    ("Name <a@x.example> tail", "65", "64"),
    ("Name <a b@x.example>", "65", "64"),
    ("Name <a@x.example", "65", "64"),
    ("Name a@x.example>", "65", "64"),
    ("<<a@x.example>>", "65", "64"),
    ("<a@x.example><b@y.example>", "65", "64"),
    ("><", "65", "64"),
    ("Name <>", "65", "64"),
    ("<>", "65", ""),
    ("< >", "65", "64"),
    // Quotes.
    ("\"a b\"@x.example", "\"a b\"@x.example", "\"a b\"@x.example"),
    ("\"a\"@x.example", "a@x.example", "a@x.example"),
    ("\"a.b\"@x.example", "a.b@x.example", "a.b@x.example"),
    ("\"a\\\"b\"@x.example", "\"a\\\"b\"@x.example", "\"a\\\"b\"@x.example"),
    ("\"a\\\\b\"@x.example", "\"a\\\\b\"@x.example", "\"a\\\\b\"@x.example"),
    ("\"\\a\"@x.example", "a@x.example", "a@x.example"),
    ("\"a@b\"@x.example", "\"a@b\"@x.example", "\"a@b\"@x.example"),
    ("\"a,b\"@x.example", "\"a,b\"@x.example", "\"a,b\"@x.example"),
    ("\"a;b:c\"@x.example", "\"a;b:c\"@x.example", "\"a;b:c\"@x.example"),
    ("\"<a>\"@x.example", "\"<a>\"@x.example", "\"<a>\"@x.example"),
    ("\"> SIZE=1 <\"@x.example", "\"> SIZE=1 <\"@x.example", "\"> SIZE=1 <\"@x.example"),
    ("\"(c)\"@x.example", "\"(c)\"@x.example", "\"(c)\"@x.example"),
    ("\" \"@x.example", "\" \"@x.example", "\" \"@x.example"),
    ("\"\"@x.example", "\"\"@x.example", "\"\"@x.example"),
    ("\"a b\"", "\"a b\"@m.example", "\"a b\"@m.example"),
    ("a.\"b c\".d@x.example", "\"a.b c.d\"@x.example", "\"a.b c.d\"@x.example"),
    ("\"a\"b@x.example", "65", "64"),
    ("a\"b\"@x.example", "65", "64"),
    ("\"a\"\"b\"@x.example", "65", "64"),
    ("\"a@x.example", "65", "64"),
    ("\"a\\\"@x.example", "65", "64"),
    ("a\"@x.example", "65", "64"),
    ("a@\"x.example\"", "65", "64"),
    ("\"a@x.example\"", "\"a@x.example\"@m.example", "\"a@x.example\"@m.example"),
    // Backslashes outside quotes (C6).
    ("o\\'neil@x.example", "o'neil@x.example", "o'neil@x.example"),
    ("a\\ b@x.example", "\"a b\"@x.example", "\"a b\"@x.example"),
    ("a\\@b@x.example", "\"a@b\"@x.example", "\"a@b\"@x.example"),
    ("a\\\\b@x.example", "\"a\\\\b\"@x.example", "\"a\\\\b\"@x.example"),
    ("a\\,b@x.example", "\"a,b\"@x.example", "\"a,b\"@x.example"),
    ("\\a", "a@m.example", "a@m.example"),
    ("a\\", "65", "64"),
    ("\\", "65", "64"),
    ("a@x.example\\", "65", "64"),
    // Routes, which nobody obeys any more.
    ("<@r.example:a@x.example>", "a@x.example", "64"),
    ("<@r.example,@s.example:a@x.example>", "a@x.example", "64"),
    ("Name <@r.example:a>", "a@m.example", "64"),
    ("<@r.example>", "65", "64"),
    ("<@r.example:>", "65", "64"),
    ("<@r.example a@x.example>", "65", "64"),
    ("@r.example:a@x.example", "65", "64"),
    // Groups and lists.
    ("a@x.example,b@y.example", "a@x.example b@y.example", "64"),
    ("a@x.example, b", "a@x.example b@m.example", "64"),
    ("a@x.example;b@y.example", "a@x.example b@y.example", "64"),
    (",a@x.example,", "a@x.example", "64"),
    ("a@x.example,,,b@y.example", "a@x.example b@y.example", "64"),
    ("a@x.example,A@X.EXAMPLE,a@X.EXAMPLE", "a@x.example A@X.EXAMPLE", "64"),
    ("g: a@x.example, b@y.example;", "a@x.example b@y.example", "64"),
    ("g: a@x.example;, b@y.example", "a@x.example b@y.example", "64"),
    ("g: a@x.example", "a@x.example", "64"),
    ("\"g h\": a@x.example;", "a@x.example", "64"),
    ("g:;", "64", "64"),
    ("g:;, h: (c);", "64", "64"),
    ("mailto:a@x.example", "a@x.example", "64"),
    ("g: h: a@x.example;;", "65", "64"),
    (":a@x.example;", "65", "64"),
    (":include:/etc/passwd", "65", "64"),
    ("a@x.example:25", "65", "64"),
    ("a@x.example,b@", "65", "64"),
    ("a@x.example,,@", "65", "64"),
    ("<a@x.example,b@y.example>", "65", "64"),
    // Domains.
    ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ("a@192.0.2.1", "a@192.0.2.1", "a@192.0.2.1"),
    ("a@[192.0.2.1]", "a@[192.0.2.1]", "a@[192.0.2.1]"),
    ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
    ("a@[ipv6:::1]", "a@[ipv6:::1]", "a@[ipv6:::1]"),
    ("a@[ 192.0.2.1 ]", "a@[192.0.2.1]", "a@[192.0.2.1]"),
    ("a@[2001:db8::1]", "65", "64"),
    ("a@[192.0.2.256]", "65", "64"),
    ("a@[x.example]", "65", "64"),
    ("a@[]", "65", "64"),
    ("a@[192.0.2.1", "65", "64"),
    ("a@192.0.2.1]", "65", "64"),
    ("a@[192.0.2.1].example", "65", "64"),
    ("a@[192.0.2.1\\]", "65", "64"),
    ("[192.0.2.1]@x.example", "65", "64"),
    ("a@-x.example", "65", "64"),
    ("a@x-.example", "65", "64"),
    ("a@x..example", "65", "64"),
    ("a@.x.example", "65", "64"),
    ("a@x.example..", "65", "64"),
    ("a@.", "65", "64"),
    ("a@", "65", "64"),
    ("@", "65", "64"),
    ("@x.example", "65", "64"),
    ("a@@x.example", "65", "64"),
    ("a@b@x.example", "65", "64"),
    ("a@x/y", "65", "64"),
    ("a@x!y", "65", "64"),
    ("a@x&y", "65", "64"),
    ("a@$(id).example", "65", "64"),
    ("a@(c)", "65", "64"),
    ("a@<x.example>", "65", "64"),
    // Beyond ASCII.
    ("gr\u{fc}n@x.example", "gr\u{fc}n@x.example", "gr\u{fc}n@x.example"),
    ("\"gr\u{fc}n \u{2713}\"@x.example", "\"gr\u{fc}n \u{2713}\"@x.example", "\"gr\u{fc}n \u{2713}\"@x.example"),
    ("a@b\u{fc}cher.example", "a@b\u{fc}cher.example", "a@b\u{fc}cher.example"),
    ("\u{430}@x.example", "\u{430}@x.example", "\u{430}@x.example"),
    ("a\u{202e}b@x.example", "a\u{202e}b@x.example", "a\u{202e}b@x.example"),
    ("a@x\u{202e}y.example", "65", "64"),
    ("a@x\u{200b}y.example", "65", "64"),
    ("a@x\u{2028}y.example", "65", "64"),
    ("a@x\u{ff0e}example", "65", "64"),
    ("a\u{85}b@x.example", "65", "64"),
    ("\u{feff}a@x.example", "\u{feff}a@x.example", "\u{feff}a@x.example"),
    // Hyphens in front (T-ARG-2).
    ("-a@x.example", "65", "64"),
    ("<-a@x.example>", "65", "64"),
    ("\"-a\"@x.example", "65", "64"),
    ("\\-a@x.example", "65", "64"),
    ("a,-b", "65", "64"),
    ("-", "65", "64"),
];

/// What can stand in a field, and in no word of a command line: there, a control character is refused before anything is read (P6).
#[rustfmt::skip]
const IN_FIELDS_ALONE: &[(&str, &str)] = &[
    ("", "64"),
    (" ", "64"),
    ("()", "64"),
    (",", "64"),
    ("\ta@x.example\t", "a@x.example"),
    ("a@x.example,\n\tb@y.example", "a@x.example b@y.example"),
    ("\r\n a@x.example", "a@x.example"),
    ("a\n @x.example", "a@x.example"),
    ("a@x.\n example", "a@x.example"),
    ("\"a\n b\"@x.example", "\"a b\"@x.example"),
    ("a@x.example (c\n d)", "a@x.example"),
    ("a@x.example,\n \n b@y.example", "a@x.example b@y.example"),
    ("a\r@x.example", "a@x.example"),
    ("a@x.\0example", "a@x.example"),
    ("a\x1b@x.example", "65"),
    ("a\x7f@x.example", "65"),
    ("\"a\x07\"@x.example", "65"),
    ("\"a\tb\"@x.example", "65"),
    ("a@x.example\nb@y.example", "a@x.example"),
];

/// What was made of one text.
fn outcome(sandbox: &Sandbox, run: &Run, of: impl Fn(&super::super::sandbox::Message) -> String) -> String {
    let mut kept = sandbox.take_messages();
    if run.code() != 0 {
        assert!(kept.is_empty() && run.stderr.lines().count() == 1, "{}", run.stderr);
        return run.code().to_string();
    }
    assert_eq!((kept.len(), run.stderr.as_str()), (1, ""));
    of(&kept.remove(0))
}

fn recipients(sandbox: &Sandbox, run: &Run) -> String {
    outcome(sandbox, run, |message| message.recipients().join(" "))
}

#[test]
fn t_hdr_3_r1_operands_in_every_dress() {
    assert!(ADDRESSES.len() >= 150, "{}", ADDRESSES.len());
    let sandbox = Sandbox::new("");
    let found = |text: &str| recipients(&sandbox, &sandbox.run(&["--", text], "x\n"));
    let wrong: Vec<_> = ADDRESSES.iter().map(|row| (row, found(row.0))).filter(|(row, found)| found != row.1).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn t_hdr_3_r4_header_fields_in_every_dress() {
    let sandbox = Sandbox::new("");
    let rows = ADDRESSES.iter().map(|(text, expected, _)| (*text, *expected));
    let rows = rows.chain(IN_FIELDS_ALONE.iter().copied());
    let found = |(name, text)| recipients(&sandbox, &sandbox.run(&["-t"], format!("{name}: {text}\n\nx\n")));
    let fields = rows.flat_map(|(text, expected)| ["To", "Resent-Cc", "bcc"].map(|name| ((name, text), expected)));
    let wrong: Vec<_> = fields.map(|(field, expected)| (field, expected, found(field))).filter(|row| row.1 != row.2).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn t_hdr_3_s2_senders_in_every_dress() {
    let sandbox = Sandbox::new("");
    let found = |option, text| {
        let run = sandbox.run(&[option, text, "to@x.example"], "x\n");
        outcome(&sandbox, &run, |message| message.envelope.reverse_path.to_string())
    };
    let rows = ADDRESSES.iter().flat_map(|(text, _, expected)| ["-f", "-r"].map(|option| (option, *text, *expected)));
    let wrong: Vec<_> = rows.map(|row| (row, found(row.0, row.1))).filter(|(row, found)| found != row.2).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn t_hdr_3_p6_no_control_character_passes_in_a_word() {
    let sandbox = Sandbox::new("");
    for control in (1..0x20).chain([0x7f]) {
        let word = format!("a{}b@x.example", char::from(control));
        for argv in [&[word.as_str()][..], &["-f", &word, "a@x.example"], &["-t", "--", &word], &["-V", &word, "a@x.example"]] {
            let (code, line) = sandbox.refused(argv, "To: a@x.example\n\nx\n");
            assert!(code == 64 && line.contains("contains a control character"), "{argv:?}: {code} {line}");
        }
    }
}

#[test]
fn t_hdr_3_the_longest_address_and_one_byte_more() {
    let sandbox = Sandbox::new("");
    let local = |length: usize| "l".repeat(length);
    // Labels of 63 bytes, and the rest of 255.
    let domain = |length: usize| format!("{0}.{0}.{0}.{1}", "d".repeat(63), "e".repeat(length - 192));
    let umlauts = "\u{fc}".repeat(32);
    for (address, code) in [
        (format!("{}@{}", local(64), domain(255)), 0),
        (format!("{}@x.example", local(65)), 65),
        (format!("a@{}", domain(256)), 65),
        (format!("a@{}.example", "d".repeat(63)), 0),
        (format!("a@{}.example", "d".repeat(64)), 65),
        (format!("{umlauts}@x.example"), 0),
        (format!("{umlauts}a@x.example"), 65),
        (format!("\"{}\"@x.example", local(64)), 0),
        (format!("\"{}\"@x.example", "\\\"".repeat(64)), 0),
        (format!("\"{}\"@x.example", "\\\"".repeat(65)), 65),
        (local(64), 0),
        (local(65), 65),
        (format!("a@x.example ({})", "c".repeat(100_000)), 0),
        (format!("{}a@x.example{}", "(".repeat(50_000), ")".repeat(50_000)), 65),
        (format!("{}{} a@x.example", "(".repeat(50_000), ")".repeat(50_000)), 0),
        (format!("{} <a@x.example>", "n ".repeat(50_000)), 0),
    ] {
        let run = sandbox.run(&["--", &address], "x\n");
        assert_eq!(run.code(), code, "{address:.80}: {:.200}", run.stderr);
        assert_eq!(sandbox.take_messages().len(), usize::from(code == 0));
        assert!(run.stderr.len() < 1000, "the line is short, whatever the address: {}", run.stderr.len());
    }
}

#[test]
fn p6_bytes_that_are_no_text_are_65_in_an_address() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new("");
    for bytes in [&b"\xff@x.example"[..], b"a\xc3@x.example", b"a@x\xed\xa0\x80.example", b"\xc0\xafb", b"\"\xfe\"@x.example"] {
        let word = std::ffi::OsStr::from_bytes(bytes);
        for words in [vec![word], vec!["-f".as_ref(), word, "a@x.example".as_ref()]] {
            let mut command = sandbox.command(super::super::sandbox::SENDMAIL);
            let run = super::super::sandbox::finish(command.args(&words).spawn().unwrap(), b"x\n");
            assert_eq!(run.code(), 65, "{words:?}: {}", run.stderr);
            sandbox.assert_nothing_is_left();
        }
        let field = [b"To: ", bytes, b"\n\nx\n"].concat();
        assert_eq!(sandbox.refused(&["-t"], field).0, 65, "{bytes:?}");
    }
}
