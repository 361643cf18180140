//! Who is at the other end of a unix socket: the kernel's word (SO_PEERCRED), the only source of identity on a socket.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use mail::envelope::Peer;

/// The credentials that the peer had when it connected.
///
/// Errors: the kernel's, for something that is no connected unix socket.
pub fn credentials(socket: &impl AsFd) -> nix::Result<Peer> {
    let credentials = getsockopt(&socket.as_fd(), PeerCredentials)?;
    Ok(Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
}
