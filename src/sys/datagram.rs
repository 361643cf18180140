//! One datagram to a unix socket, without blocking.

use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};

/// Sends `bytes` to the socket at `path`, if that does not block.
///
/// Errors: the kernel's; EAGAIN for a reader that is behind.
pub(crate) fn send(bytes: &[u8], path: &Path) -> nix::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    sendto(socket.as_raw_fd(), bytes, &UnixAddr::new(path)?, MsgFlags::MSG_NOSIGNAL).map(|_| ())
}
