//! Hostile callers, as tables: each row is what is given, the exit code, a word of the line on standard error, and what is in the
//! spool then. Every row is judged by the same rule as well: exit code 0 and one whole message, or another code and nothing.

mod addresses;
mod arguments;
mod bytes;
mod environment;
mod headers;
mod time;
