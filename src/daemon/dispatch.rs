//! What the tasks of the daemon share: the queue, and the progress of each message in its delivery attempt.
//!
//! A delivery attempt tries all open recipients of a message: one job for each route and hundred recipients. When the last job of an
//! attempt ends, the message is concluded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::outcome::Stop;
use super::queue::{Job, JobRecipient, Queue, RECIPIENTS_PER_JOB, Suspension};
use mail::queue_id::QueueId;
use state::Message;
use transport::route::RouteKey;

/// Messages in memory at most; all others wait in state.sqlite.
const ACTIVE_LIMIT: usize = 20_000;
/// And their recipients, about: the last message may bring ten thousand more.
const ACTIVE_RECIPIENTS: usize = 200_000;

/// A job with its message, taken by one task, which settles it or puts it back.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// Which recipients.
    pub(crate) job: Arc<Job>,
    /// The message's row when it was loaded.
    pub(crate) message: Arc<Message>,
    taken: Arc<Taken>,
}

/// The promise to settle a job. If it is dropped unkept, its task has panicked: the job is remembered as abandoned, because a
/// message whose attempt never ends is neither delivered nor failed.
struct Taken {
    job: Arc<Job>,
    is_kept: AtomicBool,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taken").field("is_kept", &self.is_kept).finish_non_exhaustive()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            self.shared.lock().abandoned.push(Arc::clone(&self.job));
            self.shared.wake.notify_one();
        }
    }
}

/// How a job ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobEnd {
    /// What stopped it before any server was asked.
    pub(crate) stop: Option<Stop>,
    /// A server answered about the message.
    pub(crate) attempted: bool,
    /// Otherwise: when its route is tried again, unix seconds.
    pub(crate) route_until: Option<i64>,
}

struct Active {
    message: Arc<Message>,
    recipients: usize,
    jobs: usize,
    left: usize,
    end: JobEnd,
}

struct Inner {
    queue: Queue<RouteKey>,
    active: HashMap<QueueId, Active>,
    /// Recipients of the active messages.
    recipients: usize,
    abandoned: Vec<Arc<Job>>,
    /// An administrator has stopped delivery.
    paused: Option<String>,
}

struct Shared {
    inner: Mutex<Inner>,
    wake: Arc<Notify>,
}

impl Shared {
    /// Whatever a panicking task left is consistent: every change is one call.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shared part.
pub(crate) struct Dispatch {
    shared: Arc<Shared>,
    /// The scheduler has something to do.
    pub(crate) wake: Arc<Notify>,
    /// New work for connections that idle.
    pub(crate) work: Notify,
}

impl Dispatch {
    /// Nothing queued yet.
    pub(crate) fn new(connections: usize) -> Self {
        let inner = Inner { queue: Queue::new(connections), active: HashMap::new(), recipients: 0, abandoned: Vec::new(), paused: None };
        let wake = Arc::new(Notify::new());
        let shared = Arc::new(Shared { inner: Mutex::new(inner), wake: Arc::clone(&wake) });
        Dispatch { shared, wake, work: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock()
    }

    /// How many more messages memory takes: none while delivery is paused.
    pub(crate) fn room(&self) -> usize {
        let inner = self.lock();
        if inner.paused.is_some() || inner.recipients >= ACTIVE_RECIPIENTS { 0 } else { ACTIVE_LIMIT.saturating_sub(inner.active.len()) }
    }

    /// Starts an attempt: `routes` has the open recipients by route.
    pub(crate) fn start_attempt(&self, message: Message, routes: Vec<(RouteKey, Vec<JobRecipient>)>) {
        let message = Arc::new(message);
        let jobs: Vec<(RouteKey, Vec<JobRecipient>)> = routes
            .into_iter()
            .flat_map(|(route, recipients)| {
                recipients.chunks(RECIPIENTS_PER_JOB).map(|chunk| (route.clone(), chunk.to_vec())).collect::<Vec<_>>()
            })
            .collect();
        let mut inner = self.lock();
        let recipients = jobs.iter().map(|(_, recipients)| recipients.len()).sum();
        let active = Active { message: Arc::clone(&message), recipients, jobs: jobs.len(), left: jobs.len(), end: JobEnd::default() };
        inner.recipients += recipients;
        inner.active.insert(message.id, active);
        for (route, recipients) in jobs {
            inner.queue.add(&route, Job { id: message.id, uid: message.uid, route: route.to_string().into(), recipients });
        }
        drop(inner);
        self.wake.notify_one();
        self.work.notify_waiters();
    }

    /// True while delivery is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.lock().paused.is_some()
    }

    /// Since when an administrator has paused delivery, and who ([`admin::pause`]).
    pub(crate) fn paused(&self) -> Option<String> {
        self.lock().paused.clone()
    }

    /// Lets delivery go on.
    pub(crate) fn resume(&self) {
        self.lock().paused = None;
        self.wake.notify_one();
        self.work.notify_waiters();
    }

