//! The second door, for `sendmail` under faults: a daemon that takes submissions and delivers none, and a caller who sees its socket
//! and no spool.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Child;

use spool::layout;

use super::Binaries;
use crate::support::command::wait_for;
use crate::support::installation::Installation;

/// A paused daemon behind its socket.
pub(crate) struct Door {
    daemon: Child,
    /// What the caller takes for the state directory of its user: the socket, and nothing else.
    pub state: PathBuf,
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
    pub(crate) fn open(installation: &Installation, binaries: &Binaries, scratch: &std::path::Path) -> Door {
        let null = std::process::Stdio::null;
        let mut command = installation.program(&binaries.mailchuted);
        let daemon = command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
        let state = scratch.join("state");
        std::fs::create_dir_all(state.join("mailchute")).unwrap();
        std::os::unix::fs::symlink(installation.paths.submit_socket(), state.join("mailchute/submit.sock")).unwrap();
        wait_for("the daemon", || installation.mailchute(&["pause"]).code == Some(0));
        Door { daemon, state, known: BTreeSet::new() }
    }

    /// Waits until the daemon has done with the caller, however that one ended, and has claimed what it took.
    pub(crate) fn settle(&self, installation: &Installation) {
        wait_for("the daemon to hang up", || connections(installation) == 0);
        // It hangs up on a caller who has gone at once, and the thread that writes the file may still be at it.
        wait_for("the last byte", || !self.has_draft());
        wait_for("the claim", || installation.spooled(layout::NEW).is_empty());
    }

    /// A file without a name is open.
    fn has_draft(&self) -> bool {
        let links = std::fs::read_dir(format!("/proc/{}/fd", self.daemon.id())).unwrap();
        links.flatten().filter_map(|link| std::fs::read_link(link.path()).ok()).any(|file| file.to_string_lossy().ends_with(" (deleted)"))
    }

    /// From now on, what is in the spool is of the runs before.
    pub(crate) fn forget(&mut self, installation: &Installation) {
        self.known = self.all(installation).into_keys().collect();
    }

    /// The messages since then, each with its directory.
    pub(crate) fn fresh(&self, installation: &Installation) -> Vec<(String, &'static str)> {
        self.all(installation).into_iter().filter(|(name, _)| !self.known.contains(name)).collect()
    }

    fn all(&self, installation: &Installation) -> std::collections::BTreeMap<String, &'static str> {
        let of = |directory: &'static str| installation.spooled(directory).into_iter().map(move |name| (name, directory));
        [layout::CUR, layout::HOLD].into_iter().flat_map(of).collect()
    }
}

/// The daemon's ends of connections to the second door, accepted or not: in the kernel's table they have the socket's name, and are
/// not listening.
fn connections(installation: &Installation) -> usize {
    let socket = installation.paths.submit_socket().display().to_string();
    let table = std::fs::read_to_string("/proc/net/unix").unwrap();
    // Num RefCount Protocol Flags Type St Inode Path: 00010000 among the flags is a listener.
    let is_connection = |line: &&str| line.ends_with(&format!(" {socket}")) && line.split_whitespace().nth(3) != Some("00010000");
    table.lines().filter(is_connection).count()
}
