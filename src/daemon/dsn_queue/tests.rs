use std::path::PathBuf;

use jiff::tz::TimeZone;
use mail::Diagnosis;
use mail::code::{Cause, Subject};

use super::*;
use crate::backoff::Backoff;
use crate::due;
use crate::outcome;
use crate::outcome::{Conclusion, DeliveryAttempt};
use crate::plan::Plan;
use crate::rows::rows_of;
use config::{Names, OnUncertain, Params};
use mail::envelope::{Envelope, Notify, Recipient};
use mail::{EnhancedStatus, ReversePath};
use spool::drop::SpoolWriter;
use spool::layout;
use state::{Durability, Progress, QueueDir, RecipientUpdate};
use store::Claim;

const NOW: i64 = 1_795_358_629;

/// A spool of one user, its database, and no daemon.
struct Spool {
    path: PathBuf,
    store: Store,
    state: State,
    _scratch: tempfile::TempDir,
}

/// Of a recipient that the server refused; none where it took it.
fn diagnosis(progress: Progress) -> Diagnosis {
    match progress {
        Progress::Failed => Diagnosis { code: Some(550), ..Diagnosis::of(Cause::Reply, Subject::Recipient) },
        _ => Diagnosis::default(),
    }
}

impl Spool {
    fn new() -> Spool {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("spool");
        layout::make_rootless(&path).unwrap();
        let owner = layout::verify(&path, sys::process::euid(), true).unwrap();
        let store = Store::open(&path, owner, true).unwrap();
        let state = State::open(&path.join("state.sqlite")).unwrap();
        Spool { path, store, state, _scratch: scratch }
    }

    /// A crash: what was not committed is gone.
    fn crash(mut self) -> Spool {
        self.state = State::open(&self.path.join("state.sqlite")).unwrap();
        self
    }

    /// A claimed message from `reverse_path` to one recipient for each word of NOTIFY.
    fn message(&mut self, reverse_path: &str, notify: &[&str]) -> QueueId {
        let recipients = notify.iter().enumerate().map(|(n, notify)| Recipient {
            notify: Notify::parse(notify),
            orcpt: Some("rfc822;first@x.example".into()),
            ..Recipient::new(Address::parse(&format!("r{n}@x.example")).unwrap())
        });
        let reverse_path = Address::parse(reverse_path).map_or(ReversePath::Null, ReversePath::Address);
        let envelope = Envelope {
            time: mail::date::rfc3339(NOW),
            reverse_path,
            recipients: recipients.collect(),
            envid: Some("e7".into()),
            ..testing::envelope(&[])
        };
        let mut draft = SpoolWriter::create(&self.path, true, envelope).unwrap();
        draft.write(b"From: me@h.example\r\nMessage-ID: <1@h.example>\r\n\r\nhello\r\n").unwrap();
        let id = draft.commit(|_| ()).unwrap().id;
        let Claim::Message(claimed) = self.store.claim(id.to_string()).unwrap() else { panic!("not claimed") };
        let (message, rows, event) = rows_of(&claimed, &plan());
        self.state.transaction(Durability::Full, |s| s.insert(&message, &rows, &event)).unwrap();
        id
    }

    /// N1: one attempt in which recipient n fares like `progress[n]`, at `now`; the file follows as the state writer moves it.
    fn attempt(&mut self, id: QueueId, progress: &[Progress], now: i64) -> bool {
        self.round_at(id, progress, now, false)
    }

    /// The same at a next hop that offers DSN, or does not.
    fn round_at(&mut self, id: QueueId, progress: &[Progress], now: i64, hop_reports: bool) -> bool {
        let store = &self.store;
        let (due, conclusion) = self
            .state
            .transaction(Durability::Full, |state| {
                for (n, progress) in (0u32..).zip(progress) {
                    let reply = if *progress == Progress::Failed { "550 5.1.1 no" } else { "250 2.0.0 fine" };
                    let update = RecipientUpdate {
                        n,
                        progress: *progress,
                        diagnosis: diagnosis(*progress),
                        status: reply[4..9].into(),
                        reply: reply.into(),
                        relay: "mx[192.0.2.1]:25".into(),
                    };
                    state.update_recipient(id, &update, now)?;
                    due::note(state, id, &update, hop_reports)?;
                }
                let mut message = state.message(id)?.unwrap();
                let mut rows = state.recipients(id)?;
                let attempt = attempt(now);
                let (conclusion, _) = outcome::conclude(&mut message, &mut rows, &attempt);
                state.update(&message)?;
                Ok((due::conclude(state, store, &message, &rows, &conclusion, &attempt)?, conclusion))
            })
            .unwrap();
        match conclusion {
            Conclusion::Failed => drop(self.store.carry(id, layout::CUR, Some(layout::FAILED), &[], "").unwrap()),
            Conclusion::Relayed => self.store.remove(id, layout::CUR).unwrap(),
            _ => {}
        }
        due
    }

