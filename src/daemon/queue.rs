//! The queue in memory: jobs by route, fair across users, and which routes may open another connection. Pure: no clock, no I/O.
//!
//! A job is one message's open recipients on one route, at most 100 of them (RFC 5321 4.5.3.1.8). Only messages that are due are
//! here; all others are rows in state.sqlite.
//!
//! Fairness: within a route, users take turns (by uid), so that ten thousand newsletters of one do not delay the one alarm of
//! another. Routes are independent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mail::Diagnosis;
use mail::queue_id::QueueId;
use mail::status::EnhancedStatus;

/// Recipients of one transaction.
pub(crate) const RECIPIENTS_PER_JOB: usize = 100;
/// Connections of all routes together: fewer than the descriptors that even a shell gives a program, so that mail to a thousand
/// domains at once leaves the daemon able to open its own files.
const CONNECTIONS: usize = 500;
/// Jobs waiting per connection before another one is opened.
const JOBS_PER_CONNECTION: usize = 4;

/// One message's open recipients on one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// The message.
    pub(crate) id: QueueId,
    /// Its user, for fairness.
    pub(crate) uid: u32,
    /// Where it goes, in words.
    pub(crate) route: Arc<str>,
    /// Its recipients.
    pub(crate) recipients: Vec<JobRecipient>,
}

/// One recipient of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobRecipient {
    /// Place in the envelope.
    pub(crate) n: u32,
    /// The forward-path.
    pub(crate) address: String,
}

/// What a route is doing.
#[derive(Clone, Debug, Default)]
struct Route {
    /// One line per user; the front user is next.
    turns: VecDeque<(u32, VecDeque<Job>)>,
    waiting: usize,
    connections: usize,
    failures: u32,
    suspended: Option<Suspension>,
}

/// Why a route is not tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspension {
    /// Unix seconds.
    pub(crate) until: i64,
    /// What the failure was, in codes.
    pub(crate) diagnosis: Diagnosis,
    /// The failure's enhanced status.
    pub(crate) status: EnhancedStatus,
    /// The failure, one printable line.
    pub(crate) reason: String,
}

/// All routes.
#[derive(Debug)]
pub(crate) struct Queue<R> {
    routes: HashMap<R, Route>,
    limit: usize,
    /// Connections of all routes.
    connections: usize,
    /// Jobs taken and not yet returned.
    in_flight: usize,
}

/// What suspending a route did.
#[derive(Debug)]
pub(crate) struct Suspended {
    /// The suspension in force.
    pub(crate) suspension: Suspension,
    /// False if another connection had found the same out before.
    pub(crate) is_new: bool,
    /// The jobs that waited; they count as taken.
    pub(crate) jobs: Vec<Job>,
}

impl<R: Clone + Eq + std::hash::Hash> Queue<R> {
    /// An empty queue with at most `limit` connections per route.
    pub(crate) fn new(limit: usize) -> Self {
        Queue { routes: HashMap::new(), limit: limit.max(1), connections: 0, in_flight: 0 }
    }

    /// Changes the limit of connections; those above it end with their present work.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// Adds a job at the end of its user's line.
    pub(crate) fn add(&mut self, route: &R, job: Job) {
        let route = self.routes.entry(route.clone()).or_default();
        route.waiting += 1;
        match route.turns.iter_mut().find(|(uid, _)| *uid == job.uid) {
            Some((_, line)) => line.push_back(job),
            None => route.turns.push_back((job.uid, VecDeque::from([job]))),
        }
    }

    /// The next job of a route; its user goes to the end of the turns.
    pub(crate) fn take(&mut self, route: &R) -> Option<Job> {
        let route = self.routes.get_mut(route)?;
        let (uid, mut line) = route.turns.pop_front()?;
        let job = line.pop_front()?;
        if !line.is_empty() {
            route.turns.push_back((uid, line));
        }
        route.waiting -= 1;
        self.in_flight += 1;
        Some(job)
    }

