//! A parsed command line.

use std::ffi::OsString;

use mail::envelope::{Notify, Ret};

/// What the caller wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Take a message from standard input.
    Inject,
    /// List the queue.
    List,
    /// Count the queue.
    Count,
    /// Speak SMTP on standard input and output.
    Smtp,
    /// Say what would become of addresses.
    Verify,
    /// Validate the alias file.
    Aliases,
    /// Ask the daemon to try mail now.
    Flush(Flush),
    /// Succeed without doing anything: `-q30m`, `-bh`.
    Nothing,
    /// `-bd`, `-bD`, `-bl`: there is no listener to start.
    Daemon,
    /// Print name and version.
    Version,
    /// Print a summary of the options.
    Help,
}

/// What `-q` wants tried (SENDMAIL.md section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Everything.
    All,
    /// The messages that match.
    Matching {
        /// What is looked at.
        field: FlushField,
        /// True: those that do not match.
        negated: bool,
        /// The id or its beginning; or any part of an address, in any case.
        text: String,
    },
}

/// What a selective `-q` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushField {
    /// The queue id, whole or its beginning.
    Id,
    /// The recipients.
    Recipient,
    /// The envelope sender.
    Sender,
}

/// A time given by a caller: later than now by so many seconds, or a moment in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Seconds from now.
    In(i64),
    /// Unix seconds.
    At(i64),
}

impl When {
    /// The unix second that is meant, `now` being unix seconds.
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
    /// What is wanted.
    pub mode: Mode,
    /// `-t`
    pub from_header: bool,
    /// `-i`
    pub ignore_dots: bool,
    /// `-f`, `-r`: not yet parsed, no control characters.
    pub sender: Option<OsString>,
    /// Two different `-f` were given.
    pub sender_repeated: bool,
    /// `-F`: control characters are blanks; perhaps not UTF-8.
    pub full_name: Option<Vec<u8>>,
    /// `-N`
    pub notify: Option<Notify>,
    /// `-R`
    pub ret: Option<Ret>,
    /// `-V`
    pub envid: Option<String>,
    /// `-v`
    pub verbose: bool,
    /// `-d0`, `-d0.1`: the version is wanted, if nothing else is.
    pub asks_version: bool,
    /// `-j`
    pub json: bool,
    /// `-e`: errors print nothing.
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
    /// What follows the options.
    pub operands: Vec<OsString>,
}

impl Mode {
    /// True if the mode takes a message or a dialogue from standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        matches!(self, Mode::Inject | Mode::Smtp)
    }
}

impl Call {
    /// `mode`, with nothing asked for.
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
