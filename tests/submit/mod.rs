//! The real `sendmail` against SENDMAIL.md, row by row: argv and standard input in, a spool file or a refusal out.

mod aliases;
mod bs;
mod codes;
mod command_line;
mod environment;
mod hostile;
mod input;
mod options;
mod recipients;
mod rules;
mod sandbox;
mod sender;
