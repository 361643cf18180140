//! The second door, for `sendmail` under faults: a daemon that takes submissions and delivers none, and a caller who sees its socket
//! and no spool.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Child;

use mailchute::spool::layout;

use super::Binaries;
use crate::support::command::wait_for;
use crate::support::installation::Installation;

/// A paused daemon behind its socket.
pub struct Door {
    daemon: Child,
    /// What the caller takes for the state directory of its user: the socket, and nothing else.
    pub state: PathBuf,
    /// Descriptors of the daemon when nobody is connected.
    descriptors: usize,
    /// Messages of the runs before.
    known: BTreeSet<String>,
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Door {
    /// Starts the daemon of an installation; `scratch` is a directory for this.
    pub fn open(installation: &Installation, binaries: &Binaries, scratch: &std::path::Path) -> Door {
        let null = std::process::Stdio::null;
        let mut command = installation.program(&binaries.mailchuted);
        let daemon = command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
        let state = scratch.join("state");
        std::fs::create_dir_all(state.join("mailchute")).unwrap();
        std::os::unix::fs::symlink(installation.paths.submit_socket(), state.join("mailchute/submit.sock")).unwrap();
        let mut door = Door { daemon, state, descriptors: 0, known: BTreeSet::new() };
        wait_for("the daemon", || installation.mailchute(&["pause"]).code == Some(0));
        // The socket of that verb is closed a moment later, and a thread or two has its own.
        let mut last = (0, 0);
        wait_for("the daemon to be idle", || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let now = door.open_descriptors();
            last = if last.0 == now { (now, last.1 + 1) } else { (now, 0) };
            last.1 >= 10
        });
        door.descriptors = last.0;
        door
    }

    fn open_descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.daemon.id())).unwrap().count()
    }

    /// Waits until the daemon has done with the caller, however that one ended, and has claimed what it took.
    pub fn settle(&self, installation: &Installation) {
        wait_for("the daemon to hang up", || self.open_descriptors() <= self.descriptors);
        wait_for("the claim", || installation.spooled(layout::NEW).is_empty());
    }

    /// From now on, what is in the spool is of the runs before.
    pub fn forget(&mut self, installation: &Installation) {
        self.known = self.all(installation).into_keys().collect();
    }

    /// The messages since then, each with its directory.
    pub fn fresh(&self, installation: &Installation) -> Vec<(String, &'static str)> {
        self.all(installation).into_iter().filter(|(name, _)| !self.known.contains(name)).collect()
    }

    fn all(&self, installation: &Installation) -> std::collections::BTreeMap<String, &'static str> {
        let of = |directory: &'static str| installation.spooled(directory).into_iter().map(move |name| (name, directory));
        [layout::CUR, layout::HOLD].into_iter().flat_map(of).collect()
    }
}
