//! What every scenario shares: the real parts, isolation, an installation of the product, receivers and judges.
//!
//! A scenario that needs fixed ports, other uids or mounts begins with `isolated!()`; one that needs a downloaded part asks for it
//! with `require!(…)`. Both skip loudly where they cannot be had, and fail where the variable CI is set.

#[macro_use]
pub mod parts;
#[macro_use]
pub mod isolation;
pub mod certificates;
pub mod command;
pub mod dns;
pub mod foreign_root;
pub mod https;
pub mod installation;
pub mod keys;
pub mod message;
pub mod oracles;
pub mod postfix;
pub mod scripted;
pub mod sockets;
