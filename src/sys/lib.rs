//! The only doorway to the kernel. Everything here is a thin, safe name for a call; decisions stay with the callers.

pub mod append;
pub mod clock;
pub mod datagram;
pub mod fs;
pub mod passwd;
pub mod peer;
pub mod private;
pub mod process;
pub mod replace;
pub mod stdin;
pub mod stream;
pub mod syslog;
pub mod udp;
