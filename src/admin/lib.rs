//! Administrative operations on messages, and the queries behind listings, for the daemon and for root while the daemon is stopped.
//!
//! In: the open database and spool, and the operation. Out: moved files, updated rows, and values for the control protocol. The
//! caller checks permissions. This crate uses no socket.

pub mod entries;
pub mod history;
pub mod lost;
pub mod moves;
pub mod op;
pub mod overview;
pub mod pause;
pub mod plan;
pub mod rows;
pub mod settle;
pub mod stats;
pub mod take;
