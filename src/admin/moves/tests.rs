//! From the intention to the result, for every operation, and for everything that may be found instead of the file.

use super::*;
use crate::plan::Policy;
use crate::rows::rows_of;
use config::{OnUncertain, Params};
use mail::Hold;
use mail::code::{Answer, Code, HoldCause};
use state::Progress;
use testing::Scratch;

const NOW: i64 = 1_795_358_700;

struct Spool {
    scratch: Scratch,
    state: State,
}

impl Spool {
    fn new() -> Spool {
        let scratch = Scratch::new();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        Spool { scratch, state }
    }

    /// A message whose file and row are in `dir`.
    fn message(&self, dir: QueueDir) -> QueueId {
        let claimed = self.scratch.claimed(&["bob@receiver.example"]);
        let id = claimed.envelope.id;
        let (mut row, recipients, origin) = rows_of(&claimed, &Policy::of(&Params::default()).plan(&claimed, NOW));
        row.next_attempt = Some(NOW + 50);
        self.state.insert(&row, &recipients, &origin).unwrap();
        match dir {
            QueueDir::Hold => row.park(Hold::of(HoldCause::Dkim)),
            QueueDir::Failed => row.end(dir, MessageEnd::Failed, NOW),
            QueueDir::Trash => row.end(dir, MessageEnd::Removed, NOW),
            _ => {}
        }
        self.state.update(&row).unwrap();
        if dir != QueueDir::Cur {
            std::fs::rename(self.scratch.file(layout::CUR, id), self.scratch.file(dir.word(), id)).unwrap();
        }
        id
    }

    fn intend(&self, id: QueueId, op: Op, source: QueueDir) {
        let root = Actor { uid: 0, name: "root".into() };
        self.state.intend(&Intention::new(id, op, source, NOW).by(&root)).unwrap();
    }

    fn follow(&mut self, is_left: bool) -> Vec<Concluded> {
        let mut concluded = Vec::new();
        follow_through(&mut self.state, &self.scratch.store(), Terms { now: NOW, is_left }, &mut concluded).unwrap();
        assert!(self.state.intentions(Phase::Moving, 9).unwrap().is_empty());
        concluded
    }

    fn row(&self, id: QueueId) -> Message {
        self.state.message(id).unwrap().unwrap()
    }

    /// Where the file is.
    fn place(&self, id: QueueId) -> Vec<&'static str> {
        let all = [layout::NEW, layout::CUR, layout::HOLD, layout::FAILED, layout::TRASH, layout::CORRUPT];
        all.into_iter().filter(|name| self.scratch.file(name, id).exists()).collect()
    }

    fn history(&self, id: QueueId) -> Vec<(Happened, Option<u32>)> {
        self.state.history(id).unwrap().into_iter().map(|line| (line.kind, line.by.map(|by| by.uid))).collect()
    }
}

/// Operation, from, to, the end of the message and the line of its history.
type Row = (Op, QueueDir, QueueDir, Option<MessageEnd>, Option<Happened>);

const MOVES: [Row; 13] = [
    (Op::Hold, QueueDir::Cur, QueueDir::Hold, None, Some(Happened::Held)),
    (Op::Release, QueueDir::Hold, QueueDir::Cur, None, Some(Happened::Released)),
    (Op::Remove, QueueDir::Cur, QueueDir::Trash, Some(MessageEnd::Removed), Some(Happened::Removed)),
    (Op::Remove, QueueDir::Hold, QueueDir::Trash, Some(MessageEnd::Removed), Some(Happened::Removed)),
    (Op::Remove, QueueDir::Failed, QueueDir::Trash, Some(MessageEnd::Failed), Some(Happened::Removed)),
    (Op::Requeue, QueueDir::Hold, QueueDir::Cur, None, Some(Happened::Requeued)),
    (Op::Requeue, QueueDir::Failed, QueueDir::Cur, None, Some(Happened::Requeued)),
    (Op::Requeue, QueueDir::Trash, QueueDir::Cur, None, Some(Happened::Requeued)),
    (Op::Bounce, QueueDir::Cur, QueueDir::Failed, Some(MessageEnd::Bounced), Some(Happened::Bounced)),
    (Op::Bounce, QueueDir::Hold, QueueDir::Failed, Some(MessageEnd::Bounced), Some(Happened::Bounced)),
    (Op::Fail, QueueDir::Cur, QueueDir::Failed, Some(MessageEnd::Failed), None),
    (Op::Lose, QueueDir::Cur, QueueDir::Corrupt, Some(MessageEnd::Corrupt), Some(Happened::Corrupt)),
    (Op::Discard, QueueDir::Failed, QueueDir::NoFile, Some(MessageEnd::Failed), Some(Happened::Discarded)),
];

