//! Safe wrappers for system calls that std lacks, or lacks in the form we need. They decide nothing. Calls that std, tokio, fs2 (locks,
//! free space) or nix (inotify, eventfd, poll, access) already provide are made directly where they are needed.

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
