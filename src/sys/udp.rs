//! Datagram sockets for one peer only: connected before they have a port, so that the kernel drops every datagram from other sources
//! (THREATS.md T-NET-1).

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6};

/// A non-blocking UDP socket for `peer` alone. The kernel picks a random local port inside the connect call, so the socket is bound and
/// unconnected only within that call. A datagram that arrives in that moment keeps its true source address, so receivers still compare
/// it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_receives_from_its_peer_only() {
        for here in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(peer) = UdpSocket::bind(here) else { continue };
            let stranger = UdpSocket::bind(here).unwrap();
            let socket = connect(peer.local_addr().unwrap()).unwrap();
            let address = socket.local_addr().unwrap();
            assert_eq!(socket.peer_addr().unwrap(), peer.local_addr().unwrap());
            let _ = stranger.send_to(b"forged", address);
            peer.send_to(b"answer", address).unwrap();
            let mut buffer = [0; 16];
            let (length, source) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], source), (&b"answer"[..], peer.local_addr().unwrap()));
            assert_eq!(socket.recv_from(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        }
    }
}
