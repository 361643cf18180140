//! The messages (SENDMAIL.md 3, 4), most of them with `-t`.

use super::cases::{Case, Input, NO_TO, WHOLE};

/// Name, what is special about it, header fields before the usual ones.
const FIELDS: &[(&str, &str, &str)] = &[
    ("bcc", "To and Bcc", "To: a@x.example\nBcc: b@y.example\n"),
    ("bcc-alone", "Bcc alone", "Bcc: b@y.example\n"),
    ("bcc-folded", "a folded Bcc", "To: a@x.example\nBcc: b@y.example,\n c@z.example\n"),
    ("bcc-twice", "two Bcc fields", "To: a@x.example\nBcc: b@y.example\nBCC: c@z.example\n"),
    ("resent", "Resent-To, beside To", "Resent-To: b@y.example\nTo: a@x.example\n"),
    ("resent-bcc", "Resent-Bcc, beside To and Bcc", "Resent-Bcc: b@y.example\nTo: a@x.example\nBcc: c@z.example\n"),
    ("resent-from-alone", "Resent-From and no Resent-To", "Resent-From: r@y.example\nTo: a@x.example\n"),
    ("apparently-to", "To and Apparently-To", "To: a@x.example\nApparently-To: b@y.example\n"),
    ("group", "a group", "To: friends: a@x.example, B <b@y.example>;\n"),
    ("group-empty", "an empty group", "To: undisclosed-recipients:;\n"),
    ("group-empty-and-bcc", "an empty group, and Bcc", "To: undisclosed-recipients:;\nBcc: b@y.example\n"),
    ("comments", "comments in an address", "To: (first) a@x.example (A (nested) B), b (c) @y.example\n"),
    ("quoted-local", "a quoted local part", "To: \"q r\"@x.example\n"),
    ("quoted-name", "a quoted name with a comma", "To: \"Last, First\" <a@x.example>\n"),
    ("quoted-pair", "an escaped quotation mark", "To: \"A \\\"B\\\" C\" <a@x.example>\n"),
    ("folded", "a folded list", "To: a@x.example,\n\tb@y.example,\n  C <c@z.example>\n"),
    ("duplicates", "an address twice", "To: a@x.example, A <a@X.example>\nCc: a@x.example\n"),
    ("semicolons", "semicolons between addresses", "To: a@x.example; b@y.example\n"),
    ("blanks-between", "blanks between addresses", "To: a@x.example b@y.example\n"),
    ("empty-elements", "empty list elements", "To: a@x.example,, ,b@y.example,\n"),
    ("route-address", "a route", "To: <@r.example,@s.example:a@x.example>\n"),
    ("bare", "bare names", "To: root, A <postmaster>\nCc: nobody\n"),
    ("domain-literal", "a domain literal", "To: a@[127.0.0.9]\n"),
    ("malformed", "a malformed address", "To: a@@x.example\n"),
    ("malformed-beside-good", "a malformed address beside a good one", "To: a@x.example, b@@y.example\n"),
    ("name-unquoted-dot", "a name with a dot, unquoted", "To: A. B. C <a@x.example>\n"),
    ("name-unquoted-at", "a name with an at sign, unquoted", "To: me@home <a@x.example>\n"),
    ("name-encoded", "an encoded name", "To: =?utf-8?Q?J=C3=BCrgen?= <a@x.example>\n"),
    ("name-utf8", "a name in raw UTF-8", "To: J\u{fc}rgen <a@x.example>\n"),
    ("address-utf8", "a local part in UTF-8", "To: j\u{fc}rgen@x.example\n"),
    ("to-twice", "two To fields", "To: a@x.example\nTo: b@y.example\n"),
    ("to-blank-colon", "a blank before the colon", "To : a@x.example\n"),
    ("to-upper", "a field name in upper case", "TO: a@x.example\n"),
    ("to-empty", "an empty To, and Cc", "To:\nCc: a@x.example\n"),
    ("return-path", "a Return-Path", "To: a@x.example\nReturn-Path: <r@y.example>\n"),
    ("errors-to", "an Errors-To", "To: a@x.example\nErrors-To: e@y.example\n"),
    ("sender", "a Sender", "To: a@x.example\nSender: other@y.example\n"),
    ("sender-bare", "a bare Sender and Reply-To", "To: a@x.example\nSender: root\nReply-To: R <staff>\n"),
    ("content-length", "a Content-Length", "To: a@x.example\nContent-Length: 99\n"),
    ("full-name", "a Full-Name", "To: a@x.example\nFull-Name: Somebody\n"),
    ("return-receipt", "a Return-Receipt-To", "To: a@x.example\nReturn-Receipt-To: r@y.example\n"),
    ("precedence", "Precedence: bulk", "To: a@x.example\nPrecedence: bulk\n"),
    ("from-twice", "two From fields", "To: a@x.example\nFrom: g@y.example\n"),
    ("subject-twice", "two Subject fields", "To: a@x.example\nSubject: first\n"),
    ("utf8-field", "an X- field in raw UTF-8", "To: a@x.example\nX-Y: \u{fc}\n"),
    ("empty-field", "an empty field", "To: a@x.example\nX-Empty:\n"),
    ("blank-field", "a field of blanks, folded", "To: a@x.example\nX-Empty: \n \n"),
    ("control-in-field", "a bell in a field", "To: a@x.example\nX-Y: a\x07b\n"),
    ("mime", "a MIME type of its own", "To: a@x.example\nMIME-Version: 1.0\nContent-Type: text/html\n"),
];