    /// N1: one attempt in which the route did not work; recipients are given up when their time is over.
    fn waits(&mut self, id: QueueId, attempt: &DeliveryAttempt) {
        let store = &self.store;
        let update = outcome::waits(
            0,
            "x.example",
            Diagnosis::of(Cause::Unreachable, Subject::Connection),
            EnhancedStatus::new(4, 4, 1),
            "connect: timed out",
        );
        self.state
            .transaction(Durability::Full, |state| {
                state.update_recipient(id, &update, attempt.now)?;
                let mut message = state.message(id)?.unwrap();
                let mut rows = state.recipients(id)?;
                let (conclusion, given_up) = outcome::conclude(&mut message, &mut rows, attempt);
                for given_up in &given_up {
                    state.update_recipient(id, &given_up.update, attempt.now)?;
                    due::note(state, id, &given_up.update, false)?;
                }
                state.update(&message)?;
                due::conclude(state, store, &message, &rows, &conclusion, attempt).map(|_| ())
            })
            .unwrap();
        if self.state.message(id).unwrap().unwrap().dir == QueueDir::Failed {
            drop(self.store.carry(id, layout::CUR, Some(layout::FAILED), &[], "").unwrap());
        }
    }

    fn turn(&self, now: i64, limit: u32) -> Turn {
        next_turn(&self.state, now, limit).unwrap()
    }

    fn due(&self, now: i64) -> Option<DueDsn> {
        match self.turn(now, 0) {
            Turn::Write(due) => Some(*due),
            _ => None,
        }
    }

    /// N2.
    fn compose(&self, due: &DueDsn) -> Option<Composed> {
        let names = Names::of(Some("h.example"), None, "web1", &[]).unwrap();
        let site = Site { names: &names, admin: None, zone: &TimeZone::UTC };
        compose::compose(due, read_original(&self.store, due).as_ref(), site, NOW, 1).unwrap()
    }

    /// N3: the DSN that was written before, if any, and else the id that it gets.
    fn begin(&mut self, due: &DueDsn) -> Result<(QueueId, Told), QueueId> {
        let (store, dsn) = (&self.store, fresh_id().unwrap());
        let before = self.state.transaction(Durability::Full, |s| begin(s, store, due.message.id, dsn, &told_of(due))).unwrap();
        before.ok_or(dsn)
    }

    /// N2 to N4: the DSN is in `new/`.
    fn write(&mut self, due: &DueDsn) -> QueueId {
        let composed = self.compose(due).unwrap();
        let dsn = self.begin(due).unwrap_err();
        write::write(&self.path, true, Some(dsn), &composed.to, &composed.bytes, NOW).unwrap()
    }

    /// N5.
    fn written(&mut self, due: &DueDsn, dsn: QueueId) {
        self.told(due.message.id, &told_of(due), dsn);
    }

    fn told(&mut self, id: QueueId, told: &Told, dsn: QueueId) {
        let to = Address::parse("me@x.example").unwrap();
        self.state
            .transaction(Durability::Full, |s| written(s, id, told, &Sent { dsn, to: to.clone(), action: Action::Failed }, NOW))
            .unwrap();
    }
}

fn attempt(now: i64) -> DeliveryAttempt {
    DeliveryAttempt {
        stop: None,
        was_expired: false,
        expires: NOW + 500_000,
        now,
        attempted: true,
        route_until: None,
        random: 0,
        backoff: Backoff::of_messages(&Params::default()),
        on_uncertain: OnUncertain::Retry,
        delay_warning: 4 * 3600,
    }
}

fn text(composed: &Composed) -> String {
    String::from_utf8(composed.bytes.clone()).unwrap()
}

fn plan() -> Plan {
    Plan { expires: NOW + 500_000, next_attempt: None, hold: None }
}

