//! The table, row by row: a spool in which file and row disagree, a start, and what is left.

use std::sync::Arc;

use super::*;
use crate::backoff;
use crate::database::STATE_FILE;
use crate::plan::Policy;
use crate::state_writer::StateWriter;
use config::{OnUncertain, Params};
use mail::code::{Cause, Happened, HoldCause, MessageEnd};
use state::{Progress, RecipientUpdate};
use testing::{MESSAGE, Scratch, envelope};

const NOW: i64 = 1_795_358_700;
const TO: &[&str] = &["a@receiver.example", "b@receiver.example"];

struct Spool {
    scratch: Scratch,
    store: Store,
    state: State,
}

impl Spool {
    fn new() -> Spool {
        let scratch = Scratch::new();
        let (store, state) = (scratch.store(), State::open(&scratch.path().join(STATE_FILE)).unwrap());
        Spool { scratch, store, state }
    }

    /// A message in `cur/`, and a row of it that was changed.
    fn message(&mut self, change: impl FnOnce(&mut Message)) -> QueueId {
        let claimed = self.scratch.claimed(TO);
        let (mut row, recipients, event) = crate::rows::rows_of(&claimed, &how().policy.plan(&claimed, NOW));
        change(&mut row);
        self.state.insert(&row, &recipients, &event).unwrap();
        self.state.update(&row).unwrap();
        row.id
    }

    fn move_to(&self, id: QueueId, from: &str, to: &str) {
        std::fs::rename(self.scratch.file(from, id), self.scratch.file(to, id)).unwrap();
    }

    /// A start, with what follows it in the background.
    #[track_caller]
    fn start(&mut self, how: Recovery) -> Recovered {
        let recovered = self.start_once(how);
        // A second start finds nothing more to do.
        assert_eq!(self.start_once(Recovery { state_was_lost: is_rebuilding(&self.state).unwrap(), ..how }), Recovered::default());
        recovered
    }

    #[track_caller]
    fn start_once(&mut self, how: Recovery) -> Recovered {
        let (first, orphans) = reconcile(&mut self.state, &self.store, how).unwrap();
        let state = State::open(&self.scratch.path().join(STATE_FILE)).unwrap();
        let (state_writer, thread) = StateWriter::start(state, Arc::new(self.scratch.store()), || (), |why| panic!("{why}")).unwrap();
        let then = adopt::adopt(&self.store, &state_writer, &orphans, how, || false).unwrap();
        drop(state_writer);
        thread.join().unwrap();
        Recovered {
            admitted: first.admitted + then.admitted,
            settled: first.settled + then.settled,
            corrupt: first.corrupt + then.corrupt,
            ..first
        }
    }

    fn row(&self, id: QueueId) -> Message {
        self.state.message(id).unwrap().unwrap()
    }

    fn progress(&self, id: QueueId) -> Vec<Progress> {
        self.state.recipients(id).unwrap().into_iter().map(|r| r.progress).collect()
    }

    /// Where the file is.
    fn place(&self, id: QueueId) -> Vec<&'static str> {
        let all = [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED, layout::CORRUPT];
        all.into_iter().filter(|name| self.scratch.file(name, id).exists()).collect()
    }
}

fn how() -> Recovery {
    let policy = Policy::of(&Params::default());
    Recovery { now: NOW, state_was_lost: false, policy, on_uncertain: OnUncertain::Retry, after_crash: false, suspect_waits: NOW }
}

#[test]
fn a_claimed_file_without_a_row_is_admitted_as_the_claim_would_have_done() {
    let mut spool = Spool::new();
    let mut later = envelope(TO);
    later.hold_until = Some("2026-11-22T15:00:00Z".to_owned());
    later.deliver_by = Some("2026-11-22T16:00:00Z".to_owned());
    let ids = [spool.scratch.claimed(TO).envelope.id, spool.scratch.inject(later, MESSAGE)];
    spool.store.claim(ids[1].to_string()).unwrap();
    assert_eq!(spool.start(how()), Recovered { admitted: 2, ..Recovered::default() });
    assert_eq!((spool.row(ids[0]).dir, spool.row(ids[0]).next_attempt), (QueueDir::Cur, Some(NOW)));
    let wished = spool.row(ids[1]);
    assert_eq!((wished.next_attempt, wished.expires), (Some(1_795_359_600), 1_795_363_200));
    assert_eq!(spool.progress(ids[0]), [Progress::Deferred; 2]);
}

