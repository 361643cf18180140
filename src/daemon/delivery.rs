//! One connection and the messages that go over it.
//!
//! In: a route with waiting jobs. Out: outcomes, by [`super::record`]. On a warm connection each message costs one round trip:
//! the next message is prepared while the current one is being sent, and its envelope leaves with the current end of data.
//!
//! The order that keeps the promise: outcomes of a message are settled only from replies that answer it; the final dot leaves only
//! after "in data" was committed; a message whose envelope was pipelined behind another and got no answer was not tried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::dispatch::{Dispatch, JobEnd, Work};
use super::outcome::{self, LOST, Loss, Scope, Stop, TOO_LATE};
use super::prepare::{self, Obstacle, Prepared};
use super::queue::Suspension;
use super::record::{self, JobOutcome, Recorder};
use super::setup::Setup;
use super::state_writer::{StateWriter, Stopped};
use crate::budget::MemoryBudget;
use crate::current::Current;
use crate::stop::Stop as Ending;
use crate::tasks::Tasks;
use log::events;
use mail::code::{Cause, HoldCause, Subject};
use mail::limits;
use mail::status::{EnhancedStatus, Reply};
use mail::{Diagnosis, Hold};
use observe::metrics::counters::Counters;
use spool::layout;
use state::{Progress, RecipientUpdate, Transaction};
use store::Store;
use transport::route;
use transport::route::{Endpoint, RouteKey};
use transport::smtp;
use transport::smtp::{EnvelopeReplies, Failure, Session, Stage};

/// How long a connection without work stays open for more.
const IDLE: Duration = Duration::from_secs(2);
/// Addresses of a route that one attempt tries.
const TARGETS: usize = 20;
/// Seconds before a message is tried again that the disk refused.
const DISK_WAIT: i64 = 60;

/// 4.3.0: the mail system, and not the message.
const NOT_NOW: EnhancedStatus = EnhancedStatus::new(4, 3, 0);

/// What connections work with.
pub(crate) struct Deliverer {
    /// Where outcomes are recorded.
    pub(crate) recorder: Recorder,
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The files of the messages.
    pub(crate) store: Arc<Store>,
    /// Where "in data" is marked.
    pub(crate) state_writer: StateWriter,
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// What records outcomes while the connection goes on.
    pub(crate) tasks: Tasks,
    /// What is counted for the metrics.
    pub(crate) counters: Arc<Counters>,
    /// The memory for messages.
    pub(crate) budget: MemoryBudget,
    /// Whether the daemon is ending.
    pub(crate) stop: Arc<Ending>,
}

/// A message that can be sent, and its share of memory.
struct Ready {
    work: Work,
    prepared: Prepared,
    _budget: OwnedSemaphorePermit,
}

/// Opens one connection for `route` and delivers over it until there is no more work. The caller has counted the connection.
pub(crate) async fn run(deliverer: Arc<Deliverer>, route: RouteKey) {
    let setup = deliverer.current.get();
    let begun = Instant::now();
    let connected = connect(&setup, &route).await;
    if connected.is_err() {
        deliverer.counters.unreachable(&route.to_string());
    }
    let result = match connected {
        Ok(session) => {
            deliverer.counters.session(&route.to_string(), session.tls().map_or("none", |tls| &tls.version));
            if deliverer.dispatch.queue(|queue| queue.works(&route)) {
                events::route_resumed(&route.to_string());
            }
            let (connected_in, takes_8bit) = (begun.elapsed(), session.capabilities().eight_bit_mime);
            Connection { deliverer: &deliverer, setup: &setup, route: &route, connected_in, takes_8bit }.serve(session).await
        }
        Err(Unreachable { trouble, is_permanent: false }) => suspend(&deliverer, &setup, &route, Vec::new(), &trouble).await,
        Err(Unreachable { trouble, is_permanent: true }) => refuse_all(&deliverer, &route, &trouble).await,
    };
    // The state writer's own thread has said why it stopped and ends the daemon.
    let (Ok(()) | Err(Stopped)) = result;
}

