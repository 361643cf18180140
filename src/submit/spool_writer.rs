//! The ways into the spool.
//!
//! In: an envelope, then the message in wire form. Out: a queue id, after which the message is durable; or one line that names
//! every door that was tried and why it is shut. The first door is the drop directory. The second is a unix socket of the daemon, for
//! callers who cannot see that directory or not write to it.

use super::upload::Upload;
use config::paths::Mode;
use config::{Config, Params};
use exit::{Exit, Failure};
use mail::{Envelope, QueueId};
use spool::admission::{Admission, Reserve};
use spool::drop;
use spool::drop::{DropError, SpoolWriter};

/// An open door: a message on its way in. Dropped, it leaves nothing behind.
pub(crate) enum MessageWriter {
    /// `new/` in the spool.
    Spool(SpoolWriter),
    /// The socket of the daemon.
    Socket(Upload),
}

/// A kept message. The lock on its file, if this process made it, ends with this value; the daemon starts only then.
pub struct CommittedMessage {
    /// The queue id.
    pub id: QueueId,
    _locked: Option<drop::CommittedMessage>,
}

/// Why no mail of `uid` is taken now, before any of it was read: admission is closed, `uid` is over its cap, or the spool is nearly
/// full. A spool that this process cannot see says nothing here.
///
/// Errors: EX_UNAVAILABLE.
pub(crate) fn admit(config: &Config, uid: u32) -> Result<(), Failure> {
    let reserve = Reserve { bytes: config.params.reserve(), inodes: config.params.spool_inode_reserve };
    let refusal = Admission::read(&config.paths.admission_file()).refusal(uid).or_else(|| reserve.refusal(&config.paths.spool));
    refusal.map_or(Ok(()), |text| Err(spool_failure(Exit::Unavailable, text, &config.params)))
}

impl MessageWriter {
    /// Opens the first door that opens. The socket is tried where the drop directory is hidden, read-only or missing for this caller;
    /// a full disk is full behind every door.
    ///
    /// Errors: EX_CANTCREAT where all are shut; EX_OSERR.
    pub(crate) fn open(config: &Config, envelope: Envelope) -> Result<MessageWriter, Failure> {
        let directory = match SpoolWriter::begin(&config.paths.spool, config.paths.mode == Mode::Rootless, envelope.clone()) {
            Ok(file) => return Ok(MessageWriter::Spool(file)),
            Err(e) if e.is_shut => e,
            Err(e) => return Err(failure(&e, &config.params)),
        };
        Upload::begin(&config.paths.submit_socket(), envelope)
            .map(MessageWriter::Socket)
            .map_err(|socket| spool_failure(Exit::CantCreate, format!("{directory}; and {socket}"), &config.params))
    }

    /// Takes the next bytes.
    ///
    /// Errors: EX_IOERR, EX_DATAERR.
    pub(crate) fn write(&mut self, bytes: &[u8], params: &Params) -> Result<(), Failure> {
        match self {
            MessageWriter::Spool(file) => file.write(bytes).map_err(|e| failure(&e, params)),
            MessageWriter::Socket(upload) => upload.write(bytes),
        }
    }

    /// Bytes taken so far.
    pub(crate) fn written(&self) -> u64 {
        match self {
            MessageWriter::Spool(file) => file.written(),
            MessageWriter::Socket(upload) => upload.written(),
        }
    }

    /// Makes the message durable. `complete` fills in what is known only now.
    ///
    /// Errors: EX_CANTCREAT, EX_IOERR, EX_OSERR, and what the daemon refuses with; then nothing was kept.
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

/// Section 6: `spool_error_exit = 75` turns what a later try may cure into EX_TEMPFAIL, where the administrator knows that all
/// callers try again.
fn spool_failure(exit: Exit, text: String, params: &Params) -> Failure {
    let is_spool = matches!(exit, Exit::Unavailable | Exit::CantCreate | Exit::IoErr);
    let exit = if is_spool && params.spool_error_exit == Some(Exit::TempFail.code()) { Exit::TempFail } else { exit };
    Failure::new(exit, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_6_75_only_where_the_administrator_asked_and_only_for_the_spool() {
        let exit = |exit, asked| spool_failure(exit, String::new(), &Params { spool_error_exit: asked, ..Params::default() }).exit;
        assert_eq!(exit(Exit::CantCreate, None), Exit::CantCreate);
        assert_eq!(exit(Exit::CantCreate, Some(75)), Exit::TempFail);
        assert_eq!(exit(Exit::IoErr, Some(75)), Exit::TempFail);
        assert_eq!(exit(Exit::OsErr, Some(75)), Exit::OsErr);
        assert_eq!(exit(Exit::CantCreate, Some(1)), Exit::CantCreate);
    }
}
