//! Running a program: where it is found, and how long it may take.
//!
//! In: a child process. Out: its exit status, after a deadline that is enforced by its process id.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// `PATH` of the programs that are run.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Time between two looks at a running program.
const POLL: Duration = Duration::from_millis(20);

/// Waits for `child` to end, and kills it after `limit`.
///
/// Errors: it was killed.
pub(super) fn wait(child: &mut Child, limit: Duration) -> std::io::Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("did not end within {} s", limit.as_secs())));
        }
        std::thread::sleep(POLL);
    }
}