/// RFC 3461 4.1, 5.2.1 (c), 5.2.2 (b) to (f), 5.2.5, 5.2.6: what is reported, by NOTIFY, outcome, and whether the next hop offers DSN.
#[test]
fn s8_the_table_of_notify() {
    use Progress::{Deferred, Failed, Relayed};
    let all = |fate, hop_reports| {
        let mut spool = Spool::new();
        let wishes = ["", "never", "success", "failure", "delay", "success,failure", "failure,delay", "success,failure,delay"];
        let id = spool.message("me@x.example", &wishes);
        spool.round_at(id, &[fate; 8], NOW + 5 * 3600, hop_reports);
        let due = spool.due(NOW + 5 * 3600).map(|due| due.recipients).unwrap_or_default();
        let told = |action| due.iter().filter(|(_, told)| *told == action).map(|(row, _)| wishes[row.n as usize]).collect::<Vec<_>>();
        (told(Action::Relayed), told(Action::Failed), told(Action::Delayed))
    };
    assert_eq!(all(Relayed, false), (vec!["success", "success,failure", "success,failure,delay"], vec![], vec![]));
    assert_eq!(all(Relayed, true), (vec![], vec![], vec![]));
    for hop_reports in [false, true] {
        let failed = vec!["", "failure", "success,failure", "failure,delay", "success,failure,delay"];
        assert_eq!(all(Failed, hop_reports), (vec![], failed, vec![]), "{hop_reports}");
        let delayed = vec!["", "delay", "failure,delay", "success,failure,delay"];
        assert_eq!(all(Deferred, hop_reports), (vec![], vec![], delayed), "{hop_reports}");
    }
}

#[test]
fn n1_a_crash_after_the_outcome_leaves_the_dsn_due() {
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["failure"]);
    assert!(spool.attempt(id, &[Progress::Failed], NOW + 1));
    let spool = spool.crash();
    let due = spool.due(NOW + 1).unwrap();
    assert_eq!((due.message.id, due.message.dir), (id, QueueDir::Failed));
    assert!(text(&spool.compose(&due).unwrap()).contains("Original-Recipient: rfc822;first@x.example"));
}

#[test]
fn n4_a_crash_behind_the_spool_costs_no_second_dsn_wherever_the_first_one_is() {
    // In new/, claimed, claimed without a row, failed, relayed.
    for way in 0..5 {
        let mut spool = Spool::new();
        let id = spool.message("me@x.example", &["failure"]);
        spool.attempt(id, &[Progress::Failed], NOW + 1);
        let due = spool.due(NOW + 1).unwrap();
        let first = spool.write(&due);
        if way > 0 {
            let Claim::Message(claimed) = spool.store.claim(first.to_string()).unwrap() else { panic!("not claimed") };
            let (message, rows, event) = rows_of(&claimed, &plan());
            if way != 2 {
                spool.state.transaction(Durability::Full, |s| s.insert(&message, &rows, &event)).unwrap();
            }
            match way {
                3 => drop(spool.attempt(first, &[Progress::Failed], NOW + 2)),
                4 => drop(spool.attempt(first, &[Progress::Relayed], NOW + 2)),
                _ => {}
            }
        }
        let mut spool = spool.crash();
        let due = spool.due(NOW + 9).unwrap();
        assert_eq!(spool.begin(&due), Ok((first, told_of(&due))), "{way}");
        spool.told(id, &told_of(&due), first);
        let spool = spool.crash();
        assert_eq!((spool.due(NOW + 99), spool.state.begun_dsn(id).unwrap()), (None, None), "{way}");
        assert!(spool.state.history(id).unwrap().iter().any(|line| line.kind == Happened::Dsn && line.detail.contains(&first.to_string())));
    }
}

#[test]
fn n3_a_crash_before_the_dsn_is_whole_in_the_spool_leaves_it_to_be_written() {
    for torn in [false, true] {
        let mut spool = Spool::new();
        let id = spool.message("me@x.example", &["failure"]);
        spool.attempt(id, &[Progress::Failed], NOW + 1);
        let due = spool.due(NOW + 1).unwrap();
        if torn {
            // What a power cut may leave of a file that was not synced.
            let path = spool.path.join(layout::NEW).join(spool.write(&due).to_string());
            std::fs::File::options().write(true).open(path).unwrap().set_len(300).unwrap();
        } else {
            spool.begin(&due).unwrap_err();
        }
        let mut spool = spool.crash();
        let due = spool.due(NOW + 9).unwrap();
        let second = spool.write(&due);
        spool.written(&due, second);
        assert_eq!(spool.due(NOW + 99), None, "{torn}");
        assert!(spool.store.inspect(layout::NEW, second).is_ok(), "{torn}");
    }
}

