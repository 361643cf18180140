//! Submits a composed DSN to `new/`, with the same injection as all mail (`spool::drop`). From there it is handled like any message:
//! claimed, signed, delivered, and kept in `failed/` if delivery fails.

use std::path::Path;

use mail::address::ReversePath;
use mail::envelope;
use mail::envelope::{Body, CallerInfo, Envelope, Notify, Peer, Recipient};
use mail::queue_id::QueueId;
use mail::wire::WireCheck;
use mail::{Address, date};
use spool::drop::{DropError, SpoolWriter};

/// Puts `bytes` into the spool, addressed to `to`, with the null reverse-path (RFC 5321 4.5.5). After `Ok` the message is durable, under
/// this queue id if one is given.
///
/// The daemon writes this file, so it names the daemon as its `peer`. In a rootless spool no file has a `peer`.
///
/// Errors: those of the injection; bytes not in wire form.
pub fn write(spool: &Path, rootless: bool, id: Option<QueueId>, to: &Address, bytes: &[u8], now: i64) -> Result<QueueId, DropError> {
    let mut check = WireCheck::default();
    let summary = check.feed(bytes).and_then(|()| check.finish()).map_err(|why| DropError::of_content(spool, why))?;
    let writer = SpoolWriter::create(spool, rootless, envelope(to, rootless, now))?;
    let mut writer = if let Some(id) = id { writer.with_id(id) } else { writer };
    writer.write(bytes)?;
    let committed = writer.commit(|envelope| envelope.body = if summary.eight_bit { Body::EightBitMime } else { Body::SevenBit })?;
    Ok(committed.id)
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
        // RFC 3461 6.1: a DSN never causes another DSN.
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
