//! One stream with its two buffers: reads replies with deadlines, writes whole buffers.
//!
//! While a write blocks because the peer does not read, incoming data is buffered: otherwise two ends that both write would block each
//! other for ever (RFC 2920 3.1). The peer is hostile; every wait has a deadline.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::reply::{self, ReplyError, ReplyReader};
use mail::Reply;

/// The transport of a session: TCP, a unix socket, or TLS over either.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The most bytes buffered while a write blocks.
const READ_AHEAD: usize = reply::TOTAL;

/// Why a connection is unusable.
#[derive(Debug)]
pub(super) enum Broken {
    /// The peer closed it.
    Closed,
    /// The kernel's reason, or that of TLS.
    Io(io::Error),
    /// Nothing complete within this time.
    Timeout(Duration),
    /// Bytes that are no reply.
    Reply(ReplyError),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        match self {
            Broken::Closed => f.write_str("the server closed the connection"),
            Broken::Io(e) => write!(f, "the connection was lost: {e}"),
            Broken::Timeout(limit) => write!(f, "no complete answer within {} s", limit.as_secs_f32()),
            Broken::Reply(e) => e.fmt(f),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(e: io::Error) -> Self {
        // TLS without its closing alert, and the plain end of a stream, mean the same to a person.
        if e.kind() == io::ErrorKind::UnexpectedEof { Broken::Closed } else { Broken::Io(e) }
    }
}

/// A write that did not end well.
#[derive(Debug)]
pub(super) struct WriteError {
    /// Bytes that were accepted by the kernel, or by TLS. Those after them never reach the peer.
    pub accepted: usize,
    pub why: Broken,
}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    replies: ReplyReader,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Connection { stream, replies: ReplyReader::default() }
    }

    /// The stream without its buffers, for TLS to take over. None if anything has arrived that no reply took.
    pub(crate) fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.replies.is_empty().then_some(self.stream)
    }

    /// The next reply. `limit` is for the reply as a whole, from now.
    pub(crate) async fn read_reply(&mut self, limit: Duration) -> Result<Reply, Broken> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(reply) = self.replies.take().map_err(Broken::Reply)? {
                return Ok(reply);
            }
            let read = timeout_at(deadline, poll_fn(|cx| self.poll_fill(cx))).await;
            if read.map_err(|_| Broken::Timeout(limit))?? == 0 {
                return Err(Broken::Closed);
            }
        }
    }

    /// A reply that has arrived although nothing was asked, or that the connection has ended. Does not wait.
    pub(crate) async fn unasked(&mut self) -> Result<Option<Reply>, Broken> {
        if self.replies.is_empty() {
            let read = poll_fn(|cx| Poll::Ready(self.poll_fill(cx))).await;
            match read {
                Poll::Pending => return Ok(None),
                Poll::Ready(Ok(0)) => return Err(Broken::Closed),
                Poll::Ready(read) => read?,
            };
        }
        match self.replies.take() {
            Ok(None) => Err(Broken::Reply(ReplyError::NoReply("an unsolicited, incomplete line".to_owned()))),
            reply => reply.map_err(Broken::Reply),
        }
    }

    /// Writes all of `bytes`, within `limit`.
    pub(crate) async fn write(&mut self, bytes: &[u8], limit: Duration) -> Result<(), WriteError> {
        let mut accepted = 0;
        let deadline = Instant::now() + limit;
        let result = timeout_at(deadline, poll_fn(|cx| self.poll_write_all(cx, bytes, &mut accepted))).await;
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(WriteError { accepted, why }),
            Err(_) => Err(WriteError { accepted, why: Broken::Timeout(limit) }),
        }
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>, bytes: &[u8], accepted: &mut usize) -> Poll<Result<(), Broken>> {
        loop {
            let rest = bytes.get(*accepted..).unwrap_or_default();
            let progress = if rest.is_empty() {
                Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0)
            } else {
                Pin::new(&mut self.stream).poll_write(cx, rest)
            };
            match progress {
                Poll::Ready(Ok(0)) if rest.is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Broken::Closed)),
                Poll::Ready(Ok(n)) => *accepted += n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e.into())),
                Poll::Pending => return self.poll_read_ahead(cx),
            }
        }
    }

    /// Takes in what has arrived, so that the peer's own writes do not block it. Ready only when the connection has ended.
    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while self.replies.buffered() < READ_AHEAD {
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(Broken::Closed));
            }
        }
        Poll::Pending
    }

    /// One read; the number of bytes, 0 at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        let mut space = [0u8; reply::READ];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.replies.space().extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Ends our side politely; TLS gets its closing alert. Waits for nothing but the kernel.
    pub(crate) async fn shutdown(&mut self, limit: Duration) {
        // The message's fate is decided: what fails here changes nothing.
        let _ = timeout_at(Instant::now() + limit, poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx))).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const SOON: Duration = Duration::from_millis(200);
    /// For a peer that answers.
    const LATE: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn pf26_5_a_slow_drip_does_not_move_the_deadline() {
        let (ours, mut theirs) = duplex(64);
        let drip = tokio::spawn(async move {
            for byte in b"250-slow\r\n".iter().cycle() {
                if theirs.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        // It drips for ever: where each octet moved the deadline, this would not end.
        let result = Connection::new(Box::new(ours)).read_reply(SOON).await;
        assert!(matches!(result, Err(Broken::Timeout(_))), "{result:?}");
        drip.await.unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_answers_before_it_reads_does_not_block_us() {
        let (ours, mut theirs) = duplex(64);
        let peer = tokio::spawn(async move {
            theirs.write_all(&b"250 early\r\n".repeat(100)).await.unwrap();
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        let mut connection = Connection::new(Box::new(ours));
        connection.write(&[b'x'; 10_000], LATE).await.unwrap();
        for _ in 0..100 {
            assert_eq!(connection.read_reply(LATE).await.unwrap().code(), 250);
        }
        connection.shutdown(LATE).await;
        drop(connection);
        assert_eq!(peer.await.unwrap(), 10_000);
    }

    #[tokio::test]
    async fn a_peer_that_never_reads_costs_its_time_and_no_more() {
        let (ours, _theirs) = duplex(64);
        let error = Connection::new(Box::new(ours)).write(&[b'x'; 1000], SOON).await.unwrap_err();
        assert!(matches!(error, WriteError { accepted: 64, why: Broken::Timeout(_) }), "{error:?}");
    }

    #[tokio::test]
    async fn what_arrives_unasked_is_seen_without_waiting() {
        let (ours, mut theirs) = duplex(64);
        let mut connection = Connection::new(Box::new(ours));
        assert!(matches!(connection.unasked().await, Ok(None)));
        theirs.write_all(b"421 bye\r\n").await.unwrap();
        assert!(matches!(connection.unasked().await, Ok(Some(reply)) if reply.code() == 421));
        theirs.write_all(b"25").await.unwrap();
        assert!(connection.unasked().await.is_err());
        drop(theirs);
        assert!(connection.unasked().await.is_err());
    }
}