/// Why no connection came about.
struct Unreachable {
    trouble: Trouble,
    /// No other attempt can end otherwise.
    is_permanent: bool,
}

/// What is the matter with a route.
struct Trouble {
    diagnosis: Diagnosis,
    status: EnhancedStatus,
    /// One printable line.
    said: String,
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Trouble {
        Trouble { diagnosis: failure.diagnosis(), status: failure.status, said: failure.to_string() }
    }
}

/// Tries the route's hosts in their order.
async fn connect(setup: &Setup, route: &RouteKey) -> Result<Session, Unreachable> {
    let targets = setup.router.targets(route).await.map_err(|failure| Unreachable {
        trouble: Trouble { diagnosis: failure.diagnosis(), status: failure.status, said: failure.text },
        is_permanent: failure.class == route::Class::Permanent,
    })?;
    let mut last = None;
    for target in targets.into_iter().take(TARGETS) {
        match Session::open(&setup.session, &session_target(setup, target)).await {
            Ok(session) => return Ok(session),
            Err(failure) => last = Some(failure),
        }
    }
    let none = || Trouble {
        diagnosis: Diagnosis::of(Cause::Unreachable, Subject::Destination),
        status: EnhancedStatus::new(4, 4, 4),
        said: "no host to try".to_owned(),
    };
    Err(Unreachable { trouble: last.as_ref().map_or_else(none, Trouble::from), is_permanent: false })
}

fn session_target(setup: &Setup, target: route::Target) -> smtp::Target {
    smtp::Target {
        endpoint: match target.endpoint {
            Endpoint::Tcp(address) => smtp::Endpoint::Tcp(address),
            Endpoint::Unix(path) => smtp::Endpoint::Unix(path),
        },
        host: target.name,
        protocol: if target.lmtp { smtp::Protocol::Lmtp } else { smtp::Protocol::Smtp },
        implicit_tls: target.implicit_tls,
        tls: target.tls,
        credentials: target.user.and_then(|_| setup.credentials.clone()),
    }
}

/// The route does not work: it is suspended, and its messages stay queued (U07).
async fn suspend(
    deliverer: &Arc<Deliverer>,
    setup: &Setup,
    route: &RouteKey,
    in_hand: Vec<Work>,
    trouble: &Trouble,
) -> Result<(), Stopped> {
    let now = sys::clock::now();
    let random = sys::clock::random().unwrap_or_default();
    let make = |failures| {
        let until = now + setup.route_backoff.wait(failures, random);
        Suspension { until, diagnosis: trouble.diagnosis, status: trouble.status, reason: trouble.said.clone() }
    };
    let (suspension, is_new, waiting) = deliverer.dispatch.suspend(route, now, make);
    if is_new {
        events::route_suspended(&route.to_string(), suspension.until - now, &trouble.said);
    }
    postpone(deliverer, route, &suspension, in_hand.into_iter().chain(waiting)).await
}

/// Records for each job that its route is suspended.
pub(crate) async fn postpone(
    deliverer: &Arc<Deliverer>,
    route: &RouteKey,
    suspension: &Suspension,
    jobs: impl IntoIterator<Item = Work>,
) -> Result<(), Stopped> {
    let end = JobEnd { route_until: Some(suspension.until), ..JobEnd::default() };
    for work in jobs {
        let updates = record::waiting(&work, &route.to_string(), suspension.diagnosis, suspension.status, &suspension.reason);
        deliverer.recorder.record(work, JobOutcome { updates, end: end.clone(), ..JobOutcome::default() }).await?;
    }
    Ok(())
}

