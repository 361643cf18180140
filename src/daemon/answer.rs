//! The control socket: answers what users and administrators ask.
//!
//! In: one JSON line per connection, from anybody on the host; hostile. Out: JSON lines. Only the uid of the peer decides what a client
//! may see and do ([`Rights`]). A client that is slow or sends nonsense occupies one of a few connections for a bounded time and never
//! delays delivery.

mod act;
mod asked;
mod choose;
mod flush;
mod history;
mod pause;
mod show;
mod status;

use control::warnings;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::limiter::ConnectionLimiter;
use crate::socket::listen;
use act::Order;
pub(crate) use asked::Server;
use asked::{Answer, Rights, Served};
use control::protocol::{Act, End, Request, Text};
use exit::{Exit, Failure};
use mail::limits;
use status::status;

/// Connections of ordinary users answered at a time, and of one of them: nobody can take all places. Root and the daemon's own
/// user always get one.
const PLACES: usize = 64;
const PLACES_OF_ONE: usize = 8;
/// How long one connection may take to ask.
const ASKING: Duration = Duration::from_secs(5);
/// How long one connection may take to be answered: a listing of a million messages through a slow pipe.
const ANSWERING: Duration = Duration::from_secs(600);

/// Opens the socket and answers from now on. A socket that a crashed daemon left is replaced: the spool's lock proves that nobody
/// else is using it.
///
/// Errors: EX_CANTCREAT with the path.
pub(crate) fn start(server: &Arc<Server>) -> Result<JoinHandle<()>, Failure> {
    let listener = listen(&server.paths.control_socket())?;
    let server = Arc::clone(server);
    Ok(tokio::spawn(accept(server, listener)))
}

async fn accept(server: Arc<Server>, listener: UnixListener) {
    let places = ConnectionLimiter::new(PLACES, PLACES_OF_ONE);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // One that finds no place is hung up on; its program says that the daemon is busy.
                let Some(place) = sys::peer::credentials(&stream).ok().and_then(|peer| ConnectionLimiter::take(&places, peer.uid)) else {
                    continue;
                };
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    // Whatever the client does, its place is free again after this time.
                    let _ = tokio::time::timeout(ANSWERING, answer(server, stream)).await;
                    drop(place);
                });
            }
            Err(e) => {
                // Out of descriptors: pause instead of spinning.
                tracing::debug!(error = %e, "control socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One connection.
async fn answer(server: Arc<Server>, stream: UnixStream) -> std::io::Result<()> {
    let peer = sys::peer::credentials(&stream)?;
    let (reader, writer) = stream.into_split();
    let mut out = Answer::new(writer);
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(limits::CONTROL_REQUEST as u64));
    if tokio::time::timeout(ASKING, reader.read_until(b'\n', &mut line)).await.is_err() {
        return Ok(());
    }
    let setup = server.current.get();
    // Groups may be kept on another host, by a service that answers when it likes.
    let rights = tokio::task::spawn_blocking(move || Rights::of(peer.uid, &setup)).await.map_err(std::io::Error::other)?;
    let end = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => {
            let is_listing = matches!(request, Request::List { .. });
            handle(&server, rights, request, &mut out).await.map(|served| (served, is_listing))
        }
        Err(e) => Err(Failure::new(Exit::Usage, format!("not a request that this server knows: {e}"))),
    };
    // If delivery is paused, a listing says so: it explains why the queue does not move.
    let besides = |is_listing: bool| server.dispatch.paused().filter(|_| is_listing).map(|since| warnings::paused(&since));
    let end = match end {
        Ok((served, is_listing)) => end_of(Ok(served), || besides(is_listing)),
        Err(failure) => end_of(Err(failure), || None),
    };
    out.line(&end).await?;
    out.flush().await
}

/// The last line of a reply; `warning` is for one in full.
fn end_of(served: Result<Served, Failure>, warning: impl FnOnce() -> Option<String>) -> End {
    match served {
        Ok(Served::All) => End { end: Exit::Ok.code(), text: warning().unwrap_or_default() },
        Ok(Served::Some(text)) => End { end: Exit::NotFound.code(), text },
        Err(failure) => End { end: failure.exit.code(), text: failure.text },
    }
}

async fn handle(server: &Arc<Server>, rights: Rights, request: Request, out: &mut Answer) -> Result<Served, Failure> {
    let answered = match request {
        Request::List { ids, filter } => return show::list(server, rights, ids, filter, out).await,
        Request::Count { ids, filter } => return show::count(server, rights, ids, filter, out).await,
        Request::Show { id } => show::detail(server, rights, &id, out).await,
        Request::Find { message_id } => show::find_by_message_id(server, rights, message_id, out).await,
        Request::Trace { subject, limit } => history::trace(server, rights, subject, limit, out).await,
        Request::Why { subject } => history::why(server, rights, subject, out).await,
        Request::Snapshot {} => history::look(server, rights, out).await,
        Request::Cat { id, part } => show::cat(server, rights, &id, part, out).await,
        Request::Flush { select } => flush::flush(server, rights, select, out).await,
        Request::Act { act: Act::Flush, dry_run: false, .. } if !flush::may_flush(server, rights) => Ok(()),
        Request::Act { act, ids, filter, dry_run } => return act::act(server, rights, Order { act, ids, filter, dry_run }, out).await,
        Request::Pause { on } => pause::pause(server, rights, on, out).await,
        Request::Admission { open, reason } => pause::admission(server, rights, open, reason, out).await,
        Request::Stats {} => show::stats(server, rights, out).await,
        Request::Status {} => out.say(&status(server, rights).await?).await,
        Request::Overview {} => show::overview(server, rights, out).await,
        Request::Route { addresses } => routes(server, &addresses, out).await,
    };
    answered.map(|()| Served::All)
}

async fn routes(server: &Arc<Server>, addresses: &[String], out: &mut Answer) -> Result<(), Failure> {
    for address in addresses {
        let text = match mail::Address::parse(address) {
            Ok(address) => server.current.get().router.route_of(&address).to_string(),
            Err(why) => format!("{why}"),
        };
        out.say(&Text { text, hex: String::new() }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
