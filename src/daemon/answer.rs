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

use control::warnings;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::limiter::ConnectionLimiter;
use super::recover::STATE_FILE;
use super::setup::Setup;
use crate::admission::AdmissionControl;
use crate::current::Current;
use crate::dispatch::Dispatch;
use crate::health::Health;
use crate::health::STALLED;
use crate::pausing::Pausing;
use crate::state_writer::StateWriter;
use crate::stop::Stop;
use act::Order;
use config::MailqUsers;
use config::Paths;
use control::protocol::{Act, BUFFER, End, Request, Status, Suspended, Text};
use exit::{Exit, Failure};
use mail::limits;
use observe::alarms::AlarmManager;
use observe::alarms::alarm::Severity;
use state::{Message, State};
use std::sync::atomic::AtomicI64;
use store::Store;
use tokio::sync::Notify;

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
    fn may_modify(&self, message: &Message) -> bool {
        self.is_admin || message.uid == self.uid
    }
}

/// What is asked, and what is changed for those who ask.
pub(crate) struct Server {
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The directories, to read messages.
    pub(crate) store: Arc<Store>,
    /// Where rows and files change.
    pub(crate) state_writer: StateWriter,
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// Pauses and resumes delivery.
    pub(crate) pausing: Pausing,
    /// Closes and opens admission.
    pub(crate) admission: Arc<AdmissionControl>,
    /// What is wrong now.
    pub(crate) alarms: Arc<AlarmManager>,
    /// Signs of life.
    pub(crate) health: Arc<Health>,
    /// Whether the daemon is ending.
    pub(crate) stop: Arc<Stop>,
    /// Wakes whoever writes DSNs.
    pub(crate) dsn_due: Arc<Notify>,
    /// The [`Health::uptime`] from which ordinary users may flush again.
    pub(crate) next_flush: AtomicI64,
}

/// Opens the socket and answers from now on. A socket that a crashed daemon left is replaced: the spool's lock proves that nobody
/// else is using it.
///
/// Errors: EX_CANTCREAT with the path.
pub(crate) fn start(server: &Arc<Server>) -> Result<JoinHandle<()>, Failure> {
    let listener = listen(&server.paths.control_socket())?;
    let server = Arc::clone(server);
    Ok(tokio::spawn(accept(server, listener)))
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
            handle(&server, rights, request, &mut out).await.map(|()| is_listing)
        }
        Err(e) => Err(Failure::new(Exit::Usage, format!("not a request that this server knows: {e}"))),
    };
    // Who looks at a queue that does not move should be told why.
    let besides = |is_listing: bool| server.dispatch.paused().filter(|_| is_listing).map(|since| warnings::paused(&since));
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

async fn handle(server: &Arc<Server>, rights: Rights, request: Request, out: &mut Answer) -> Result<(), Failure> {
    match request {
        Request::List { ids, filter } => show::list(server, rights, ids, filter, out).await,
        Request::Count { ids, filter } => show::count(server, rights, ids, filter, out).await,
        Request::Show { id } => show::detail(server, rights, &id, out).await,
        Request::Find { message_id } => show::find_by_message_id(server, rights, message_id, out).await,
        Request::Trace { subject, limit } => history::trace(server, rights, subject, limit, out).await,
        Request::Why { subject } => history::why(server, rights, subject, out).await,
        Request::DaemonSnapshot {} => history::look(server, rights, out).await,
        Request::Cat { id, part } => show::cat(server, rights, &id, part, out).await,
        Request::Flush { select } => flush::flush(server, rights, select, out).await,
        Request::Act { act: Act::Flush, dry_run: false, .. } if !flush::may_flush(server, rights) => Ok(()),
        Request::Act { act, ids, filter, dry_run } => act::act(server, rights, Order { act, ids, filter, dry_run }, out).await,
        Request::Pause { on } => pause::pause(server, rights, on, out).await,
        Request::Admission { open, reason } => pause::admission(server, rights, open, reason, out).await,
        Request::Stats {} => show::stats(server, rights, out).await,
        Request::Status {} => out.say(&status(server).await?).await,
        Request::Overview {} => show::overview(server, rights, out).await,
        Request::Route { addresses } => routes(server, &addresses, out).await,
    }
}

fn stopped() -> Failure {
    Failure::new(Exit::Unavailable, "the server is stopping; ask again in a moment")
}

fn database(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("state.sqlite: {e}"))
}

/// Runs `read` on a connection of its own, on a thread that may wait for the disk: a long listing must not hold up the state_writer.
async fn read<T: Send + 'static>(server: &Server, read: impl FnOnce(&State) -> rusqlite::Result<T> + Send + 'static) -> Result<T, Failure> {
    let path = server.store.path(STATE_FILE);
    let work = move || State::open_to_read(&path).and_then(|state| state.snapshot(read));
    tokio::task::spawn_blocking(work).await.map_err(database)?.map_err(database)
}

async fn status(server: &Arc<Server>) -> Result<Status, Failure> {
    let (counts, oldest) = read(server, |state| Ok((state.counts()?, state.oldest()?))).await?;
    let now = sys::clock::now();
    let setup = server.current.get();
    let suspended = server.dispatch.queue(|queue| {
        let shown = queue.suspensions(now).take(100);
        shown.map(|(route, s)| Suspended { route: route.to_string(), until: s.until, reason: s.reason.clone() }).collect()
    });
    let [queued, held, failed] = counts;
    let alarms = server.alarms.lines();
    let ready = server.health.stalled_for() < STALLED && !server.stop.is_set();
    Ok(Status {
        live: true,
        ready,
        healthy: ready && alarms.iter().all(|alarm| alarm.severity != Severity::Critical.word()),
        alarms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: server.health.uptime().unsigned_abs(),
        next_hop: setup.params.next_hop.to_string(),
        queued,
        held,
        failed,
        oldest,
        last_relayed: server.health.last_relayed(),
        paused: server.dispatch.paused().unwrap_or_default(),
        suspended,
        closed: server.admission.closed(),
        over_quota: server.admission.over(),
        warnings: setup.problems.clone(),
    })
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