/// The DNS says that this domain takes no mail: its recipients fail, each with that reason.
async fn refuse_all(deliverer: &Arc<Deliverer>, route: &RouteKey, trouble: &Trouble) -> Result<(), Stopped> {
    while let Some(work) = deliverer.dispatch.take(route) {
        let update = |n| RecipientUpdate {
            n,
            progress: Progress::Failed,
            diagnosis: trouble.diagnosis,
            status: trouble.status.to_string(),
            reply: trouble.said.clone(),
            relay: route.to_string(),
        };
        let updates = work.job.recipients.iter().map(|r| update(r.n)).collect();
        let end = JobEnd { attempted: true, ..JobEnd::default() };
        deliverer.recorder.record(work, JobOutcome { updates, end, ..JobOutcome::default() }).await?;
    }
    Ok(())
}

/// What a worker has at hand.
struct Connection<'a> {
    deliverer: &'a Arc<Deliverer>,
    setup: &'a Arc<Setup>,
    route: &'a RouteKey,
    /// From the first try to a session that could take mail.
    connected_in: Duration,
    /// The server offers 8BITMIME.
    takes_8bit: bool,
}

impl Connection<'_> {
    async fn serve(&self, mut session: Session) -> Result<(), Stopped> {
        let mut current = self.next(Wait::ForMemory).await?;
        loop {
            let Some(ready) = current.take() else {
                match self.wait_for_work().await? {
                    Some(ready) => current = Some(ready),
                    None => break,
                }
                continue;
            };
            current = self.deliver(&mut session, ready).await?;
            if !session.is_usable() && !session.has_envelope() {
                break;
            }
        }
        if let Some(ready) = current {
            self.deliverer.dispatch.put_back(self.route, ready.work);
        }
        session.quit().await;
        Ok(())
    }

    /// One message over the session. Returns the next one, whose envelope may be on its way already; or the same one, if the server
    /// had had enough of this connection before it looked at the message: that says nothing about the message.
    async fn deliver(&self, session: &mut Session, ready: Ready) -> Result<Option<Ready>, Stopped> {
        let is_warm = session.transactions() > u32::from(session.has_envelope());
        let begun = Instant::now();
        if !session.has_envelope()
            && let Err(failure) = session.send_envelope(&ready.prepared.envelope).await
        {
            if is_warm && has_ended(&failure) {
                return Ok(Some(ready));
            }
            let record = self.record_of(session, &ready, begun);
            self.fail(ready, &failure, record).await?;
            return Ok(None);
        }
        let replies = session.read_envelope_replies().await;
        if is_warm && replies.mail.as_ref().is_err_and(has_ended) {
            return Ok(Some(ready));
        }
        if !replies.any_accepted() {
            let (peer, record) = (session.peer().to_owned(), self.record_of(session, &ready, begun));
            self.refused(&peer, ready, &replies, record).await?;
            return self.next(Wait::ForMemory).await;
        }
        let next = self.next(Wait::Never).await?;
        self.deliverer.state_writer.mark_in_data(ready.work.message.id).await?;
        let record = self.record_of(session, &ready, begun);
        let finals = match session.send_content(&ready.prepared.content, next.as_ref().map(|next| &next.prepared.envelope)).await {
            Ok(()) => session.read_final().await,
            Err(failure) => vec![Err(failure); replies.recipients.iter().filter(|r| r.is_ok()).count()],
        };
        self.finish(session.peer(), ready, &replies, &finals, record.ended());
        Ok(next)
    }

    /// Settles a transaction in a task of its own: the connection goes on while the disk works.
    fn finish(&self, peer: &str, ready: Ready, replies: &EnvelopeReplies, finals: &[Result<Reply, Failure>], record: TransactionRecord) {
        let updates = record::of_transaction(&ready.work, replies, finals, peer);
        let outcome = JobOutcome {
            updates,
            transaction: record.transaction,
            hop_reports: record.hop_reports,
            end: JobEnd { attempted: true, ..JobEnd::default() },
        };
        let deliverer = Arc::clone(self.deliverer);
        self.deliverer.tasks.spawn(async move {
            let (Ok(()) | Err(Stopped)) = deliverer.recorder.record(ready.work, outcome).await;
        });
    }

    /// No recipient was accepted: their own fault, or ours with this server.
    async fn refused(&self, peer: &str, ready: Ready, replies: &EnvelopeReplies, record: TransactionRecord) -> Result<(), Stopped> {
        let about_us = replies.recipients.iter().filter_map(|r| r.as_ref().err()).find(|f| outcome::scope(f) == Scope::Route);
        match about_us {
            Some(failure) => self.fail(ready, failure, record).await,
            None => {
                self.finish(peer, ready, replies, &[], record);
                Ok(())
            }
        }
    }

    /// A failure before any recipient was asked, or one that is about us.
    async fn fail(&self, ready: Ready, failure: &Failure, record: TransactionRecord) -> Result<(), Stopped> {
        match outcome::scope(failure) {
            Scope::Route => suspend(self.deliverer, self.setup, self.route, vec![ready.work], &failure.into()).await,
            Scope::Message => {
                let updates = record::of_failure(&ready.work, failure);
                let end = JobEnd { attempted: true, ..JobEnd::default() };
                let transaction = record.transaction;
                self.deliverer.recorder.record(ready.work, JobOutcome { updates, end, transaction, ..JobOutcome::default() }).await
            }
        }
    }

    /// What the history says of the transaction that began then.
    fn record_of(&self, session: &Session, ready: &Ready, begun: Instant) -> TransactionRecord {
        let connect_ms = (session.transactions() == 1).then(|| milliseconds(self.connected_in));
        TransactionRecord::of(session, &ready.prepared, connect_ms, begun).ended()
    }

    /// The next message of the route, prepared. `None` if there is none now (or, with [`Wait::Never`], no memory for it now).
    async fn next(&self, wait: Wait) -> Result<Option<Ready>, Stopped> {
        while let Some(work) = self.take() {
            let Some(budget) = self.deliverer.budget.take(self.bytes(&work), wait == Wait::ForMemory).await else {
                self.deliverer.dispatch.put_back(self.route, work);
                return Ok(None);
            };
            match self.prepare(&work).await {
                Ok(prepared) => return Ok(Some(Ready { work, prepared, _budget: budget })),
                Err(obstacle) => self.stop(work, obstacle).await?,
            }
        }
        Ok(None)
    }

    /// The next job, unless the daemon ends, or this connection is one too many.
    fn take(&self) -> Option<Work> {
        // After a reload another connection takes over, with the new keys.
        let is_outdated = !Arc::ptr_eq(self.setup, &self.deliverer.current.get());
        if is_outdated || self.deliverer.stop.is_set() || self.deliverer.dispatch.queue(|queue| queue.is_over_limit(self.route)) {
            return None;
        }
        self.deliverer.dispatch.take(self.route)
    }

    /// Bytes of the whole file: the envelope of ten thousand recipients is in memory beside the message. What the file says is its
    /// owner's word, so it counts only as far as a file can be right.
    fn bytes(&self, work: &Work) -> u64 {
        let size = work.message.size;
        let length = self.deliverer.store.length(layout::CUR, work.message.id).unwrap_or(size);
        length.clamp(size, size.saturating_add(limits::ENVELOPE_LINE as u64))
    }

    async fn prepare(&self, work: &Work) -> Result<Prepared, Obstacle> {
        let (deliverer, setup, work) = (Arc::clone(self.deliverer), Arc::clone(self.setup), work.clone());
        let takes_8bit = self.takes_8bit;
        let prepare = move || prepare::prepare(&deliverer.store, &setup, &work, takes_8bit, sys::clock::now());
        let prepared = tokio::task::spawn_blocking(prepare);
        let prepared = prepared.await.unwrap_or_else(|e| Err(Obstacle::Internal(format!("while preparing it: {e}"))));
        match &prepared {
            Ok(Prepared { signed_for: Some(domain), .. }) => self.deliverer.counters.signed(domain),
            Err(Obstacle::Dkim(_)) => self.deliverer.counters.unsigned(),
            _ => {}
        }
        prepared
    }

    /// The message cannot be sent: parked with its reason, failed, or tried again when the disk may work.
    async fn stop(&self, work: Work, obstacle: Obstacle) -> Result<(), Stopped> {
        let held = |cause, detail| Some(Stop::Hold(Hold::with(cause, detail)));
        let lost = |loss: Loss| (Some(Stop::Lost(loss.clone())), Diagnosis::of(loss.cause(), Subject::Host), LOST, loss.detail);
        let mut route_until = None;
        let (stop, diagnosis, status, said) = match obstacle {
            Obstacle::Dkim(fault) => (held(HoldCause::Dkim, fault.clone()), Diagnosis::of(Cause::Key, Subject::Host), NOT_NOW, fault),
            Obstacle::Internal(fault) => {
                (held(HoldCause::Internal, fault.clone()), Diagnosis::of(Cause::Internal, Subject::Host), NOT_NOW, fault)
            }
            Obstacle::Lost(loss) => lost(loss),
            Obstacle::Disk(reason) => {
                route_until = Some(sys::clock::now() + DISK_WAIT);
                (None, Diagnosis::of(Cause::Disk, Subject::Host), NOT_NOW, format!("cannot read its file: {reason}"))
            }
            Obstacle::Expired(reason) => (None, Diagnosis::of(Cause::DeliverBy, Subject::Message), TOO_LATE, reason),
        };
        // Of what is lost, the conclusion fails every open recipient, and not those of this route alone.
        let mut updates = match &stop {
            Some(Stop::Lost(_)) => Vec::new(),
            _ => record::waiting(&work, "", diagnosis, status, &said),
        };
        if diagnosis.cause == Some(Cause::DeliverBy) {
            updates.iter_mut().for_each(|update| update.progress = Progress::Failed);
        }
        let end = JobEnd { stop, attempted: false, route_until };
        self.deliverer.recorder.record(work, JobOutcome { updates, end, ..JobOutcome::default() }).await
    }

    /// Waits a little for more work on this route.
    async fn wait_for_work(&self) -> Result<Option<Ready>, Stopped> {
        let deadline = tokio::time::Instant::now() + IDLE;
        while !self.deliverer.stop.is_set() && Arc::ptr_eq(self.setup, &self.deliverer.current.get()) {
            let news = self.deliverer.dispatch.work.notified();
            if let Some(ready) = self.next(Wait::ForMemory).await? {
                return Ok(Some(ready));
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                break;
            }
        }
        Ok(None)
    }
}

