//! The peer of a unix socket as reported by the kernel (SO_PEERCRED), the only trusted identity on a socket.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use mail::envelope::Peer;

/// The credentials that the peer had when it connected.
///
/// Errors: the kernel's, if this is not a connected unix socket.
pub fn credentials(socket: &impl AsFd) -> nix::Result<Peer> {
    let credentials = getsockopt(&socket.as_fd(), PeerCredentials)?;
    Ok(Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
}
