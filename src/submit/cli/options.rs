//! The option table of `sendmail`.

/// Where an option takes its value from (P2, P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// It has none.
    None,
    /// What is attached, or the next argument.
    Required,
    /// Only what is attached; nothing is a value too.
    Attached,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It does something.
    Honour,
    /// Accepted, without effect.
    Ignore,
    /// Refused with EX_USAGE and a line in the auth log: it would choose a file or an identity.
    Refuse,
    /// Refused with EX_USAGE: it belongs to another program or means something else there.
    Unsupported,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The letter after the hyphen.
    pub letter: &'static str,
    /// Its value.
    pub value: Value,
    /// Its class.
    pub class: Class,
    /// The name of the value in the man page; empty where there is none.
    pub metavar: &'static str,
    /// What it does, for the man page.
    pub prose: &'static str,
    /// Which implementation the rule follows (letters of SENDMAIL.md).
    pub follows: &'static str,
}

const fn row(letter: &'static str, value: Value, class: Class, metavar: &'static str, prose: &'static str, follows: &'static str) -> Opt {
    Opt { letter, value, class, metavar, prose, follows }
}

/// The option table (SENDMAIL.md section 2).
pub const OPTIONS: &[Opt] = {
    use Class::{Honour, Ignore, Refuse, Unsupported};
    use Value::{Attached, None, Required};
    &[
        row("A", Required, Ignore, "c|m", "Configuration of Sendmail to use.", "PF"),
        row("B", Required, Honour, "type", "7BIT or 8BITMIME. A hint: the content is looked at.", "SM"),
        row(
            "b",
            Required,
            Honour,
            "mode",
            "The mode: m (the default) injects a message; p lists the queue; P counts it; s speaks SMTP on standard input and output; v verifies addresses; i checks the alias file. d, D and l end with 69, since nothing listens here.",
            "PF",
        ),
        row(
            "C",
            Required,
            Refuse,
            "file",
            "Configuration file. Root only: an absolute path to a file of root that nobody else can write.",
            "own",
        ),
        row("c", None, Ignore, "", "Hold expensive mail.", "PF"),
        row("D", Required, Refuse, "file", "Debug log file.", "PF"),
        row(
            "d",
            Attached,
            Honour,
            "level",
            "-d0 and -d0.1 print name and version where there is neither a recipient nor -t nor a mode; any other use is ignored.",
            "MS",
        ),
        row("E", None, Unsupported, "", "Not an option of this program.", "SM"),
        row(
            "e",
            Required,
            Honour,
            "disposition",
            "How errors are shown: q prints nothing; e, m, p and w print one line. The exit code is always set, nothing is mailed.",
            "own",
        ),
        row("F", Required, Honour, "name", "The display name in an added From field.", "SM"),
        row("f", Required, Honour, "address", "The envelope sender; '' and <> are the null sender.", "PF"),
        row("G", None, Ignore, "", "Relay submission.", "PF"),
        row("h", Required, Ignore, "hops", "Hop count, a number.", "EX"),
        row("I", None, Honour, "", "The same as -bi.", "PF"),
        row("i", None, Honour, "", "A line with a single dot is data.", "SM"),
        row("J", None, Unsupported, "", "Not an option of this program.", "SM"),
        row("j", None, Honour, "", "With -bp: JSON, one object for each line.", "PF"),
        row("L", Required, Ignore, "tag", "Log tag. Ignored, because it would help to forge log lines.", "PF"),
        row("M", Required, Unsupported, "", "Not an option of this program; see mailchute(8).", "PF"),
        row("m", None, Ignore, "", "Me too.", "SM"),
        row(
            "N",
            Required,
            Honour,
            "when",
            "When to notify the sender: never, or a comma list of success, failure and delay (RFC 3461).",
            "SM",
        ),
        row("n", None, Ignore, "", "No aliases. Ignored, so that root's mail still reaches its reader.", "EX"),
        row(
            "O",
            Required,
            Honour,
            "name=value",
            "Long options: ErrorMode, IgnoreDots, DeliveryMode and Verbose as in Sendmail; DeliverBy, HoldUntil (a time such as 2h, or RFC 3339) and Priority (-9 to 9). Names that choose a file or an identity are refused, others ignored.",
            "PF",
        ),
        row(
            "o",
            Required,
            Honour,
            "letter",
            "Short options: i, e, d and v are the ones above. A, E, H, J, M, O, P, Q, S, U, u, g, V and X are refused, others ignored.",
            "PF",
        ),
        row("p", Required, Ignore, "protocol", "Received protocol.", "PF"),
        row("Q", Attached, Unsupported, "", "Not implemented; see mailchute(8).", "PF"),
        row(
            "q",
            Attached,
            Honour,
            "what",
            "-q, -q0, -qf: try all queued mail now. -q<time>, -qp<time>: nothing, since the daemon does that. -qI, -qR, -qS with text: try messages whose id, recipient or sender matches; a ! before the letter negates.",
            "SM",
        ),
        row("R", Required, Honour, "full|hdrs", "How much of the message comes back with a failure DSN (RFC 3461).", "SM"),
        row("r", Required, Honour, "address", "The same as -f.", "PF"),
        row("S", Required, Unsupported, "", "Not an option of this program; see mailchute(8).", "SM"),
        row("s", None, Ignore, "", "Keep From lines.", "PF"),
        row("T", Required, Unsupported, "", "Not an option of this program.", "PF"),
        row("t", None, Honour, "", "Take recipients from To, Cc and Bcc too.", "SM"),
        row("U", None, Ignore, "", "Initial submission.", "PF"),
        row("V", Required, Honour, "id", "The envelope id for warnings: up to 100 printable ASCII characters (RFC 3461).", "PF"),
        row("v", None, Honour, "", "Print `queued as ID` after success; with -bp, say more of each message.", "own"),
        row("X", Required, Refuse, "file", "Traffic log file. Refused, for root too.", "PF"),
        row("x", None, Ignore, "", "Flag of AIX and OSF/1.", "PF"),
        row("z", Required, Unsupported, "", "Not an option of this program.", "PF"),
    ]
};
