//! What every scenario shares: the real parts, isolation, an installation of the product, receivers and judges.
//!
//! A scenario that needs fixed ports, other uids or mounts begins with `isolated!()`; one that needs a downloaded part asks for it
//! with `require!(…)`. Both skip loudly where they cannot be had, and fail where the variable CI is set.

#[macro_use]
pub(crate) mod parts;
#[macro_use]
pub(crate) mod isolation;
pub(crate) mod certificates;
pub(crate) mod command;
pub(crate) mod dns;
pub(crate) mod foreign_root;
pub(crate) mod https;
pub(crate) mod installation;
pub(crate) mod keys;
pub(crate) mod message;
pub(crate) mod oracles;
pub(crate) mod postfix;
pub(crate) mod scripted;
pub(crate) mod sockets;
