//! The control socket: answers what users and administrators ask.
//!
//! In: one JSON line per connection, from anybody on the host; hostile. Out: JSON lines. What somebody may see and do is decided by
//! the uid of the peer alone ([`Rights`]). A client that is slow or sends nonsense costs one of a few places for a bounded time and
//! never holds up delivery.

mod act;
mod choose;
mod flush;
mod history;
mod pause;
mod show;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::alarms::alarm::Severity;
use super::daemon::{Daemon, STALLED};
use super::places::Places;
use super::recover::STATE_FILE;
use super::setup::Setup;
use crate::config::MailqUsers;
use crate::control;
use crate::control::protocol::{Act, BUFFER, End, Request, Status, Suspended, Text};
use crate::exit::{Exit, Failure};
use crate::mail::limits;
use crate::spool::state::{Message, State};
use crate::sys;
use act::Order;

/// Connections of ordinary users answered at a time, and of one of them: nobody can take all places. Root and the daemon's own
/// user always get one.
const PLACES: usize = 64;
const PLACES_OF_ONE: usize = 8;
/// How long one connection may take to ask.
const ASKING: Duration = Duration::from_secs(5);
/// How long one connection may take to be answered: a listing of a million messages through a slow pipe.
const ANSWERING: Duration = Duration::from_secs(600);

/// What a peer may see and do.
#[derive(Clone, Copy, Debug)]
struct Rights {
    uid: u32,
    /// Root, the daemon's own user, or a member of `admin_group`.
    is_admin: bool,
    /// May see everybody's mail.
    sees_all: bool,
    /// May see their own.
    sees_own: bool,
}

impl Rights {
    fn of(uid: u32, setup: &Setup) -> Rights {
        let in_group = || sys::process::group_id(&setup.params.admin_group).is_some_and(|gid| sys::process::is_member(uid, gid));
        let is_admin = uid == 0 || uid == sys::process::euid() || in_group();
        let mailq_users = setup.params.mailq_users;
        Rights {
            uid,
            is_admin,
            sees_all: is_admin || mailq_users == MailqUsers::Anyone,
            sees_own: is_admin || mailq_users != MailqUsers::Admin,
        }
    }

    fn sees(&self, message: &Message) -> bool {
        self.sees_all || (self.sees_own && message.uid == self.uid)
    }

    /// May they change it?
    fn steers(&self, message: &Message) -> bool {
        self.is_admin || message.uid == self.uid
    }
}

/// Opens the socket and answers from now on. A socket that a crashed daemon left is replaced: the spool's lock proves that nobody
/// else is using it.
///
/// Errors: EX_CANTCREAT with the path.
pub fn start(daemon: &Arc<Daemon>) -> Result<JoinHandle<()>, Failure> {
    let listener = listen(&daemon.paths.control_socket())?;
    let daemon = Arc::clone(daemon);
    Ok(tokio::spawn(accept(daemon, listener)))
}

/// Opens a socket that everybody may connect to.
///
/// Errors: EX_CANTCREAT with the path.
pub(super) fn listen(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |e: std::io::Error| Failure::new(Exit::CantCreate, format!("cannot open the socket {}: {e}", path.display()));
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}

