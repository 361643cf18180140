//! What unit tests of several crates share: a scratch spool and messages in it. No product code depends on it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::new_without_default, reason = "a helper of tests fails as a test does")]

use store::{Claim, ClaimedMessage, Store};

mod scratch;

pub use scratch::{MESSAGE, Scratch, claimed, envelope, message};
