//! Standard input: read as it comes, and waited for.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Reads what is there into `buffer`, waiting for something; 0 at the end. A descriptor that another program left non-blocking is
/// waited for all the same.
///
/// Errors: the kernel's.
pub fn read(buffer: &mut [u8]) -> nix::Result<usize> {
    loop {
        match nix::unistd::read(std::io::stdin(), buffer) {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                wait(PollTimeout::NONE)?;
            }
            result => return result,
        }
    }
}

/// True if a person sits at the other end.
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Waits up to `seconds` until there is something to read, or the end; false after that time in silence.
pub fn is_readable_within(seconds: u16) -> bool {
    matches!(wait(PollTimeout::try_from(u32::from(seconds) * 1000).unwrap_or(PollTimeout::NONE)), Ok(true))
}

fn wait(timeout: PollTimeout) -> nix::Result<bool> {
    let stdin = std::io::stdin();
    loop {
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => {}
            result => return result.map(|ready| ready > 0),
        }
    }
}
