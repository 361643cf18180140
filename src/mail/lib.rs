//! The vocabulary: values that every other module speaks in. Pure: no clock, no files, no sockets.
//!
//! Types are built by parsing only, so a value that exists is valid: no address holds CR, LF or NUL, no queue id a slash.

pub mod address;
pub mod address_list;
pub mod base64;
pub mod date;
pub mod encoded_word;
pub mod envelope;
pub mod header;
pub mod limits;
pub mod printable;
pub mod queue_id;
pub mod remote_id;
pub mod seven_bit;
pub mod status;
pub mod wire;
pub mod xtext;

pub use address::{Address, ReversePath};
pub use envelope::Envelope;
pub use queue_id::QueueId;
pub use status::{EnhancedStatus, Reply};
