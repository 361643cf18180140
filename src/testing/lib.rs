//! What unit tests of several crates share: a scratch spool and messages in it. No product code depends on it.


use store::{Claim, Claimed, Store};

mod scratch;

pub use scratch::{MESSAGE, Scratch, claimed, envelope, message};
