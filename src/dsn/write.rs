//! A composed DSN becomes a message in `new/`, by the same injection as everybody's (`spool::drop`), and takes the ordinary way
//! from there: claimed, signed, delivered, kept in `failed/` if that fails.

use std::path::Path;

use exit::Exit;
use mail::address::ReversePath;
use mail::envelope;
use mail::envelope::{Body, CallerInfo, Envelope, Notify, Peer, Recipient};
use mail::queue_id::QueueId;
use mail::wire::WireCheck;
use mail::{Address, date};
use spool::drop::{DropError, SpoolWriter};

/// Puts `octets` into the spool, to `to`, from the null reverse-path (RFC 5321 4.5.5). After `Ok` it is durable.
///
/// The file is the daemon's own, so it names the daemon as its `peer`; in a rootless spool, where every file is the daemon's, no
/// file has one.
///
/// Errors: those of the injection; bytes that are not in wire form.
pub fn write(spool: &Path, rootless: bool, to: &Address, bytes: &[u8], now: i64) -> Result<QueueId, DropError> {
    let mut check = WireCheck::default();
    let facts = check.feed(bytes).and_then(|()| check.finish()).map_err(|why| DropError {
        what: "a notice is not in wire form".to_owned(),
        why: why.to_string(),
        exit: Exit::Software,
        is_shut: false,
    })?;
    let mut draft = SpoolWriter::begin(spool, rootless, envelope(to, rootless, now))?;
    draft.write(bytes)?;
    let kept = draft.commit(|envelope| envelope.body = if facts.eight_bit { Body::EightBitMime } else { Body::SevenBit })?;
    Ok(kept.id)
}

fn envelope(to: &Address, rootless: bool, now: i64) -> Envelope {
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let own = Peer { uid: sys::process::euid(), gid: sys::process::gid(), pid };
    Envelope {
        v: envelope::VERSION,
        id: QueueId::new(0, 0),
        size: 0,
        crc32: String::new(),
        time: date::rfc3339(now),
        reverse_path: ReversePath::Null,
        // RFC 3461 6.1: nobody is told about what becomes of a DSN.
        recipients: vec![Recipient { notify: Some(Notify::NEVER), ..Recipient::new(to.clone()) }],
        ret: None,
        envid: None,
        body: Body::SevenBit,
        smtputf8: !to.is_ascii(),
        deliver_by: None,
        hold_until: None,
        priority: None,
        warnings: Vec::new(),
        caller: CallerInfo::default(),
        peer: (!rootless).then_some(own),
    }
}
