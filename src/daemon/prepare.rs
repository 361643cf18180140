//! From a file in `cur/` to what goes on the wire: read, compared with the pinned digest, converted for the server, signed.
//!
//! In: a queue id, its row, and whether the server takes 8-bit content. Out: a transaction, in memory or in a private copy. The
//! submitter may still have the file open for writing, so it is read exactly once, and what was hashed is what is converted, signed
//! and sent (SPOOL.md, "The claim"). Runs on threads that may wait for the disk.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::dispatch::Work;
use super::outcome::Loss;
use super::setup::Setup;
use dkim::{BodyHasher, Signing};
use mail::envelope::{Body, Envelope};
use mail::header::Section;
use mail::wire::{WireCheck, WireSummary};
use mail::{date, limits};
use spool::file;
use spool::file::{FileError, Line};
use spool::layout;
use store::Store;
use transport::encode;
use transport::smtp;
use transport::smtp::{Bytes, Content};

/// A message up to this size, in bytes, is kept in memory while it is sent; a larger one is copied to a private file.
pub(crate) const IN_MEMORY: u64 = 1 << 20;

/// Why a message cannot be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It cannot be signed: the fault of the key.
    Dkim(String),
    /// A fault of this program.
    Internal(String),
    /// The file is not the one that was claimed, or is gone.
    Lost(Loss),
    /// The disk refused.
    Disk(String),
    /// Its sender wants it delivered by a time that has passed (RFC 2852).
    Expired(String),
}

/// A transaction, ready for any server.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// MAIL and RCPT.
    pub(crate) envelope: smtp::Envelope,
    /// What follows DATA.
    pub(crate) content: Content,
    /// What was converted, for the history.
    pub(crate) note: Option<String>,
    /// The domain that it is signed for.
    pub(crate) signed_for: Option<String>,
}

/// Reads, checks, converts and signs one message for some of its recipients, to be sent at `now` to a server that takes 8-bit
/// content (RFC 6152), or not.
pub(crate) fn prepare(store: &Store, setup: &Setup, work: &Work, takes_8bit: bool, now: i64) -> Result<Prepared, Obstacle> {
    let message = &work.message;
    let file = store.open_message(layout::CUR, message.id).map_err(|e| match e {
        nix::errno::Errno::ENOENT => match store.check_directories() {
            Ok(()) => Obstacle::Lost(Loss::vanished("")),
            Err(why) => Obstacle::Disk(why),
        },
        e => Obstacle::Disk(e.desc().to_owned()),
    })?;
    let line = file::read_line(&file).map_err(obstacle)?;
    // Before anything is read or copied: the line may have been rewritten since, and promise a terabyte.
    if line.envelope.size != message.size {
        return Err(Obstacle::Lost(Loss::corrupt("changed since it was claimed")));
    }
    let read = if message.size <= IN_MEMORY { read_into_memory(&file, &line)? } else { copy_to_private_file(store, &file, &line, setup)? };
    if read.digest != message.digest {
        return Err(Obstacle::Lost(Loss::corrupt("changed since it was claimed")));
    }
    if let Some(by) = line.envelope.deliver_by.as_deref().filter(|by| date::parse_rfc3339(by).is_some_and(|by| by <= now)) {
        return Err(Obstacle::Expired(format!("not sent: its sender wants it delivered by {by}, or not at all")));
    }
    let received =
        encode::received(&setup.mailname, setup.params.received_uid.then_some(message.uid), message.id, message.accepted, &setup.zone);
    let sent = convert(store, read, takes_8bit)?;
    let (signatures, signed_for) = signatures(setup, &sent, now)?;
    let content = Content { prefix: [signatures, received, sent.on_top].concat(), bytes: sent.bytes };
    let body = if sent.eight_bit { Body::EightBitMime } else { Body::SevenBit };
    let envelope = transaction(Envelope { body, ..line.envelope }, work, content.size());
    Ok(Prepared { envelope, content, note: sent.note, signed_for })
}

/// What the disk says is for now; everything else means that the file is not what was claimed.
fn obstacle(e: FileError) -> Obstacle {
    match e {
        FileError::Io(e) => Obstacle::Disk(e.to_string()),
        e => Obstacle::Lost(Loss::corrupt(e.to_string())),
    }
}

/// A message that was read once.
struct Read {
    digest: Vec<u8>,
    bytes: Bytes,
    header: Vec<u8>,
    /// Where the body begins.
    body: u64,
    /// What it holds.
    summary: WireSummary,
    body_hash: [u8; 32],
}

/// A message as it will be sent.
struct Sent {
    header: Vec<u8>,
    body_hash: [u8; 32],
    /// Header fields and blank line that replace those of the file.
    on_top: Vec<u8>,
    /// What follows: the file's message, its body, or a new one.
    bytes: Bytes,
    eight_bit: bool,
    note: Option<String>,
}

