//! The events of the daemon: one function per event with fixed fields. No message content, no credentials.

pub mod events;
pub mod message;
pub mod names;
pub mod record;
