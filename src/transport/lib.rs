//! Delivery from a recipient's domain to the final reply: routing, SMTP, TLS, and the encoding of content. Independent of spool and
//! database.
//!
//! In: configuration, addresses, bytes of a message. Out: replies and failures as values, with stage, status and peer. DNS answers and
//! SMTP peers are hostile: every length has a limit, and their data affects only the current transaction.
//!
//! | module | work |
//! |---|---|
//! | [`route`] | a configured host, or the mail exchangers of a domain |
//! | [`tls`] | the verification of certificates, and error messages for failed handshakes |
//! | [`smtp`] | the session and its transactions |
//! | [`encode`] | conversion of 8-bit parts and long lines for servers that do not accept them; the Received field |

pub mod encode;
pub mod route;
pub mod smtp;
pub mod tls;
