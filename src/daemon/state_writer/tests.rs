//! What the state writer answers, and when.

use crate::outcome::Loss;
use mail::code::{HoldCause, MessageEnd};
use mail::{Actor, Hold};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;
use crate::backoff::Backoff;
use crate::database::STATE_FILE;
use crate::outcome::Stop;
use crate::outcome::{Conclusion, DeliveryAttempt};
use crate::plan::Policy;
use config::{OnUncertain, Params};
use spool::layout;
use state::{Message, Progress, RecipientUpdate, Transaction};
use testing::{Scratch, claimed, envelope};

struct Running {
    scratch: Scratch,
    state_writer: StateWriter,
    stopped: mpsc::Receiver<String>,
}

impl Running {
    fn new() -> Running {
        let scratch = Scratch::new();
        let (tell, stopped) = channel();
        let state = State::open(&scratch.path().join(STATE_FILE)).unwrap();
        let on_stop = move |reason| drop(tell.send(reason));
        let (state_writer, _) = StateWriter::start(state, Arc::new(scratch.store()), || (), on_stop).unwrap();
        Running { scratch, state_writer, stopped }
    }

    fn admit(&self, claimed: &ClaimedMessage) -> Admission {
        let plan = Policy::of(&Params::default()).plan(claimed, NOW);
        self.state_writer.admit(claimed, &plan).unwrap().blocking_recv().unwrap()
    }

    fn row(&self, id: QueueId) -> Message {
        self.state_writer.work(move |state, _| state.message(id)).unwrap().blocking_recv().unwrap().unwrap()
    }

    fn mark(&self, id: QueueId) -> Result<(), Stopped> {
        block_on(self.state_writer.mark_in_data(id))
    }

