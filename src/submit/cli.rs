//! The command line of `sendmail`: the option table, and what a caller asked for.
//!
//! In: argv of an untrusted caller. Out: a [`Call`], or one line and exit code 64. Nothing is opened, read or sent here, so every
//! dangerous option is refused before the first byte of standard input (SENDMAIL.md sections 1 and 2).
//!
//! The table feeds the parser, sendmail(8) and the test that every option is honoured, ignored or refused as documented.

mod call;
mod long;
mod options;
mod parse;
mod refusal;

pub use call::{Call, Flush, FlushField, Mode, When};
pub use options::{Class, OPTIONS, Opt, Value};
pub use parse::parse;
pub use refusal::Refusal;

#[cfg(test)]
mod tests;
