//! The caller: its real uid, its passwd entry, and details for display.
//!
//! In: the uid from the kernel and the passwd database. LOGNAME, USER, EMAIL and the like are under the caller's control and are not
//! read (SENDMAIL.md S1). The details are for display only. The proof of the caller's identity is st_uid of the spool file.

use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use config::policy::User;
use mail::envelope::CallerInfo;
use mail::printable;

/// Maximum characters of each detail.
const REPORTED_CHARS: usize = 200;

/// The caller of this process.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The real user id.
    pub uid: u32,
    /// The login name, or `uid1234` without a passwd entry: containers may use any uid.
    pub name: String,
    /// The GECOS field; may be empty or not UTF-8.
    pub gecos: Vec<u8>,
}

impl Caller {
    /// Looks up the real uid.
    pub fn of_this_process() -> Caller {
        let uid = sys::process::uid();
        match sys::passwd::entry(uid) {
            Some(entry) if !entry.name.is_empty() && !entry.name.chars().any(char::is_control) => {
                Caller { uid, name: entry.name, gecos: entry.gecos }
            }
            _ => Caller { uid, name: format!("uid{uid}"), gecos: Vec::new() },
        }
    }

    /// The caller for the sender policy.
    pub fn user(&self) -> User<'_> {
        User { uid: self.uid, name: &self.name }
    }

    /// H3: the full name: the environment variable `NAME`, which has no other use (SENDMAIL.md S7), otherwise the GECOS name. May be
    /// empty or not UTF-8.
    pub(crate) fn full_name(&self) -> Vec<u8> {
        match std::env::var_os("NAME").filter(|name| !name.is_empty()) {
            Some(name) => name.into_vec(),
            None => gecos_name(&self.gecos, &self.name),
        }
    }
}

/// The GECOS field up to `,` or `;`. `&` stands for the capitalised login name.
fn gecos_name(gecos: &[u8], login: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in gecos.iter().take_while(|byte| !matches!(byte, b',' | b';')) {
        if byte == b'&' {
            let begin = out.len();
            out.extend_from_slice(login.as_bytes());
            out.iter_mut().skip(begin).take(1).for_each(|first: &mut u8| first.make_ascii_uppercase());
        } else {
            out.push(byte);
        }
    }
    out
}

/// Details of the caller for the envelope. Details that cannot be read are left out.
pub fn caller_info() -> CallerInfo {
    let parent = std::os::unix::process::parent_id();
    CallerInfo {
        gid: Some(sys::process::gid()),
        pid: i32::try_from(parent).ok(),
        exe: std::fs::read_link(format!("/proc/{parent}/exe")).ok().map(|path| reported(path.as_os_str().as_bytes())),
        cwd: std::env::current_dir().ok().map(|path| reported(path.as_os_str().as_bytes())),
        unit: cgroup().and_then(|text| unit_of(&text)),
    }
}

fn reported(bytes: &[u8]) -> String {
    printable::bytes(bytes).chars().take(REPORTED_CHARS).collect()
}

/// The first page of /proc/self/cgroup, in one read.
fn cgroup() -> Option<String> {
    let mut buffer = [0; 1024];
    let length = std::fs::File::open("/proc/self/cgroup").ok()?.read(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(buffer.get(..length)?).into_owned())
}

/// The last component of the unified hierarchy's path, or of systemd's own in the old layout: `cron.service`, `session-3.scope`.
fn unit_of(cgroup: &str) -> Option<String> {
    let path = |prefix: &str| cgroup.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(prefix));
    let path = path(":/").filter(|path| !path.is_empty()).or_else(|| path("name=systemd:/"))?;
    path.rsplit('/').next().filter(|unit| !unit.is_empty()).map(|unit| reported(unit.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_last_component_of_the_cgroup() {
        assert_eq!(unit_of("0::/system.slice/cron.service\n").as_deref(), Some("cron.service"));
        let old = "12:cpu:/x\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n0::/\n";
        assert_eq!(unit_of(old).as_deref(), Some("session-3.scope"));
        assert_eq!(unit_of("0::/\n"), None);
        assert_eq!(unit_of("garbage"), None);
    }

    #[test]
    fn h3_the_gecos_name() {
        for (gecos, name) in [("Alice Q. Example,Room 1,555", "Alice Q. Example"), ("& Cooper;x", "Alice Cooper"), ("", ""), (",x", "")] {
            assert_eq!(gecos_name(gecos.as_bytes(), "alice"), name.as_bytes(), "{gecos}");
        }
    }

    #[test]
    fn pf26_1_a_detail_has_no_control_character() {
        assert_eq!(reported(b"/tmp/a\nb\x1b"), "/tmp/a\\x0ab\\x1b");
        assert_eq!(reported(&[b'x'; 999]).len(), REPORTED_CHARS);
    }

    #[test]
    fn s3_trusted_are_root_and_those_named() {
        let caller = Caller { uid: 4_000_000, name: "alice".into(), gecos: vec![] };
        assert!(caller.user().is_trusted(&["alice".into()], &[]) && caller.user().is_trusted(&["4000000".into()], &[]));
        assert!(!caller.user().is_trusted(&["bob".into()], &["root".into()]));
        assert!(Caller { uid: 0, ..caller }.user().is_trusted(&[], &[]));
    }
}
