//! `outcomes.log`: what became of recipients, written a second time beside the database, so that the truth about them survives it.
//!
//! In: the messages that a transaction gives results to. Out: one line for each, before the commit; and, after the database was lost or
//! replaced by an older one, what is known of a message. A file of lines and not a second database, because it must not share the bugs
//! of the first; one file and not a file for each message, because a message that is relayed at once should cost one write in its group
//! and no sync.
//!
//! ```text
//!   CRC32 SP {"s":…,"i":"QUEUEID","g":"digest","d":"failed","e":"failed","h":{…},"r":[["failed","reply","5.1.1","550 …","0-2,5"]]} LF
//! ```
//! `s` counts the transactions; the database keeps the last one. Of each message the last line counts. A recipient that is in no line is
//! deferred. A line that is torn or damaged is passed over.
//!
//! | a crash | leaves |
//! |---|---|
//! | after the line, before the commit | a line ahead of the database: what it says of recipients has happened, and the start takes it |
//! | in the line | a torn line, passed over: the database has not got it either |
//! | after the commit of a group of relayed messages, as a power cut | no line, and a row; or neither, and a message in data: uncertain |

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::rows::{Message, RecipientRow};
use mail::code::{Cause, MessageEnd, Progress, QueueDir};
use mail::queue_id::QueueId;
use mail::{Actor, Hold};

/// The file, beside the database.
pub const OUTCOMES_FILE: &str = "outcomes.log";
/// Bytes after which the file is written anew with what still counts.
const LIMIT: u64 = 32 << 20;
/// The end of the file, where its last line is looked for.
const TAIL: u64 = 64 << 10;
/// The longest line that is read. Longer ones are not ours.
const LONGEST: u64 = 1 << 20;

/// Bytes of a reply that are kept.
const REPLY: usize = 200;

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    #[serde(rename = "s")]
    pub(crate) seq: u64,
    #[serde(rename = "i")]
    pub(crate) id: QueueId,
    #[serde(rename = "g")]
    digest: String,
    #[serde(rename = "d")]
    dir: QueueDir,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    end: Option<MessageEnd>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    hold: Option<KnownHold>,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<KnownGroup>,
}

/// Progress, cause, enhanced status, reply, and the places of the recipients that have them.
type KnownGroup = (Progress, Option<Cause>, String, String, String);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownHold {
    cause: mail::code::HoldCause,
    by: Option<Actor>,
    detail: String,
}

/// What is known of a recipient that has a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRecipient {
    /// Relayed, failed or uncertain.
    pub progress: Progress,
    /// Why.
    pub cause: Option<Cause>,
    /// Enhanced status.
    pub status: String,
    /// What the server said, if the recipient failed; the beginning of it.
    pub reply: String,
}

impl KnownRecipient {
    /// Of a recipient that is known to be relayed by the end of its message alone.
    pub fn relayed() -> KnownRecipient {
        KnownRecipient { progress: Progress::Relayed, cause: None, status: "2.0.0".to_owned(), reply: String::new() }
    }
}

impl Known {
    /// Of a row and its recipients, in transaction `seq`.
    pub(crate) fn of(seq: u64, message: &Message, recipients: &[RecipientRow]) -> Known {
        let mut groups: BTreeMap<(Progress, Option<Cause>, &str, &str), Vec<u32>> = BTreeMap::new();
        for row in recipients.iter().filter(|row| row.progress != Progress::Deferred) {
            let reply = if row.progress == Progress::Failed { &*row.reply } else { "" };
            let reply = &reply[..reply.floor_char_boundary(REPLY)];
            groups.entry((row.progress, row.diagnosis.cause, &row.status, reply)).or_default().push(row.n);
        }
        let group = |((progress, cause, status, reply), places): ((_, _, &str, &str), Vec<u32>)| {
            (progress, cause, status.to_owned(), reply.to_owned(), ranges(&places))
        };
        Known {
            seq,
            id: message.id,
            digest: digest_of(&message.digest),
            dir: message.dir,
            end: message.outcome,
            hold: message.held().map(|Hold { cause, by, detail }| KnownHold { cause, by, detail }),
            recipients: groups.into_iter().map(group).collect(),
        }
    }

    /// A line that only keeps the number.
    pub(crate) fn nothing(seq: u64) -> Known {
        let (id, digest, dir) = (QueueId::from_i64(0), String::new(), QueueDir::NoFile);
        Known { seq, id, digest, dir, end: None, hold: None, recipients: Vec::new() }
    }

    /// True if a recipient has a result.
    pub(crate) fn has_results(&self) -> bool {
        !self.recipients.is_empty()
    }

    /// True if it is about the file with this digest.
    pub fn is_of(&self, digest: &[u8]) -> bool {
        self.digest == digest_of(digest)
    }

    /// How the message had ended, if it had.
    pub fn end(&self) -> Option<MessageEnd> {
        self.end
    }

    /// Why it was held, if it was.
    pub fn hold(&self) -> Option<Hold> {
        let KnownHold { cause, by, detail } = self.hold.clone()?;
        Some(Hold { cause, by, detail })
    }

