//! From a file in `cur/` to what goes on the wire: read, compared with the pinned digest, signed.
//!
//! In: a queue id and its row. Out: a transaction, in memory or in a private copy. The submitter may still have the file open for
//! writing, so it is read exactly once, and what was hashed is what is signed and sent (DESIGN.md, "Claim"). Runs on threads that
//! may wait for the disk.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::dispatch::Work;
use super::dkim::{self, BodyHasher, Signing};
use super::encode;
use super::setup::Setup;
use super::smtp::{self, Content, Octets};
use crate::mail::envelope::Envelope;
use crate::mail::header::Section;
use crate::mail::limits;
use crate::spool::file::{self, FileError, Line};
use crate::spool::layout;
use crate::spool::store::Store;
use crate::sys;

/// A message up to this size, in octets, is kept in memory while it is sent; a larger one is copied to a private file.
pub const IN_MEMORY: u64 = 1 << 20;

/// Why a message cannot be sent now.
#[derive(Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A person has to decide: the reason for `hold/`.
    Hold(String),
    /// The file is not the one that was claimed.
    Changed(String),
    /// The disk refused.
    Disk(String),
}

/// A transaction, ready for any server.
#[derive(Debug)]
pub struct Prepared {
    /// MAIL and RCPT.
    pub envelope: smtp::Envelope,
    /// What follows DATA.
    pub content: Content,
}

/// Reads, checks and signs one message for some of its recipients.
pub fn prepare(store: &Store, setup: &Setup, work: &Work, now: i64) -> Result<Prepared, Obstacle> {
    let message = &work.message;
    let file = store.open_message(layout::CUR, message.id).map_err(|e| match e {
        nix::errno::Errno::ENOENT => Obstacle::Changed("its file has vanished".to_owned()),
        e => Obstacle::Disk(e.desc().to_owned()),
    })?;
    let line = file::read_line(&file).map_err(obstacle)?;
    // Before anything is read or copied: the line may have been rewritten since, and promise a terabyte.
    if line.envelope.size != message.size {
        return Err(Obstacle::Changed("changed since it was claimed".to_owned()));
    }
    let read = if message.size <= IN_MEMORY { read_into_memory(&file, &line)? } else { copy_to_private_file(store, &file, &line, setup)? };
    if read.digest != message.digest {
        return Err(Obstacle::Changed("changed since it was claimed".to_owned()));
    }
    let mut prefix =
        encode::received(&setup.mailname, setup.params.received_uid.then_some(message.uid), message.id, message.accepted, &setup.zone);
    prefix = [signatures(setup, &read, now)?, prefix].concat();
    let content = Content { prefix, octets: read.octets };
    Ok(Prepared { envelope: transaction(line.envelope, work, content.size()), content })
}

/// What the disk says is for now; everything else means that the file is not what was claimed.
fn obstacle(e: FileError) -> Obstacle {
    match e {
        FileError::Io(e) => Obstacle::Disk(e.to_string()),
        e => Obstacle::Changed(e.to_string()),
    }
}

/// A message that was read once.
struct Read {
    digest: Vec<u8>,
    octets: Octets,
    header: Vec<u8>,
    body_hash: [u8; 32],
}

fn read_into_memory(file: &File, line: &Line) -> Result<Read, Obstacle> {
    let disk = |e: std::io::Error| Obstacle::Disk(e.to_string());
    let start = usize::try_from(line.length()).unwrap_or(usize::MAX);
    let size = usize::try_from(line.envelope.size.min(IN_MEMORY)).unwrap_or(usize::MAX);
    // One octet more than promised: a file that has grown must not pass.
    let mut octets = vec![0; start.saturating_add(size).saturating_add(1)];
    let read = file::read_full(file, &mut octets, 0).map_err(disk)?;
    octets.truncate(read);
    let digest = digest::digest(&digest::SHA256, &octets).as_ref().to_vec();
    let message = octets.get(start..).unwrap_or_default();
    let section = Section::scan(message);
    let header = message.get(..section.end).unwrap_or_default().to_vec();
    let mut hasher = BodyHasher::default();
    hasher.update(message.get(section.body..).unwrap_or_default());
    let range = start..octets.len();
    Ok(Read { digest, octets: Octets::Memory { octets: Arc::new(octets), range }, header, body_hash: hasher.finish() })
}

