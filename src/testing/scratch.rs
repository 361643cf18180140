//! What the unit tests of the spool and of the relay share: a one-user spool below a temporary directory, and messages in it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Claim, ClaimedMessage, Store};
use mail::address::{Address, ReversePath};
use mail::envelope;
use mail::envelope::{Body, Envelope, Recipient, VERSION};
use mail::queue_id::QueueId;
use mail::wire::WireSummary;
use spool::drop::SpoolWriter;
use spool::layout;
use spool::layout::Owner;

/// A message in wire form.
pub const MESSAGE: &[u8] = b"From: alice@sender.example\r\nMessage-ID: <1@sender.example>\r\n\r\nHello\r\n";

/// A spool that goes with the value.
pub struct Scratch {
    directory: TempDir,
}

impl Scratch {
    /// A new one, in a directory of its own.
    pub fn new() -> Scratch {
        let directory = tempfile::tempdir().unwrap();
        layout::make_rootless(directory.path()).unwrap();
        Scratch { directory }
    }

    /// Its location.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a file in one of its directories.
    pub fn file(&self, directory: &str, id: QueueId) -> PathBuf {
        self.path().join(directory).join(id.to_string())
    }

    /// The names in one directory, sorted.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join(directory)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The spool, opened.
    pub fn store(&self) -> Store {
        let owner = Owner { uid: sys::process::euid(), gid: sys::process::gid() };
        Store::open(self.path(), owner, true).unwrap()
    }

    /// Injects a message; its lock is let go.
    pub fn inject(&self, envelope: Envelope, message: &[u8]) -> QueueId {
        let mut writer = SpoolWriter::create(self.path(), true, envelope).unwrap();
        writer.write(message).unwrap();
        writer.commit(|envelope| envelope.body = Body::SevenBit).unwrap().id
    }

    /// Injects a message to these recipients, and claims it.
    pub fn claimed(&self, recipients: &[&str]) -> ClaimedMessage {
        let id = self.inject(envelope(recipients), MESSAGE);
        message(self.store().claim(id.to_string()).unwrap())
    }
}

/// The message of a claim that must be one.
#[track_caller]
pub fn message(claim: Claim) -> ClaimedMessage {
    match claim {
        Claim::Message(claimed) => *claimed,
        other => panic!("not a message but {other:?}"),
    }
}

/// An envelope to these recipients, from the null reverse-path.
pub fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        v: VERSION,
        id: QueueId::new(0, 0),
        size: 0,
        crc32: "00000000".to_owned(),
        time: "2026-11-22T14:43:49Z".to_owned(),
        reverse_path: ReversePath::Null,
        recipients: recipients.iter().map(|address| Recipient::new(Address::parse(address).unwrap())).collect(),
        ret: None,
        envid: None,
        body: Body::SevenBit,
        smtputf8: false,
        deliver_by: None,
        hold_until: None,
        priority: None,
        warnings: vec![],
        caller: envelope::CallerInfo::default(),
        peer: None,
    }
}

/// A claimed message that has no file.
pub fn claimed(envelope: Envelope) -> ClaimedMessage {
    ClaimedMessage { envelope, uid: 7, digest: vec![7; 32], summary: WireSummary::default(), message_id: String::new() }
}
