//! The second door: the submission socket of the daemon, for callers to whom the drop directory is closed.
//!
//! In: a message in wire form. Out: a queue id by the daemon's word, after which it is durable; or one line. The message is
//! collected here and handed over in one go when it is whole: its writer may take hours over it (cron passes on what a job says as
//! it says it), and the daemon gives nobody a place for that long. Memory is bounded by `message_size_limit`.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::submission;
use control::submission::{CHUNK, Reply};
use exit::{Exit, Failure};
use mail::{Envelope, QueueId, limits, printable};

/// How long connecting, and each write and read, may take: the daemon may have to wait for its disk.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The waits before the daemon, which has said that it is busy, is asked again, in milliseconds.
const BUSY: [u64; 6] = [20, 50, 100, 200, 400, 800];

/// A message on its way to the daemon.
pub(crate) struct Upload {
    socket: PathBuf,
    envelope: Envelope,
    bytes: Vec<u8>,
}

impl Upload {
    /// Begins a message for the socket at `path`, if somebody listens there.
    ///
    /// Errors: one line that names the socket.
    pub(crate) fn begin(path: &Path, envelope: Envelope) -> Result<Upload, String> {
        connect(path)?;
        Ok(Upload { socket: path.to_owned(), envelope, bytes: Vec::new() })
    }

    /// Takes the next bytes.
    ///
    /// Errors: EX_DATAERR for a message that no daemon takes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.written().saturating_add(bytes.len() as u64) > limits::MESSAGE {
            return Err(Failure::new(Exit::DataErr, format!("message too large: more than {} bytes", limits::MESSAGE)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Hands the message over.
    ///
    /// Errors: EX_CANTCREAT where nobody listens any more, EX_IOERR where the daemon went away, and the daemon's own. After EX_IOERR
    /// the message may be delivered all the same, if only the answer was lost.
    pub(crate) fn commit(mut self, complete: impl FnOnce(&mut Envelope)) -> Result<QueueId, Failure> {
        complete(&mut self.envelope);
        let line = submission::encode_offer(&self.envelope).map_err(|why| Failure::new(Exit::IoErr, why))?;
        let mut waits = BUSY.into_iter();
        loop {
            let (code, text) = match self.hand_over(&line)? {
                Reply::Accepted { id } => return Ok(id),
                Reply::Refused { exit, text } => (exit, printable::text(&text)),
            };
            let is_busy = code == Exit::TempFail.code();
            match waits.next() {
                Some(wait) if is_busy => std::thread::sleep(Duration::from_millis(wait)),
                _ if is_busy => return Err(Failure::new(Exit::Unavailable, text)),
                // Whatever it says, nothing is kept without an id.
                _ if code == 0 => return Err(self.failed(Exit::Software, "an answer that is not understood")),
                _ => return Err(Failure::new(Exit::from_code(code), text)),
            }
        }
    }

    fn failed(&self, exit: Exit, why: &str) -> Failure {
        Failure::new(exit, format!("the submission socket {}: {why}", self.socket.display()))
    }

    fn hand_over(&self, line: &[u8]) -> Result<Reply, Failure> {
        let mut stream = connect(&self.socket).map_err(|why| Failure::new(Exit::CantCreate, why))?;
        let sent = self.send(&mut stream, line);
        // A daemon that refuses does not read to the end: its answer says why, and the broken pipe says nothing.
        let mut answer = Vec::new();
        let read = stream.take(submission::REPLY as u64).read_to_end(&mut answer);
        if let Ok(reply) = serde_json::from_slice(&answer) {
            return Ok(reply);
        }
        let lost = |e: &std::io::Error| match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no answer in {} seconds", TIMEOUT.as_secs()),
            _ => e.to_string(),
        };
        let why = sent.and(read.map(drop)).err().map_or_else(|| "the daemon went away without an answer".to_owned(), |e| lost(&e));
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

fn connect(path: &Path) -> Result<UnixStream, String> {
    sys::stream::connect(path, TIMEOUT)
        .map_err(|e| format!("cannot use the submission socket {}: {}; is mailchuted running?", path.display(), e.desc()))
}
