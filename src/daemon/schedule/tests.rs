//! What one attempt of the scheduler does with what it finds.

use super::*;
use crate::plan::Policy;
use spool::layout;
use state::QueueDir;
use testing::Scratch;

/// Claims a message and makes its row, due at `next_attempt`.
async fn admit(scheduler: &Scheduler, scratch: &Scratch, next_attempt: Option<i64>) -> QueueId {
    let claimed = scratch.claimed(&["a@receiver.example", "b@receiver.example"]);
    let plan = Policy::of(&scheduler.current.get().params).plan(&claimed, sys::clock::now());
    let plan = crate::plan::Plan { next_attempt, ..plan };
    scheduler.state_writer.admit(&claimed, &plan).unwrap().await.unwrap();
    claimed.envelope.id
}

async fn row(scheduler: &Scheduler, id: QueueId) -> Message {
    scheduler.state_writer.work(move |state, _| state.message(id)).unwrap().await.unwrap().unwrap()
}

#[tokio::test]
async fn pf26_4_a_message_whose_delivery_panicked_is_held_as_uncertain() {
    let scratch = Scratch::new();
    let scheduler = crate::testing::idle(&scratch, "next_hop = \"smtp://127.0.0.1:1?tls=none\"").parts.scheduler;
    let id = admit(&scheduler, &scratch, Some(1)).await;
    for (message, recipients) in scheduler.state_writer.work(|state, _| load(state, 2, 9)).unwrap().await.unwrap() {
        start_attempt(&scheduler, message, recipients).await.unwrap();
    }
    let route = scheduler.dispatch.queue(|queue| queue.waiting_routes()).remove(0);
    let work = scheduler.dispatch.take(&route).unwrap();
    assert!(tokio::spawn(async move { panic!("a defect, with {work:?}") }).await.is_err());
    turn(&scheduler, 3).await.unwrap();
    let held = row(&scheduler, id).await;
    assert_eq!(held.dir, QueueDir::Hold);
    assert!(held.hold == Some(mail::code::HoldCause::Internal), "{held:?}");
    assert_eq!(scratch.names(layout::HOLD), [id.to_string()]);
    assert!(!scheduler.dispatch.is_active(id) && scheduler.dispatch.queue(|queue| queue.is_idle()));
}

#[tokio::test]
async fn t_spool_4_a_clock_that_is_set_back_ends_waits_that_were_planned_by_it() {
    let scratch = Scratch::new();
    let scheduler = crate::testing::idle(&scratch, "").parts.scheduler;
    let (tried, wished) = (admit(&scheduler, &scratch, Some(90_300)).await, admit(&scheduler, &scratch, Some(90_300)).await);
    let delayed = |n| state::RecipientUpdate {
        n,
        progress: state::Progress::Deferred,
        diagnosis: Default::default(),
        status: "4.0.0".to_owned(),
        reply: String::new(),
        relay: String::new(),
    };
    scheduler.state_writer.work(move |state, _| state.update_recipient(tried, &delayed(0), 90_000)).unwrap().await.unwrap();
    heal_clock(&scheduler, 90_000, 90_010).await.unwrap();
    assert_eq!(row(&scheduler, tried).await.next_attempt, Some(90_300), "it only went on");
    heal_clock(&scheduler, 90_000, 3000).await.unwrap();
    assert_eq!((row(&scheduler, tried).await.next_attempt, row(&scheduler, wished).await.next_attempt), (Some(3000), Some(90_300)));
}

#[tokio::test]
async fn t_spool_5_what_is_loaded_at_once_is_counted_by_recipients_too() {
    let scratch = Scratch::new();
    let scheduler = crate::testing::idle(&scratch, "").parts.scheduler;
    let many: Vec<String> = (0..4000).map(|n| format!("r{n}@receiver.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for _ in 0..4 {
        let claimed = scratch.claimed(&many);
        let plan = Policy::of(&scheduler.current.get().params).plan(&claimed, 1);
        scheduler.state_writer.admit(&claimed, &crate::plan::Plan { next_attempt: Some(1), ..plan }).unwrap().await.unwrap();
    }
    let loaded = |scheduler: &Scheduler| scheduler.state_writer.work(|state, _| load(state, 2, 1000)).unwrap();
    assert_eq!(loaded(&scheduler).await.unwrap().len(), 3);
    assert_eq!(loaded(&scheduler).await.unwrap().len(), 1);
}
