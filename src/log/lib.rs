//! What the programs say: one function per event, fixed fields, nothing of a message's content, no credentials.

pub mod events;
pub mod names;
pub mod record;
