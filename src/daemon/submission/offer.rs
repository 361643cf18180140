//! What an offered message must be: its envelope (SK3), and its bytes as they come (SK4, SK5). Waits for the disk.
//!
//! In: a line and pieces from a hostile peer. Out: a message in `new/`, or the first reason why there will be none. The same
//! limits and the same policy as for `sendmail`; what the claim will check is checked here too, because it is better to be refused
//! than to be kept in `corrupt/`.

use super::shared::Taker;
use crate::setup::Setup;
use config::paths::Mode;
use config::policy::User;
use control::refusal::SubmitError;
use control::submission;
use exit::{Exit, Failure};
use mail::envelope::{Body, Envelope, Peer};
use mail::wire::WireCheck;
use mail::{Address, date, limits};
use spool::drop::{CommittedMessage, SpoolWriter};

/// A message that is being taken.
pub(crate) struct Offer {
    draft: SpoolWriter,
    wire: WireCheck,
    crc: crc32fast::Hasher,
    /// Bytes of the message at most.
    limit: u64,
}

/// SK2: why nothing of `uid` is taken now.
pub(super) fn admit(taker: &Taker, uid: u32) -> Result<(), SubmitError> {
    let refusal = taker.admission.refusal(uid);
    refusal.map_or(Ok(()), |text| Err(SubmitError::NotAdmitted(text)))
}

/// SK3, and D1 of the injection.
pub(super) fn begin(taker: &Taker, line: &[u8], peer: Peer) -> Result<Offer, SubmitError> {
    let setup = taker.current.get();
    let envelope = envelope_of(&setup, taker.paths.mode, line, peer, sys::clock::now())?;
    let draft = SpoolWriter::create(&taker.paths.spool, taker.paths.mode == Mode::Rootless, envelope)?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(line);
    let limit = match setup.params.message_size_limit.0 {
        0 => limits::MESSAGE,
        limit => limit.min(limits::MESSAGE),
    };
    Ok(Offer { draft, wire: WireCheck::default(), crc, limit })
}

/// The envelope, as the daemon will have it: what the peer cannot know or must not say is filled in here.
fn envelope_of(setup: &Setup, mode: Mode, line: &[u8], peer: Peer, now: i64) -> Result<Envelope, Failure> {
    let mut envelope = submission::decode_offer(line)?;
    let limit = setup.params.recipient_limit.clamp(1, limits::RECIPIENTS);
    if envelope.recipients.len() > limit {
        return Err(Failure::new(Exit::DataErr, format!("too many recipients: more than {limit} (recipient_limit)")));
    }
    let name = sys::process::user_name(peer.uid);
    let user = User { uid: peer.uid, name: &name };
    user.check_sender(&envelope.reverse_path, &user.own_address(&setup.names)?, &setup.params)?;
    let is_ascii = |address: Option<&Address>| address.is_none_or(Address::is_ascii);
    let needs_utf8 = !is_ascii(envelope.reverse_path.address()) || envelope.recipients.iter().any(|r| !is_ascii(Some(&r.address)));
    envelope.smtputf8 |= needs_utf8;
    envelope.time = date::rfc3339(now);
    envelope.warnings.push(format!("came over the submission socket from process {}", peer.pid));
    envelope.peer = peer_of(mode, peer)?;
    Ok(envelope)
}

impl Offer {
    /// SK4: the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), SubmitError> {
        if self.draft.written().saturating_add(bytes.len() as u64) > self.limit {
            return Err(SubmitError::TooLarge { limit: self.limit, parameter: Some("message_size_limit") });
        }
        self.crc.update(bytes);
        self.wire.feed(bytes).map_err(|why| Failure::new(Exit::DataErr, format!("not in wire form: {why}")))?;
        Ok(self.draft.write(bytes)?)
    }

    /// SK5 and SK6. `crc` is the peer's.
    pub(crate) fn finish(mut self, crc: u32) -> Result<CommittedMessage, SubmitError> {
        if self.crc.finalize() != crc {
            return Err(Failure::new(Exit::IoErr, "the checksum is wrong: it was damaged on the way").into());
        }
        let summary = self.wire.finish().map_err(|why| Failure::new(Exit::DataErr, format!("not in wire form: {why}")))?;
        let size = self.draft.written();
        let (file, offset) = self.draft.so_far()?;
        store::check_header(file, offset, size).map_err(|why| Failure::new(Exit::DataErr, why.to_string()))?;
        let body = if summary.eight_bit { Body::EightBitMime } else { Body::SevenBit };
        Ok(self.draft.commit(|envelope| envelope.body = body)?)
    }
}

/// Whom the envelope names. In a rootless spool every file is its owner's, and nobody else but root can come here.
fn peer_of(mode: Mode, peer: Peer) -> Result<Option<Peer>, Failure> {
    match mode {
        Mode::System => Ok(Some(peer)),
        Mode::Rootless if peer.uid == 0 || peer.uid == sys::process::euid() => Ok(None),
        Mode::Rootless => Err(Failure::new(Exit::NoPerm, "this spool belongs to another user")),
    }
}
