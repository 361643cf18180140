//! DSNs: who gets a report that mail failed, is late, or was relayed to a system that sends no DSNs (RFC 3461, 3464, 6522).
//!
//! In: outcomes, from the state writer. Out: messages in `new/`, from the null reverse-path. Senders and remote servers choose much of
//! what is quoted; neither can make more than one DSN of a message and attempt, or a DSN about a DSN. Only the disk can
//! fail here, and then the DSN stays due.
//!
//! The order of the calls, and what a crash after each leaves:
//!
//! ```text
//!   N1  due::note, due::conclude   in the transaction of the outcome    the DSN is due: the next start continues with N2
//!   N2  compose::compose           reads the message, decides to whom   the same
//!   N3  begin                      its queue id is committed            the same: no message has the id
//!   N4  write::write               the DSN is durable in new/           the message of that id is found, and N5 follows
//!   N5  written                    the row goes, the count of the hour  nothing
//! ```
//! So a crash costs no second DSN, and never the only one. The outcome itself is committed with N1: no failure depends
//! on a DSN being sent.
//!
//! | module | work |
//! |---|---|
//! | [`due`](crate::due) | which DSNs become due, in the state writer's transaction |
//! | `dsn::limit` | how many may leave in an hour |
//! | `dsn::original` | what is quoted of the message |
//! | `dsn::addressee` | to whom, or why to nobody |
//! | `dsn::compose`, `dsn::content` | what the DSN reports |
//! | `dsn::render`, `dsn::fields`, `dsn::words` | the bytes |
//! | `dsn::write` | into the spool |

use std::sync::Arc;
use std::time::Duration;

use super::setup::Setup;
use super::state_writer::{StateWriter, Stopped};
use crate::current::Current;
use crate::dispatch::Dispatch;
use crate::stop::Stop;
use config::Paths;
use config::paths::Mode;
use dsn::compose::{Composed, Site};
use dsn::limit::Window;
use dsn::original::Original;
use dsn::render::Digest;
use dsn::{compose, original, render, write};
use log::events;
use log::message::MessageEvent;
use mail::HistoryCause;
use mail::code::{Happened, NoDsn, QueueDir};
use mail::queue_id::QueueId;
use mail::{Address, printable};
use spool::drop::{DropError, fresh_id};
use spool::layout;
use state::{Action, DueDsn, HistoryLine, POSTPONED, State};
use store::Store;
use tokio::sync::Notify;

/// Replies that the digest repeats.
const REASONS: usize = 5;
/// The longest sleep, so that a changed clock is noticed, and a full disk that has room again.
const LONGEST_SLEEP: i64 = 60;
/// Where the count of the hour is kept in state.sqlite.
const WINDOW_KEY: &str = "dsn_window";

/// What DSNs are written from.
pub(crate) struct DsnQueue {
    /// Where the spool is.
    pub(crate) paths: Paths,
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The files that are quoted.
    pub(crate) store: Arc<Store>,
    /// What is due, and what was reported.
    pub(crate) state_writer: StateWriter,
    /// Routes that are suspended.
    pub(crate) dispatch: Arc<Dispatch>,
    /// Something is due.
    pub(crate) dsn_due: Arc<Notify>,
    /// Whether the daemon is ending.
    pub(crate) stop: Arc<Stop>,
}