    /// The recipients that have a result, by their places. At most `count`, which is how many the message has.
    pub fn recipients(&self, count: usize) -> HashMap<u32, KnownRecipient> {
        let mut known = HashMap::new();
        for (progress, cause, status, reply, places) in &self.recipients {
            for n in places_of(places, count) {
                known.insert(n, KnownRecipient { progress: *progress, cause: *cause, status: status.clone(), reply: reply.clone() });
            }
        }
        known
    }

    /// True if no file needs the line: the message was relayed, and its file is gone.
    fn is_history(&self) -> bool {
        self.end == Some(MessageEnd::Relayed) && self.dir == QueueDir::NoFile
    }
}

/// The first 8 bytes tell two files of one id apart.
fn digest_of(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// `0-2,5`
fn ranges(places: &[u32]) -> String {
    let mut text = String::new();
    for run in places.chunk_by(|one, next| next.checked_sub(*one) == Some(1)) {
        let separator = if text.is_empty() { "" } else { "," };
        match run {
            [first, .., last] => text.push_str(&format!("{separator}{first}-{last}")),
            [one] => text.push_str(&format!("{separator}{one}")),
            [] => {}
        }
    }
    text
}

/// What is no place of a recipient is none: the file may have been damaged.
fn places_of(ranges: &str, count: usize) -> impl Iterator<Item = u32> {
    let limit = u32::try_from(count).unwrap_or(u32::MAX);
    let bounds = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.parse::<u32>().ok()?, last.parse::<u32>().ok()?.min(limit.saturating_sub(1))))
    };
    ranges.split(',').filter_map(bounds).collect::<Vec<_>>().into_iter().flat_map(|(first, last)| first..=last)
}

/// The open file.
#[derive(Debug)]
pub(crate) struct OutcomeLog {
    path: PathBuf,
    file: File,
    size: u64,
    /// The size at which it is written anew.
    large: u64,
}

impl OutcomeLog {
    /// Opens or makes the file beside `database`.
    pub(crate) fn open(database: &Path) -> std::io::Result<OutcomeLog> {
        let path = database.with_file_name(OUTCOMES_FILE);
        let mut file = open_private(&path)?;
        let mut size = file.metadata()?.len();
        if size > 0 && !ends_with_line(&path, size)? {
            // What a crash tore must not take the next line with it.
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok(OutcomeLog { path, file, size, large: LIMIT })
    }

    /// The number of the last transaction in it.
    pub(crate) fn last_seq(&self) -> std::io::Result<u64> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.size.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        Ok(tail.split(|byte| *byte == b'\n').rev().find_map(parse).map_or(0, |known| known.seq))
    }

    /// True once it should be written anew.
    pub(crate) fn is_large(&self) -> bool {
        self.size > self.large
    }

    /// Adds lines; on the disk before it returns, if a file in the spool outlives one of them and `synced` asks for it.
    pub(crate) fn append(&mut self, lines: &[Known], synced: bool) -> std::io::Result<()> {
        let bytes: Vec<u8> = lines.iter().flat_map(line_of).collect();
        if let Err(e) = self.file.write_all(&bytes) {
            // A rest of it is a torn line, which ends at the next line feed.
            let _ = self.file.set_len(self.size);
            return Err(e);
        }
        self.size += bytes.len() as u64;
        if synced && !lines.iter().all(Known::is_history) { self.file.sync_data() } else { Ok(()) }
    }

    /// Replaces the file by one with these lines alone.
    pub(crate) fn renew(&mut self, lines: impl Iterator<Item = Known>) -> std::io::Result<()> {
        let new = self.path.with_extension("log.new");
        let _ = std::fs::remove_file(&new);
        let mut file = open_private(&new)?;
        let mut size = 0;
        for line in lines {
            let bytes = line_of(&line);
            file.write_all(&bytes)?;
            size += bytes.len() as u64;
        }
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        // What still counts may be more than the limit: then each transaction would write all of it again.
        (self.file, self.size, self.large) = (file, size, LIMIT.max(size.saturating_mul(2)));
        Ok(())
    }

    /// The last line of each message that is `wanted`.
    pub(crate) fn read(&self, wanted: impl Fn(&Known) -> bool) -> std::io::Result<HashMap<QueueId, Known>> {
        let mut reader = BufReader::new(File::open(&self.path)?);
        let (mut known, mut line) = (HashMap::new(), Vec::new());
        loop {
            line.clear();
            if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(known);
            }
            if let Some(one) = parse(line.trim_ascii_end()).filter(&wanted) {
                known.insert(one.id, one);
            }
        }
    }
}

/// For this user alone: it tells whose mail went where.
fn open_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().append(true).create(true).mode(0o600).open(path)
}