#[test]
fn after_a_lost_database_every_claimed_message_is_held_as_uncertain() {
    let mut spool = Spool::new();
    let id = spool.scratch.claimed(TO).envelope.id;
    let failed = spool.scratch.claimed(TO).envelope.id;
    spool.move_to(failed, layout::CUR, layout::FAILED);
    assert_eq!(spool.start(Recovery { state_was_lost: true, ..how() }), Recovered { admitted: 2, ..Recovered::default() });
    assert_eq!((spool.row(id).dir, spool.place(id), spool.row(id).hold), (QueueDir::Hold, vec![layout::HOLD], Some(HoldCause::StateLost)));
    assert_eq!(spool.progress(id), [Progress::Uncertain; 2]);
    assert_eq!((spool.row(failed).dir, spool.progress(failed)), (QueueDir::Failed, vec![Progress::Failed; 2]));
}

#[test]
fn a_message_in_data_is_uncertain_and_waits_or_is_held() {
    for (on_uncertain, place, next) in
        [(OnUncertain::Retry, QueueDir::Cur, Some(NOW + backoff::UNCERTAIN)), (OnUncertain::Hold, QueueDir::Hold, None)]
    {
        let mut spool = Spool::new();
        let id = spool.message(|row| row.in_data = true);
        let relayed = RecipientUpdate {
            n: 0,
            progress: Progress::Relayed,
            diagnosis: Default::default(),
            status: "2.0.0".into(),
            reply: String::new(),
            relay: String::new(),
        };
        spool.state.update_recipient(id, &relayed, NOW).unwrap();
        assert_eq!(spool.start(Recovery { on_uncertain, ..how() }), Recovered { uncertain: 1, ..Recovered::default() });
        let row = spool.row(id);
        assert_eq!((row.dir, row.next_attempt, row.in_data), (place, next, false));
        assert_eq!(spool.progress(id), [Progress::Relayed, Progress::Uncertain]);
        assert_eq!(spool.place(id), [place.directory().unwrap()]);
    }
}

#[test]
fn what_the_last_run_had_in_hand_is_due_again() {
    let mut spool = Spool::new();
    let (in_hand, later) = (spool.message(|_| {}), spool.message(|row| row.next_attempt = Some(NOW + 100)));
    assert_eq!(spool.start(how()), Recovered::default());
    assert_eq!((spool.row(in_hand).next_attempt, spool.row(later).next_attempt), (Some(NOW), Some(NOW + 100)));
}

#[test]
fn the_file_of_a_parked_row_follows_it_and_that_of_a_finished_one_goes() {
    let mut spool = Spool::new();
    let held = spool.message(|row| row.dir = QueueDir::Hold);
    let failed = spool.message(|row| row.dir = QueueDir::Failed);
    let gone = spool.message(|row| row.end(QueueDir::NoFile, MessageEnd::Relayed, NOW));
    let removed = spool.message(|row| row.end(QueueDir::Trash, MessageEnd::Removed, NOW));
    assert_eq!(spool.start(how()), Recovered { settled: 4, ..Recovered::default() });
    assert_eq!(spool.scratch.names(layout::TRASH), [removed.to_string()], "it can be had back");
    assert_eq!((spool.place(held), spool.place(failed), spool.place(gone)), (vec![layout::HOLD], vec![layout::FAILED], vec![]));
    assert_eq!(spool.row(gone).dir, QueueDir::NoFile);
}

