//! The control protocol: requests and replies over the unix socket `control.sock`.
//!
//! In: one JSON line per connection, from any user of the host. Out: JSON lines; the last one is a [`protocol::End`]. The daemon
//! authorizes by the uid that the kernel reports for the peer, never by the contents of a request.

pub mod client;
mod detail;
pub mod filter;
pub mod history;
pub mod listing;
pub mod overview;
pub mod printer;
pub mod protocol;
pub mod refusal;
pub mod state;
pub mod stats;
mod status;
pub mod submission;
pub mod warnings;
pub mod why;