fn ends_with_line(path: &Path, size: u64) -> std::io::Result<bool> {
    let (mut file, mut last) = (File::open(path)?, [0]);
    file.seek(SeekFrom::Start(size - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn line_of(known: &Known) -> Vec<u8> {
    // Strings, numbers and codes: nothing here can fail.
    let json = serde_json::to_vec(known).unwrap_or_default();
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    line
}

fn parse(line: &[u8]) -> Option<Known> {
    let (sum, json) = line.split_at_checked(8)?;
    let json = json.strip_prefix(b" ")?;
    let is_whole = std::str::from_utf8(sum).is_ok_and(|sum| u32::from_str_radix(sum, 16) == Ok(crc32fast::hash(json)));
    is_whole.then(|| serde_json::from_slice(json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{message, recipient};
    use mail::code::HoldCause;

    fn known(n: u32, seq: u64, results: &[(u32, Progress)]) -> Known {
        let rows: Vec<_> = results
            .iter()
            .map(|(n, progress)| RecipientRow { progress: *progress, status: "5.0.0".into(), ..recipient(*n, "b@x.example") })
            .collect();
        Known::of(seq, &message(n), &rows)
    }

    #[test]
    fn the_last_whole_line_of_a_message_counts() {
        let scratch = tempfile::tempdir().unwrap();
        let mut log = OutcomeLog::open(&scratch.path().join("state.sqlite")).unwrap();
        assert_eq!(log.last_seq().unwrap(), 0);
        let (first, second) = (known(1, 1, &[(0, Progress::Failed)]), known(1, 2, &[(0, Progress::Relayed)]));
        log.append(&[first.clone(), known(2, 1, &[])], true).unwrap();
        log.append(std::slice::from_ref(&second), false).unwrap();
        let log = OutcomeLog::open(&scratch.path().join("state.sqlite")).unwrap();
        assert_eq!((log.last_seq().unwrap(), log.read(|_| true).unwrap().len()), (2, 2));
        assert_eq!(log.read(|one| one.id == second.id).unwrap()[&second.id], second);
        // One byte of it changes; then the end is torn off.
        let bytes = std::fs::read(&log.path).unwrap();
        for damaged in [[&bytes[..bytes.len() - 5], b"}]}}\n"].concat(), bytes[..bytes.len() - 9].to_vec()] {
            std::fs::write(&log.path, damaged).unwrap();
            assert_eq!(log.read(|_| true).unwrap()[&first.id], first);
        }
    }

    #[test]
    fn it_is_written_anew_whole_or_not_at_all() {
        let scratch = tempfile::tempdir().unwrap();
        let mut log = OutcomeLog::open(&scratch.path().join("state.sqlite")).unwrap();
        log.append(&[known(1, 1, &[]), known(2, 1, &[])], false).unwrap();
        log.renew([known(2, 7, &[])].into_iter()).unwrap();
        log.append(&[known(3, 8, &[])], false).unwrap();
        let again = OutcomeLog::open(&scratch.path().join("state.sqlite")).unwrap();
        assert_eq!((again.read(|_| true).unwrap().len(), again.last_seq().unwrap(), again.size), (2, 8, log.size));
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_log_that_stays_large_is_not_written_anew_each_time() {
        let scratch = tempfile::tempdir().unwrap();
        let mut log = OutcomeLog::open(&scratch.path().join("state.sqlite")).unwrap();
        (log.size, log.large) = (LIMIT + 1, LIMIT);
        assert!(log.is_large());
        log.renew([known(1, 1, &[])].into_iter()).unwrap();
        assert_eq!((log.is_large(), log.large), (false, LIMIT));
        let many = line_of(&known(1, 1, &[])).len() as u64;
        log.renew((0..LIMIT / many + 2).map(|_| known(1, 1, &[]))).unwrap();
        assert!(log.size > LIMIT && !log.is_large() && log.large >= 2 * LIMIT);
    }

    #[test]
    fn ten_thousand_recipients_are_a_short_line_and_places_beyond_them_are_none() {
        let mut rows: Vec<(u32, Progress)> = (0..10_000).map(|n| (n, Progress::Relayed)).collect();
        rows[7].1 = Progress::Deferred;
        rows[9].1 = Progress::Failed;
        let known = known(1, 1, &rows);
        assert!(line_of(&known).len() < 300);
        let recipients = known.recipients(10_000);
        assert_eq!((recipients.len(), recipients[&9].progress, recipients.get(&7)), (9_999, Progress::Failed, None));
        assert_eq!(known.recipients(3).len(), 3);
        assert_eq!(places_of("4000000000-5,x,-,2,1-4294967295", 4).collect::<Vec<_>>(), [2, 1, 2, 3]);
        assert_eq!(places_of("0-9", 0).collect::<Vec<_>>(), [0], "the row of no recipient takes it");
    }

    #[test]
    fn a_hold_and_the_file_it_is_about_are_known() {
        let mut row = message(5);
        row.park(Hold::by(Actor { uid: 0, name: "root".to_owned() }));
        let known = parse(line_of(&Known::of(3, &row, &[])).trim_ascii_end()).unwrap();
        assert_eq!(known.hold().map(|hold| (hold.cause, hold.by.unwrap().name)), Some((HoldCause::Operator, "root".to_owned())));
        assert!(known.is_of(&row.digest) && !known.is_of(b"another file"));
        assert!(parse(b"").is_none() && parse(b"0000000").is_none() && parse(b"zzzzzzzz {}").is_none());
    }
}
