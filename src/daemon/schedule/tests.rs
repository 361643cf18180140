//! What one round of the scheduler does with what it finds.

use super::*;
use crate::plan::Policy;
use spool::layout;
use state::Place;
use testing::Scratch;

/// Claims a message and makes its row, due at `next_attempt`.
async fn admit(daemon: &Daemon, scratch: &Scratch, next_attempt: Option<i64>) -> QueueId {
    let claimed = scratch.claimed(&["a@receiver.example", "b@receiver.example"]);
    let plan = Policy::of(&daemon.setup().params).plan(&claimed, sys::clock::now());
    let plan = crate::plan::Plan { next_attempt, ..plan };
    daemon.ledger.admit(&claimed, &plan).unwrap().await.unwrap();
    claimed.envelope.id
}

async fn row(daemon: &Daemon, id: QueueId) -> Message {
    daemon.ledger.work(move |state, _| state.message(id)).unwrap().await.unwrap().unwrap()
}

#[tokio::test]
async fn pf26_4_a_message_whose_delivery_panicked_is_held_as_uncertain() {
    let scratch = Scratch::new();
    let daemon = crate::testing::daemon(&scratch, "next_hop = \"smtp://127.0.0.1:1?tls=none\"");
    let id = admit(&daemon, &scratch, Some(1)).await;
    for (message, recipients) in daemon.ledger.work(|state, _| load(state, 2, 9)).unwrap().await.unwrap() {
        start_round(&daemon, message, recipients).await.unwrap();
    }
    let route = daemon.dispatch.queue(|queue| queue.waiting_routes()).remove(0);
    let work = daemon.dispatch.take(&route).unwrap();
    assert!(tokio::spawn(async move { panic!("a defect, with {work:?}") }).await.is_err());
    round(&daemon, 3).await.unwrap();
    let held = row(&daemon, id).await;
    assert_eq!(held.place, Place::Hold);
    assert!(held.reason.contains("internal error"), "{}", held.reason);
    assert_eq!(scratch.names(layout::HOLD), [id.to_string()]);
    assert!(!daemon.dispatch.is_active(id) && daemon.dispatch.queue(|queue| queue.is_idle()));
}

#[tokio::test]
async fn t_spool_4_a_clock_that_is_set_back_ends_waits_that_were_planned_by_it() {
    let scratch = Scratch::new();
    let daemon = crate::testing::daemon(&scratch, "");
    let (tried, wished) = (admit(&daemon, &scratch, Some(90_300)).await, admit(&daemon, &scratch, Some(90_300)).await);
    let delayed = |n| state::RecipientUpdate {
        n,
        progress: state::Progress::Waiting,
        status: "4.0.0".to_owned(),
        reply: String::new(),
        relay: String::new(),
    };
    daemon.ledger.work(move |state, _| state.update_recipient(tried, &delayed(0), 90_000)).unwrap().await.unwrap();
    heal_clock(&daemon, 90_000, 90_010).await.unwrap();
    assert_eq!(row(&daemon, tried).await.next_attempt, Some(90_300), "it only went on");
    heal_clock(&daemon, 90_000, 3000).await.unwrap();
    assert_eq!((row(&daemon, tried).await.next_attempt, row(&daemon, wished).await.next_attempt), (Some(3000), Some(90_300)));
}

#[tokio::test]
async fn t_spool_5_what_is_loaded_at_once_is_counted_by_recipients_too() {
    let scratch = Scratch::new();
    let daemon = crate::testing::daemon(&scratch, "");
    let many: Vec<String> = (0..4000).map(|n| format!("r{n}@receiver.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for _ in 0..4 {
        let claimed = scratch.claimed(&many);
        let plan = Policy::of(&daemon.setup().params).plan(&claimed, 1);
        daemon.ledger.admit(&claimed, &crate::plan::Plan { next_attempt: Some(1), ..plan }).unwrap().await.unwrap();
    }
    let loaded = |daemon: &Daemon| daemon.ledger.work(|state, _| load(state, 2, 1000)).unwrap();
    assert_eq!(loaded(&daemon).await.unwrap().len(), 3);
    assert_eq!(loaded(&daemon).await.unwrap().len(), 1);
}
