//! The shared types of mail: addresses, headers, envelopes, replies. Pure: no clock, no files, no sockets.
//!
//! Types are built only by parsing, so every value is valid: no address contains CR, LF or NUL, no queue id a slash.

pub mod address;
pub mod address_list;
pub mod base64;
pub mod code;
pub mod date;
pub mod der;
pub mod diagnosis;
pub mod encoded_word;
pub mod envelope;
pub mod header;
pub mod limits;
pub mod printable;
pub mod queue_id;
pub mod remote_id;
pub mod sentence;
pub mod seven_bit;
pub mod status;
pub mod wire;
pub mod words;
pub mod xtext;

pub use address::{Address, ReversePath};
pub use diagnosis::{Actor, Diagnosis, HistoryCause, Hold};
pub use envelope::Envelope;
pub use queue_id::QueueId;
pub use status::{EnhancedStatus, Reply};