async fn accept(daemon: Arc<Daemon>, listener: UnixListener) {
    let places = Places::new(PLACES, PLACES_OF_ONE);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // One that finds no place is hung up on; its program says that the daemon is busy.
                let Some(place) = sys::peer::credentials(&stream).ok().and_then(|peer| Places::take(&places, peer.uid)) else { continue };
                let daemon = Arc::clone(&daemon);
                tokio::spawn(async move {
                    // Whatever the client does, its place is free again after this time.
                    let _ = tokio::time::timeout(ANSWERING, answer(daemon, stream)).await;
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
async fn answer(daemon: Arc<Daemon>, stream: UnixStream) -> std::io::Result<()> {
    let peer = sys::peer::credentials(&stream)?;
    let (reader, writer) = stream.into_split();
    let mut out = Answer::new(writer);
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(limits::CONTROL_REQUEST as u64));
    if tokio::time::timeout(ASKING, reader.read_until(b'\n', &mut line)).await.is_err() {
        return Ok(());
    }
    let setup = daemon.setup();
    // Groups may be kept on another host, by a service that answers when it likes.
    let rights = tokio::task::spawn_blocking(move || Rights::of(peer.uid, &setup)).await.map_err(std::io::Error::other)?;
    let end = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => {
            let is_listing = matches!(request, Request::List { .. });
            handle(&daemon, rights, request, &mut out).await.map(|()| is_listing)
        }
        Err(e) => Err(Failure::new(Exit::Usage, format!("not a request that this daemon knows: {e}"))),
    };
    // Who looks at a queue that does not move should be told why.
    let besides = |is_listing: bool| daemon.paused().filter(|_| is_listing).map(|since| control::pause::warning(&since));
    let end = match end {
        Ok(is_listing) => End { end: 0, text: besides(is_listing).unwrap_or_default() },
        Err(failure) => End { end: failure.exit.code(), text: failure.text },
    };
    out.line(&end).await?;
    out.flush().await
}

struct Answer {
    writer: OwnedWriteHalf,
    /// What was not written yet.
    lines: Vec<u8>,
}

impl Answer {
    fn new(writer: OwnedWriteHalf) -> Answer {
        Answer { writer, lines: Vec::with_capacity(BUFFER) }
    }

    async fn line(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.lines, value)?;
        self.lines.push(b'\n');
        if self.lines.len() < BUFFER { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.writer.write_all(&self.lines).await?;
        self.lines.clear();
        Ok(())
    }

    /// A line, or the failure that the client has gone.
    async fn say(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(value).await.map_err(|e| Failure::new(Exit::IoErr, e.to_string()))
    }
}

async fn handle(daemon: &Arc<Daemon>, rights: Rights, request: Request, out: &mut Answer) -> Result<(), Failure> {
    match request {
        Request::List { ids, filter } => show::list(daemon, rights, ids, filter, out).await,
        Request::Count { ids, filter } => show::count(daemon, rights, ids, filter, out).await,
        Request::Show { id } => show::detail(daemon, rights, &id, out).await,
        Request::Find { message_id } => show::find_by_message_id(daemon, rights, message_id, out).await,
        Request::Trace { subject, limit } => history::trace(daemon, rights, subject, limit, out).await,
        Request::Why { subject } => history::why(daemon, rights, subject, out).await,
        Request::Look {} => history::look(daemon, rights, out).await,
        Request::Cat { id, part } => show::cat(daemon, rights, &id, part, out).await,
        Request::Flush { select } => flush::flush(daemon, rights, select, out).await,
        Request::Act { act: Act::Flush, dry_run: false, .. } if !flush::may_flush(daemon, rights) => Ok(()),
        Request::Act { act, ids, filter, dry_run } => act::act(daemon, rights, Order { act, ids, filter, dry_run }, out).await,
        Request::Pause { on } => pause::pause(daemon, rights, on, out).await,
        Request::Admission { open, reason } => pause::admission(daemon, rights, open, reason, out).await,
        Request::Stats {} => show::stats(daemon, rights, out).await,
        Request::Status {} => out.say(&status(daemon).await?).await,
        Request::Overview {} => show::overview(daemon, rights, out).await,
        Request::Route { addresses } => routes(daemon, &addresses, out).await,
    }
}

fn stopped() -> Failure {
    Failure::new(Exit::Unavailable, "the daemon is stopping; ask again in a moment")
}

fn database(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("state.sqlite: {e}"))
}

/// Runs `read` on a connection of its own, on a thread that may wait for the disk: a long listing must not hold up the ledger.
async fn read<T: Send + 'static>(daemon: &Daemon, read: impl FnOnce(&State) -> rusqlite::Result<T> + Send + 'static) -> Result<T, Failure> {
    let path = daemon.store.path(STATE_FILE);
    let work = move || State::open_to_read(&path).and_then(|state| state.snapshot(read));
    tokio::task::spawn_blocking(work).await.map_err(database)?.map_err(database)
}

async fn status(daemon: &Arc<Daemon>) -> Result<Status, Failure> {
    let (counts, oldest) = read(daemon, |state| Ok((state.counts()?, state.oldest()?))).await?;
    let now = sys::clock::now();
    let setup = daemon.setup();
    let suspended = daemon.dispatch.queue(|queue| {
        let shown = queue.suspensions(now).take(100);
        shown.map(|(route, s)| Suspended { route: route.to_string(), until: s.until, reason: s.reason.clone() }).collect()
    });
    let [queued, held, failed] = counts;
    let alarms = daemon.alarms.lines();
    let ready = daemon.stalled_for() < STALLED && !daemon.is_stopping();
    Ok(Status {
        live: true,
        ready,
        healthy: ready && alarms.iter().all(|alarm| alarm.severity != Severity::Critical.word()),
        alarms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: daemon.started.elapsed().as_secs(),
        next_hop: setup.params.next_hop.to_string(),
        queued,
        held,
        failed,
        oldest,
        last_relayed: daemon.last_relayed(),
        paused: daemon.paused().unwrap_or_default(),
        suspended,
        closed: daemon.gate.closed(),
        over_cap: daemon.gate.over(),
        warnings: setup.problems.clone(),
    })
}

async fn routes(daemon: &Arc<Daemon>, addresses: &[String], out: &mut Answer) -> Result<(), Failure> {
    for address in addresses {
        let text = match crate::mail::Address::parse(address) {
            Ok(address) => daemon.setup().router.route_of(&address).to_string(),
            Err(why) => format!("{why}"),
        };
        out.say(&Text { text, hex: String::new() }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
