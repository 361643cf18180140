//! All paths of an installation. The prefix is fixed at build time; in a system installation, no environment variable changes a path.
//!
//! Rootless: without a system configuration file, one uid runs both programs on its own XDG directories.

use std::path::{Path, PathBuf};

/// The prefix that the build fixed: empty for the system paths.
pub const PREFIX: &str = env!("MAILCHUTE_PREFIX");

/// The users that this installation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All users of the host; the daemon runs as its own user.
    System,
    /// One user, who also runs the daemon.
    Rootless,
}

impl Mode {
    /// The command by which a person runs `start`, `reload` or `status` on the daemon, for messages.
    pub fn systemctl(self, verb: &str) -> String {
        match (self, verb) {
            (Mode::System, _) => format!("`systemctl {verb} mailchuted`"),
            (Mode::Rootless, "start") => "`systemctl --user start mailchuted`, or start `mailchuted` yourself".to_owned(),
            (Mode::Rootless, "reload") => "`systemctl --user reload mailchuted`, or send mailchuted a SIGHUP".to_owned(),
            (Mode::Rootless, _) => format!("`systemctl --user {verb} mailchuted`"),
        }
    }
}

/// All paths of one installation.
#[derive(Clone, Debug)]
pub struct Paths {
    /// System or rootless.
    pub mode: Mode,
    /// mailchute.toml
    pub config_file: PathBuf,
    /// DKIM keys, `DOMAIN/SELECTOR.pem` (0700).
    pub keys: PathBuf,
    /// Passwords (0700).
    pub credentials: PathBuf,
    /// The spool.
    pub spool: PathBuf,
    /// The directory of the sockets and of the admission file.
    pub run: PathBuf,
    /// The alias file.
    pub aliases: PathBuf,
    /// The file whose first line is the default mailname.
    pub mailname: PathBuf,
}

impl Paths {
    /// The paths of this process: those of the system install if its configuration file exists, else those of the user.
    pub fn of_this_process() -> Paths {
        let system = Paths::system(Path::new(if PREFIX.is_empty() { "/" } else { PREFIX }));
        if system.config_file.symlink_metadata().is_ok() {
            return system;
        }
        let home = std::cell::LazyCell::new(|| sys::process::home_directory().unwrap_or_else(|| PathBuf::from("/nonexistent")));
        let directory = |variable: &str, below_home: &str| {
            let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            set.unwrap_or_else(|| home.join(below_home)).join("mailchute")
        };
        Paths::rootless(&directory("XDG_CONFIG_HOME", ".config"), &directory("XDG_STATE_HOME", ".local/state"), &system)
    }

    /// The system layout below `root`.
    pub fn system(root: &Path) -> Paths {
        let config = root.join("etc/mailchute");
        Paths {
            mode: Mode::System,
            config_file: config.join("mailchute.toml"),
            keys: config.join("keys"),
            credentials: config.join("credentials"),
            spool: root.join("var/spool/mailchute"),
            run: root.join("run/mailchute"),
            aliases: root.join("etc/aliases"),
            mailname: root.join("etc/mailname"),
        }
    }

    /// The layout of one user. The sockets are beside the spool.
    fn rootless(config: &Path, state: &Path, system: &Paths) -> Paths {
        Paths {
            mode: Mode::Rootless,
            config_file: config.join("mailchute.toml"),
            keys: config.join("keys"),
            credentials: config.join("credentials"),
            spool: state.join("spool"),
            run: state.to_owned(),
            aliases: system.aliases.clone(),
            mailname: system.mailname.clone(),
        }
    }

    /// The file in which the daemon publishes its admission state to `sendmail`.
    pub fn admission_file(&self) -> PathBuf {
        self.run.join("admission")
    }

    /// The submission socket, for callers that cannot write to the drop directory.
    pub fn submit_socket(&self) -> PathBuf {
        self.run.join("submit.sock")
    }

    /// The `sendmail` of this installation: the installed one, or the one beside the running program.
    pub fn sendmail(&self) -> PathBuf {
        let installed = PathBuf::from(format!("{}/usr/sbin/sendmail", PREFIX.trim_end_matches('/')));
        let beside = || std::env::current_exe().ok().map(|path| path.with_file_name("sendmail")).filter(|path| path.exists());
        if installed.exists() { installed } else { beside().unwrap_or(installed) }
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }
}