/// Name, what is special about it, what follows a whole header section and its blank line. Without `-i`.
const BODIES: &[(&str, &str, &str)] = &[
    ("dot-last", "a lone dot as the last line", "one\n.\n"),
    ("dot-middle", "a lone dot in the middle", "one\n.\ntwo\n"),
    ("dot-middle-crlf", "a lone dot in the middle, CRLF", "one\r\n.\r\ntwo\r\n"),
    ("dot-last-unended", "a lone dot as the last line, without a line end", "one\n."),
    ("dot-first", "a lone dot as the first line", ".\none\n"),
    ("dots", "lines that begin with dots", "..\n.one\n. \n"),
    ("no-final-line-end", "no line end at the end", "one"),
    ("bare-cr", "a CR without LF", "one\rtwo\n"),
    ("crs-before-lf", "several CRs before LF", "one\r\r\r\ntwo\n"),
    ("smuggling", "an end of data with bare line ends", "one\n\r.\r\rMAIL FROM:<e@z.example>\r\n"),
    ("nul", "NUL bytes", "one\0two\n\0\n"),
    ("from-in-body", "a line that begins with From", "From here on\n>From there\n"),
    ("latin1-body", "an 8-bit body without MIME fields", "gr\u{fc}n\n"),
    ("controls-in-body", "control characters", "a\x07\x08\x1b[1mb\x0c\n"),
    ("blank-lines", "blank lines at the end", "one\n\n\n"),
    ("empty-body", "no body", ""),
];

pub(crate) fn all() -> Vec<Case> {
    let case = |name, argv: &[&'static str], told, input: String| Case {
        called: "sendmail",
        name,
        argv: argv.to_vec(),
        told,
        input: Input::Whole(input.into_bytes()),
    };
    let mut cases: Vec<Case> =
        FIELDS.iter().map(|&(name, told, fields)| case(name, &["-t"], told, format!("{fields}{NO_TO}\nbody\n"))).collect();
    let header = WHOLE.strip_suffix("body\n").unwrap_or(WHOLE);
    cases.extend(BODIES.iter().map(|&(name, told, body)| case(name, &["-t"], told, format!("{header}{body}"))));
    cases.extend(built(header).into_iter().map(|(name, argv, told, input)| case(name, argv, told, input)));
    cases.push(Case {
        called: "sendmail",
        name: "latin1-field",
        argv: vec!["-t"],
        told: "a field with bytes that are not UTF-8",
        input: Input::Whole([b"To: a@x.example\nX-Subject: gr\xfcn\n", NO_TO.as_bytes(), b"\nbody\n"].concat()),
    });
    cases
}

