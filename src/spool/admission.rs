//! The admission check of `sendmail`, before it reads a message.
//!
//! In: the admission file, which the daemon replaces atomically, and the free space of the spool's file system. Out: the reason for a
//! refusal, or none. This check is a courtesy, not a guard: if a caller bypasses it, the daemon holds its mail, and a full disk stops
//! it in any case. An unusable file (missing, torn, too large, of another version) therefore refuses nobody.
//!
//! The file is one JSON object on one line: `{"v":1,"closed":"moving house","over":[1000,1001]}`.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use mail::printable;

/// The version of the file that this program writes and reads.
const VERSION: u32 = 1;
/// The size limit of the file in bytes. A larger file is ignored.
const LIMIT: usize = 64 << 10;
/// The most users over quota that are published. Mail of further ones is held at the claim.
const USERS: usize = 4000;
/// The longest reason in characters.
const REASON: usize = 300;

/// The published admission state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    v: u32,
    /// The reason, if an administrator closed admission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<String>,
    /// The uids that have reached their spool limit.
    #[serde(default)]
    over: Vec<u32>,
}

impl Admission {
    /// Creates a state. The reason is made printable and cut.
    pub fn new(closed: Option<&str>, over: impl IntoIterator<Item = u32>) -> Admission {
        let closed = closed.map(|reason| printable::text(reason).chars().take(REASON).collect());
        Admission { v: VERSION, closed, over: over.into_iter().take(USERS).collect() }
    }

    /// The file's content.
    ///
    /// Errors: none that a value of this type can cause.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads the file at `path`. An unusable file refuses nobody.
    pub fn read(path: &Path) -> Admission {
        read_bounded(path).and_then(|bytes| Admission::decode(&bytes)).unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> Option<Admission> {
        serde_json::from_slice(bytes).ok().filter(|admission: &Admission| admission.v == VERSION)
    }

    /// Why mail of `uid` is refused.
    pub fn refusal(&self, uid: u32) -> Option<String> {
        match &self.closed {
            Some(reason) => Some(closed_text(reason)),
            None => self.over.contains(&uid).then(|| over_text(uid)),
        }
    }
}

/// The message for closed admission.
pub fn closed_text(reason: &str) -> String {
    format!("not accepting new mail: {}", printable::text(reason))
}

/// The message for a user at its spool limit.
pub fn over_text(uid: u32) -> String {
    let next = "send again after some of its mail has been delivered, or ask the administrator";
    format!("uid {uid} has reached its spool limit (user_message_limit, user_bytes_limit); {next}")
}

/// Reads once: a file that fills the buffer is too large. The open call cannot block on a FIFO.
fn read_bounded(path: &Path) -> Option<Vec<u8>> {
    let mut file = sys::fs::open_hostile_path(path).ok()?;
    let mut bytes = vec![0; LIMIT];
    let read = file.read(&mut bytes).ok()?;
    bytes.truncate(read);
    (read < LIMIT).then_some(bytes)
}

/// The space that new mail must leave free on the spool's file system, so that queued mail can be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Bytes; 0 = none.
    pub bytes: u64,
    /// Inodes; 0 = none.
    pub inodes: u64,
}

impl Reserve {
    /// Why the spool does not accept new mail. `None` if the file system cannot be examined: then writing to it reports the error.
    pub fn refusal(self, spool: &Path) -> Option<String> {
        if self.bytes == 0 && self.inodes == 0 {
            return None;
        }
        let (bytes, inodes) = sys::fs::free_space(spool).ok().map_or((None, None), |(bytes, inodes)| (Some(bytes), inodes));
        self.judge(bytes, inodes).map(|why| format!("the spool {} is nearly full: {why}", spool.display()))
    }

    /// Pure: `None` is unknown.
    fn judge(self, bytes: Option<u64>, inodes: Option<u64>) -> Option<String> {
        let next = "are reserved for queued mail; free some space and send again";
        match (bytes, inodes) {
            (Some(free), _) if free < self.bytes => {
                Some(format!("{} KiB are free, {} KiB (spool_reserve) {next}", free / 1024, self.bytes.div_ceil(1024)))
            }
            (_, Some(free)) if free < self.inodes => Some(format!("{free} inodes are free, {} (spool_inode_reserve) {next}", self.inodes)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_6_the_published_refusals_are_applied() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("admission");
        let published = |admission: &Admission| {
            std::fs::write(&path, admission.encode().unwrap()).unwrap();
            Admission::read(&path)
        };
        let open = published(&Admission::new(None, []));
        assert_eq!(open.refusal(7), None);
        let over = published(&Admission::new(None, [7, 9]));
        assert_eq!((over.refusal(8), over.refusal(7)), (None, Some(over_text(7))));
        let closed = published(&Admission::new(Some("moving\nhouse"), []));
        assert_eq!(closed.refusal(0).as_deref(), Some("not accepting new mail: moving\\x0ahouse"));
    }

    #[test]
    fn a_file_with_every_user_over_quota_can_still_be_read() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("admission");
        let all = Admission::new(Some(&"\u{1}".repeat(9000)), u32::MAX - 9999..=u32::MAX);
        std::fs::write(&path, all.encode().unwrap()).unwrap();
        assert_eq!(Admission::read(&path), all);
    }

    #[test]
    fn a_file_that_is_missing_torn_strange_or_of_another_version_refuses_nobody() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("admission");
        assert_eq!(Admission::read(&path).refusal(0), None);
        let large = [&b"{\"v\":1,\"closed\":\"x\"}"[..], &vec![b' '; LIMIT]].concat();
        for bytes in
            [&b""[..], b"{", b"null", b"\xff", b"{\"v\":2,\"closed\":\"x\"}", b"{\"closed\":\"x\"}", b"{\"v\":1,\"over\":\"all\"}", &large]
        {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Admission::read(&path).refusal(0), None, "{}", String::from_utf8_lossy(bytes.get(..30).unwrap_or(bytes)));
        }
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(Admission::read(&path).refusal(0), None);
    }

    #[test]
    fn t_spool_5_the_reserve_is_of_bytes_and_of_inodes_and_either_may_be_none() {
        let reserve = Reserve { bytes: 2048, inodes: 10 };
        assert_eq!(reserve.judge(Some(2048), Some(10)), None);
        assert_eq!(reserve.judge(None, None), None);
        assert!(reserve.judge(Some(2047), Some(10)).is_some_and(|why| why.starts_with("1 KiB are free, 2 KiB (spool_reserve)")));
        assert!(reserve.judge(Some(2048), Some(9)).is_some_and(|why| why.starts_with("9 inodes are free, 10 (spool_inode_reserve)")));
        let scratch = tempfile::tempdir().unwrap();
        assert!(Reserve { bytes: u64::MAX, inodes: 0 }.refusal(scratch.path()).is_some());
        assert_eq!(Reserve { bytes: 0, inodes: 0 }.refusal(scratch.path()), None);
        assert_eq!(Reserve { bytes: u64::MAX, inodes: u64::MAX }.refusal(&scratch.path().join("hidden")), None);
    }
}
