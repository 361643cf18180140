//! The SMTP client against servers that behave, misbehave, and stop at any octet.

mod client;
mod hostile;
mod lmtp;
mod pipelining;
mod sink;
mod speed;
mod tls;
