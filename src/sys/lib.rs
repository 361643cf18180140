//! Safe names for system calls that std does not have, or not as we need them; decisions stay with the callers. What std, tokio, fs2
//! (locks, free space) and single calls of nix (inotify, eventfd, poll, access) do well enough is called where it is needed.

pub mod append;
pub mod clock;
pub(crate) mod datagram;
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
pub mod wal_index;
