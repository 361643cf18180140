//! The product, installed for one test: its directories, its three programs, its daemon. Everything ends with the value.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use config::Paths;
use config::paths::PREFIX;
use nix::sys::signal::Signal;
use serde_json::Value;
use spool::layout;
use tempfile::TempDir;

use super::command::{self, Ended, PATIENCE, wait_for, wait_until};
use super::isolation;

/// The daemon's uid and gid in a system installation. No passwd entry is needed.
pub(crate) const DAEMON_ID: u32 = 4242;
/// A caller without any right. No passwd entry either: containers run any uid.
pub(crate) const CALLER_ID: u32 = 4301;
/// Another one.
pub(crate) const OTHER_ID: u32 = 4302;

/// One installation, empty configuration, daemon not started.
pub(crate) struct Installation {
    pub paths: Paths,
    /// The directory of the three programs.
    programs: PathBuf,
    scratch: TempDir,
    daemon: Option<Child>,
}

impl Installation {
    /// One user's installation below a temporary directory; any uid, no namespaces.
    pub(crate) fn rootless() -> Installation {
        let scratch = TempDir::new().unwrap();
        let system = Paths::system(Path::new(PREFIX));
        assert!(!system.config_file.exists(), "{} exists, so nothing is rootless here", system.config_file.display());
        let (config, state) = (scratch.path().join("config/mailchute"), scratch.path().join("state/mailchute"));
        std::fs::create_dir_all(&config).unwrap();
        let paths = Paths {
            mode: config::paths::Mode::Rootless,
            config_file: config.join("mailchute.toml"),
            keys: config.join("keys"),
            credentials: config.join("credentials"),
            spool: state.join("spool"),
            run: state,
            ..system
        };
        for directory in [&paths.keys, &paths.credentials] {
            make_directory(directory, 0o700, None);
        }
        Installation { paths, programs: own_programs(), scratch, daemon: None }
    }

    /// A system installation at the prefix that the build fixed, which is this test's alone: only after `isolated!()`.
    pub(crate) fn system() -> Installation {
        Installation::system_with_spool("mode=755")
    }

    /// As [`Installation::system`], the spool on a file system of its own with these mount options (`size=256k,mode=755`).
    pub(crate) fn system_with_spool(options: &str) -> Installation {
        isolation::mount_fresh(Path::new(PREFIX), "mode=755");
        let paths = Paths::system(Path::new(PREFIX));
        let etc = paths.config_file.parent().unwrap();
        make_directory(etc, 0o755, None);
        std::fs::write(&paths.config_file, "").unwrap();
        std::fs::write(&paths.mailname, "sender.example\n").unwrap();
        for directory in [&paths.keys, &paths.credentials] {
            make_directory(directory, 0o700, Some(DAEMON_ID));
        }
        make_directory(&paths.run, 0o755, Some(DAEMON_ID));
        isolation::mount_fresh(&paths.spool, options);
        for directory in layout::DIRECTORIES {
            make_directory(&paths.spool.join(directory.name), directory.mode, Some(DAEMON_ID));
        }
        Installation { paths, programs: own_programs(), scratch: TempDir::new().unwrap(), daemon: None }
    }

    /// The same with the programs of another build.
    pub(crate) fn with_programs(self, programs: &Path) -> Installation {
        let mut installation = self;
        programs.clone_into(&mut installation.programs);
        installation
    }

    /// One of the three programs.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Writes mailchute.toml.
    pub(crate) fn configure(&self, toml: &str) {
        std::fs::write(&self.paths.config_file, toml).unwrap();
    }

    /// Writes a mailchute.toml that names this host and sends all mail to `next_hop`; `more` is more TOML. Attempts follow each
    /// other quickly, unless `more` says otherwise.
    pub(crate) fn relay_to(&self, next_hop: &str, more: &str) {
        let retry = if more.contains("retry_min") { "" } else { "retry_min = \"1s\"\nretry_max = \"2s\"\n" };
        self.configure(&format!(
            "mailname = \"sender.example\"\nhostname = \"host.sender.example\"\nnext_hop = \"{next_hop}\"\n{retry}{more}\n"
        ));
    }

