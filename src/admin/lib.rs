//! What operators do to messages and read of them: the same for the running daemon and for root while it is stopped.
//!
//! In: the open database and spool, and who asks for what. Out: files and rows where they belong, and values for the control
//! protocol. Rights are checked by the caller; nothing here talks to a socket.

pub mod entries;
pub mod history;
pub mod op;
pub mod overview;
pub mod pause;
pub mod stats;