/// The delay was reported, and the record of that was lost; then the message failed.
#[test]
fn what_came_up_behind_a_dsn_that_was_written_is_told_by_another() {
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["failure,delay", "failure,delay"]);
    spool.attempt(id, &[Progress::Deferred, Progress::Deferred], NOW + 5 * 3600);
    let first = {
        let due = spool.due(NOW + 5 * 3600).unwrap();
        spool.write(&due)
    };
    let mut spool = spool.crash();
    spool.attempt(id, &[Progress::Failed, Progress::Deferred], NOW + 6 * 3600);
    let due = spool.due(NOW + 7 * 3600).unwrap();
    let (before, told) = spool.begin(&due).unwrap();
    assert_eq!((before, told.as_slice()), (first, &[(0, Action::Delayed), (1, Action::Delayed)][..]));
    spool.told(id, &told, before);
    let due = spool.due(NOW + 8 * 3600).unwrap();
    assert_eq!(told_of(&due), [(0, Action::Failed)]);
    assert!(spool.begin(&due).is_err(), "another one is written");
}

/// RFC 3461 5.2 and 6.1, RFC 3464 2: from the null reverse-path, NOTIFY=NEVER, and it never causes another DSN.
#[test]
fn a_dsn_is_a_message_that_the_daemon_claims_and_that_nothing_is_due_about() {
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["failure"]);
    spool.attempt(id, &[Progress::Failed], NOW + 1);
    let due = spool.due(NOW + 1).unwrap();
    let dsn = spool.write(&due);
    spool.written(&due, dsn);
    let Claim::Message(claimed) = spool.store.claim(dsn.to_string()).unwrap() else { panic!("not claimed") };
    assert_eq!(claimed.envelope.reverse_path, ReversePath::Null);
    assert_eq!(claimed.envelope.recipients[0].notify, Some(Notify::NEVER));
    let (message, rows, event) = rows_of(&claimed, &plan());
    spool.state.transaction(Durability::Full, |s| s.insert(&message, &rows, &event)).unwrap();
    assert!(!spool.attempt(dsn, &[Progress::Failed], NOW + 2), "a DSN about a DSN");
    assert_eq!(spool.due(NOW + 99), None);
    assert_eq!(spool.state.message(dsn).unwrap().unwrap().dir, QueueDir::Failed);
}

/// RFC 3461 5.2.8
#[test]
fn one_dsn_tells_of_all_recipients_of_an_attempt() {
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["failure", "never", "success,failure", "failure,delay"]);
    let fates = [Progress::Failed, Progress::Failed, Progress::Relayed, Progress::Deferred];
    assert!(spool.attempt(id, &fates, NOW + 5 * 3600));
    let due = spool.due(NOW + 5 * 3600).unwrap();
    let told: Vec<(u32, Action)> = due.recipients.iter().map(|(row, action)| (row.n, *action)).collect();
    assert_eq!(told, [(0, Action::Failed), (2, Action::Relayed), (3, Action::Delayed)]);
    assert!(matches!(spool.compose(&due), Some(composed) if composed.action == Action::Failed));
}

/// RFC 3461 5.2.5
#[test]
fn a_delay_is_told_once_after_its_time() {
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["failure,delay"]);
    assert!(!spool.attempt(id, &[Progress::Deferred], NOW + 4 * 3600 - 1));
    assert!(spool.attempt(id, &[Progress::Deferred], NOW + 4 * 3600));
    let due = spool.due(NOW + 4 * 3600).unwrap();
    assert_eq!(spool.compose(&due).unwrap().action, Action::Delayed);
    assert!(!spool.attempt(id, &[Progress::Deferred], NOW + 5 * 3600));
}

