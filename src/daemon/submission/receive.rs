//! One connection: reads what the peer sends, with a deadline for every piece, and answers once.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::offer::{self, Offer};
use super::shared::SubmissionSocket;
use control::refusal::SubmitError;
use control::submission::{CHUNK, Reply};
use exit::{Exit, Failure};
use mail::envelope::Peer;
use mail::limits;

/// How long a piece may take: the envelope line, or the next [`PIECE`] bytes.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a message may take, the disk included.
const ALL: Duration = Duration::from_secs(300);
/// How long a client may take to read its line.
const ANSWERING: Duration = Duration::from_secs(10);
/// Bytes that are read before they go to the disk.
const PIECE: usize = 64 << 10;

/// Why there is no message.
enum End {
    /// The client went away: there is nobody to tell.
    Gone,
    /// It is refused.
    Refused(SubmitError),
}

impl<E: Into<SubmitError>> From<E> for End {
    fn from(error: E) -> End {
        End::Refused(error.into())
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(socket: &Arc<SubmissionSocket>, stream: UnixStream, peer: Peer) {
    let (reader, writer) = stream.into_split();
    let mut input = Input { reader: BufReader::with_capacity(PIECE, reader) };
    let taken = tokio::time::timeout(ALL, take(socket, &mut input, peer)).await;
    let error = match taken {
        Ok(Ok((offer, crc))) => return finish(socket, offer, crc, writer).await,
        Ok(Err(End::Gone)) => return,
        Ok(Err(End::Refused(error))) => error,
        Err(_) => too_slow().into(),
    };
    answer(writer, &Reply::refused(&error)).await;
}

fn too_slow() -> Failure {
    Failure::new(Exit::IoErr, "the message took too long to arrive at the daemon and was discarded")
}

/// SK2 to SK4. Returns the message with the checksum that it should have.
async fn take(socket: &Arc<SubmissionSocket>, input: &mut Input, peer: Peer) -> Result<(Offer, u32), End> {
    let taker = socket.taker.clone();
    socket.wait(move || offer::admit(&taker, peer.uid)).await?;
    let line = input.line(socket).await?;
    let taker = socket.taker.clone();
    let mut offer = socket.wait(move || offer::begin(&taker, &line, peer)).await?;
    loop {
        let chunk = input.number().await?;
        if chunk == 0 {
            return Ok((offer, input.number().await?));
        }
        let mut left = usize::try_from(chunk).unwrap_or(usize::MAX);
        if left > CHUNK {
            return Err(Failure::new(Exit::DataErr, format!("chunk of {chunk} bytes; the maximum is {CHUNK}")).into());
        }
        while left > 0 {
            let piece = input.piece(left.min(PIECE)).await?;
            left -= piece.len();
            offer = socket.wait(move || offer.take(&piece).map(|()| offer)).await?;
        }
    }
}

/// SK5 to SK7. Counted among what must be allowed to end: a client that sent everything gets its answer from a daemon that is
/// stopping.
async fn finish(socket: &Arc<SubmissionSocket>, offer: Offer, crc: u32, writer: OwnedWriteHalf) {
    let (ended, done) = oneshot::channel::<()>();
    let own = Arc::clone(socket);
    socket.taker.tasks.spawn(async move {
        let kept = own.wait(move || offer.finish(crc)).await;
        let reply = match &kept {
            Ok(kept) => Reply::Accepted { id: kept.id },
            Err(error) => Reply::refused(error),
        };
        answer(writer, &reply).await;
        // The lock ends only now: nothing is sent that was not acknowledged.
        drop(kept);
        drop(ended);
    });
    // The place is taken until then.
    let _ = done.await;
}

async fn answer(mut writer: OwnedWriteHalf, reply: &Reply) {
    // A client that has gone, or reads nothing, loses its answer.
    let _ = tokio::time::timeout(ANSWERING, writer.write_all(&reply.line())).await;
}

struct Input {
    reader: BufReader<OwnedReadHalf>,
}

impl Input {
    /// SK3: the envelope line with its LF. One that is longer than usual waits until few others are.
    async fn line(&mut self, socket: &SubmissionSocket) -> Result<Vec<u8>, End> {
        let mut line = Vec::new();
        if self.line_up_to(&mut line, PIECE).await? {
            return Ok(line);
        }
        let _large = tokio::time::timeout(SILENCE, socket.large_lines.acquire()).await.map_err(|_| too_slow())?;
        if self.line_up_to(&mut line, limits::ENVELOPE_LINE).await? {
            return Ok(line);
        }
        Err(Failure::new(Exit::DataErr, "the envelope is larger than 8 MiB").into())
    }

    /// Reads on until `line` ends or has `limit` bytes; true if it has ended.
    async fn line_up_to(&mut self, line: &mut Vec<u8>, limit: usize) -> Result<bool, End> {
        let room = limit.saturating_sub(line.len()) as u64;
        let mut bounded = (&mut self.reader).take(room);
        let read = tokio::time::timeout(SILENCE, bounded.read_until(b'\n', line)).await;
        match read.map_err(|_| too_slow())? {
            Ok(_) if line.ends_with(b"\n") => Ok(true),
            Ok(_) if line.len() >= limit => Ok(false),
            Ok(_) | Err(_) => Err(End::Gone),
        }
    }

    async fn number(&mut self) -> Result<u32, End> {
        match tokio::time::timeout(SILENCE, self.reader.read_u32()).await {
            Ok(number) => number.map_err(|_| End::Gone),
            Err(_) => Err(too_slow().into()),
        }
    }

    /// Exactly so many bytes.
    async fn piece(&mut self, length: usize) -> Result<Vec<u8>, End> {
        let mut piece = vec![0; length];
        match tokio::time::timeout(SILENCE, self.reader.read_exact(&mut piece)).await {
            Ok(Ok(_)) => Ok(piece),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(too_slow().into()),
        }
    }
}
