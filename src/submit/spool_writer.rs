//! Writes a message to the spool.
//!
//! In: an envelope, then the message in wire form. Out: a queue id, after which the message is durable, or an error line. The message
//! goes to the drop directory. If the caller cannot see that directory or cannot write to it, the message goes to the submission
//! socket of the daemon. The error line then names both.

use super::upload::Upload;
use config::paths::Mode;
use config::{Config, Params};
use exit::{Exit, Failure};
use mail::{Envelope, QueueId};
use spool::admission::{Admission, Reserve};
use spool::drop;
use spool::drop::{DropError, SpoolWriter};

/// A message being written. Dropping it removes what was written.
pub(crate) enum MessageWriter {
    /// To `new/` in the spool.
    Spool(SpoolWriter),
    /// To the submission socket.
    Socket(Upload),
}

/// A durable message. If this process wrote the file, it holds a lock on it until this value is dropped; the daemon waits for the
/// lock.
pub struct CommittedMessage {
    /// The queue id.
    pub id: QueueId,
    _locked: Option<drop::CommittedMessage>,
}

/// Checks admission before the message is read. If this process cannot see the spool, its free space is not checked.
///
/// Errors: EX_UNAVAILABLE if admission is closed, `uid` has reached its quota, or the spool is nearly full.
pub(crate) fn admit(config: &Config, uid: u32) -> Result<(), Failure> {
    let reserve = Reserve { bytes: config.params.reserve(), inodes: config.params.spool_inode_reserve };
    let refusal = Admission::read(&config.paths.admission_file()).refusal(uid).or_else(|| reserve.refusal(&config.paths.spool));
    refusal.map_or(Ok(()), |text| Err(spool_failure(Exit::Unavailable, text, &config.params)))
}

impl MessageWriter {
    /// Starts a message. The socket is used only if the drop directory is hidden, read-only or missing for this caller. After a full
    /// disk it would not help.
    ///
    /// Errors: EX_CANTCREAT if both are unusable; EX_OSERR.
    pub(crate) fn open(config: &Config, envelope: Envelope) -> Result<MessageWriter, Failure> {
        let directory = match SpoolWriter::create(&config.paths.spool, config.paths.mode == Mode::Rootless, envelope.clone()) {
            Ok(file) => return Ok(MessageWriter::Spool(file)),
            Err(e) if e.is_shut => e,
            Err(e) => return Err(failure(&e, &config.params)),
        };
        Upload::begin(&config.paths.submit_socket(), envelope)
            .map(MessageWriter::Socket)
            .map_err(|socket| spool_failure(Exit::CantCreate, format!("{directory}; and {socket}"), &config.params))
    }

    /// Writes the next bytes.
    ///
    /// Errors: EX_IOERR, EX_DATAERR.
    pub(crate) fn write(&mut self, bytes: &[u8], params: &Params) -> Result<(), Failure> {
        match self {
            MessageWriter::Spool(file) => file.write(bytes).map_err(|e| failure(&e, params)),
            MessageWriter::Socket(upload) => upload.write(bytes),
        }
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        match self {
            MessageWriter::Spool(file) => file.written(),
            MessageWriter::Socket(upload) => upload.written(),
        }
    }

    /// Makes the message durable. `complete` fills in the members of the envelope that depend on the body.
    ///
    /// Errors: EX_CANTCREAT, EX_IOERR, EX_OSERR, and the daemon's own errors. After an error the spool has no such message.
    pub(crate) fn commit(self, complete: impl FnOnce(&mut Envelope), params: &Params) -> Result<CommittedMessage, Failure> {
        match self {
            MessageWriter::Spool(file) => {
                let kept = file.commit(complete).map_err(|e| failure(&e, params))?;
                Ok(CommittedMessage { id: kept.id, _locked: Some(kept) })
            }
            MessageWriter::Socket(upload) => match upload.commit(complete) {
                Ok(id) => Ok(CommittedMessage { id, _locked: None }),
                Err(failure) => Err(spool_failure(failure.exit, failure.text, params)),
            },
        }
    }
}

fn failure(e: &DropError, params: &Params) -> Failure {
    spool_failure(e.exit, e.to_string(), params)
}

/// Section 6: with `spool_error_exit = 75` temporary errors become EX_TEMPFAIL, for hosts where every caller retries.
fn spool_failure(exit: Exit, text: String, params: &Params) -> Failure {
    let is_spool = matches!(exit, Exit::Unavailable | Exit::CantCreate | Exit::IoErr);
    let exit = if is_spool && params.spool_error_exit == Some(Exit::TempFail.code()) { Exit::TempFail } else { exit };
    Failure::new(exit, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_6_75_only_if_configured_and_only_for_spool_errors() {
        let exit = |exit, asked| spool_failure(exit, String::new(), &Params { spool_error_exit: asked, ..Params::default() }).exit;
        assert_eq!(exit(Exit::CantCreate, None), Exit::CantCreate);
        assert_eq!(exit(Exit::CantCreate, Some(75)), Exit::TempFail);
        assert_eq!(exit(Exit::IoErr, Some(75)), Exit::TempFail);
        assert_eq!(exit(Exit::OsErr, Some(75)), Exit::OsErr);
        assert_eq!(exit(Exit::CantCreate, Some(1)), Exit::CantCreate);
    }
}