#[test]
fn every_operation_moves_the_file_and_then_says_so() {
    for is_moved in [false, true] {
        for (op, from, to, outcome, happened) in MOVES {
            let mut spool = Spool::new();
            let id = spool.message(from);
            spool.intend(id, op, from);
            if let Some(to) = to.directory().filter(|_| is_moved) {
                // A crash came behind the move.
                std::fs::rename(spool.scratch.file(from.word(), id), spool.scratch.file(to, id)).unwrap();
            }
            assert_eq!(spool.row(id).dir, from, "{op:?}: nothing is said before it is so");
            let concluded = spool.follow(is_moved);
            assert!(matches!(concluded[..], [Concluded { result: MoveResult::Done, .. }]), "{op:?} {concluded:?}");
            assert_eq!((spool.row(id).dir, spool.row(id).outcome), (to, outcome), "{op:?}");
            assert_eq!(spool.place(id), to.directory().into_iter().collect::<Vec<_>>(), "{op:?}");
            let completed = is_moved.then_some((Happened::Completed, Some(0)));
            let expected: Vec<_> = happened.map(|kind| (kind, Some(0))).into_iter().chain(completed).collect();
            assert_eq!(spool.history(id), expected, "{op:?}");
            assert!(spool.follow(true).is_empty(), "{op:?}: once");
        }
    }
}

#[test]
fn a_bounce_makes_a_dsn_due_and_a_requeue_starts_from_scratch() {
    let mut spool = Spool::new();
    let (bounced, requeued) = (spool.message(QueueDir::Hold), spool.message(QueueDir::Failed));
    spool.intend(bounced, Op::Bounce, QueueDir::Hold);
    spool.intend(requeued, Op::Requeue, QueueDir::Failed);
    spool.follow(false);
    let recipient = |id| spool.state.recipients(id).unwrap().remove(0);
    assert_eq!((recipient(bounced).progress, recipient(bounced).diagnosis.cause), (Progress::Failed, Some(Cause::Bounced)));
    assert_eq!((recipient(requeued).progress, spool.row(requeued).next_attempt), (Progress::Deferred, Some(NOW)));
}

#[test]
fn a_message_whose_file_is_gone_is_lost_and_one_that_was_to_be_removed_is_removed() {
    let mut spool = Spool::new();
    let [held, removed, kept] = [QueueDir::Cur, QueueDir::Cur, QueueDir::Failed].map(|dir| spool.message(dir));
    spool.intend(held, Op::Hold, QueueDir::Cur);
    spool.intend(removed, Op::Remove, QueueDir::Cur);
    spool.intend(kept, Op::Requeue, QueueDir::Failed);
    for (directory, id) in [(layout::CUR, held), (layout::CUR, removed), (layout::FAILED, kept)] {
        std::fs::remove_file(spool.scratch.file(directory, id)).unwrap();
    }
    let concluded = spool.follow(false);
    let of = |id: QueueId| concluded.iter().find(|one| one.message.id == id).unwrap();
    assert!(matches!(of(held).result, MoveResult::Lost) && matches!(of(kept).result, MoveResult::Lost));
    assert!(matches!(of(removed).result, MoveResult::DoneWithoutFile));
    let ended = |id| (spool.row(id).dir, spool.row(id).outcome);
    assert_eq!(ended(held), (QueueDir::NoFile, Some(MessageEnd::Vanished)));
    assert_eq!(ended(removed), (QueueDir::NoFile, Some(MessageEnd::Removed)));
    assert_eq!(ended(kept), (QueueDir::NoFile, Some(MessageEnd::Failed)), "only its copy is gone");
}

