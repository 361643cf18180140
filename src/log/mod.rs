//! What the programs say: one function per event, fixed fields, nothing of a message's content, no credentials.

pub mod syslog;
