//! The command lines (SENDMAIL.md 2, 3, 5, 6, 7): with a whole message, unless the row says otherwise.

use super::cases::{Case, Input, NO_TO, WHOLE};

/// Name and arguments.
type Row = (&'static str, &'static [&'static str]);

/// The message has all fields and one recipient in it, a@x.example.
const WITH_WHOLE_MESSAGE: &[Row] = &[
    // Recipients
    ("operand", &["b@y.example"]),
    ("t", &["-t"]),
    ("t-and-operand", &["-t", "b@y.example"]),
    ("t-and-same-operand", &["-t", "a@x.example"]),
    ("no-recipient", &[]),
    ("two-operands", &["b@y.example", "c@z.example"]),
    ("operand-list", &["b@y.example,c@z.example"]),
    ("operand-list-of-words", &["b@y.example c@z.example"]),
    ("operand-with-name", &["Bob B <b@y.example>"]),
    ("operand-in-brackets", &["<b@y.example>"]),
    ("operand-bare", &["root"]),
    ("operand-empty", &[""]),
    ("operand-empty-beside-good", &["b@y.example", ""]),
    ("operand-hyphen", &["-"]),
    ("operand-null", &["<>"]),
    ("operand-two-ats", &["b@@y.example"]),
    ("operand-two-ats-beside-good", &["b@y.example", "c@@z.example"]),
    ("operand-two-dots", &["b@y..example"]),
    ("operand-dot-local", &[".b.@y.example"]),
    ("operand-no-local", &["@y.example"]),
    ("operand-no-domain", &["b@"]),
    ("operand-blank-in-local", &["b c@y.example"]),
    ("operand-quoted", &["\"q r\"@y.example"]),
    ("operand-backslash", &["o\\'neil@y.example"]),
    ("operand-literal", &["b@[127.0.0.9]"]),
    ("operand-route", &["<@r.example:b@y.example>"]),
    ("operand-utf8", &["j\u{fc}rgen@y.example"]),
    ("operand-percent", &["b%y.example@r.example"]),
    ("operand-bang", &["y.example!b"]),
    ("operand-upper-domain-twice", &["b@y.example", "b@Y.EXAMPLE"]),
    ("operand-upper-local-twice", &["b@y.example", "B@y.example"]),
    ("operand-pipe", &["|/bin/true"]),
    ("operand-file", &["/tmp/x"]),
    ("operand-include", &[":include:/etc/passwd"]),
    ("operand-line-break", &["b@y.example\nc@z.example"]),
    ("operand-long-local", &["llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll@y.example"]),
    ("options-after-operand", &["b@y.example", "-f", "evil@z.example"]),
    ("double-hyphen", &["--", "b@y.example"]),
    ("options-after-double-hyphen", &["-i", "--", "-f@y.example"]),
    // Sender
    ("f", &["-t", "-f", "s@y.example"]),
    ("f-attached", &["-t", "-fs@y.example"]),
    ("f-bundled", &["-tif", "s@y.example"]),
    ("r", &["-t", "-r", "s@y.example"]),
    ("f-empty", &["-t", "-f", ""]),
    ("f-null", &["-t", "-f", "<>"]),
    ("f-in-brackets", &["-t", "-f", "<s@y.example>"]),
    ("f-bare", &["-t", "-f", "root"]),
    ("f-twice", &["-t", "-fs@y.example", "-fu@z.example"]),
    ("f-with-name", &["-t", "-f", "Some One <s@y.example>"]),
    ("f-two", &["-t", "-f", "s@y.example,u@z.example"]),
    ("f-with-options", &["-t", "-f", "s@y.example -oQ/tmp -X/tmp/log"]),
    ("f-line-break", &["-t", "-f", "s@y.example\nRCPT TO:<u@z.example>"]),
    ("f-malformed", &["-t", "-f", "s@@y.example"]),
    ("f-without-value", &["-t", "-f"]),
    // Delivery status notifications
    ("N-never", &["-t", "-N", "never"]),
    ("N-list", &["-t", "-N", "success,failure"]),
    ("N-unknown", &["-t", "-N", "sometimes"]),
    ("R-hdrs", &["-t", "-R", "hdrs"]),
    ("R-full", &["-t", "-Rfull"]),
    ("R-unknown", &["-t", "-R", "half"]),
    ("V", &["-t", "-V", "id-123"]),
    // Body type, dots
    ("B-8bitmime", &["-t", "-B8BITMIME"]),
    ("B-7bit", &["-t", "-B", "7BIT"]),
    ("B-unknown", &["-t", "-Bnonsense"]),
    ("i", &["-t", "-i"]),
    ("oi", &["-t", "-oi"]),
    ("O-ignore-dots", &["-t", "-OIgnoreDots"]),
    // Errors
    ("oem", &["-t", "-oem"]),
    ("oee", &["-t", "-oee"]),
    ("oeq", &["-t", "-oeq"]),
    ("em", &["-t", "-em"]),
    ("oee-and-no-recipient", &["-oee"]),
    ("O-error-mode", &["-t", "-O", "ErrorMode=print"]),
    // Delivery mode
    ("odb", &["-t", "-odb"]),
    ("odi", &["-t", "-odi"]),
    ("odq", &["-t", "-odq"]),
    // Well-known callers
    ("debian-cron", &["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"]),
    ("cronie", &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"]),
    ("vixie-cron", &["-FCronDaemon", "-odi", "-oem", "-or0s", "root"]),
    ("mutt", &["-oem", "-oi", "-f", "s@y.example", "--", "b@y.example"]),
    ("rmail", &["-G", "-oee", "-odq", "-oi", "-f", "s@y.example", "b@y.example"]),
    // Old and empty
    ("Ac", &["-Ac", "-t"]),
    ("c", &["-t", "-c"]),
    ("G", &["-t", "-G"]),
    ("h", &["-t", "-h", "3"]),
    ("L", &["-t", "-L", "tag"]),
    ("m", &["-t", "-m"]),
    ("n", &["-t", "-n"]),
    ("om", &["-t", "-om"]),
    ("p", &["-t", "-p", "smtp:h.example"]),
    ("s", &["-t", "-s"]),
    ("U", &["-t", "-U"]),
    ("v", &["-t", "-v"]),
    ("x", &["-t", "-x"]),
    ("d", &["-t", "-d0.1"]),
    // What an injected option would use
    ("X", &["-t", "-X", "/tmp/log"]),
    ("C", &["-t", "-C", "/etc/passwd"]),
    ("D", &["-t", "-D", "/tmp/debug"]),
    ("oQ", &["-t", "-oQ/tmp"]),
    ("oA", &["-t", "-oA/tmp/aliases"]),
    ("O-queue-directory", &["-t", "-OQueueDirectory=/tmp"]),
    ("O-queue-directory-short", &["-t", "-OQueueDir=/tmp"]),
    ("O-unknown", &["-t", "-ONoSuchOption=1"]),
    ("M", &["-t", "-MzX"]),
    // Unknown
    ("Z", &["-t", "-Z"]),
    ("long-option", &["-t", "--force"]),
    ("z", &["-t", "-z", "text"]),
    ("S", &["-t", "-S"]),
    ("E", &["-t", "-E"]),
    ("J", &["-t", "-J"]),
    // Modes
    ("bm", &["-bm", "-t"]),
    ("bp", &["-bp"]),
    ("bP", &["-bP"]),
    ("bv", &["-bv", "b@y.example"]),
    ("bd", &["-bd"]),
    ("bh", &["-bh"]),
    ("bt", &["-bt"]),
    ("bz", &["-bz"]),
    ("ba", &["-ba", "-t"]),
    ("bi", &["-bi"]),
    ("bp-with-operand", &["-bp", "b@y.example"]),
    ("bs-with-operand", &["-bs", "b@y.example"]),
    // Flushing
    ("q", &["-q"]),
    ("q-interval", &["-q30m"]),
    ("q-persistent", &["-qp30m"]),
    ("q-id", &["-qI0123456789ABCDEF"]),
    ("q-recipient", &["-qRy.example"]),
    ("q-sender", &["-qSy.example"]),
    ("q-group", &["-qGnone"]),
    ("q-with-operand", &["-q", "b@y.example"]),
];

/// The message has a body alone.
const WITH_BODY_ALONE: &[Row] = &[
    ("F", &["-F", "Full Name", "b@y.example"]),
    ("F-odd", &["-F", "Odd (x) \"y\" <z>", "b@y.example"]),
    ("F-utf8", &["-F", "J\u{fc}rgen", "b@y.example"]),
    ("F-control", &["-F", "One\nBcc: c@z.example", "b@y.example"]),
    ("F-empty", &["-F", "", "b@y.example"]),
    ("from-of-other", &["-f", "s@y.example", "b@y.example"]),
    ("from-of-other-with-F", &["-f", "s@y.example", "-F", "Full Name", "b@y.example"]),
    ("from-of-null", &["-f", "<>", "b@y.example"]),
];

/// The other names, without arguments and with one that means something to them.
const NAMES: &[(&str, &str, &[&str])] = &[
    ("name-mailq", "mailq", &[]),
    ("name-mailq-with-mode", "mailq", &["-bm", "b@y.example"]),
    ("name-newaliases", "newaliases", &[]),
    ("name-runq", "runq", &[]),
];

/// SMTP on standard input: one step for each reply. `{}` is the whole message.
const DIALOGUES: &[(&str, &str, &[&str])] = &[
    ("bs", "", &["EHLO h.example", "MAIL FROM:<s@y.example>", "RCPT TO:<b@y.example>", "DATA", "{}.", "QUIT"]),
    ("bs-helo", "HELO", &["HELO h.example", "MAIL FROM:<s@y.example>", "RCPT TO:<b@y.example>", "DATA", "{}.", "QUIT"]),
    (
        "bs-two",
        "two messages",
        &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "DATA", "{}.", MAIL, "RCPT TO:<c@z.example>", "DATA", "{}.", "QUIT"],
    ),
    ("bs-no-greeting", "no HELO or EHLO", &[MAIL, "RCPT TO:<b@y.example>", "DATA", "{}.", "QUIT"]),
    (
        "bs-bad-recipient",
        "a malformed recipient beside a good one",
        &["EHLO h.example", MAIL, "RCPT TO:<b@@y.example>", "RCPT TO:<c@z.example>", "DATA", "{}.", "QUIT"],
    ),
    ("bs-bare-recipient", "a bare recipient", &["EHLO h.example", MAIL, "RCPT TO:<root>", "DATA", "{}.", "QUIT"]),
    ("bs-null-sender", "the null sender", &["EHLO h.example", "MAIL FROM:<>", "RCPT TO:<b@y.example>", "DATA", "{}.", "QUIT"]),
    (
        "bs-dsn",
        "DSN parameters",
        &["EHLO h.example", "MAIL FROM:<s@y.example> RET=HDRS ENVID=id1", "RCPT TO:<b@y.example> NOTIFY=NEVER", "DATA", "{}.", "QUIT"],
    ),
    (
        "bs-reset",
        "RSET before a message",
        &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "RSET", MAIL, "RCPT TO:<c@z.example>", "DATA", "{}.", "QUIT"],
    ),
    ("bs-bcc", "To and Bcc", &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "DATA", "Bcc: c@z.example\r\n{}.", "QUIT"]),
    ("bs-defaults", "Subject alone", &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "DATA", "Subject: s\r\n\r\nbody\r\n.", "QUIT"]),
    ("bs-dots", "stuffed dots", &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "DATA", "{}..\r\n...\r\n.", "QUIT"]),
    ("bs-without-quit", "no QUIT", &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "DATA", "{}."]),
    ("bs-unfinished", "the end of input in the middle of the data", &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "DATA", "{}"]),
    ("bs-f", "", &["EHLO h.example", MAIL, "RCPT TO:<b@y.example>", "DATA", "{}.", "QUIT"]),
];
const MAIL: &str = "MAIL FROM:<s@y.example>";

