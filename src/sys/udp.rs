//! Datagram sockets that were never open to the world: connected before they have a port, so that the kernel drops whatever does
//! not come from the one peer (DESIGN.md, promise 2).

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6};

/// A non-blocking UDP socket that speaks with `peer` alone. The kernel picks a random local port while it connects: there is no
/// moment at which the socket is bound and unconnected.
///
/// Errors: ENETUNREACH where there is no route, EAFNOSUPPORT where the address family is switched off, EMFILE.
pub fn connect(peer: SocketAddr) -> std::io::Result<UdpSocket> {
    let open = |family| socket::socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None);
    let fd = match peer {
        SocketAddr::V4(peer) => {
            let fd = open(AddressFamily::Inet)?;
            socket::connect(fd.as_raw_fd(), &SockaddrIn::from(peer))?;
            fd
        }
        SocketAddr::V6(peer) => {
            let fd = open(AddressFamily::Inet6)?;
            socket::connect(fd.as_raw_fd(), &SockaddrIn6::from(peer))?;
            fd
        }
    };
    Ok(UdpSocket::from(fd))
}
