//! Jobs that are taken, put back, ended, or left behind by a panic.

use super::*;
use crate::plan::Policy;
use config::Params;
use mail::Address;
use mail::status::EnhancedStatus;
use testing::{claimed, envelope};
use transport::route::Router;

fn route(domain: &str) -> RouteKey {
    let router = Router::new(&Params::default(), vec![]);
    router.route_of(&Address::parse(&format!("a@{domain}")).unwrap())
}

/// Starts an attempt with so many recipients on each route.
fn start(dispatch: &Dispatch, n: u32, routes: &[(&RouteKey, usize)]) -> QueueId {
    let mut claimed = claimed(envelope(&["a@b.example"]));
    claimed.envelope.id = QueueId::new(1, n);
    let (message, ..) = crate::rows::rows_of(&claimed, &Policy::of(&Params::default()).plan(&claimed, 0));
    let recipients = |count: usize| (0..count).map(|n| JobRecipient { n: n as u32, address: String::new() }).collect();
    dispatch.start_attempt(message, routes.iter().map(|(route, count)| ((*route).clone(), recipients(*count))).collect());
    QueueId::new(1, n)
}

#[test]
fn a_round_ends_with_its_last_job_and_says_how_it_was() {
    let (dispatch, a, b) = (Dispatch::new(20), route("a.example"), route("b.example"));
    let id = start(&dispatch, 1, &[(&a, 250), (&b, 1)]);
    let jobs: Vec<Work> = std::iter::from_fn(|| dispatch.take(&a)).chain(dispatch.take(&b)).collect();
    assert_eq!(jobs.iter().map(|work| work.job.recipients.len()).collect::<Vec<_>>(), [100, 100, 50, 1]);
    assert!(!dispatch.is_only_job(id));
    let (last, others) = jobs.split_last().unwrap();
    for work in others {
        assert!(dispatch.end_job(work, JobEnd { route_until: Some(7), ..JobEnd::default() }).is_none());
    }
    assert!(dispatch.is_active(id));
    let end = dispatch.end_job(last, JobEnd { attempted: true, ..JobEnd::default() }).unwrap();
    assert_eq!((end.attempted, end.route_until), (true, Some(7)));
    assert!(!dispatch.is_active(id) && dispatch.queue(|queue| queue.is_idle()));
}

#[test]
fn a_job_that_was_put_back_is_taken_again_and_one_of_a_suspended_route_is_given_out_with_it() {
    let (dispatch, a) = (Dispatch::new(20), route("a.example"));
    start(&dispatch, 1, &[(&a, 1)]);
    let work = dispatch.take(&a).unwrap();
    dispatch.put_back(&a, work);
    let suspension =
        |_| Suspension { until: 9, diagnosis: Default::default(), status: EnhancedStatus::new(4, 4, 1), reason: "refused".into() };
    let (_, is_new, jobs) = dispatch.suspend(&a, 0, suspension);
    assert!(is_new && jobs.len() == 1 && dispatch.take(&a).is_none());
    start(&dispatch, 2, &[(&a, 1)]);
    let late: Vec<usize> = dispatch.take_suspended(5).iter().map(|(.., work)| work.len()).collect();
    assert_eq!(late, [1]);
}

#[test]
fn pf26_4_the_job_of_a_task_that_panicked_is_not_forgotten() {
    let (dispatch, a) = (Arc::new(Dispatch::new(20)), route("a.example"));
    let id = start(&dispatch, 1, &[(&a, 2)]);
    let (panicking, route) = (Arc::clone(&dispatch), a.clone());
    let task = std::thread::spawn(move || {
        let work = panicking.take(&route).unwrap();
        let copy = work.clone();
        panic!("a defect, with {copy:?}");
    });
    assert!(task.join().is_err() && dispatch.is_active(id));
    let abandoned = dispatch.take_abandoned();
    assert_eq!(abandoned.iter().map(|work| work.job.recipients.len()).collect::<Vec<_>>(), [2]);
    assert!(dispatch.end_job(&abandoned[0], JobEnd::default()).is_some());
    drop(abandoned);
    assert!(dispatch.take_abandoned().is_empty() && dispatch.queue(|queue| queue.is_idle()));
}

#[test]
fn t_spool_5_memory_is_full_by_recipients_too() {
    let (dispatch, a) = (Dispatch::new(20), route("a.example"));
    assert_eq!(dispatch.room(), ACTIVE_LIMIT);
    for n in 0..19 {
        start(&dispatch, n, &[(&a, 10_000)]);
    }
    assert_eq!(dispatch.room(), ACTIVE_LIMIT - 19);
    start(&dispatch, 19, &[(&a, 10_000)]);
    assert_eq!(dispatch.room(), 0);
    for _ in 0..100 {
        let work = dispatch.take(&a).unwrap();
        dispatch.end_job(&work, JobEnd::default());
    }
    // Users take turns by job, and all are of one user: the first message's hundred jobs came first.
    assert_eq!(dispatch.room(), ACTIVE_LIMIT - 19);
}