/// A dialogue with these line ends.
fn dialogue(steps: &[&str], line_end: &str) -> Vec<Vec<u8>> {
    let whole = |step: &&str| format!("{}\n", step.replace("{}", WHOLE)).replace("\r\n", "\n").replace('\n', line_end).into_bytes();
    steps.iter().map(whole).collect()
}

pub(crate) fn all() -> Vec<Case> {
    let of = |rows: &'static [Row], input: &str, told| -> Vec<Case> {
        let case = |&(name, argv): &Row| Case {
            called: "sendmail",
            name,
            argv: argv.to_vec(),
            input: Input::Whole(input.as_bytes().to_vec()),
            told,
        };
        rows.iter().map(case).collect()
    };
    let mut cases = of(WITH_WHOLE_MESSAGE, WHOLE, "");
    cases.extend(of(WITH_BODY_ALONE, "body\n", "no header section"));
    cases.extend(DIALOGUES.iter().map(|&(name, told, steps)| {
        let argv = if name == "bs-f" { vec!["-bs", "-f", "u@z.example"] } else { vec!["-bs"] };
        Case { called: "sendmail", name, argv, input: Input::Dialogue(dialogue(steps, "\r\n")), told }
    }));
    cases.extend(NAMES.iter().map(|&(name, called, argv)| {
        let input = Input::Whole(WHOLE.as_bytes().to_vec());
        Case { called, name, argv: argv.to_vec(), input, told: "" }
    }));
    let (_, _, plain) = DIALOGUES[0];
    let lf = Input::Dialogue(dialogue(plain, "\n"));
    cases.push(Case { called: "sendmail", name: "bs-lf", argv: vec!["-bs"], input: lf, told: "LF line ends" });
    let blind = Input::Whole(dialogue(plain, "\r\n").concat());
    cases.push(Case {
        called: "sendmail",
        name: "bs-blind",
        argv: vec!["-bs"],
        input: blind,
        told: "everything written before the greeting is read",
    });
    for (name, argv) in [("oee-and-malformed", &["-t", "-oee"][..]), ("oep-and-malformed", &["-t", "-oep"])] {
        let input = Input::Whole(format!("To: a@@x.example\n{NO_TO}\nbody\n").into_bytes());
        cases.push(Case { called: "sendmail", name, argv: argv.to_vec(), input, told: "a malformed address" });
    }
    cases
}