#[test]
fn a_file_that_somebody_put_back_is_held_and_never_deleted() {
    for end in [MessageEnd::Vanished, MessageEnd::Failed, MessageEnd::Expired] {
        let mut spool = Spool::new();
        let id = spool.message(|row| row.end(QueueDir::NoFile, end, NOW));
        assert_eq!(spool.start(how()).settled, 1);
        assert_eq!((spool.place(id), spool.row(id).hold, spool.row(id).outcome), (vec![layout::HOLD], Some(HoldCause::Restored), None));
    }
}

#[test]
fn a_file_that_was_changed_after_it_was_finished_is_put_away_and_not_removed() {
    let mut spool = Spool::new();
    let id = spool.message(|row| (row.dir, row.ended_at, row.digest) = (QueueDir::NoFile, Some(NOW), vec![1; 32]));
    assert_eq!(spool.start(how()).settled, 1);
    assert_eq!(spool.place(id), [layout::CORRUPT]);
}

#[test]
fn a_row_follows_its_file_to_where_somebody_moved_it() {
    for (directory, place) in [(layout::HOLD, QueueDir::Hold), (layout::FAILED, QueueDir::Failed)] {
        let mut spool = Spool::new();
        let id = spool.message(|row| row.in_data = true);
        spool.move_to(id, layout::CUR, directory);
        assert_eq!(spool.start(how()), Recovered { settled: 1, ..Recovered::default() });
        assert_eq!((spool.row(id).dir, spool.row(id).in_data, spool.place(id)), (place, false, vec![directory]));
        assert_eq!(spool.progress(id), [Progress::Uncertain; 2]);
    }
}

#[test]
fn a_row_whose_file_vanished_ends() {
    let mut spool = Spool::new();
    let id = spool.message(|_| {});
    std::fs::remove_file(spool.scratch.file(layout::CUR, id)).unwrap();
    assert_eq!(spool.start(how()), Recovered { vanished: 1, ..Recovered::default() });
    assert_eq!((spool.row(id).dir, spool.row(id).outcome), (QueueDir::NoFile, Some(MessageEnd::Vanished)));
    assert!(spool.state.history(id).unwrap().iter().any(|line| line.kind == Happened::Vanished));
    assert!(spool.state.recipients(id).unwrap().iter().all(|row| row.diagnosis.cause == Some(Cause::Vanished)));
    assert_eq!(spool.state.passed(0, None).unwrap().relayed, 0);
}

#[test]
fn a_file_whose_move_to_cur_was_lost_is_claimed_again_and_goes_on() {
    for (in_data, place) in [(false, QueueDir::Cur), (true, QueueDir::Cur), (false, QueueDir::Failed)] {
        let mut spool = Spool::new();
        let id = spool.message(|row| (row.in_data, row.dir) = (in_data, place));
        spool.move_to(id, layout::CUR, layout::NEW);
        let recovered = spool.start(Recovery { after_crash: true, ..how() });
        assert_eq!((recovered.vanished, recovered.uncertain), (0, usize::from(in_data)));
        assert_eq!((spool.row(id).dir, spool.place(id)), (place, vec![place.directory().unwrap()]));
    }
    // Another file under that id is nobody's.
    let mut spool = Spool::new();
    let id = spool.message(|row| row.digest = vec![1; 32]);
    spool.move_to(id, layout::CUR, layout::NEW);
    assert_eq!(spool.start(how()).vanished, 1);
    assert_eq!(spool.place(id), [layout::CORRUPT]);
}

#[test]
fn what_is_no_message_in_cur_is_put_away_and_stops_nobody() {
    let mut spool = Spool::new();
    let good = spool.scratch.claimed(TO).envelope.id;
    let bad = QueueId::new(1, 1);
    std::fs::write(spool.scratch.file(layout::CUR, bad), "{}\n").unwrap();
    assert_eq!(spool.start(how()), Recovered { admitted: 1, corrupt: 1, ..Recovered::default() });
    assert_eq!((spool.place(good), spool.place(bad)), (vec![layout::CUR], vec![layout::CORRUPT]));
}

