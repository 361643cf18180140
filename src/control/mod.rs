//! What the daemon and the programs of users and administrators say to each other over the unix socket `control.sock`.
//!
//! In: one JSON line per connection, from anybody on the host. Out: JSON lines; the last one is an [`protocol::End`]. Authority is
//! the peer's uid as the kernel has it, never anything in the request.

#[cfg(any(feature = "relay", feature = "ctl"))]
pub mod advice;
pub mod client;
#[cfg(any(feature = "relay", feature = "ctl"))]
pub mod deed;
#[cfg(any(feature = "relay", feature = "ctl"))]
pub mod entries;
pub mod filter;
pub mod history;
pub mod listing;
pub mod overview;
#[cfg(any(feature = "relay", feature = "ctl"))]
pub mod pause;
pub mod printer;
pub mod protocol;
#[cfg(feature = "ctl")]
pub mod shape;
pub mod stats;
pub mod submission;