    /// Writes a file that only the daemon may read, below the configuration directory.
    pub(crate) fn write_secret(&self, path: &Path, content: &str) {
        let directory = path.parent().unwrap();
        if !directory.exists() {
            make_directory(directory, 0o700, self.daemon_id());
        }
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(path, self.daemon_id(), self.daemon_id()).unwrap();
    }

    /// A file of the test's own, readable for everybody.
    pub(crate) fn write_public(&self, name: &str, content: &str) -> PathBuf {
        let path = self.paths.config_file.with_file_name(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Everything that is queued, held or has failed, as root and the owner see it: one JSON object per message (SENDMAIL.md Q3).
    #[track_caller]
    pub(crate) fn queue(&self) -> Vec<Value> {
        let listing = self.mailchute(&["list", "--json", "--state", "incoming,active,deferred,hold,failed"]).succeeded().stdout;
        listing.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the only message in the queue makes `condition` true, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_entry(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        wait_for(what, || {
            found = self.queue().into_iter().find(|entry| condition(entry));
            found.is_some()
        });
        found.unwrap()
    }

    /// Where the daemon's stderr is collected.
    pub(crate) fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("mailchuted.log")).unwrap_or_default()
    }

    /// The names in one directory of the spool; of a disk that was unplugged, none.
    pub(crate) fn spooled(&self, directory: &str) -> Vec<String> {
        let mut names = self.names(directory);
        // A file moves before its row says so: who sees it moved asks for the row next.
        if self.daemon.is_some() {
            wait_until(|| {
                names = self.names(directory);
                !self.is_moving()
            });
        }
        names
    }

    /// True while the running daemon moves a file.
    fn is_moving(&self) -> bool {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let Ok(database) = rusqlite::Connection::open_with_flags(self.paths.spool.join("state.sqlite"), flags) else { return false };
        let moving = database.query_row("SELECT count(*) FROM intention WHERE phase = 1", [], |row| row.get::<_, i64>(0));
        moving.is_ok_and(|moving| moving > 0)
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.paths.spool.join(directory)).into_iter().flatten();
        let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// As [`Installation::spooled`], for names of any bytes.
    pub(crate) fn spooled_bytes(&self, directory: &str) -> Vec<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        let entries = std::fs::read_dir(self.paths.spool.join(directory)).into_iter().flatten();
        let mut names: Vec<Vec<u8>> = entries.map(|entry| entry.unwrap().file_name().into_vec()).collect();
        names.sort();
        names
    }

    /// `sendmail` with these arguments, run as we are.
    #[track_caller]
    pub(crate) fn sendmail(&self, arguments: &[&str], message: &[u8]) -> Ended {
        command::run(self.program(self.built("sendmail")).args(arguments), message)
    }

    /// `sendmail` as a caller without any right, under no_new_privs.
    #[track_caller]
    pub(crate) fn sendmail_as(&self, uid: u32, arguments: &[&str], message: &[u8]) -> Ended {
        command::run(self.program_as(uid, self.built("sendmail")).args(arguments), message)
    }

    /// `mailchute` with these arguments, run as we are.
    #[track_caller]
    pub(crate) fn mailchute(&self, arguments: &[&str]) -> Ended {
        command::run(self.program(self.built("mailchute")).args(arguments), b"")
    }

    /// `mailchute` as another uid.
    #[track_caller]
    pub(crate) fn mailchute_as(&self, uid: u32, arguments: &[&str]) -> Ended {
        command::run(self.program_as(uid, self.built("mailchute")).args(arguments), b"")
    }

    /// A program in the environment of this installation and in no other.
    pub(crate) fn program(&self, path: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(path);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", self.scratch.path());
        command.env("XDG_CONFIG_HOME", self.scratch.path().join("config")).env("XDG_STATE_HOME", self.scratch.path().join("state"));
        command
    }

    /// A program run as `uid` with its own group alone, under no_new_privs.
    pub(crate) fn program_as(&self, uid: u32, path: impl AsRef<OsStr>) -> Command {
        let mut command = self.program("setpriv");
        let id = uid.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs", "--"]).arg(path);
        command
    }

