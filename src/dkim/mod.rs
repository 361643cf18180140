//! What the signer and the administrator's commands both know of DKIM: names, private keys, key files and DNS records.
//!
//! In: names that an administrator typed, files below `keys/`. Out: keys that can sign, and the records to publish. `relay` signs
//! with it, `ctl` makes keys and prints records; neither may import the other, so what they share lives here. Nobody is trusted
//! with a key file but its owner: what others could have read or replaced is refused with the command that mends it.

pub mod base64;
pub mod file;
pub mod key;
pub mod name;
pub mod record;

pub use key::{Kind, PrivateKey};
pub use name::{Selector, SigningDomain};
