//! The passwd entry of a user: from /etc/passwd, else from the sources in nsswitch.conf.
//!
//! Nearly every caller of `sendmail` is in /etc/passwd, and reading that file takes three calls instead of twenty for getpwuid (nscd,
//! nsswitch.conf, modules). For other users getpwuid is called, so LDAP and systemd users are found too.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

/// The used fields of a passwd entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The login name.
    pub name: String,
    /// The GECOS field; may be empty, may not be UTF-8.
    pub gecos: Vec<u8>,
    /// The home directory.
    pub home: PathBuf,
}

/// The entry of `uid`; `None` if there is none or it cannot be read.
pub fn entry(uid: u32) -> Option<Entry> {
    let file = super::fs::read_whole(Path::new("/etc/passwd")).unwrap_or_default();
    find(&file, uid).or_else(|| {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
        Some(Entry { name: user.name, gecos: user.gecos.into_bytes(), home: user.dir })
    })
}

/// True if a user has this name.
pub fn has_user(name: &str) -> bool {
    User::from_name(name).ok().flatten().is_some()
}

/// The first entry of `uid` in the text of a passwd file (passwd(5)). Lines of another form, such as those of NIS, are skipped.
fn find(file: &[u8], uid: u32) -> Option<Entry> {
    file.split(|&b| b == b'\n').find_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next().filter(|name| !name.is_empty() && !matches!(name.first(), Some(b'+' | b'-')))?;
        let found: u32 = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
        if found != uid {
            return None;
        }
        let (gecos, home) = (fields.nth(1)?, fields.next()?);
        let name = std::str::from_utf8(name).ok()?.to_owned();
        Some(Entry { name, gecos: gecos.to_vec(), home: PathBuf::from(OsString::from_vec(home.to_vec())) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_the_first_entry_of_the_uid() {
        let file =
            b"+::::::\nbad line\nx:x:nine:0:::\nalice:x:1001:100:Alice Q,1:/home/alice:/bin/sh\nalias:x:1001:100::/:/\n\nend:x:7:7::/h";
        let alice = Entry { name: "alice".into(), gecos: b"Alice Q,1".to_vec(), home: "/home/alice".into() };
        assert_eq!(find(file, 1001), Some(alice));
        assert_eq!(find(file, 7).map(|entry| entry.home), Some(PathBuf::from("/h")));
        assert_eq!(find(file, 8), None);
        assert_eq!(find(b"", 0), None);
    }

    #[test]
    fn root_is_known_and_an_unused_uid_is_not() {
        assert_eq!(entry(0).map(|entry| entry.name).as_deref(), Some("root"));
        assert_eq!(entry(3_999_999_999), None);
    }
}
