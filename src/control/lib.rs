//! What the daemon and the programs of users and administrators say to each other over the unix socket `control.sock`.
//!
//! In: one JSON line per connection, from anybody on the host. Out: JSON lines; the last one is an [`protocol::End`]. Authority is
//! the peer's uid as the kernel has it, never anything in the request.

pub mod client;
mod detail;
pub mod filter;
pub mod history;
pub mod listing;
pub mod overview;
pub mod printer;
pub mod protocol;
pub mod stats;
mod status;
pub mod submission;
pub mod warnings;