/// Whether to wait for memory. A connection that has a message in hand must not: twenty of them could wait for each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForMemory,
    Never,
}

/// True if the server ended the connection instead of answering: it closed it, or said 421 (RFC 5321 3.8).
fn has_ended(failure: &Failure) -> bool {
    failure.stage == Stage::MailFrom && !failure.reusable && failure.reply.as_ref().is_none_or(|reply| reply.code() == 421)
}

/// What is kept of a transaction beside its replies.
struct TransactionRecord {
    /// What the history says of it.
    transaction: Transaction,
    /// The server reports on what it takes (RFC 3461).
    hop_reports: bool,
    begun: Instant,
}

impl TransactionRecord {
    fn of(session: &Session, prepared: &Prepared, connect_ms: Option<u32>, begun: Instant) -> TransactionRecord {
        let mut notes = Vec::new();
        notes.extend(session.downgrade().map(|why| format!("TLS given up: {why}")));
        notes.extend(prepared.note.clone());
        if session.sends_unlabelled_8bit(&prepared.envelope) {
            notes.push("8-bit header fields to a server without 8BITMIME, sent as they are".to_owned());
        }
        let tls = session.tls().map_or_else(|| "in clear".to_owned(), ToString::to_string);
        let transaction = Transaction { tls, notes: notes.join("; "), connect_ms, ..Transaction::default() };
        TransactionRecord { transaction, hop_reports: session.capabilities().dsn, begun }
    }

    /// The last reply has come.
    fn ended(mut self) -> TransactionRecord {
        self.transaction.transaction_ms = Some(milliseconds(self.begun.elapsed()));
        self
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