type Built = (&'static str, &'static [&'static str], &'static str, String);

/// Those that are no plain text of a few lines, or have arguments of their own.
fn built(header: &str) -> Vec<Built> {
    let crlf = WHOLE.replace('\n', "\r\n");
    let long = |bytes: usize| "x".repeat(bytes);
    let words = "word ".repeat(400);
    vec![
        ("dot-middle-with-i", &["-t", "-i"], "a lone dot in the middle", format!("{header}one\n.\ntwo\n")),
        ("dots-with-i", &["-t", "-i"], "a lone dot at the end", format!("{header}..\n.one\n.\n")),
        ("crlf", &["-t"], "CRLF line ends", crlf.clone()),
        ("php", &["-t", "-i"], "CRLF in the header section, LF in the body", format!("{}one\ntwo\n", header.replace('\n', "\r\n"))),
        ("mixed-line-ends", &["-t"], "LF in the header section, CRLF in the body", format!("{header}one\r\ntwo\r\n")),
        ("bare-cr-in-header", &["-t"], "a CR without LF in a field", format!("X-Y: one\rBcc: c@z.example\n{WHOLE}")),
        (
            "no-separator",
            &["-t"],
            "no blank line after the header section",
            format!("{}body line\n", header.trim_end_matches('\n').to_owned() + "\n"),
        ),
        (
            "to-in-body",
            &["-t"],
            "a To after a line that is no field",
            format!("{}no field here\nTo: c@z.example\n\nbody\n", header.trim_end_matches('\n').to_owned() + "\n"),
        ),
        ("no-header", &["a@x.example"], "no header section", "just text\nmore\n".to_owned()),
        ("no-header-colon", &["a@x.example"], "no header section, but a colon", "Warning: disk full\nmore\n".to_owned()),
        ("header-alone", &["-t"], "a header section without a body or blank line", header.trim_end_matches('\n').to_owned() + "\n"),
        ("leading-blank-line", &["-t"], "a blank line first", format!("\n{WHOLE}")),
        ("leading-blank-line-with-operand", &["b@y.example"], "a blank line first", format!("\n{WHOLE}")),
        ("leading-continuation", &["b@y.example"], "a line with a blank in front first", format!(" text\n{WHOLE}")),
        ("from-line", &["-t"], "an mbox From line first", format!("From someone@z.example Sun Nov 22 10:00:00 2026\n{WHOLE}")),
        ("quoted-from-line", &["-t"], "a quoted mbox From line first", format!(">From someone Sun Nov 22 10:00:00 2026\n{WHOLE}")),
        ("empty", &["b@y.example"], "nothing", String::new()),
        ("empty-t", &["-t"], "nothing", String::new()),
        ("t-without-recipients", &["-t"], "no recipient in it", format!("{NO_TO}\nbody\n")),
        ("bcc-with-operand", &["b@y.example"], "To and Bcc", format!("Bcc: c@z.example\n{WHOLE}")),
        ("resent-bcc-with-operand", &["b@y.example"], "Resent-Bcc", format!("Resent-Bcc: c@z.example\n{WHOLE}")),
        ("defaults", &["b@y.example"], "Subject alone", "Subject: s\n\nbody\n".to_owned()),
        ("defaults-t", &["-t"], "To and Subject alone", "To: a@x.example\nSubject: s\n\nbody\n".to_owned()),
        ("from-bare", &["-t"], "a bare From", "From: root\nTo: a@x.example\n\nbody\n".to_owned()),
        ("from-empty", &["-t"], "an empty From", "From:\nTo: a@x.example\n\nbody\n".to_owned()),
        ("from-malformed", &["-t"], "a malformed From", "From: f@@x.example\nTo: a@x.example\n\nbody\n".to_owned()),
        (
            "resent-defaults",
            &["-t"],
            "Resent-To, To and Subject alone",
            "Resent-To: b@y.example\nTo: a@x.example\nSubject: s\n\nbody\n".to_owned(),
        ),
        ("date-broken", &["-t"], "a Date that is none", "From: f@x.example\nTo: a@x.example\nDate: yesterday\n\nbody\n".to_owned()),
        (
            "message-id-broken",
            &["-t"],
            "a Message-ID that is none",
            "From: f@x.example\nTo: a@x.example\nMessage-ID: none\n\nbody\n".to_owned(),
        ),
        (
            "utf8-subject",
            &["-t"],
            "a Subject in raw UTF-8",
            "From: f@x.example\nTo: a@x.example\nSubject: gr\u{fc}n \u{2713}\n\nbody\n".to_owned(),
        ),
        ("utf8-from", &["-t"], "a From name in raw UTF-8", "From: J\u{fc}rgen <f@x.example>\nTo: a@x.example\n\nbody\n".to_owned()),
        ("long-body-line", &["-t"], "a body line of 2500 bytes", format!("{header}{}\n", long(2500))),
        ("long-field", &["-t"], "a field of 2000 bytes, with blanks", format!("X-Long: {words}\n{WHOLE}")),
        ("long-field-unfoldable", &["-t"], "a field of 2500 bytes, without a blank", format!("X-Long: {}\n{WHOLE}", long(2500))),
        (
            "long-subject",
            &["-t"],
            "a Subject of 700 bytes",
            format!("To: a@x.example\nFrom: f@x.example\nSubject: {}\n\nbody\n", "word ".repeat(140)),
        ),
        ("received-30", &["-t"], "30 Received fields", "Received: from a by b\n".repeat(30) + WHOLE),
        ("received-120", &["-t"], "120 Received fields", "Received: from a by b\n".repeat(120) + WHOLE),
        ("many-recipients", &["-t"], "300 recipients", many_recipients()),
    ]
}

fn many_recipients() -> String {
    let list: Vec<String> = (0..300).map(|number| format!("r{number}@x.example")).collect();
    format!("To: {}\n{NO_TO}\nbody\n", list.join(",\n "))
}