    fn record(&self, id: QueueId, progress: Progress, attempt: Option<DeliveryAttempt>) -> Result<Recorded, Stopped> {
        let update = RecipientUpdate {
            n: 0,
            progress,
            diagnosis: Default::default(),
            status: "2.0.0".into(),
            reply: "250 ok".into(),
            relay: "mx".into(),
        };
        block_on(self.state_writer.record(OutcomeRecord {
            id,
            updates: vec![update],
            transaction: Transaction { reached: true, ..Transaction::default() },
            hop_reports: true,
            attempt,
            events: Vec::new(),
        }))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

const NOW: i64 = 1_795_358_700;

fn attempt() -> DeliveryAttempt {
    let backoff = Backoff::of_messages(&Params::default());
    DeliveryAttempt {
        stop: None,
        was_expired: false,
        expires: NOW + 500_000,
        delay_warning: 0,
        now: NOW,
        attempted: true,
        route_until: None,
        random: 0,
        backoff,
        on_uncertain: OnUncertain::Retry,
    }
}

fn one(running: &Running) -> ClaimedMessage {
    running.scratch.claimed(&["bob@receiver.example"])
}

#[test]
fn a_claimed_file_is_admitted_once_and_then_known() {
    let running = Running::new();
    let message = one(&running);
    assert!(matches!(running.admit(&message), Admission::Admitted));
    assert!(matches!(running.admit(&message), Admission::Known));
    assert_eq!(running.scratch.names(layout::CUR), [message.envelope.id.to_string()]);
}

#[test]
fn a_relayed_message_goes_and_its_file_is_recognised_when_it_comes_back() {
    let running = Running::new();
    let message = one(&running);
    let id = message.envelope.id;
    let bytes = std::fs::read(running.scratch.file(layout::CUR, id)).unwrap();
    running.admit(&message);
    running.mark(id).unwrap();
    assert!(running.row(id).in_data);
    let settled = running.record(id, Progress::Relayed, Some(attempt())).unwrap();
    assert_eq!(settled.conclusion, Some(Conclusion::Relayed));
    assert!(running.scratch.names(layout::CUR).is_empty(), "the answer comes after the removal");
    std::fs::write(running.scratch.file(layout::CUR, id), &bytes).unwrap();
    assert!(matches!(running.admit(&message), Admission::Resurrected));
    assert!(running.scratch.names(layout::CUR).is_empty());
}

#[test]
fn another_message_under_a_known_id_is_put_away_and_changes_nothing() {
    let running = Running::new();
    let message = one(&running);
    let id = message.envelope.id;
    running.admit(&message);
    running.record(id, Progress::Relayed, Some(attempt())).unwrap();
    std::fs::write(running.scratch.file(layout::CUR, id), "another").unwrap();
    for other in
        [ClaimedMessage { digest: vec![1; 32], ..one_more(&message) }, ClaimedMessage { uid: message.uid + 1, ..one_more(&message) }]
    {
        assert!(matches!(running.admit(&other), Admission::Foreign));
    }
    assert_eq!(running.scratch.names(layout::CORRUPT).len(), 2);
    assert_eq!((running.row(id).dir, running.row(id).digest), (QueueDir::NoFile, message.digest));
}

fn one_more(message: &ClaimedMessage) -> ClaimedMessage {
    ClaimedMessage {
        envelope: message.envelope.clone(),
        uid: message.uid,
        digest: message.digest.clone(),
        summary: message.summary,
        message_id: String::new(),
    }
}

#[test]
fn a_message_that_is_planned_to_be_held_is_in_hold_when_the_answer_comes() {
    let running = Running::new();
    let message = one(&running);
    let id = message.envelope.id;
    let plan = Plan { expires: NOW, next_attempt: None, hold: Some(Hold::of(HoldCause::OverflowUid)) };
    assert!(matches!(running.state_writer.admit(&message, &plan).unwrap().blocking_recv().unwrap(), Admission::Admitted));
    assert_eq!((running.row(id).dir, running.row(id).hold), (QueueDir::Hold, Some(HoldCause::OverflowUid)));
    assert_eq!((running.scratch.names(layout::CUR).len(), running.scratch.names(layout::HOLD)), (0, vec![id.to_string()]));
}

#[test]
fn a_conclusion_waits_for_the_last_job_of_the_round() {
    let running = Running::new();
    let message = running.scratch.claimed(&["a@receiver.example", "b@receiver.example"]);
    let id = message.envelope.id;
    running.admit(&message);
    assert_eq!(running.record(id, Progress::Relayed, None).unwrap().conclusion, None);
    assert!(matches!(running.record(id, Progress::Relayed, Some(attempt())).unwrap().conclusion, Some(Conclusion::Retry { .. })));
    assert_eq!(running.row(id).dir, QueueDir::Cur);
}

#[test]
fn a_message_whose_file_has_vanished_or_cannot_be_moved_stops_only_itself() {
    let running = Running::new();
    let [vanished, blocked, dropped] = [one(&running), one(&running), one(&running)];
    for message in [&vanished, &blocked, &dropped] {
        running.admit(message);
    }
    std::fs::remove_file(running.scratch.file(layout::CUR, dropped.envelope.id)).unwrap();
    let root = Actor { uid: 0, name: "root".into() };
    let by_operator = Some(DeliveryAttempt { stop: Some(Stop::Remove(root.clone())), ..attempt() });
    let removed = running.record(dropped.envelope.id, Progress::Deferred, by_operator).unwrap();
    assert_eq!(removed.conclusion, Some(Conclusion::Removed(root)));
    std::fs::remove_file(running.scratch.file(layout::CUR, vanished.envelope.id)).unwrap();
    std::fs::write(running.scratch.file(layout::FAILED, blocked.envelope.id), "in the way").unwrap();
    let stop = Some(Stop::Lost(Loss::vanished("")));
    let lost = running.record(vanished.envelope.id, Progress::Deferred, Some(DeliveryAttempt { stop, ..attempt() })).unwrap();
    assert!(matches!(lost.conclusion, Some(Conclusion::Lost(_))));
    assert_eq!(running.row(vanished.envelope.id).outcome, Some(MessageEnd::Vanished));
    assert_eq!(
        (running.row(dropped.envelope.id).dir, running.row(dropped.envelope.id).outcome),
        (QueueDir::NoFile, Some(MessageEnd::Removed))
    );
    assert_eq!(running.record(blocked.envelope.id, Progress::Failed, Some(attempt())).unwrap().conclusion, Some(Conclusion::Failed));
    assert_eq!(running.scratch.names(layout::CORRUPT).len(), 2, "the file that could not be moved, and why");
    assert!(matches!(running.admit(&one(&running)), Admission::Admitted));
    assert!(running.stopped.try_recv().is_err());
}

#[test]
fn an_error_of_the_database_stops_the_state_writer_and_nothing_is_answered() {
    let running = Running::new();
    let message = one(&running);
    let id = message.envelope.id;
    running.admit(&message);
    let damage = rusqlite::Connection::open(running.scratch.path().join(STATE_FILE)).unwrap();
    damage.execute_batch("DROP TABLE recipient").unwrap();
    assert!(running.record(id, Progress::Relayed, Some(attempt())).is_err());
    let reason = running.stopped.recv_timeout(Duration::from_secs(600)).unwrap();
    assert!(reason.contains("recipient"), "{reason}");
    assert!(running.mark(id).is_err(), "no dot may leave any more");
    assert_eq!(running.scratch.names(layout::CUR), [id.to_string()]);
}

#[test]
fn an_error_of_the_directory_stops_the_state_writer_and_the_file_stays() {
    let running = Running::new();
    let message = claimed(envelope(&["bob@receiver.example"]));
    running.admit(&message);
    // A directory where the message should be: a removal that must work and does not.
    std::fs::create_dir(running.scratch.file(layout::CUR, message.envelope.id)).unwrap();
    assert!(running.record(message.envelope.id, Progress::Relayed, Some(attempt())).is_err());
    assert!(running.stopped.recv_timeout(Duration::from_secs(600)).is_ok());
}

#[test]
fn a_panic_in_the_state_writer_ends_the_daemon() {
    let running = Running::new();
    assert!(running.state_writer.work(|_, _| -> state::Result<()> { panic!("a defect") }).unwrap().blocking_recv().is_err());
    let reason = running.stopped.recv_timeout(Duration::from_secs(600)).unwrap();
    assert!(reason.contains("internal error"), "{reason}");
}

#[test]
fn damage_that_shows_at_work_stops_the_state_writer_and_is_known_to_the_next_start() {
    let scratch = Scratch::new();
    let path = scratch.path().join(STATE_FILE);
    let message = scratch.claimed(&["bob@receiver.example"]);
    let (row, recipients, origin) = rows_of(&message, &Policy::of(&Params::default()).plan(&message, NOW));
    let mut state = State::open(&path).unwrap();
    let insert =
        |state: &State| (0..3000).try_for_each(|n| state.insert(&Message { id: QueueId::new(1, n), ..row.clone() }, &recipients, &origin));
    state.transaction(Durability::Full, insert).unwrap();
    drop(state);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40 * 4096..].fill(0x5A);
    std::fs::write(&path, bytes).unwrap();
    let (tell, stopped) = channel();
    let (state_writer, _) =
        StateWriter::start(State::open(&path).unwrap(), Arc::new(scratch.store()), || (), move |why| drop(tell.send(why))).unwrap();
    let read = |state: &State, _: &Store| (0..3000).try_for_each(|n| state.recipients(QueueId::new(1, n)).map(drop));
    assert!(state_writer.work(read).unwrap().blocking_recv().is_err());
    assert!(stopped.recv_timeout(Duration::from_secs(600)).unwrap().contains("malformed"));
    assert!(database::open_state(&scratch.store(), NOW).unwrap().1, "lost, and begun anew");
    assert_eq!(scratch.names(layout::CUR), [message.envelope.id.to_string()]);
}
