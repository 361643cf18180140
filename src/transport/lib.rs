//! From a recipient's domain to the final reply: routes, SMTP, TLS, and the encoding of content. Knows neither spool nor database.
//!
//! In: configuration, addresses, bytes of a message. Out: replies and failures as values, with stage, status and peer. DNS answers and
//! SMTP peers are hostile: every length has a bound, nothing they send decides more than this transaction.
//!
//! | module | work |
//! |---|---|
//! | [`route`] | where to: a configured host, or the mail exchangers of a domain |
//! | [`tls`] | what a certificate must prove, and what a failed handshake means |
//! | [`smtp`] | the session and its transactions |
//! | [`encode`] | 8-bit parts and long lines for servers that do not take them; the Received field |

pub mod encode;
pub mod route;
pub mod smtp;
pub mod tls;
