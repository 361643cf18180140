//! The layout table: every directory of the spool, its mode, and what it holds. Used by `sendmail` (its check), the daemon (its
//! check at start, making a rootless spool), packaging/files.list (a test compares) and mailchute-spool(5).

use std::path::Path;

use nix::sys::stat::FileStat;

/// One directory of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its name below the spool; "." is the spool itself.
    pub name: &'static str,
    /// Its exact mode in a system install; rootless, all are 0700.
    pub mode: u32,
    /// What it holds.
    pub holds: &'static str,
}

impl Directory {
    /// Its path in the spool at `spool`.
    pub fn path(&self, spool: &Path) -> std::path::PathBuf {
        if self.name == "." { spool.to_owned() } else { spool.join(self.name) }
    }
}

/// Partly written messages, if O_TMPFILE is unsupported.
pub const TMP: &str = "tmp";
/// Accepted messages.
pub const NEW: &str = "new";
/// Claimed messages.
pub const CUR: &str = "cur";
/// Held messages.
pub const HOLD: &str = "hold";
/// Permanently failed messages.
pub const FAILED: &str = "failed";
/// Files that are not valid messages.
pub const CORRUPT: &str = "corrupt";
/// Removed within the last 24 hours.
pub const TRASH: &str = "trash";

/// The table. 3733: anyone may create a file, nobody but the owner may list (no r), nobody may remove or rename another's file
/// (sticky), and a file born there gets the group of the directory (setgid on a directory gives no one any right).
pub const DIRECTORIES: &[Directory] = &[
    Directory { name: ".", mode: 0o755, holds: "the spool" },
    Directory { name: TMP, mode: 0o3733, holds: "partly written messages, if O_TMPFILE is unsupported" },
    Directory { name: NEW, mode: 0o3733, holds: "accepted messages; the file name is the queue id" },
    Directory { name: CUR, mode: 0o700, holds: "messages that the daemon has claimed" },
    Directory { name: HOLD, mode: 0o700, holds: "messages held by an operator or a rule" },
    Directory { name: FAILED, mode: 0o700, holds: "messages that failed permanently" },
    Directory { name: CORRUPT, mode: 0o700, holds: "files that are not valid messages, each with its reason in a file beside it" },
    Directory { name: TRASH, mode: 0o700, holds: "messages removed within the last 24 hours" },
];

/// The mode of a spool file: the daemon reads it through its group.
pub const FILE_MODE: u32 = 0o640;

/// Creates the missing directories of a one-user spool, all 0700. Used by the daemon and `mailchute setup`, never by `sendmail`.
///
/// Errors: the kernel's, with the path.
pub fn make_rootless(spool: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    for directory in DIRECTORIES {
        let path = directory.path(spool);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    }
    Ok(())
}

/// Whose spool it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The daemon's uid.
    pub uid: u32,
    /// The group that proves a file was born in the drop directory.
    pub gid: u32,
}

/// Checks every directory of the spool against the table: type, mode, and owner, which must be `uid`. Root never owns a system spool,
/// because the daemon does not run as root.
///
/// Errors: one line with the path, the problem, and how to fix it.
pub fn verify(spool: &Path, uid: u32, rootless: bool) -> Result<Owner, String> {
    let mut owner = None;
    for directory in DIRECTORIES {
        let path = directory.path(spool);
        let stat =
            nix::sys::stat::lstat(&path).map_err(|e| format!("{}: {}; run `mailchute setup` or reinstall", path.display(), e.desc()))?;
        let mode = if rootless { 0o700 } else { directory.mode };
        check(&stat, mode, uid, owner).map_err(|why| format!("{}: {why}", path.display()))?;
        owner = Some(Owner { uid, gid: stat.st_gid });
    }
    owner.ok_or_else(|| "the layout table is empty".to_owned())
}

fn check(stat: &FileStat, mode: u32, uid: u32, owner: Option<Owner>) -> Result<(), String> {
    if !sys::fs::is_directory(stat) {
        return Err("is not a directory; move it away, then run `mailchute setup` or reinstall".to_owned());
    }
    if stat.st_uid != uid {
        return Err(format!("belongs to uid {}, not to uid {uid}, which runs this program; run `chown`, or run as the owner", stat.st_uid));
    }
    if sys::fs::mode(stat) != mode {
        return Err(format!("has mode {:04o}; run `chmod {mode:04o}` on it", sys::fs::mode(stat)));
    }
    if let Some(owner) = owner.filter(|owner| owner.gid != stat.st_gid) {
        return Err(format!("has group {}, but the spool has another group; run `chgrp {}` on it", stat.st_gid, owner.gid));
    }
    Ok(())
}
