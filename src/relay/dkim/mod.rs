//! DKIM: signs a message in the wire form that is about to be sent (RFC 6376, 8301, 8463).
//!
//! In: the header section, the hash of the body, and the keys of the domain in From. Out: DKIM-Signature fields to put before the
//! message. Nothing is verified here and the message is never changed: DKIM-Signature fields that it brings are left alone. The
//! message is hostile input; keys and configuration are trusted. A signature that cannot be made is an error, never a silent
//! omission: `dkim = "required"` means that the message is held.
//!
//! Always relaxed/relaxed, `t=` and no `x=` (a queue may hold mail for days), and no `l=`: it lets anybody append to the body
//! (THREATS T-DKIM-2).

pub mod canon;
pub mod fields;
pub mod from;
pub mod ring;
pub mod sign;

pub use canon::BodyHasher;
pub use ring::{KeyRing, Signing};
pub use sign::{SignError, Signer, sign};
