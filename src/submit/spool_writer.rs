//! Writes a message to the spool.
//!
//! In: an envelope, then the message in wire form. Out: a queue id, after which the message is durable, or an error line. The message
//! goes to the drop directory. If the caller cannot see that directory or cannot write to it, the message goes to the submission
//! socket of the daemon. The error line then names both.

use super::upload::Upload;
use config::paths::Mode;
use config::{Config, Params};
use control::refusal::SubmitError;
use exit::{Exit, Failure};
use mail::{Envelope, QueueId};
use spool::admission::{Admission, Reserve};
use spool::drop;
use spool::drop::SpoolWriter;

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
/// Errors: admission is closed, `uid` has reached its quota, or the spool is nearly full.
pub(crate) fn admit(config: &Config, uid: u32) -> Result<(), SubmitError> {
    let reserve = Reserve { bytes: config.params.reserve(), inodes: config.params.spool_inode_reserve };
    let refusal = Admission::read(&config.paths.admission_file()).refusal(uid).or_else(|| reserve.refusal(&config.paths.spool));
    refusal.map_or(Ok(()), |text| Err(SubmitError::NotAdmitted(text)))
}

/// The error of a program that ends with it. With `spool_error_exit = 75` errors of the spool become EX_TEMPFAIL, for hosts where every
/// caller retries (SENDMAIL.md section 6).
pub(crate) fn failure(error: SubmitError, params: &Params) -> Failure {
    let is_temporary = error.is_of_spool() && params.spool_error_exit == Some(Exit::TempFail.code());
    let failure = Failure::from(error);
    if is_temporary { Failure::new(Exit::TempFail, failure.text) } else { failure }
}

impl MessageWriter {
    /// Starts a message. The socket is used only if the drop directory is hidden, read-only or missing for this caller. After a full
    /// disk it would not help.
    pub(crate) fn open(config: &Config, envelope: Envelope) -> Result<MessageWriter, SubmitError> {
        let directory = match SpoolWriter::create(&config.paths.spool, config.paths.mode == Mode::Rootless, envelope.clone()) {
            Ok(file) => return Ok(MessageWriter::Spool(file)),
            Err(e) if e.is_shut() => e,
            Err(e) => return Err(e.into()),
        };
        let upload = Upload::begin(&config.paths.submit_socket(), envelope);
        upload.map(MessageWriter::Socket).map_err(|socket| SubmitError::Shut { directory, socket })
    }

    /// Writes the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), SubmitError> {
        match self {
            MessageWriter::Spool(file) => Ok(file.write(bytes)?),
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
    /// Errors: after an error the spool has no such message, unless only the daemon's reply was lost.
    pub(crate) fn commit(self, complete: impl FnOnce(&mut Envelope)) -> Result<CommittedMessage, SubmitError> {
        match self {
            MessageWriter::Spool(file) => {
                let kept = file.commit(complete)?;
                Ok(CommittedMessage { id: kept.id, _locked: Some(kept) })
            }
            MessageWriter::Socket(upload) => Ok(CommittedMessage { id: upload.commit(complete)?, _locked: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::refusal::RefusalCode;

    #[test]
    fn section_6_75_only_if_configured_and_only_for_spool_errors() {
        let exit = |error: SubmitError, asked| failure(error, &Params { spool_error_exit: asked, ..Params::default() }).exit;
        let daemon = |exit| SubmitError::ByDaemon { code: RefusalCode::Local, exit, text: String::new() };
        assert_eq!(exit(daemon(Exit::CantCreate), None), Exit::CantCreate);
        assert_eq!(exit(daemon(Exit::CantCreate), Some(75)), Exit::TempFail);
        assert_eq!(exit(daemon(Exit::IoErr), Some(75)), Exit::TempFail);
        assert_eq!(exit(daemon(Exit::OsErr), Some(75)), Exit::OsErr);
        assert_eq!(exit(daemon(Exit::CantCreate), Some(1)), Exit::CantCreate);
        assert_eq!(exit(SubmitError::NotAdmitted(String::new()), Some(75)), Exit::TempFail);
        assert_eq!(exit(Failure::new(Exit::IoErr, "standard input").into(), Some(75)), Exit::IoErr);
    }
}
