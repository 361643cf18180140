//! The option table of `sendmail`.

/// The value of an option (P2, P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value.
    None,
    /// The attached text or the next argument.
    Required,
    /// Only the attached text, which may be empty.
    Attached,
}

/// How an option is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It has an effect.
    Honour,
    /// Accepted, without effect.
    Ignore,
    /// Refused with EX_USAGE and a line in the auth log: it could choose a file or an identity.
    Refuse,
    /// Refused with EX_USAGE: it belongs to another program, or has another meaning there.
    Unsupported,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The letter after the hyphen.
    pub letter: &'static str,
    /// The value.
    pub value: Value,
    /// The class.
    pub class: Class,
    /// The name of the value in `--help`; empty if there is none.
    pub metavar: &'static str,
    /// The text of `--help`.
    pub prose: &'static str,
    /// The implementation that the rule follows (letters of SENDMAIL.md).
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
        row("B", Required, Honour, "type", "Body type: 7BIT or 8BITMIME. Only a hint; the content decides.", "SM"),
        row(
            "b",
            Required,
            Honour,
            "mode",
            "Mode: m (default) injects a message, p lists the queue, P counts it, s speaks SMTP on standard input and output, v verifies addresses, i checks the alias file. d, D and l exit with 69, because sendmail has no network listener.",
            "PF",
        ),
        row(
            "C",
            Required,
            Refuse,
            "file",
            "Configuration file, for root only: an absolute path to a file that only root can write.",
            "own",
        ),
        row("c", None, Ignore, "", "Hold expensive mail.", "PF"),
        row("D", Required, Refuse, "file", "Debug log file.", "PF"),
        row(
            "d",
            Attached,
            Honour,
            "level",
            "-d0 and -d0.1 without a recipient, -t or a mode print name and version. Otherwise ignored.",
            "MS",
        ),
        row("E", None, Unsupported, "", "Not an option of this program.", "SM"),
        row(
            "e",
            Required,
            Honour,
            "disposition",
            "Error mode: q prints nothing; e, m, p and w print one line. The exit code is always set. Errors are never mailed.",
            "own",
        ),
        row("F", Required, Honour, "name", "Display name for an added From field.", "SM"),
        row("f", Required, Honour, "address", "Envelope sender; '' and <> are the null sender.", "PF"),
        row("G", None, Ignore, "", "Relay submission.", "PF"),
        row("h", Required, Ignore, "hops", "Hop count, a number.", "EX"),
        row("I", None, Honour, "", "Same as -bi.", "PF"),
        row("i", None, Honour, "", "Treat a line with a single dot as data.", "SM"),
        row("J", None, Unsupported, "", "Not an option of this program.", "SM"),
        row("j", None, Honour, "", "With -bp: print JSON Lines.", "PF"),
        row("L", Required, Ignore, "tag", "Log tag. Ignored, because it would allow forged log lines.", "PF"),
        row("M", Required, Unsupported, "", "Not an option of this program; see mailchute(8).", "PF"),
        row("m", None, Ignore, "", "Me too.", "SM"),
        row("N", Required, Honour, "when", "Request DSNs: never, or a comma list of success, failure and delay (RFC 3461).", "SM"),
        row("n", None, Ignore, "", "No aliases. Ignored, so that root's mail still reaches the administrator.", "EX"),
        row(
            "O",
            Required,
            Honour,
            "name=value",
            "Long options: ErrorMode, IgnoreDots, DeliveryMode and Verbose as in Sendmail; DeliverBy and HoldUntil (a time such as 2h, or RFC 3339); Priority (-9 to 9). Names that choose a file or an identity are refused, others are ignored.",
            "PF",
        ),
        row(
            "o",
            Required,
            Honour,
            "letter",
            "Short options: i, e, d and v are the options above. A is for root with -bi. E, H, J, M, O, P, Q, S, U, u, g, V and X are refused, others are ignored.",
            "PF",
        ),
        row("p", Required, Ignore, "protocol", "Received protocol.", "PF"),
        row("Q", Attached, Unsupported, "", "Not implemented; see mailchute(8).", "PF"),
        row(
            "q",
            Attached,
            Honour,
            "what",
            "-q, -q0, -qf: retry all queued mail now. -q<time>, -qp<time>: no effect; mailchuted has its own schedule. -qI, -qR, -qS with text: retry messages whose id, recipient or sender matches; ! before the letter negates.",
            "SM",
        ),
        row("R", Required, Honour, "full|hdrs", "Part of the message returned in a failure DSN (RFC 3461).", "SM"),
        row("r", Required, Honour, "address", "Same as -f.", "PF"),
        row("S", Required, Unsupported, "", "Not an option of this program; see mailchute(8).", "SM"),
        row("s", None, Ignore, "", "Keep From lines.", "PF"),
        row("T", Required, Unsupported, "", "Not an option of this program.", "PF"),
        row("t", None, Honour, "", "Take recipients from To, Cc and Bcc as well.", "SM"),
        row("U", None, Ignore, "", "Initial submission.", "PF"),
        row("V", Required, Honour, "id", "Envelope id for DSNs: up to 100 printable ASCII characters (RFC 3461).", "PF"),
        row("v", None, Honour, "", "Print `queued as ID` on success; with -bp, print more details.", "own"),
        row("X", Required, Refuse, "file", "Traffic log file. Refused, for root too.", "PF"),
        row("x", None, Ignore, "", "Flag of AIX and OSF/1.", "PF"),
        row("z", Required, Unsupported, "", "Not an option of this program.", "PF"),
    ]
};