    /// A taken job is settled, or was added again.
    pub(crate) fn settled(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// If the route has enough work for one more connection, counts that connection and returns true.
    pub(crate) fn open_connection(&mut self, route: &R, now: i64) -> bool {
        let limit = self.limit;
        if self.connections >= CONNECTIONS {
            return false;
        }
        let Some(route) = self.routes.get_mut(route) else { return false };
        let wanted = route.waiting.div_ceil(JOBS_PER_CONNECTION).min(limit);
        let usable = route.suspended.as_ref().is_none_or(|s| s.until <= now);
        // While a route is on probation, one connection finds out.
        let allowed = if route.failures > 0 { wanted.min(1) } else { wanted };
        let open = usable && route.connections < allowed;
        route.connections += usize::from(open);
        self.connections += usize::from(open);
        open
    }

    /// A connection of the route has ended.
    pub(crate) fn close_connection(&mut self, route: &R) {
        self.connections = self.connections.saturating_sub(1);
        if let Some(state) = self.routes.get_mut(route) {
            state.connections = state.connections.saturating_sub(1);
            if state.connections == 0 && state.waiting == 0 && state.failures == 0 {
                self.routes.remove(route);
            }
        }
    }

    /// True if there are more connections than the limit allows since it was lowered.
    pub(crate) fn is_over_limit(&self, route: &R) -> bool {
        self.routes.get(route).is_some_and(|route| route.connections > self.limit)
    }

    /// How often the route failed in a row.
    pub(crate) fn failures(&self, route: &R) -> u32 {
        self.routes.get(route).map_or(0, |route| route.failures)
    }

    /// Suspends a route and takes the jobs that waited for it. `make` gets the number of failures in a row; it is not asked where
    /// the route is suspended at `now` already: twenty connections that fail together are one failure.
    pub(crate) fn suspend(&mut self, route: &R, now: i64, make: impl FnOnce(u32) -> Suspension) -> Suspended {
        let route = self.routes.entry(route.clone()).or_default();
        let standing = route.suspended.take().filter(|suspension| suspension.until > now);
        let is_new = standing.is_none();
        route.failures = route.failures.saturating_add(u32::from(is_new));
        let suspension = standing.unwrap_or_else(|| make(route.failures));
        route.suspended = Some(suspension.clone());
        self.in_flight += std::mem::take(&mut route.waiting);
        let jobs = std::mem::take(&mut route.turns).into_iter().flat_map(|(_, line)| line).collect();
        Suspended { suspension, is_new, jobs }
    }

    /// The route works. Returns true if it was suspended before.
    pub(crate) fn works(&mut self, route: &R) -> bool {
        self.routes.get_mut(route).is_some_and(|route| {
            route.failures = 0;
            route.suspended.take().is_some()
        })
    }

    /// Lets every suspended route be tried at once.
    pub(crate) fn end_suspensions(&mut self) {
        for route in self.routes.values_mut() {
            if let Some(suspension) = &mut route.suspended {
                suspension.until = 0;
            }
        }
    }

    /// Why the route is not tried at `now`, if so.
    pub(crate) fn suspension(&self, route: &R, now: i64) -> Option<&Suspension> {
        self.routes.get(route)?.suspended.as_ref().filter(|s| s.until > now)
    }

    /// All routes that are suspended at `now`.
    pub(crate) fn suspensions(&self, now: i64) -> impl Iterator<Item = (&R, &Suspension)> {
        self.routes.iter().filter_map(move |(route, state)| Some((route, state.suspended.as_ref().filter(|s| s.until > now)?)))
    }

    /// All routes that are remembered: with work, connections or failures.
    pub(crate) fn known_routes(&self) -> impl Iterator<Item = &R> {
        self.routes.keys()
    }

    /// The jobs that wait for the route, and its connections.
    pub(crate) fn load(&self, route: &R) -> (usize, usize) {
        self.routes.get(route).map_or((0, 0), |route| (route.waiting, route.connections))
    }

    /// Routes with waiting jobs.
    pub(crate) fn waiting_routes(&self) -> Vec<R> {
        self.routes.iter().filter(|(_, route)| route.waiting > 0).map(|(route, _)| route.clone()).collect()
    }

    /// All jobs that wait.
    pub(crate) fn waiting_jobs(&self) -> impl Iterator<Item = &Job> {
        self.routes.values().flat_map(|route| route.turns.iter().flat_map(|(_, line)| line))
    }

    /// Forgets the waiting jobs that `which` names.
    pub(crate) fn drop_waiting(&mut self, which: impl Fn(&Job) -> bool) {
        for route in self.routes.values_mut() {
            for (_, line) in &mut route.turns {
                line.retain(|job| !which(job));
            }
            route.turns.retain(|(_, line)| !line.is_empty());
            route.waiting = route.turns.iter().map(|(_, line)| line.len()).sum();
        }
    }

    /// True while no job waits and none is taken.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.routes.values().all(|route| route.waiting == 0)
    }

