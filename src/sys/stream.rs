//! A unix stream socket with timeouts, to a program that may not answer.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_to, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

/// Connects to the socket at `path`. Connecting, each write and each read take at most `patience`: a peer whose queue of connections
/// is full would otherwise block the caller for ever.
///
/// Errors: the kernel's; EAGAIN after `patience`.
pub fn connect(path: &Path, patience: Duration) -> nix::Result<UnixStream> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let limit = TimeVal::milliseconds(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX));
    setsockopt(&socket, sockopt::SendTimeout, &limit)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
    connect_to(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_peer_that_accepts_nothing_is_not_waited_for_without_end() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("s");
        assert_eq!(connect(&path, Duration::from_secs(1)).err(), Some(nix::errno::Errno::ENOENT));
        let listener = UnixListener::bind(&path).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        let mut connected = Vec::new();
        let refused = loop {
            match connect(&path, Duration::from_millis(20)) {
                Ok(stream) => connected.push(stream),
                Err(e) => break e,
            }
            assert!(connected.len() < 100);
        };
        assert_eq!(refused, nix::errno::Errno::EAGAIN);
    }
}
