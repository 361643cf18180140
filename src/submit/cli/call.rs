//! A parsed command line.

use std::ffi::OsString;

use mail::envelope::{Notify, Ret};

/// The requested operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read a message from standard input.
    Inject,
    /// List the queue.
    List,
    /// Count the queue.
    Count,
    /// Speak SMTP on standard input and output.
    Smtp,
    /// Verify addresses.
    Verify,
    /// Check the alias file.
    Aliases,
    /// Ask the daemon to retry mail now.
    Flush(Flush),
    /// Do nothing and succeed: `-q30m`, `-bh`.
    Nothing,
    /// `-bd`, `-bD`, `-bl`: refused, sendmail has no listener.
    Daemon,
    /// Print name and version.
    Version,
    /// Print a summary of the options.
    Help,
}

/// The messages of `-q` (SENDMAIL.md section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All messages.
    All,
    /// The matching messages.
    Matching {
        /// The field to compare.
        field: FlushField,
        /// Select the messages that do not match.
        negated: bool,
        /// The id or its prefix, or part of an address, case-insensitive.
        text: String,
    },
}

/// The field of a selective `-q`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushField {
    /// The queue id or its prefix.
    Id,
    /// The recipients.
    Recipient,
    /// The envelope sender.
    Sender,
}

/// A time given by a caller: relative in seconds, or absolute in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Seconds from now.
    In(i64),
    /// Unix seconds.
    At(i64),
}

impl When {
    /// The time in unix seconds; `now` is in unix seconds too.
    pub fn from(self, now: i64) -> i64 {
        match self {
            When::In(seconds) => now.saturating_add(seconds),
            When::At(second) => second,
        }
    }
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The requested operation.
    pub mode: Mode,
    /// `-t`
    pub from_header: bool,
    /// `-i`
    pub ignore_dots: bool,
    /// `-f`, `-r`: not parsed yet, without control characters.
    pub sender: Option<OsString>,
    /// Two different `-f` were given.
    pub sender_repeated: bool,
    /// `-F`: control characters replaced by blanks; may not be UTF-8.
    pub full_name: Option<Vec<u8>>,
    /// `-N`
    pub notify: Option<Notify>,
    /// `-R`
    pub ret: Option<Ret>,
    /// `-V`
    pub envid: Option<String>,
    /// `-v`
    pub verbose: bool,
    /// `-d0`, `-d0.1`: print the version if nothing else is requested.
    pub asks_version: bool,
    /// `-j`
    pub json: bool,
    /// `-eq`: print no errors.
    pub quiet_errors: bool,
    /// `-C`, from root.
    pub config_file: Option<OsString>,
    /// `-oA`, from root with `-bi`.
    pub alias_file: Option<OsString>,
    /// `-O DeliverBy=`
    pub deliver_by: Option<When>,
    /// `-O HoldUntil=`
    pub hold_until: Option<When>,
    /// `-O Priority=`
    pub priority: Option<i8>,
    /// The operands.
    pub operands: Vec<OsString>,
}

impl Mode {
    /// True if the mode reads a message or an SMTP session from standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        matches!(self, Mode::Inject | Mode::Smtp)
    }
}

impl Call {
    /// A call with this mode and no options.
    pub(super) fn new(mode: Mode) -> Call {
        Call {
            mode,
            from_header: false,
            ignore_dots: false,
            sender: None,
            sender_repeated: false,
            full_name: None,
            notify: None,
            ret: None,
            envid: None,
            verbose: false,
            asks_version: false,
            json: false,
            quiet_errors: false,
            config_file: None,
            alias_file: None,
            deliver_by: None,
            hold_until: None,
            priority: None,
            operands: Vec::new(),
        }
    }
}