    /// Forgets suspended routes that nobody has asked for since `before`.
    pub(crate) fn forget_routes(&mut self, before: i64) {
        self.routes
            .retain(|_, route| route.waiting > 0 || route.connections > 0 || route.suspended.as_ref().is_some_and(|s| s.until >= before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(n: u32, uid: u32) -> Job {
        Job { id: QueueId::new(1, n), uid, route: "relay".into(), recipients: vec![] }
    }

    fn suspension(until: i64) -> Suspension {
        Suspension { until, diagnosis: Diagnosis::default(), status: EnhancedStatus::new(4, 7, 8), reason: "535 no".into() }
    }

    #[test]
    fn connections_that_fail_together_are_one_failure() {
        let mut queue = Queue::new(20);
        (0..100).for_each(|n| queue.add(&"r", job(n, 1)));
        assert_eq!((0..20).filter(|_| queue.open_connection(&"r", 0)).count(), 20);
        let first = queue.suspend(&"r", 0, |failures| suspension(i64::from(failures) * 60));
        assert!(first.is_new && first.suspension.until == 60 && first.jobs.len() == 100);
        let others: Vec<Suspended> = (0..19).map(|_| queue.suspend(&"r", 1, |failures| suspension(i64::from(failures) * 60))).collect();
        assert!(others.iter().all(|other| !other.is_new && other.suspension.until == 60));
        assert_eq!(queue.failures(&"r"), 1);
        assert_eq!(queue.suspend(&"r", 61, |failures| suspension(i64::from(failures) * 60)).suspension.until, 120);
    }

    #[test]
    fn mail_to_many_domains_opens_no_more_connections_than_there_are_descriptors_for() {
        let mut queue = Queue::new(20);
        (0..10_000).for_each(|n| queue.add(&n, job(n, 1)));
        let opened: Vec<u32> = (0..10_000).filter(|n| queue.open_connection(n, 0)).collect();
        assert_eq!(opened.len(), CONNECTIONS);
        queue.close_connection(&opened[0]);
        assert!(queue.open_connection(&9_999, 0) && !queue.open_connection(&9_998, 0));
    }

    #[test]
    fn a_route_that_nobody_asks_for_any_more_is_forgotten() {
        let mut queue = Queue::new(20);
        queue.suspend(&"gone.example", 0, |_| suspension(100));
        queue.add(&"busy.example", job(1, 1));
        queue.suspend(&"late.example", 0, |_| suspension(300));
        queue.forget_routes(200);
        assert_eq!((queue.failures(&"gone.example"), queue.failures(&"late.example")), (0, 1));
        assert_eq!(queue.waiting_routes(), ["busy.example"]);
    }

    #[test]
    fn users_take_turns_within_a_route() {
        let mut queue = Queue::new(20);
        for n in 0..4 {
            queue.add(&"r", job(n, 1));
        }
        queue.add(&"r", job(9, 2));
        let order: Vec<u32> = std::iter::from_fn(|| queue.take(&"r")).map(|j| j.uid).collect();
        assert_eq!(order, [1, 2, 1, 1, 1]);
        assert!(!queue.is_idle());
        (0..5).for_each(|_| queue.settled());
        assert!(queue.is_idle());
    }

    #[test]
    fn connections_grow_with_the_work_up_to_the_limit() {
        let mut queue = Queue::new(3);
        assert!(!queue.open_connection(&"r", 0));
        for n in 0..100 {
            queue.add(&"r", job(n, 1));
        }
        let opened = (0..10).filter(|_| queue.open_connection(&"r", 0)).count();
        assert_eq!(opened, 3);
        queue.close_connection(&"r");
        assert!(queue.open_connection(&"r", 0));
    }

    #[test]
    fn u07_a_suspended_route_gives_its_jobs_back_and_is_probed_by_one_connection() {
        let mut queue = Queue::new(20);
        for n in 0..9 {
            queue.add(&"r", job(n, 1));
        }
        queue.add(&"other", job(99, 1));
        let suspended = queue.suspend(&"r", 0, |_| suspension(100));
        assert_eq!(suspended.jobs.len(), 9);
        suspended.jobs.into_iter().for_each(|j| queue.add(&"r", j));
        assert!(!queue.open_connection(&"r", 99));
        assert!(queue.open_connection(&"other", 99));
        assert!(queue.open_connection(&"r", 100) && !queue.open_connection(&"r", 100));
        assert!(queue.works(&"r"));
        assert!(queue.open_connection(&"r", 100));
    }
}