/// Writes DSNs until the daemon stops.
pub(crate) async fn run(dsns: Arc<DsnQueue>) {
    while !dsns.stop.is_set() {
        let sleep = match turn(&dsns).await {
            Ok(sleep) => sleep,
            // The state writer's own thread has said why it stopped and ends the daemon.
            Err(Stopped) => return,
        };
        if sleep > 0 {
            let sleep = Duration::from_secs(sleep.min(LONGEST_SLEEP).unsigned_abs());
            // Waking and waiting out are the same: look again.
            let _ = tokio::time::timeout(sleep, dsns.dsn_due.notified()).await;
        }
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing before then, unix seconds.
    Sleep(Option<i64>),
    /// The hour is used up, and the administrator does not know yet: so many wait.
    Tell(u64, Window),
    /// One DSN.
    Write(Box<DueDsn>),
}

/// What is to be done at `now`, with `limit` DSNs in an hour.
pub(crate) fn next_turn(state: &State, now: i64, limit: u32) -> state::Result<Turn> {
    let window = window(state, now)?;
    if window.has_room(limit) {
        let next = state.next_dsn(now)?;
        return Ok(match next {
            Some(due) => Turn::Write(Box::new(due)),
            None => Turn::Sleep(state.next_dsn_after(now)?),
        });
    }
    match state.dsns_waiting(now)? {
        waiting if waiting > 0 && !window.admin_warned => Ok(Turn::Tell(waiting, window)),
        _ => Ok(Turn::Sleep(Some(window.end()))),
    }
}

fn window(state: &State, now: i64) -> state::Result<Window> {
    Ok(state.get(WINDOW_KEY)?.map_or_else(Window::default, |text| Window::parse(&text)).at(now))
}

/// What a DSN tells: recipients, and what became of them.
type Told = Vec<(u32, Action)>;

/// N3: the DSN about message `id` is to be the message `dsn`. Returns the one that was begun before and is in the spool, or was, with
/// what it tells: then nothing is written. Whole, because a power cut may have torn the file of one that was never finished.
pub(crate) fn begin(state: &State, store: &Store, id: QueueId, dsn: QueueId, told: &Told) -> state::Result<Option<(QueueId, Told)>> {
    if let Some((before, told)) = state.begun_dsn(id)? {
        // In the order in which the file goes on, and behind it the row, which outlives it.
        let is_file = [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED].iter().any(|place| store.inspect(place, before).is_ok());
        if is_file || state.message(before)?.is_some() {
            return Ok(Some((before, told)));
        }
    }
    state.begin_dsn(id, dsn, told).map(|()| None)
}

/// A DSN that is durable in the spool.
#[derive(Clone)]
pub(crate) struct Sent {
    /// Its queue id.
    pub(crate) dsn: QueueId,
    /// Its recipient.
    pub(crate) to: Address,
    /// What it reports.
    pub(crate) action: Action,
}

/// N5: a DSN reported this about message `id`.
pub(crate) fn written(state: &State, id: QueueId, told: &Told, sent: &Sent, now: i64) -> state::Result<()> {
    let Sent { dsn, to, action } = sent;
    state.set(WINDOW_KEY, &window(state, now)?.with_one_more().to_string())?;
    let to = printable::text(&to.to_string());
    let text = format!("{dsn} to {to}");
    state.tell(MessageEvent::DsnSent { dsn: *dsn, to, action: action.word().to_owned() }.line(id));
    state.record(id, &HistoryLine::new(now, Happened::Dsn).with(text))?;
    state.finish_dsn(id, told)
}

/// Nobody gets a DSN: for this reason, or because nothing is left to report.
pub(crate) fn passed_over(state: &State, due: &DueDsn, why: Option<NoDsn>, now: i64) -> state::Result<()> {
    if let Some(why) = why {
        state.tell(MessageEvent::DsnSuppressed(why).line(due.message.id));
        state.record(due.message.id, &HistoryLine::new(now, Happened::NoDsn).because(HistoryCause::NoDsn(why)))?;
    }
    state.finish_dsn(due.message.id, &told_of(due))
}

fn told_of(due: &DueDsn) -> Told {
    due.recipients.iter().map(|(row, action)| (row.n, *action)).collect()
}

/// One turn. Returns the seconds until the next one.
async fn turn(dsns: &Arc<DsnQueue>) -> Result<i64, Stopped> {
    let (now, setup) = (sys::clock::now(), dsns.current.get());
    let limit = setup.params.dsn_limit;
    let next = dsns.state_writer.work(move |state, _| next_turn(state, now, limit))?.await.map_err(|_| Stopped)?;
    match next {
        Turn::Sleep(until) => Ok(until.map_or(LONGEST_SLEEP, |at| (at - now).max(1))),
        Turn::Tell(waiting, window) => tell(dsns, &setup, waiting, window, now).await,
        Turn::Write(due) => tell_sender(dsns, &setup, *due, now).await,
    }
}

/// Composes and writes one DSN, unless it can wait or has no addressee.
async fn tell_sender(dsns: &Arc<DsnQueue>, setup: &Arc<Setup>, due: DueDsn, now: i64) -> Result<i64, Stopped> {
    let (task_dsns, task_setup, task_due) = (Arc::clone(dsns), Arc::clone(setup), due.clone());
    let composing = move || compose_now(&task_dsns.store, &task_setup, &task_due, now);
    let Ok(composed) = tokio::task::spawn_blocking(composing).await else { return postpone(dsns, due.message.id, now).await };
    let composed = match composed {
        Ok(Some(composed)) => composed,
        nothing => {
            let why = nothing.err();
            dsns.state_writer.work(move |state, _| passed_over(state, &due, why, now))?.await.map_err(|_| Stopped)?;
            return Ok(0);
        }
    };
    if composed.action == Action::Delayed && is_suspended(dsns, setup, &composed.to, now) {
        return postpone(dsns, due.message.id, now).await;
    }
    let (id, to, action) = (due.message.id, composed.to.clone(), composed.action);
    let (dsn, told) = match write_once(dsns, &due, composed, now).await? {
        Ok(written) => written,
        Err(sleep) => return Ok(sleep),
    };
    let sent = Sent { dsn, to, action };
    dsns.state_writer.work(move |state, _| written(state, id, &told, &sent, now))?.await.map_err(|_| Stopped)?;
    Ok(0)
}

/// N3 and N4, unless a run before this one did them. Returns the queue id, and what the DSN reports; if the disk refuses, the seconds
/// to wait.
async fn write_once(dsns: &Arc<DsnQueue>, due: &DueDsn, composed: Composed, now: i64) -> Result<Result<(QueueId, Told), i64>, Stopped> {
    let dsn = match fresh_id() {
        Ok(dsn) => dsn,
        Err(e) => {
            refused(&e);
            return Ok(Err(LONGEST_SLEEP));
        }
    };
    let (id, told) = (due.message.id, told_of(due));
    let choosing = told.clone();
    let before = dsns.state_writer.work(move |state, store| begin(state, store, id, dsn, &choosing))?;
    if let Some(before) = before.await.map_err(|_| Stopped)? {
        return Ok(Ok(before));
    }
    Ok(write_now(dsns, Some(dsn), composed.to, composed.bytes, now).await.map(|dsn| (dsn, told)))
}

/// N2, on a thread that may wait for the disk.
fn compose_now(store: &Store, setup: &Setup, due: &DueDsn, now: i64) -> Result<Option<Composed>, NoDsn> {
    let original = read_original(store, due);
    let site = Site { names: &setup.names, admin: setup.admin.as_ref(), zone: &setup.zone };
    compose::compose(due, original.as_ref(), site, now, sys::clock::random().unwrap_or_default())
}

/// What can be read of the message. A file that an operator removed, or that cannot be read, leaves what the rows say.
fn read_original(store: &Store, due: &DueDsn) -> Option<Original> {
    // A file that is not the one that was accepted has nothing to say.
    match (due.message.dir.directory().filter(|_| due.message.dir != QueueDir::Corrupt), &due.head) {
        (Some(directory), _) => {
            // It may have moved since its row was read.
            let places = [directory, layout::FAILED, layout::HOLD, layout::TRASH];
            let file = places.into_iter().find_map(|place| store.open_message(place, due.message.id).ok());
            file.and_then(|file| original::read(&file).ok())
        }
        (None, Some(head)) => original::of_head(head).ok(),
        (None, None) => None,
    }
}

/// True if a DSN to `to` could not leave now: news of a delay would only come when the delay is over.
fn is_suspended(dsns: &DsnQueue, setup: &Setup, to: &Address, now: i64) -> bool {
    let route = setup.router.route_of(to);
    dsns.dispatch.queue(|queue| queue.suspensions(now).any(|(suspended, _)| *suspended == route))
}

async fn postpone(dsns: &DsnQueue, id: QueueId, now: i64) -> Result<i64, Stopped> {
    dsns.state_writer.work(move |state, _| state.postpone_dsn(id, now + POSTPONED))?.await.map_err(|_| Stopped)?;
    Ok(0)
}

/// N4, on a thread that may wait for the disk. Where the disk refuses: the seconds to wait.
async fn write_now(dsns: &Arc<DsnQueue>, id: Option<QueueId>, to: Address, bytes: Vec<u8>, now: i64) -> Result<QueueId, i64> {
    let paths = dsns.paths.clone();
    let writing = move || write::write(&paths.spool, paths.mode == Mode::Rootless, id, &to, &bytes, now);
    match tokio::task::spawn_blocking(writing).await {
        Ok(result) => result.map_err(|e| {
            refused(&e);
            LONGEST_SLEEP
        }),
        // The message of the panic is on standard error.
        Err(_) => Err(LONGEST_SLEEP),
    }
}

fn refused(e: &DropError) {
    events::storage_failed("new/", &format!("a DSN waits: {e}"));
}

/// The limit of this hour is reached: the administrator gets one message with the number of waiting DSNs.
async fn tell(dsns: &Arc<DsnQueue>, setup: &Setup, waiting: u64, window: Window, now: i64) -> Result<i64, Stopped> {
    events::dsn_limit_reached(waiting, window.end() - now);
    if let Some(admin) = &setup.admin {
        let reasons = dsns.state_writer.work(move |state, _| state.reasons_waiting(now, REASONS))?.await.map_err(|_| Stopped)?;
        let digest = Digest {
            mailname: &setup.mailname,
            zone: &setup.zone,
            to: admin,
            waiting,
            reasons: &reasons,
            limit: setup.params.dsn_limit,
            until: window.end(),
            now,
            random: sys::clock::random().unwrap_or_default(),
        };
        if let Err(sleep) = write_now(dsns, None, admin.clone(), render::build_digest(&digest), now).await {
            return Ok(sleep);
        }
    }
    let told = window.with_admin_warned();
    dsns.state_writer.work(move |state, _| state.set(WINDOW_KEY, &told.to_string()))?.await.map_err(|_| Stopped)?;
    Ok(1)
}

#[cfg(test)]
mod tests;
