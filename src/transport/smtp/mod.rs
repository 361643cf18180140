//! The SMTP and LMTP client: one connection, its opening and its transactions.
//!
//! In: an endpoint, a TLS policy, an envelope and signed content. Out: one [`Reply`] or one
//! [`Failure`] for each recipient. The server is not trusted: it may send anything, at any time, or nothing.
//!
//! ```text
//!   Session::open ──▶ send_envelope ──▶ read_envelope_replies ──▶ send_content(…, next) ──▶ read_final ─┐
//!   connect, greeting,   MAIL RCPT… DATA      who is accepted         dot, and the next                  │
//!   EHLO, TLS, AUTH      in one write               ▲                 MAIL RCPT… DATA                    │
//!                                                   └────────────────── one round trip per message ◀─────┘
//! ```
//!
//! The loop of a worker, with `None` in place of `next` if the session becomes idle afterwards:
//!
//! ```text
//!   if !session.has_envelope() { session.send_envelope(&current)? }
//!   let replies = session.read_envelope_replies();      every recipient has a result now
//!   if replies.any_accepted() {                         mark the attempt "in data", then
//!       session.send_content(&content, next)?;          on failure, the end of data was not sent
//!       let finals = session.read_final();              one result for each accepted recipient
//!   }                                                   next continues here if has_envelope() or is_usable()
//! ```
//! A session with an unwanted pipelined group is dropped: no message is affected.
//!
//! Guarantees of this module:
//! * Content is sent in wire form only, with exactly one end of data. If content cannot be read to its end, the end of data is never
//!   sent ([`wire`], RFC 5321 4.5.2).
//! * A reply counts for the command that it answers. An unsolicited reply ends the connection ([`session`]).
//! * A password is sent only over TLS with a certificate verified for the configured name ([`auth`]).
//! * Replies are limited in bytes, lines and time ([`reply`], [`timeouts`]).
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
