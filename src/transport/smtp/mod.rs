//! The SMTP and LMTP client: one connection, its opening and its transactions.
//!
//! In: a place to connect to, what TLS must prove, an envelope and content that others have signed. Out: one [`Reply`] or one
//! [`Failure`] for each recipient. Nobody is trusted: a server may send anything, at any time, or nothing.
//!
//! ```text
//!   Session::open ──▶ send_envelope ──▶ read_envelope_replies ──▶ send_content(…, next) ──▶ read_final ─┐
//!   connect, greeting,   MAIL RCPT… DATA      who is accepted         dot, and the next                  │
//!   EHLO, TLS, AUTH      in one write               ▲                 MAIL RCPT… DATA                    │
//!                                                   └────────────────── one round trip per message ◀─────┘
//! ```
//!
//! A worker's loop, with `None` in place of `next` where the session is to rest afterwards:
//!
//! ```text
//!   if !session.has_envelope() { session.send_envelope(&current)? }
//!   let replies = session.read_envelope_replies();      every recipient has a result now
//!   if replies.any_accepted() {                         mark the attempt "in data", then
//!       session.send_content(&content, next)?;          a failure: the end of data has not left
//!       let finals = session.read_final();              one result for each accepted recipient
//!   }                                                   next goes on if has_envelope() or is_usable(), else elsewhere
//! ```
//! A session whose pipelined group is not wanted any more is dropped: no message has been touched.
//!
//! What this module promises:
//! * Content leaves in wire form only, with exactly one end of data; of content that cannot be read to its end, the end of data
//!   never leaves ([`wire`], RFC 5321 4.5.2).
//! * A reply counts for the command that it answers. What arrives unasked ends the connection ([`session`]).
//! * A password leaves only under TLS whose certificate was verified for the configured name ([`auth`]).
//! * What a reply can cost is bounded in bytes, lines and time ([`reply`], [`timeouts`]).
//!
//! [`Reply`]: mail::Reply

pub mod auth;
pub mod capabilities;
mod connection;
pub mod content;
mod dialogue;
pub mod envelope;
pub mod failure;
mod phase;
pub mod reply;
pub mod session;
pub mod timeouts;
mod transaction;
pub mod wire;

pub use auth::Credentials;
pub use capabilities::Capabilities;
pub use content::{Bytes, Content};
pub use envelope::Envelope;
pub use failure::{Failure, Stage};
pub use session::{Endpoint, Protocol, Session, Settings, Target};
pub use timeouts::Timeouts;
pub use transaction::EnvelopeReplies;
