//! sysexits: the one table of exit codes (SENDMAIL.md section 6). An error names its code as an [`Exit`] where it
//! arises. No code is written as a number elsewhere, except in `mailchute monitor`, which uses the codes of Nagios.
//!
//! In: the errors of the three programs, as values. Out: a number that callers of `sendmail` have relied on since 1988.

use std::process::ExitCode;

/// An exit code of sysexits.h. 75 (EX_TEMPFAIL) is never used unless `spool_error_exit = 75` asks for it:
/// PHP 8.5 takes 75 for success, so a message that was not spooled would be lost silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// EX_OK: the message is durably spooled, or the query was answered.
    Ok = 0,
    /// An operator command did not find every message that it named (SENDMAIL.md section 11).
    NotFound = 1,
    /// EX_USAGE: bad option, mode, value; refused dangerous option; no recipients.
    Usage = 64,
    /// EX_DATAERR: malformed recipient, message too large, too many hops.
    DataErr = 65,
    /// EX_NOUSER: `-bv`, or a bare local name under `unknown_local = "reject"`.
    NoUser = 67,
    /// EX_UNAVAILABLE: the daemon is needed and stopped; the spool does not accept new mail (nearly full, a user over its quota, admission closed).
    Unavailable = 69,
    /// EX_SOFTWARE: an internal error.
    Software = 70,
    /// EX_OSERR: a system call failed that should always work.
    OsErr = 71,
    /// EX_CANTCREAT: the spool file cannot be created, and the submission socket cannot be used.
    CantCreate = 73,
    /// EX_IOERR: reading stdin or writing the spool file failed.
    IoErr = 74,
    /// EX_TEMPFAIL: only if the administrator asked for it.
    TempFail = 75,
    /// EX_NOPERM: refused by policy or permissions.
    NoPerm = 77,
    /// EX_CONFIG: unreadable or invalid configuration, wrong installation.
    Config = 78,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The code for a number received over the control socket. An unknown number is [`Exit::Software`].
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Exit::Ok,
            1 => Exit::NotFound,
            64 => Exit::Usage,
            65 => Exit::DataErr,
            67 => Exit::NoUser,
            69 => Exit::Unavailable,
            71 => Exit::OsErr,
            73 => Exit::CantCreate,
            74 => Exit::IoErr,
            75 => Exit::TempFail,
            77 => Exit::NoPerm,
            78 => Exit::Config,
            _ => Exit::Software,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// An error of one part, as a type. Its sentence is its `Display`; the rest is derived from it here, in one place for each part.
/// Nothing is decided from the sentence.
pub trait Report: std::error::Error {
    /// A stable word for the kind of the error.
    fn code(&self) -> &'static str;

    /// The exit code of a program that ends with it.
    fn exit(&self) -> Exit;

    /// The enhanced status (RFC 3463) of a reply that refuses because of it, where a client may see one.
    fn status(&self) -> Option<&'static str> {
        None
    }
}

/// An error for a person: one line that says what failed, why, and what to do, with the exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code of the program.
    pub exit: Exit,
    /// One line, no line feed, no program name.
    pub text: String,
}

impl Failure {
    /// A failure with its text.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Failure { exit, text: mail::sentence::made(text) }
    }
}

/// At the edge of a program.
impl<E: Report> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { exit: error.exit(), text: error.to_string() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
