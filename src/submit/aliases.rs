//! The alias file (SENDMAIL.md section 9): text, read at injection; there is no database.
//!
//! In: a file of root's, in the syntax of aliases(5). Out: for each name its targets, and a list of what is wrong, line by line.
//! A broken line costs itself alone: a message is never refused because of this file. Commands and files are targets that this
//! system does not serve: nothing is executed, and nothing but the spool is written.

mod expand;
mod file;
mod include;
mod target;

pub use expand::{Expansion, Lookup, expand};
pub use file::{Aliases, Problem};
pub use include::{parse as parse_include, read as read_include};
pub use target::Target;

#[cfg(test)]
mod tests;
