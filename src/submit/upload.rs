//! The client of the submission socket, for callers that cannot write to the drop directory.
//!
//! In: a message in wire form. Out: the queue id from the daemon, after which the message is durable, or an error line. This module
//! collects the whole message first and then sends it at once: a writer may take hours (cron passes on the output of a job), and the
//! daemon keeps no connection open that long. `message_size_limit` bounds the memory.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::refusal::{RefusalCode, SubmitError};
use control::submission;
use control::submission::{CHUNK, Reply};
use exit::{Exit, Failure};
use mail::{Envelope, QueueId, limits, printable};

/// Time limit for connecting and for each write and read. The daemon may have to wait for its disk.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Delays in milliseconds before each retry while the daemon is busy.
const BUSY: [u64; 6] = [20, 50, 100, 200, 400, 800];

/// A message for the daemon.
pub(crate) struct Upload {
    socket: PathBuf,
    envelope: Envelope,
    bytes: Vec<u8>,
}

impl Upload {
    /// Starts a message for the socket at `path`, if a daemon listens there.
    ///
    /// Errors: one line that names the socket.
    pub(crate) fn begin(path: &Path, envelope: Envelope) -> Result<Upload, Failure> {
        connect(path)?;
        Ok(Upload { socket: path.to_owned(), envelope, bytes: Vec::new() })
    }

    /// Adds the next bytes.
    ///
    /// Errors: a message above the size that any daemon accepts.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), SubmitError> {
        if self.written().saturating_add(bytes.len() as u64) > limits::MESSAGE {
            return Err(SubmitError::TooLarge { limit: limits::MESSAGE, parameter: None });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes added so far.
    pub(crate) fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Sends the message.
    ///
    /// Errors: EX_CANTCREAT if the daemon no longer listens, EX_IOERR if the connection was lost, and the daemon's own errors. After
    /// EX_IOERR the message may still be delivered, if only the reply was lost.
    pub(crate) fn commit(mut self, complete: impl FnOnce(&mut Envelope)) -> Result<QueueId, SubmitError> {
        complete(&mut self.envelope);
        let line = submission::encode_offer(&self.envelope)?;
        let mut waits = BUSY.into_iter();
        loop {
            let (exit, code, text) = match self.hand_over(&line)? {
                Reply::Accepted { id } => return Ok(id),
                Reply::Refused { exit, code, text } => (Exit::from_code(exit), code, printable::text(&text)),
            };
            match (code, exit, waits.next()) {
                (RefusalCode::Busy, _, Some(wait)) => std::thread::sleep(Duration::from_millis(wait)),
                (RefusalCode::Busy, _, None) => return Err(SubmitError::Busy),
                // Without an id nothing is in the spool, whatever the code says.
                (_, Exit::Ok, _) => return Err(self.failed(Exit::Software, "cannot parse the daemon's reply").into()),
                (code, exit, _) => return Err(SubmitError::ByDaemon { code, exit, text }),
            }
        }
    }

    fn failed(&self, exit: Exit, why: &str) -> Failure {
        Failure::new(exit, format!("submission socket {}: {why}", self.socket.display()))
    }

    fn hand_over(&self, line: &[u8]) -> Result<Reply, Failure> {
        let mut stream = connect(&self.socket)?;
        let sent = self.send(&mut stream, line);
        // A refusing daemon stops reading. Its reply has the reason; the broken pipe is not an error.
        let mut answer = Vec::new();
        let read = stream.take(submission::REPLY as u64).read_to_end(&mut answer);
        if let Ok(reply) = serde_json::from_slice(&answer) {
            return Ok(reply);
        }
        let lost = |e: &std::io::Error| match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no reply within {} seconds", TIMEOUT.as_secs()),
            _ => e.to_string(),
        };
        let why =
            sent.and(read.map(drop)).err().map_or_else(|| "the daemon closed the connection without a reply".to_owned(), |e| lost(&e));
        Err(self.failed(Exit::IoErr, &why))
    }

    fn send(&self, stream: &mut UnixStream, line: &[u8]) -> std::io::Result<()> {
        let mut crc = crc32fast::Hasher::new();
        crc.update(line);
        crc.update(&self.bytes);
        stream.write_all(line)?;
        for chunk in self.bytes.chunks(CHUNK) {
            // CHUNK is far below u32::MAX.
            stream.write_all(&u32::try_from(chunk.len()).unwrap_or(0).to_be_bytes())?;
            stream.write_all(chunk)?;
        }
        stream.write_all(&[[0; 4], crc.finalize().to_be_bytes()].concat())
    }
}

/// Errors: EX_CANTCREAT with the path.
fn connect(path: &Path) -> Result<UnixStream, Failure> {
    sys::stream::connect(path, TIMEOUT).map_err(|e| {
        let socket = path.display();
        let text = format!("cannot connect to the submission socket {socket}: {}; check that mailchuted is running", e.desc());
        Failure::new(Exit::CantCreate, text)
    })
}
