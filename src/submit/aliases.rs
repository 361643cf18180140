//! The alias file (SENDMAIL.md section 9): a text file, read at injection without a database.
//!
//! In: a file of root in the syntax of aliases(5). Out: the targets of each name, and the errors with their line numbers. An error
//! affects only its own line: the alias file never causes a refusal. Commands and files are not supported as targets: this system
//! executes nothing and writes only to the spool.

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
