//! The event file: JSON Lines, of bounded size and number.
//!
//! In: lines. Out: whole lines at the end of the file, or none of them: a line that a full disk cut short is removed again. When the
//! file is full, or somebody else moved it away, a new file is started. Lines about messages come from the outbox and wait there while
//! the file cannot be written; all others are then lost and counted. A failure is logged once, and once more when it has ended, with
//! the number of missing lines.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use log::events;
use log::record::Record;

use super::outbox::{Kept, Receiver};

/// Its name among the receivers.
const SINK: &str = "event_file";

/// The path of the file, and when it is rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The current file.
    pub path: PathBuf,
    /// The size in bytes at which it is renamed to `PATH.1`; 0 means never.
    pub size: u64,
    /// The number of older files to keep; `PATH.1` is the latest.
    pub kept: u32,
}

/// The file while it is written.
pub(crate) struct EventFile {
    rotation: Rotation,
    /// The name of this host in each line.
    host: String,
    open: Option<Open>,
    /// A failure was logged.
    is_failing: bool,
    /// Lines not written since then.
    lost: u64,
}

struct Open {
    file: File,
    size: u64,
}

impl EventFile {
    /// A file that is opened when the first line is written.
    pub(crate) fn new(rotation: Rotation, host: String) -> EventFile {
        EventFile { rotation, host, open: None, is_failing: false, lost: 0 }
    }

    /// Writes a line for each record. Lines that cannot be written are lost and counted.
    pub(crate) fn write(&mut self, records: &[Record]) {
        let lines = records.iter().map(|record| record.line(&self.host) + "\n").collect::<Vec<_>>();
        if !self.attempt(&lines) {
            self.lost += lines.len() as u64;
        }
    }

    /// True if all of them are written.
    fn attempt(&mut self, lines: &[String]) -> bool {
        match self.try_write(lines) {
            Ok(()) => {
                let lost = std::mem::take(&mut self.lost);
                if std::mem::take(&mut self.is_failing) || lost > 0 {
                    events::events_lost(SINK, lost);
                }
                true
            }
            Err(e) => {
                self.open = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    events::event_file_failed(&self.rotation.path.display().to_string(), &e.to_string());
                }
                false
            }
        }
    }

    fn try_write(&mut self, lines: &[String]) -> std::io::Result<()> {
        let bytes = lines.concat();
        let mut open = match self.open.take().filter(|open| open.is_at(&self.rotation.path)) {
            Some(open) => open,
            None => Open::at(&self.rotation.path)?,
        };
        if self.rotation.size > 0 && open.size > 0 && open.size + bytes.len() as u64 > self.rotation.size {
            self.rotation.rotate()?;
            open = Open::at(&self.rotation.path)?;
        }
        open.add(bytes.as_bytes())?;
        self.open = Some(open);
        Ok(())
    }
}

/// The events of messages wait for a file that can be written again.
impl Receiver for EventFile {
    fn name(&self) -> &'static str {
        SINK
    }

    fn take(&mut self, events: &[&Kept]) -> bool {
        let lines: Vec<String> = events.iter().map(|event| event.record().line(&self.host) + "\n").collect();
        self.attempt(&lines)
    }

    fn lose(&mut self, lost: u64) {
        self.lost += lost;
    }

    fn sync(&mut self) {
        if let Some(open) = &self.open {
            // A disk that refuses it refuses the next line, too, or a power cut takes the last lines.
            let _ = open.file.sync_data();
        }
    }
}

impl Open {
    fn at(path: &Path) -> std::io::Result<Open> {
        let file = sys::append::open(path)?;
        let size = file.metadata()?.len();
        Ok(Open { file, size })
    }

    /// False if the file was moved or removed.
    fn is_at(&self, path: &Path) -> bool {
        let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let (own, named) = (self.file.metadata().map(identity), path.symlink_metadata().map(identity));
        matches!((own, named), (Ok(own), Ok(named)) if own == named)
    }

    /// Writes all of `bytes` or nothing: a partial line would make the next one unreadable too.
    fn add(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Err(e) = self.file.write_all(bytes) {
            // If this fails too, a reader finds one broken line.
            let _ = self.file.set_len(self.size);
            return Err(e);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }
}

impl Rotation {
    /// Renames `PATH.1` to `PATH.2` and so on, drops the oldest file, and renames `PATH` to `PATH.1`. Every step is a rename, so
    /// that no reader finds half a file.
    fn rotate(&self) -> std::io::Result<()> {
        if self.kept == 0 {
            return std::fs::remove_file(&self.path);
        }
        for n in (1..self.kept).rev() {
            match std::fs::rename(self.older(n), self.older(n + 1)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.older(1))
    }

    fn older(&self, n: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, size: u64, kept: u32) -> EventFile {
        EventFile::new(Rotation { path: path.to_owned(), size, kept }, "h".to_owned())
    }

    fn record() -> Record {
        Record { at: 0, level: "info", event: "stopped".to_owned(), id: None, fields: Vec::new() }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn size_and_number_are_bounded_and_no_line_is_cut() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("e");
        let mut file = file(&path, 100, 2);
        for n in 0..50 {
            file.attempt(&[format!("{{\"n\":{n:04}}}\n")]);
        }
        assert_eq!(names(scratch.path()), ["e", "e.1", "e.2"]);
        let text: String = ["e.2", "e.1", "e"].map(|name| std::fs::read_to_string(scratch.path().join(name)).unwrap()).concat();
        assert!(names(scratch.path()).iter().all(|name| scratch.path().join(name).metadata().unwrap().len() <= 100));
        let kept: Vec<&str> = text.lines().collect();
        assert_eq!(kept.last(), Some(&"{\"n\":0049}"));
        assert!(kept.len() > 20 && kept.iter().all(|line| line.len() == 10), "{kept:?}");
    }

    #[test]
    fn a_file_that_was_moved_away_is_replaced_and_an_old_one_is_continued() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("e");
        std::fs::write(&path, "old\n").unwrap();
        let mut file = file(&path, 0, 0);
        file.attempt(&["one\n".to_owned()]);
        std::fs::rename(&path, scratch.path().join("moved")).unwrap();
        file.attempt(&["two\n".to_owned()]);
        assert_eq!(std::fs::read_to_string(scratch.path().join("moved")).unwrap(), "old\none\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_full_disk_costs_whole_lines_and_they_are_counted() {
        // Every write to this device fails with ENOSPC.
        let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut open = Open { file: full, size: 0 };
        assert_eq!(open.add(b"x\n").unwrap_err().raw_os_error(), Some(nix::errno::Errno::ENOSPC as i32));
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("missing/e");
        let mut file = file(&path, 0, 0);
        file.write(&[record(), record()]);
        assert_eq!(file.lost, 2);
        std::fs::create_dir(scratch.path().join("missing")).unwrap();
        file.attempt(&["c\n".to_owned()]);
        assert_eq!((file.lost, std::fs::read_to_string(path).unwrap().as_str()), (0, "c\n"));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let scratch = tempfile::tempdir().unwrap();
        let (fifo, link) = (scratch.path().join("fifo"), scratch.path().join("link"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink(scratch.path().join("target"), &link).unwrap();
        for path in [&fifo, &link] {
            let mut file = file(path, 0, 0);
            file.write(&[record()]);
            assert_eq!(file.lost, 1, "{}", path.display());
        }
        assert!(!scratch.path().join("target").exists());
    }
}
