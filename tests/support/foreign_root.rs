//! A root directory for the servers that we test against, and for the programs that send mail: the unpacked packages laid over the
//! host's /usr, with an /etc and a /var of their own. The test itself stays outside: its passwd, resolv.conf and sendmail are not
//! those of the packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::command;
use super::isolation::{mount, mount_fresh};
use super::parts::{self, Missing};

/// The mounted root. Only after `isolated!()`, whose namespace takes the mounts away at the end.
pub(crate) struct ForeignRoot {
    path: PathBuf,
    _place: TempDir,
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    postfix:x:5001:5001::/var/spool/postfix:/bin/false\n\
    vmail:x:5003:5003::/var/mail:/bin/false\n\
    opendkim:x:5004:5004::/nonexistent:/bin/false\n\
    nobody:x:65534:65534::/nonexistent:/bin/false\n";
const GROUP: &str =
    "root:x:0:\nmail:x:8:\nsasl:x:45:\npostfix:x:5001:\npostdrop:x:5002:\nvmail:x:5003:\nopendkim:x:5004:\nnogroup:x:65534:\n";

impl ForeignRoot {
    /// Mounts that of the servers at a place of its own.
    pub(crate) fn mount() -> Result<ForeignRoot, Missing> {
        Ok(ForeignRoot::of(&parts::packages()?))
    }

    /// Mounts that of the programs that send mail.
    pub(crate) fn mount_callers() -> Result<ForeignRoot, Missing> {
        let (packages, release) = parts::callers()?;
        // Those of another release need its libraries, and have them all.
        Ok(ForeignRoot::over(&packages, if release.is_some() { None } else { Some("/usr") }))
    }

    /// Mounts one with other unpacked packages.
    pub(crate) fn of(packages: &Path) -> ForeignRoot {
        ForeignRoot::over(packages, Some("/usr"))
    }

    fn over(packages: &Path, below: Option<&str>) -> ForeignRoot {
        let place = TempDir::new().unwrap();
        let root = ForeignRoot { path: place.path().to_owned(), _place: place };
        mount_fresh(&root.path, "mode=755");
        for directory in ["usr", "etc", "var/run", "dev", "proc", "tmp", "root", ".upper", ".work"] {
            std::fs::create_dir_all(root.path.join(directory)).unwrap();
        }
        for name in ["lib", "lib64", "bin", "sbin"].iter().filter(|name| Path::new("/usr").join(name).exists()) {
            std::os::unix::fs::symlink(format!("usr/{name}"), root.path.join(name)).unwrap();
        }
        root.lay_over_usr(packages, below);
        mount(&["--rbind".as_ref(), "/dev".as_ref(), &root.path.join("dev")]);
        mount(&["-t".as_ref(), "proc".as_ref(), "proc".as_ref(), &root.path.join("proc")]);
        for directory in ["etc", "var"] {
            copy(&packages.join(directory), &root.path.join(directory));
        }
        // Debian's awk and others are links through here.
        copy(Path::new("/etc/alternatives"), &root.path.join("etc/alternatives"));
        copy(Path::new("/etc/services"), &root.path.join("etc/services"));
        root.write("etc/passwd", PASSWD);
        root.write("etc/group", GROUP);
        root.write("etc/hosts", "127.0.0.1 localhost\n");
        root.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n");
        root.write("etc/resolv.conf", "nameserver 127.0.0.1\n");
        root
    }

    fn lay_over_usr(&self, packages: &Path, below: Option<&str>) {
        let show = |name: &str| self.path.join(name).display().to_string();
        let below = below.map(|usr| format!(":{usr}")).unwrap_or_default();
        let options = format!("lowerdir={}/usr{below},upperdir={},workdir={}", packages.display(), show(".upper"), show(".work"));
        mount(&["-t".as_ref(), "overlay".as_ref(), "-o".as_ref(), options.as_ref(), "overlay".as_ref(), &self.path.join("usr")]);
    }

    /// The outside path of `name` inside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file inside; its directory is made.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The inside path of the first program whose name begins with `prefix`: some carry their version.
    pub(crate) fn program(&self, prefix: &str) -> PathBuf {
        let mut names: Vec<_> = std::fs::read_dir(self.join("usr/bin")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let found = names.iter().find(|name| name.to_string_lossy().starts_with(prefix));
        Path::new("/usr/bin").join(found.unwrap_or_else(|| panic!("no program {prefix}* was unpacked")))
    }

    /// A program inside, as root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.path).arg(program).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command
    }
}

impl Drop for ForeignRoot {
    /// The mounts go first: removing the directory would otherwise reach through them, into the machine's own /dev.
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(&self.path).status();
    }
}

fn copy(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    let from = if from.is_dir() { from.join(".") } else { from.to_owned() };
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
    }
    command::run(Command::new("cp").arg("-a").args([&from, &to.to_owned()]), b"").succeeded();
}
