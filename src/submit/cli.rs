//! The command line of `sendmail`: the option table and the parser.
//!
//! In: argv of an untrusted caller. Out: a [`Call`], or one line and exit code 64. This module opens, reads and sends nothing, so every
//! dangerous option is refused before the first read of standard input (SENDMAIL.md sections 1 and 2).
//!
//! The table is used by the parser, by `--help`, and by the test that every option is honoured, ignored or refused as documented.

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
