//! The submission socket, for callers that cannot write to the drop directory (SPOOL.md, "The submission socket").
//!
//! In: connections of anybody on the host; every byte is hostile ([`control::submission`] is the form). Out: messages in
//! `new/`, made durable by the same sequence as everybody's, with the peer's credentials in the envelope; then one line. From there
//! they go the way of all mail: the claim checks them as it checks a file.
//!
//! ```text
//!   SK1  a place, or {"exit":75}: nobody can take all places
//!   SK2  may this uid send now? (closed, quota, reserve)          before anything is read
//!   SK3  the envelope line; policy, limits                        10 s
//!   SK4  D1 of spool::drop, then chunks into the unnamed file     10 s for each piece of 64 KiB, 5 min for all
//!   SK5  checksum, wire form, header section
//!   SK6  D3 to D7: durable; the file stays locked
//!   SK7  the answer is written, then the lock ends                the daemon sends nothing before
//! ```
//! A crash, or a client that goes away, before SK6 leaves nothing. Between SK6 and SK7 it may leave a whole message whose
//! client got no reply. It is delivered: as in the drop directory, exit 0 means stored, and any other code nearly always means not stored.
//!
//! Memory and descriptors are bounded by the places; the disk is waited for by a few threads at a time, so that deliveries always find
//! one. A slow client costs its user a place, and nobody else anything.

mod offer;
mod receive;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::limiter::ConnectionLimiter;
use crate::socket;
use control::refusal::SubmitError;
use control::submission::Reply;
use exit::Failure;
use shared::SubmissionSocket;
pub(crate) use shared::Taker;

/// The most connections, where descriptors are plenty. Each may need three of them.
const PLACES: u64 = 256;
/// The part of all descriptors that connections may be.
const SHARE: u64 = 16;
/// The part of all places that one user may have.
const OF_ONE: usize = 4;
/// Threads that wait for the disk for this socket at a time.
const THREADS: usize = 4;
/// Envelope lines above 64 KiB that are read at a time: thousands of recipients each.
const LARGE_LINES: usize = 4;

/// Opens the socket and takes messages from now on.
///
/// Errors: EX_CANTCREAT with the path.
pub(crate) fn start(taker: Taker) -> Result<JoinHandle<()>, Failure> {
    let listener = socket::listen(&taker.paths.submit_socket())?;
    let all = usize::try_from((sys::process::descriptor_limit().unwrap_or(1024) / SHARE).clamp(8, PLACES)).unwrap_or(8);
    let places = ConnectionLimiter::new(all, (all / OF_ONE).max(1));
    let socket = SubmissionSocket { taker, threads: Semaphore::new(THREADS), large_lines: Semaphore::new(LARGE_LINES) };
    Ok(tokio::spawn(accept(Arc::new(socket), places, listener)))
}

async fn accept(socket: Arc<SubmissionSocket>, places: Arc<ConnectionLimiter>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(peer) = sys::peer::credentials(&stream) else { continue };
                let Some(permit) = ConnectionLimiter::take(&places, peer.uid) else {
                    turn_away(&stream);
                    continue;
                };
                let socket = Arc::clone(&socket);
                tokio::spawn(async move {
                    receive::serve(&socket, stream, peer).await;
                    drop(permit);
                });
            }
            Err(e) => {
                // Out of descriptors: pause instead of spinning.
                tracing::debug!(error = %e, "submission socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// SK1. The buffer of a new socket takes the line at once, or the client waits for nothing.
fn turn_away(stream: &UnixStream) {
    let _ = stream.try_write(&Reply::refused(&SubmitError::Busy).line());
}