/// Copies a large message to a file that nobody else can open, hashing on the way.
fn copy_to_private_file(store: &Store, file: &File, line: &Line, setup: &Setup) -> Result<Read, Obstacle> {
    let disk = |e: std::io::Error| Obstacle::Disk(e.to_string());
    let mut private = store.private_file().map_err(disk)?;
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut hasher = BodyHasher::default();
    let (mut header, mut copied) = (Vec::new(), 0u64);
    let mut body_from = None;
    let signs = setup.signs_anything();
    let mut first = true;
    let facts = file::verify(file, line, |piece| {
        digest.update(piece);
        // The first piece is the envelope line.
        if std::mem::take(&mut first) {
            return;
        }
        let at = copied;
        copied += piece.len() as u64;
        if private.1.is_ok() {
            private.1 = private.0.write_all(piece);
        }
        if body_from.is_none() {
            header.extend_from_slice(piece);
            if header.len() > limits::HEADER_SECTION || copied >= line.envelope.size {
                let section = Section::scan(&header);
                body_from = Some(section.body);
                if signs {
                    hasher.update(header.get(section.body..).unwrap_or_default());
                }
                header.truncate(section.end);
            }
        } else if signs && at > 0 {
            hasher.update(piece);
        }
    });
    private.1.map_err(disk)?;
    facts.map_err(obstacle)?;
    let octets = Octets::File { file: Arc::new(private.0), offset: 0, length: copied };
    Ok(Read { digest: digest.finish().as_ref().to_vec(), octets, header, body_hash: hasher.finish() })
}

fn signatures(setup: &Setup, read: &Read, now: i64) -> Result<Vec<u8>, Obstacle> {
    match setup.keys.for_header(&read.header) {
        Signing::NotConfigured | Signing::Off => Ok(Vec::new()),
        Signing::Unusable(reason) => Err(Obstacle::Hold(format!("{}{reason}", super::setup::DKIM_HOLD))),
        Signing::Signers(signers) => {
            dkim::sign(signers, &read.header, &read.body_hash, now).map_err(|e| Obstacle::Hold(format!("{}{e}", super::setup::DKIM_HOLD)))
        }
    }
}

fn transaction(envelope: Envelope, work: &Work, size: u64) -> smtp::Envelope {
    let all = envelope.recipients;
    let mut recipients = Vec::with_capacity(work.job.recipients.len());
    for wanted in &work.job.recipients {
        // The digest matched, so the envelope is the one that the row was made from.
        if let Some(recipient) = usize::try_from(wanted.n).ok().and_then(|n| all.get(n)) {
            recipients.push(recipient.clone());
        }
    }
    smtp::Envelope {
        reverse_path: envelope.reverse_path,
        recipients,
        size,
        body: envelope.body,
        smtputf8: envelope.smtputf8,
        ret: envelope.ret,
        envid: envelope.envid,
    }
}

impl Store {
    /// A file without a name that only this process can reach, and no error so far.
    fn private_file(&self) -> std::io::Result<(File, std::io::Result<()>)> {
        let directory = sys::fs::open_directory(&self.path(layout::CUR))?;
        match sys::fs::create_unnamed(&directory) {
            Err(e) if sys::fs::has_no_tmpfile(e) => {}
            created => return Ok((created?, Ok(()))),
        }
        let name = format!("p.{:016X}", sys::clock::random()?);
        let file = sys::fs::create_new(&directory, &name)?;
        sys::fs::unlink(&directory, &name)?;
        Ok((file, Ok(())))
    }
}

#[cfg(test)]
mod tests;
