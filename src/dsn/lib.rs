//! Delivery status notifications (RFC 3461, 3464, 6522): their recipients and their bytes.
//!
//! In: rows whose replies hostile servers wrote, and the message as far as it can be read. Out: a message of bounded length with the
//! null reverse-path, or the reason why no DSN is sent.
//!
//! | module | work |
//! |---|---|
//! | [`limit`] | how many are sent in an hour |
//! | [`original`] | the message as quoted |
//! | [`addressee`] | the recipient of a DSN, or why none is sent |
//! | [`compose`], [`recipient`] | the content |
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