    /// From now on no job is begun. Returns the messages of which none was: they are forgotten here, and are to be due again. What
    /// is being sent goes on to its end.
    pub(crate) fn pause(&self, since: String) -> Vec<QueueId> {
        let mut inner = self.lock();
        inner.paused = Some(since);
        let Inner { queue, active, recipients, .. } = &mut *inner;
        let mut waiting: HashMap<QueueId, usize> = HashMap::new();
        queue.waiting_jobs().for_each(|job| *waiting.entry(job.id).or_default() += 1);
        waiting.retain(|id, jobs| active.get(id).is_some_and(|active| active.jobs == *jobs));
        queue.drop_waiting(|job| waiting.contains_key(&job.id));
        for id in waiting.keys() {
            let dropped = active.remove(id).map_or(0, |active| active.recipients);
            *recipients = recipients.saturating_sub(dropped);
        }
        waiting.into_keys().collect()
    }

    /// The next job of a route; none while delivery is paused.
    pub(crate) fn take(&self, route: &RouteKey) -> Option<Work> {
        let mut inner = self.lock();
        if inner.paused.is_some() {
            return None;
        }
        let job = inner.queue.take(route)?;
        let message = Arc::clone(&inner.active.get(&job.id)?.message);
        Some(self.taken(Arc::new(job), message))
    }

    fn taken(&self, job: Arc<Job>, message: Arc<Message>) -> Work {
        let taken = Taken { job: Arc::clone(&job), is_kept: AtomicBool::new(false), shared: Arc::clone(&self.shared) };
        Work { job, message, taken: Arc::new(taken) }
    }

    /// Puts a job back that was not begun.
    pub(crate) fn put_back(&self, route: &RouteKey, work: Work) {
        work.taken.is_kept.store(true, Ordering::Relaxed);
        let mut inner = self.lock();
        inner.queue.settled();
        inner.queue.add(route, Job::clone(&work.job));
        drop(inner);
        self.wake.notify_one();
    }

    /// The jobs whose tasks panicked, to be settled as what they are: unknown.
    pub(crate) fn take_abandoned(&self) -> Vec<Work> {
        let mut inner = self.lock();
        let jobs = std::mem::take(&mut inner.abandoned);
        let known = |job: Arc<Job>| inner.active.get(&job.id).map(|active| (job, Arc::clone(&active.message)));
        let known: Vec<(Arc<Job>, Arc<Message>)> = jobs.into_iter().filter_map(known).collect();
        drop(inner);
        known.into_iter().map(|(job, message)| self.taken(job, message)).collect()
    }

    /// True if the message's attempt has this one job only.
    pub(crate) fn is_only_job(&self, id: QueueId) -> bool {
        self.lock().active.get(&id).is_some_and(|active| active.jobs == 1)
    }

    /// A job has ended. With the last one of the attempt, returns how the attempt was, and forgets the message.
    pub(crate) fn end_job(&self, work: &Work, end: JobEnd) -> Option<JobEnd> {
        let id = work.message.id;
        work.taken.is_kept.store(true, Ordering::Relaxed);
        let mut inner = self.lock();
        inner.queue.settled();
        let active = inner.active.get_mut(&id)?;
        active.left = active.left.saturating_sub(1);
        active.end.attempted |= end.attempted;
        active.end.route_until = active.end.route_until.max(end.route_until);
        active.end.stop = active.end.stop.take().or(end.stop);
        if active.left > 0 {
            return None;
        }
        let ended = inner.active.remove(&id)?;
        inner.recipients = inner.recipients.saturating_sub(ended.recipients);
        Some(ended.end)
    }

    /// Suspends a route and takes the jobs that waited for it. `make` is as in [`Queue::suspend`].
    pub(crate) fn suspend(&self, route: &RouteKey, now: i64, make: impl FnOnce(u32) -> Suspension) -> (Suspension, bool, Vec<Work>) {
        let mut inner = self.lock();
        let suspended = inner.queue.suspend(route, now, make);
        let jobs = suspended.jobs.into_iter();
        let known = |job: Job| inner.active.get(&job.id).map(|active| self.taken(Arc::new(job), Arc::clone(&active.message)));
        (suspended.suspension, suspended.is_new, jobs.filter_map(known).collect())
    }

    /// Runs `read` on the queue.
    pub(crate) fn queue<T>(&self, read: impl FnOnce(&mut Queue<RouteKey>) -> T) -> T {
        read(&mut self.lock().queue)
    }

    /// Takes all jobs that wait for a route that is suspended at `now`, with the suspension.
    pub(crate) fn take_suspended(&self, now: i64) -> Vec<(RouteKey, Suspension, Vec<Work>)> {
        let suspended: Vec<(RouteKey, Suspension)> =
            self.queue(|queue| queue.suspensions(now).map(|(r, s)| (r.clone(), s.clone())).collect());
        let drain = |route: &RouteKey| std::iter::from_fn(|| self.take(route)).collect::<Vec<Work>>();
        suspended
            .into_iter()
            .map(|(route, suspension)| (drain(&route), route, suspension))
            .filter(|(work, ..)| !work.is_empty())
            .map(|(work, r, s)| (r, s, work))
            .collect()
    }

    /// True if the message is in an attempt now.
    pub(crate) fn is_active(&self, id: QueueId) -> bool {
        self.lock().active.contains_key(&id)
    }
}

#[cfg(test)]
mod tests;
