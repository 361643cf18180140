//! Standard input.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Reads available bytes into `buffer`, or waits for some; 0 at the end. Also waits if another program left the descriptor
/// non-blocking.
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

/// True for a terminal.
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Waits up to `seconds` for input or its end. False after a timeout.
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
