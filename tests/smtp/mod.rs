//! The SMTP client against servers that behave, misbehave, and stop at any byte.

// The lints allow these in tests; they do not see that the helpers of tests are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod client;
mod hostile;
mod lmtp;
mod pipelining;
mod sink;
mod tls;
