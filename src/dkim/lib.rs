//! DKIM (RFC 6376, 8301, 8463): names, keys, key files and DNS records; and the signatures of messages about to be sent.
//!
//! In: names that an administrator typed, files below `keys/`; to sign, the header section and the hash of the body in the wire form
//! that is about to be sent. Out: records to publish, and DKIM-Signature fields to put before the message. The daemon signs, the
//! administrator's command makes keys and prints records. Only the owner may have access to a key file: a file that others could
//! have read or replaced is refused, with the command that fixes it.
//!
//! Nothing is verified here and a message is never changed: DKIM-Signature fields that it brings are left alone. A signature that
//! cannot be made is an error, never a silent omission: `dkim = "required"` holds the message. Always relaxed/relaxed, `t=` and no
//! `x=` (a queue may hold mail for days), and no `l=`: it lets anybody append to the body (THREATS T-DKIM-2).

pub(crate) mod canon;
pub mod fields;
pub mod file;
pub mod from;
pub mod key;
pub mod name;
pub mod record;
pub mod ring;
pub mod sign;

pub use canon::BodyHasher;
pub use key::{Kind, PrivateKey};
pub use name::{Selector, SigningDomain};
pub use ring::{KeyRing, Signing};
pub use sign::{SignError, Signer, sign};