#[test]
fn a_file_that_is_elsewhere_or_cannot_be_moved_stays_what_it_was_and_is_told() {
    let mut spool = Spool::new();
    let (moved, refused) = (spool.message(QueueDir::Cur), spool.message(QueueDir::Failed));
    std::fs::rename(spool.scratch.file(layout::CUR, moved), spool.scratch.file(layout::FAILED, moved)).unwrap();
    std::fs::remove_file(spool.scratch.file(layout::FAILED, refused)).unwrap();
    std::fs::create_dir(spool.scratch.file(layout::FAILED, refused)).unwrap();
    spool.intend(moved, Op::Hold, QueueDir::Cur);
    spool.intend(refused, Op::Discard, QueueDir::Failed);
    let before = [spool.row(moved), spool.row(refused)];
    let concluded = spool.follow(false);
    assert!(concluded.iter().all(|one| matches!(one.result, MoveResult::TakenBack(_)) && !one.is_done()), "{concluded:?}");
    assert_eq!([spool.row(moved), spool.row(refused)], before);
    assert_eq!(spool.history(moved), [(Happened::Note, Some(0))]);
}

#[test]
fn an_answer_is_what_became_of_the_move() {
    let spool = Spool::new();
    let (id, gone) = (spool.message(QueueDir::Cur), spool.message(QueueDir::Cur));
    std::fs::remove_file(spool.scratch.file(layout::CUR, gone)).unwrap();
    let by = Actor { uid: 0, name: "root".into() };
    let op = crate::op::AdminOp { act: control::protocol::Act::Hold, by, dry_run: false, now: NOW, queue_lifetime: 9 };
    let reach = crate::op::Reach { may: &|_| true, mark: None };
    let named = [id, gone].map(crate::op::Named::from);
    let planned = op.plan(&spool.state, &spool.scratch.store(), &reach, &named).unwrap().unwrap();
    assert!(op.plan(&spool.state, &spool.scratch.store(), &reach, &named).unwrap().is_none(), "not while it moves");
    let mut spool = spool;
    let told = op.told(planned, &spool.follow(false));
    assert_eq!(told.iter().map(|done| done.answer).collect::<Vec<_>>(), [Answer::Done, Answer::Lost]);
}

#[test]
fn what_a_killed_daemon_left_is_settled_in_its_order_and_under_the_name_of_who_wanted_it() {
    let mut spool = Spool::new();
    let root = Actor { uid: 0, name: "root".into() };
    let sent = spool.message(QueueDir::Cur);
    spool.state.update(&Message { in_data: true, next_attempt: None, ..spool.row(sent) }).unwrap();
    spool.state.intend(&Intention::new(sent, Op::Hold, QueueDir::Cur, NOW).by(&root).after_attempt()).unwrap();
    let how = crate::settle::Settling { now: NOW, on_uncertain: OnUncertain::Hold, tells: false };
    crate::settle::settle(&mut spool.state, &spool.scratch.store(), how).unwrap();
    let row = spool.row(sent);
    assert_eq!((row.dir, row.hold, row.suspect), (QueueDir::Hold, Some(HoldCause::Operator), Some(mail::code::Duplicate::Stopped)));
    let expected = [(Happened::Uncertain, None), (Happened::Held, Some(0)), (Happened::Completed, Some(0))];
    assert_eq!((spool.history(sent), spool.place(sent)), (expected.to_vec(), vec![layout::HOLD]));
    assert_eq!(spool.state.recipients(sent).unwrap()[0].progress, Progress::Uncertain);
}
