//! Delivery status notifications (RFC 3461, 3464, 6522): who gets one, and its bytes.
//!
//! In: rows whose replies hostile servers wrote, and the message as far as it can be read. Out: a message from the null reverse-path,
//! of bounded length, or the reason why nobody gets one.
//!
//! | module | work |
//! |---|---|
//! | [`limit`] | how many may leave in an hour |
//! | [`original`] | what is quoted of the message |
//! | [`addressee`] | to whom, or why to nobody |
//! | [`compose`], [`told`] | the facts together |
//! | [`content`], [`render`], [`fields`], [`words`] | the bytes |
//! | [`write`](mod@write) | into the spool |

pub(crate) mod addressee;
pub mod compose;
pub mod content;
pub mod fields;
pub mod limit;
pub mod original;
pub mod recipient;
pub mod render;
pub mod words;
pub mod write;