/// What this server needs, and no more: most messages stay as they are.
fn convert(store: &Store, read: Read, takes_8bit: bool) -> Result<Sent, Obstacle> {
    let body = read.bytes.tail(read.body);
    let original = encode::Original { header: &read.header, body: &body, summary: read.summary };
    let converted = encode::convert(&original, takes_8bit, IN_MEMORY as usize, || store.private_file());
    let Some(converted) = converted.map_err(|e| Obstacle::Disk(e.to_string()))? else {
        let eight_bit = read.summary.eight_bit || !read.header.is_ascii();
        let Read { header, body_hash, bytes, .. } = read;
        return Ok(Sent { header, body_hash, on_top: Vec::new(), bytes, eight_bit, note: None });
    };
    let (bytes, body_hash) = converted.body.map_or((body, read.body_hash), |body| (body.bytes, body.body_hash));
    Ok(Sent {
        on_top: [converted.header.as_slice(), b"\r\n"].concat(),
        eight_bit: converted.eight_bit || !converted.header.is_ascii(),
        header: converted.header,
        body_hash,
        bytes,
        note: Some(converted.note),
    })
}

fn read_into_memory(file: &File, line: &Line) -> Result<Read, Obstacle> {
    let disk = |e: std::io::Error| Obstacle::Disk(e.to_string());
    let size = usize::try_from(line.envelope.size.min(IN_MEMORY)).unwrap_or(usize::MAX);
    // One byte more than promised: a file that has grown must not pass.
    let mut message = vec![0; size.saturating_add(1)];
    let read = file::read_full(file, &mut message, line.length()).map_err(disk)?;
    message.truncate(read);
    // The line is the one that was parsed: read again, it could be another.
    let mut digest = digest::Context::new(&digest::SHA256);
    digest.update(line.bytes());
    digest.update(&message);
    let section = Section::scan(&message);
    let header = message.get(..section.end).unwrap_or_default().to_vec();
    let text = message.get(section.body..).unwrap_or_default();
    let (mut hasher, mut check) = (BodyHasher::default(), WireCheck::default());
    hasher.update(text);
    // What was claimed was in wire form; the digest decides whether this is that.
    let summary = check.feed(text).and_then(|()| check.finish()).unwrap_or_default();
    let range = 0..message.len();
    let bytes = Bytes::Memory { bytes: Arc::new(message), range };
    Ok(Read { digest: digest.finish().as_ref().to_vec(), bytes, header, body: section.body as u64, summary, body_hash: hasher.finish() })
}

/// Copies a large message to a file that nobody else can open, hashing on the way.
fn copy_to_private_file(store: &Store, file: &File, line: &Line, setup: &Setup) -> Result<Read, Obstacle> {
    let disk = |e: std::io::Error| Obstacle::Disk(e.to_string());
    let mut private = store.private_file().map_err(disk)?;
    let mut written = Ok(());
    let mut check = WireCheck::default();
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut hasher = BodyHasher::default();
    let (mut header, mut copied) = (Vec::new(), 0u64);
    let mut body_from = None;
    let signs = setup.signs_anything();
    let mut first = true;
    let mut body_piece = |piece: &[u8]| {
        if signs {
            hasher.update(piece);
        }
        // verify() reports what breaks the form.
        let _ = check.feed(piece);
    };
    let whole = file::verify(file, line, |piece| {
        digest.update(piece);
        // The first piece is the envelope line.
        if std::mem::take(&mut first) {
            return;
        }
        let at = copied;
        copied += piece.len() as u64;
        if written.is_ok() {
            written = private.write_all(piece);
        }
        if body_from.is_none() {
            header.extend_from_slice(piece);
            if header.len() > limits::HEADER_SECTION || copied >= line.envelope.size {
                let section = Section::scan(&header);
                body_from = Some(section.body);
                body_piece(header.get(section.body..).unwrap_or_default());
                header.truncate(section.end);
            }
        } else if at > 0 {
            body_piece(piece);
        }
    });
    written.map_err(disk)?;
    whole.map_err(obstacle)?;
    let bytes = Bytes::File { file: Arc::new(private), offset: 0, length: copied };
    let summary = check.finish().unwrap_or_default();
    let body = body_from.unwrap_or(header.len()) as u64;
    Ok(Read { digest: digest.finish().as_ref().to_vec(), bytes, header, body, summary, body_hash: hasher.finish() })
}

/// The signatures, and the domain that they are for.
fn signatures(setup: &Setup, sent: &Sent, now: i64) -> Result<(Vec<u8>, Option<String>), Obstacle> {
    let hold = Obstacle::Dkim;
    match setup.keys.for_header(&sent.header) {
        Signing::NotConfigured | Signing::Off => Ok((Vec::new(), None)),
        Signing::Unusable(reason) => Err(hold(reason)),
        Signing::Signers(signers) => {
            let fields = dkim::sign(signers, &sent.header, &sent.body_hash, now).map_err(|e| hold(e.to_string()))?;
            Ok((fields, signers.first().map(|signer| signer.domain.to_string())))
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

#[cfg(test)]
mod tests;