    /// Starts the daemon and waits until it answers.
    #[track_caller]
    pub(crate) fn start_daemon(&mut self) {
        self.spawn_daemon();
        let mut ended = None;
        wait_for("mailchuted to start", || {
            ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            ended.is_some() || self.answers()
        });
        assert!(ended.is_none(), "mailchuted did not start ({ended:?}): {}", self.daemon_log());
    }

    /// Starts the daemon; whether it can run is the caller's question.
    pub(crate) fn spawn_daemon(&mut self) -> &mut Child {
        self.spawn_daemon_with(&[])
    }

    /// As [`Installation::spawn_daemon`], with more in its environment.
    pub(crate) fn spawn_daemon_with(&mut self, environment: &[(&str, &OsStr)]) -> &mut Child {
        let program = self.built("mailchuted");
        let mut command = match self.daemon_id() {
            Some(uid) => self.program_as(uid, &program),
            None => self.program(&program),
        };
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.scratch.path().join("mailchuted.log")).unwrap();
        assert!(self.daemon.is_none(), "the daemon runs already");
        command.envs(environment.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.daemon.insert(child)
    }

    /// The pid of the running daemon.
    pub(crate) fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// True if the daemon answers on its control socket, whatever it says.
    fn answers(&self) -> bool {
        let Ok(mut socket) = UnixStream::connect(self.paths.control_socket()) else { return false };
        let mut line = String::new();
        let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
        socket.write_all(b"{}\n").is_ok() && BufReader::new(socket).read_line(&mut line).is_ok_and(|read| read > 0)
    }

    /// Asks the daemon to end, which it must do in order. How long it has for that is asked in tests/delivery/life.rs.
    #[track_caller]
    pub(crate) fn stop_daemon(&mut self) {
        let mut child = self.daemon.take().unwrap();
        command::signal(&child, Signal::SIGTERM);
        let status = command::wait(&mut child, PATIENCE);
        if status.is_none() {
            end(&mut child);
        }
        assert_eq!(status.and_then(|status| status.code()), Some(0), "mailchuted did not end well: {}", self.daemon_log());
    }

    /// Waits until the daemon has ended by itself: its exit code.
    #[track_caller]
    pub(crate) fn ended_daemon(&mut self) -> Option<i32> {
        let mut child = self.daemon.take().unwrap();
        let status = command::wait(&mut child, Duration::from_secs(60));
        if status.is_none() {
            end(&mut child);
        }
        status.expect("the daemon ends").code()
    }

    /// kill -9.
    pub(crate) fn kill_daemon(&mut self) {
        end(&mut self.daemon.take().unwrap());
    }

    /// SIGABRT, as the daemon sends it to itself where it cannot go on.
    pub(crate) fn abort_daemon(&mut self) -> std::process::ExitStatus {
        let mut child = self.daemon.take().unwrap();
        command::signal(&child, Signal::SIGABRT);
        child.wait().unwrap()
    }

    /// Asks the daemon to read its configuration again.
    pub(crate) fn reload_daemon(&self) {
        command::signal(self.daemon.as_ref().unwrap(), Signal::SIGHUP);
    }

    /// Waits until nothing is left to deliver: no file in `new/` and `cur/`.
    #[track_caller]
    pub(crate) fn wait_until_drained(&self) {
        let left = || [layout::NEW, layout::CUR].map(|name| self.spooled(name)).concat();
        assert!(wait_until(|| left().is_empty()), "still queued: {:?}\n{}", left(), self.daemon_log());
    }

    /// Waits until the daemon's log holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(&format!("`{text}` in the daemon's log"), || self.daemon_log().contains(text));
    }

    fn daemon_id(&self) -> Option<u32> {
        (self.paths.mode == config::paths::Mode::System).then_some(DAEMON_ID)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            end(&mut child);
        }
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.daemon_log());
        }
    }
}

/// Those of this build.
fn own_programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_sendmail")).parent().unwrap().to_owned()
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn make_directory(path: &Path, mode: u32, owner: Option<u32>) {
    std::fs::create_dir_all(path).unwrap();
    chown(path, owner, owner).unwrap();
    // After chown, which clears the setgid bit.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
