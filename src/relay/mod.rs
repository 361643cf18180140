//! The daemon's side of a message's way: intake, queue, route, smtp, encode, dkim, outcome.

pub mod dkim;
pub mod encode;
pub mod route;
pub mod smtp;
pub mod tls;