#[test]
fn t_spool_4_messages_planned_by_a_clock_that_ran_ahead_are_due_now() {
    let mut spool = Spool::new();
    let year = 31_536_000;
    let tried = spool.message(|row| (row.next_attempt, row.last_attempt) = (Some(NOW + year + 300), Some(NOW + year)));
    let waiting = RecipientUpdate {
        n: 0,
        progress: Progress::Deferred,
        diagnosis: Default::default(),
        status: "4.0.0".into(),
        reply: String::new(),
        relay: String::new(),
    };
    spool.state.update_recipient(tried, &waiting, NOW + year).unwrap();
    let wished = spool.message(|row| row.next_attempt = Some(NOW + year));
    spool.start(how());
    assert_eq!((spool.row(tried).next_attempt, spool.row(wished).next_attempt), (Some(NOW), Some(NOW + year)));
}

#[test]
fn a_first_start_that_was_cut_off_holds_nothing() {
    let mut spool = Spool::new();
    // Everything that the start does before the daemon is ready; then the power goes, with mail claimed and no row of it.
    reconcile(&mut spool.state, &spool.store, Recovery { state_was_lost: true, ..how() }).unwrap();
    let id = spool.scratch.claimed(TO).envelope.id;
    spool.start(Recovery { state_was_lost: is_rebuilding(&spool.state).unwrap(), ..how() });
    assert_eq!(spool.row(id).dir, QueueDir::Cur);
}

#[test]
fn a_rebuild_that_is_interrupted_is_gone_on_with_at_the_next_start() {
    let mut spool = Spool::new();
    let ids: Vec<QueueId> = (0..300).map(|_| spool.scratch.claimed(TO).envelope.id).collect();
    let how = Recovery { state_was_lost: true, ..how() };
    let (_, orphans) = reconcile(&mut spool.state, &spool.store, how).unwrap();
    let state = State::open(&spool.scratch.path().join(STATE_FILE)).unwrap();
    let (state_writer, thread) = StateWriter::start(state, Arc::new(spool.scratch.store()), || (), |why| panic!("{why}")).unwrap();
    let looks = std::cell::Cell::new(0);
    let first = adopt::adopt(&spool.store, &state_writer, &orphans, how, || looks.replace(looks.get() + 1) > 0).unwrap();
    drop(state_writer);
    thread.join().unwrap();
    assert!(first.admitted < 300 && is_rebuilding(&spool.state).unwrap());
    let then = spool.start(Recovery { state_was_lost: is_rebuilding(&spool.state).unwrap(), ..how });
    assert_eq!(first.admitted + then.admitted, 300);
    assert!(ids.iter().all(|id| spool.row(*id).dir == QueueDir::Hold && spool.place(*id) == [layout::HOLD]));
    assert!(!is_rebuilding(&spool.state).unwrap());
}

#[test]
fn a_second_file_in_the_way_stops_only_itself() {
    let mut spool = Spool::new();
    let id = spool.message(|row| row.in_data = true);
    std::fs::write(spool.scratch.file(layout::HOLD, id), "in the way").unwrap();
    let (recovered, orphans) = reconcile(&mut spool.state, &spool.store, Recovery { on_uncertain: OnUncertain::Hold, ..how() }).unwrap();
    assert_eq!((recovered.uncertain, orphans), (1, vec![(id, QueueDir::Hold)]));
    assert_eq!(spool.scratch.names(layout::CORRUPT).len(), 2, "the file that could not be moved, and why");
}

#[test]
fn after_a_power_cut_what_was_due_is_known_as_a_possible_duplicate_until_it_is_tried() {
    let mut spool = Spool::new();
    spool.message(|row| row.next_attempt = Some(NOW - 5));
    spool.start(Recovery { after_crash: true, ..how() });
    assert_eq!(spool.state.crashed().unwrap(), Some(NOW));
    spool.start(how());
    assert_eq!(spool.state.crashed().unwrap(), Some(NOW), "a clean start in between does not make it certain");
}