#[test]
fn news_that_do_not_hold_any_more_are_not_told() {
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["failure,delay"]);
    spool.attempt(id, &[Progress::Deferred], NOW + 5 * 3600);
    assert!(!spool.attempt(id, &[Progress::Relayed], NOW + 6 * 3600));
    let due = spool.due(NOW + 7 * 3600).unwrap();
    assert_eq!(spool.compose(&due), None);
    spool.state.transaction(Durability::Full, |s| passed_over(s, &due, None, NOW)).unwrap();
    assert_eq!(spool.due(NOW + 8 * 3600), None);
}

/// A clock that ran ahead by two days, and was set right while the daemon was stopped.
#[test]
fn a_dsn_that_was_due_by_a_clock_that_ran_ahead_is_due_now() {
    const AHEAD: i64 = 2 * 86_400;
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["failure"]);
    assert!(spool.attempt(id, &[Progress::Failed], NOW + AHEAD));
    assert_eq!(spool.due(NOW), None);
    spool.state.heal_clock(NOW, NOW + 7 * 86_400).unwrap();
    assert!(spool.due(NOW).is_some());
    // One that was postponed stays so.
    spool.state.postpone_dsn(id, NOW + POSTPONED).unwrap();
    spool.state.heal_clock(NOW, NOW).unwrap();
    assert_eq!((spool.due(NOW + POSTPONED - 1), spool.due(NOW + POSTPONED).is_some()), (None, true));
}

/// RFC 3464 2.3.7
#[test]
fn a_message_that_was_never_attempted_has_no_date_of_an_attempt() {
    for (attempted, date) in [(false, None), (true, Some("Last-Attempt-Date: Sun, 22 Nov 2026 14:43:59 +0000"))] {
        let mut spool = Spool::new();
        let id = spool.message("me@x.example", &["failure"]);
        spool.waits(id, &DeliveryAttempt { attempted, ..attempt(NOW + 10) });
        spool.waits(id, &DeliveryAttempt { attempted: false, ..attempt(NOW + 500_000) });
        let text = text(&spool.compose(&spool.due(NOW + 500_000).unwrap()).unwrap());
        assert!(text.contains("Action: failed\r\nStatus: 5.4.7\r\n"), "{text}");
        assert_eq!(text.lines().find(|line| line.starts_with("Last-Attempt-Date")), date);
        // RFC 3464 2.3.5: no remote MTA was involved.
        assert!(!text.contains("Remote-MTA"), "{text}");
    }
}

/// RFC 3461 5.2.2 (b), 6.3 (a)
#[test]
fn s8_a_relayed_message_is_reported_although_its_file_is_gone() {
    let mut spool = Spool::new();
    let id = spool.message("me@x.example", &["success"]);
    assert!(spool.attempt(id, &[Progress::Relayed], NOW + 1));
    let spool = spool.crash();
    let due = spool.due(NOW + 1).unwrap();
    assert_eq!(due.message.dir, QueueDir::NoFile);
    let text = text(&spool.compose(&due).unwrap());
    for part in ["Action: relayed", "Original-Envelope-Id: e7", "In-Reply-To: <1@h.example>", "text/rfc822-headers"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn u04_a_storm_of_failures_ends_in_the_capped_number_of_dsns_and_loses_none() {
    let mut spool = Spool::new();
    for _ in 0..7 {
        let id = spool.message("me@x.example", &["failure"]);
        spool.attempt(id, &[Progress::Failed], NOW);
    }
    let (mut sent, mut told) = (0, 0);
    for (now, sent_by_then) in [(NOW, 3), (NOW + 1800, 3), (NOW + 3600, 6), (NOW + 7200, 7), (NOW + 10_800, 7)] {
        loop {
            match spool.turn(now, 3) {
                Turn::Write(due) => {
                    let to = Address::parse("me@x.example").unwrap();
                    spool
                        .state
                        .transaction(Durability::Full, |s| {
                            written(
                                s,
                                due.message.id,
                                &told_of(&due),
                                &Sent { dsn: QueueId::new(1, 1), to: to.clone(), action: Action::Failed },
                                now,
                            )
                        })
                        .unwrap();
                    sent += 1;
                }
                Turn::Tell(waiting, window) => {
                    assert_eq!(waiting, 7 - sent);
                    spool.state.set(WINDOW_KEY, &window.with_admin_warned().to_string()).unwrap();
                    told += 1;
                }
                Turn::Sleep(_) => break,
            }
        }
        assert_eq!(sent, sent_by_then);
    }
    assert_eq!((sent, told), (7, 2), "the administrator gets one message in each hour that reaches the limit");
}
