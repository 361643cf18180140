//! The claim: from `new/` to `cur/` and a row, as soon as an injector has let go of its file.
//!
//! In: names that inotify tells, or a scan finds, in a directory where any local user creates what it likes. Out: admitted
//! messages, handed to the scheduler. A thread of its own, because every call here may wait for the disk.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::ledger::{Admission, Ledger, Stopped};
use crate::log::events;
use crate::spool::layout;
use crate::spool::store::{Claim, Claimed, Store};
use crate::sys;

/// Names looked at before the scheduler gets to see them.
const BATCH: usize = 256;
/// Names of one scan; the next scan follows at once if there were as many.
const SCAN: usize = 10_000;
/// Milliseconds between two scans when inotify is silent.
const RESCAN: u32 = 60_000;
/// Strange things in `new/` that are remembered, so that each is reported once.
const STUCK_LIMIT: usize = 10_000;

/// What intake needs of the daemon.
pub struct Intake {
    /// The spool.
    pub store: Arc<Store>,
    /// Where rows are made.
    pub ledger: Ledger,
    /// Becomes readable when the daemon ends.
    pub stop: Arc<EventFd>,
    /// What to do with an admitted message; false = it stays a row for later.
    pub admitted: Box<dyn FnMut(Admitted) + Send>,
    /// When it is given up, and whether memory has room for it now.
    pub plan: Box<dyn Fn(&Claimed) -> Plan + Send>,
}

/// What is decided of a message before its row is made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// When it is given up, unix seconds.
    pub expires: i64,
    /// When it is tried; `None` = now, at once.
    pub next_attempt: Option<i64>,
}

/// A message that has its row.
pub struct Admitted {
    /// The message.
    pub claimed: Claimed,
    /// What was planned.
    pub plan: Plan,
}

/// Milliseconds between two looks at a file whose injector still holds the lock: the first, and the longest. The close of the file
/// wakes us anyway; a file that is locked for ever costs one look per second.
const BUSY_WAIT: (u32, u32) = (5, 1000);

/// What one pass left to do.
struct Pending {
    names: Vec<String>,
    wait: u32,
}

impl Intake {
    /// Runs until `stop` is signalled or the ledger stops.
    pub fn run(mut self) -> Result<(), String> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(|e| format!("inotify: {}", e.desc()))?;
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE;
        inotify.add_watch(&self.store.path(layout::NEW), flags).map_err(|e| format!("inotify on new/: {}", e.desc()))?;
        let mut stuck = HashSet::new();
        let mut pending = Pending { names: self.scan()?, wait: RESCAN };
        loop {
            pending = self.pass(pending, &mut stuck)?;
            match self.wait(&inotify, pending.wait)? {
                Woken::Stop => return Ok(()),
                Woken::Names(names) => pending.names.extend(names),
                Woken::Rescan => pending.names = self.scan()?,
            }
        }
    }

    fn scan(&self) -> Result<Vec<String>, String> {
        let now = sys::clock::now();
        for (directory, swept) in [("tmp/", self.store.sweep(now)), ("trash/", self.store.empty_trash(now))] {
            if let Err(e) = swept {
                events::storage_failed(directory, &e.to_string());
            }
        }
        self.store.waiting(SCAN).map_err(|e| format!("new/: {e}"))
    }

    /// Claims and admits `names`; returns those that are busy, and how long to wait for them.
    fn pass(&mut self, before: Pending, stuck: &mut HashSet<String>) -> Result<Pending, String> {
        let was_full = before.names.len() >= SCAN;
        let mut later = HashSet::new();
        let unique: HashSet<String> = before.names.into_iter().collect();
        let mut names: Vec<String> = unique.into_iter().collect();
        // Names begin with the time: first come, first served.
        names.sort_unstable();
        for batch in names.chunks(BATCH) {
            let mut claimed = Vec::new();
            for name in batch {
                match self.claim(name, stuck) {
                    Some(Claim::Message(message)) => claimed.push(*message),
                    Some(Claim::Later) => {
                        later.insert(name.clone());
                    }
                    _ => {}
                }
            }
            self.admit(claimed).map_err(|Stopped| "the ledger has stopped".to_owned())?;
        }
        let wait = match (was_full, later.is_empty()) {
            (true, _) => 0,
            (false, true) => RESCAN,
            (false, false) if before.wait >= RESCAN => BUSY_WAIT.0,
            (false, false) => before.wait.saturating_mul(2).clamp(BUSY_WAIT.0, BUSY_WAIT.1),
        };
        Ok(Pending { names: later.into_iter().collect(), wait })
    }

    /// One name. A disk error is loud and leaves the file for the next scan.
    fn claim(&self, name: &str, stuck: &mut HashSet<String>) -> Option<Claim> {
        let claim = self.store.claim(name).map_err(|e| events::storage_failed(name, &e.to_string())).ok()?;
        let shown = crate::mail::printable::text(name);
        match &claim {
            Claim::Corrupt(why) => events::corrupt(&shown, why),
            Claim::Newer(version) => events::newer(&shown, *version),
            Claim::Stuck(why) => {
                if stuck.len() < STUCK_LIMIT && stuck.insert(name.to_owned()) {
                    events::stuck(&shown, why);
                }
            }
            Claim::Message(_) | Claim::Later | Claim::Gone => {}
        }
        Some(claim)
    }

    fn admit(&mut self, claimed: Vec<Claimed>) -> Result<(), Stopped> {
        let mut asked = Vec::with_capacity(claimed.len());
        for message in claimed {
            let plan = (self.plan)(&message);
            let answer = self.ledger.admit(&message, plan.expires, plan.next_attempt)?;
            asked.push((message, plan, answer));
        }
        for (message, plan, answer) in asked {
            let id = message.envelope.id;
            match answer.blocking_recv().map_err(|_| Stopped)? {
                Admission::Admitted => {
                    let envelope = &message.envelope;
                    events::accepted(
                        id,
                        &envelope.reverse_path.to_string(),
                        message.uid,
                        envelope.size,
                        envelope.recipients.len(),
                        &message.message_id,
                    );
                    (self.admitted)(Admitted { claimed: message, plan });
                }
                Admission::Known => {}
                Admission::Resurrected => events::reconciled(id, "the file of a finished message had come back; removed"),
                Admission::Foreign => events::corrupt(&id.to_string(), "its queue id belongs to another message"),
            }
        }
        Ok(())
    }

    fn wait(&self, inotify: &Inotify, milliseconds: u32) -> Result<Woken, String> {
        let mut waits = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN), PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        match nix::poll::poll(&mut waits, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(format!("poll: {}", e.desc())),
        }
        let [told, stop] = waits.map(|w| w.any().unwrap_or(false));
        if stop {
            return Ok(Woken::Stop);
        }
        if !told {
            return Ok(if milliseconds >= RESCAN || milliseconds == 0 { Woken::Rescan } else { Woken::Names(Vec::new()) });
        }
        let told = inotify.read_events().map_err(|e| format!("inotify: {}", e.desc()))?;
        if told.iter().any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW)) {
            return Ok(Woken::Rescan);
        }
        let names = told.into_iter().filter_map(|event| event.name.and_then(|name| name.into_string().ok()));
        // The last close of an unnamed file is told under a name that begins with #: it only wakes us.
        Ok(Woken::Names(names.filter(|name| !name.starts_with('#')).collect()))
    }
}

enum Woken {
    Stop,
    Names(Vec<String>),
    Rescan,
}
