//! The claim: from `new/` to `cur/` and a row, as soon as an injector has let go of its file.
//!
//! In: names that inotify tells, or a scan finds, in a directory where any local user creates what it likes. Out: admitted
//! messages, handed to the scheduler. A thread of its own, because every call here may wait for the disk.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::plan::Plan;
use super::state_writer::{Admission, StateWriter, Stopped};
use exit::{Exit, Failure};
use log::events;
use mail::printable;
use mail::queue_id::QueueId;
use spool::layout;
use store::{Claim, ClaimedMessage, Store};

/// Messages that get their rows together.
const BATCH: usize = 256;
/// And their recipients, about: ten thousand of them are megabytes.
const BATCH_RECIPIENTS: usize = 10_000;
/// Names of one scan that are looked at in their order.
const SCAN: usize = 10_000;
/// Between two scans, however busy or silent inotify is: what it did not tell is found after this time.
const RESCAN: Duration = Duration::from_secs(60);
/// Between two sweeps of what is older than a day.
const RESWEEP: Duration = Duration::from_secs(3600);
/// Strange things in `new/` that are remembered, so that each is reported once.
const STUCK_LIMIT: usize = 10_000;
/// Between two looks at a file whose injector still holds the lock: the first, and the longest. The close of the file wakes us
/// anyway. What stays locked for longer than [`RESCAN`] is left to the scans: a file that is locked for ever costs a look a minute.
const BUSY_WAIT: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// What intake needs of the daemon.
pub(crate) struct Intake {
    /// The spool.
    pub(crate) store: Arc<Store>,
    /// Where rows are made.
    pub(crate) state_writer: StateWriter,
    /// Becomes readable when the daemon ends.
    pub(crate) stop: Arc<EventFd>,
    /// What to do with an admitted message that is not held.
    pub(crate) admitted: Box<dyn FnMut(Admitted) + Send>,
    /// What is decided of a message before its row is made.
    pub(crate) plan: Box<dyn Fn(&ClaimedMessage) -> Plan + Send>,
}

/// A message that has its row.
pub(crate) struct Admitted {
    /// The message.
    pub(crate) claimed: ClaimedMessage,
    /// What was planned.
    pub(crate) plan: Plan,
}

/// What intake remembers between two passes.
struct Memory {
    /// Locked files, and since when.
    busy: HashMap<OsString, Instant>,
    busy_wait: Duration,
    /// Files in `cur/` that the disk did not let us read.
    unread: HashSet<QueueId>,
    /// What was reported already.
    stuck: HashSet<OsString>,
}

impl Memory {
    /// The locked files that are looked at between scans.
    fn watched(&self) -> impl Iterator<Item = &OsString> {
        self.busy.iter().filter(|(_, since)| since.elapsed() < RESCAN).map(|(name, _)| name)
    }

    fn remember_busy(&mut self, name: &OsStr) {
        if !self.busy.contains_key(name) {
            self.busy.insert(name.to_owned(), Instant::now());
            self.busy_wait = BUSY_WAIT.0;
        }
    }
}

impl Intake {
    /// Runs until `stop` is signalled or the state writer stops.
    ///
    /// Errors: EX_CONFIG where a directory of the spool has vanished; EX_IOERR where `new/` cannot be watched.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = Arc::clone(&self.store);
        // Whatever went wrong, a directory that has vanished is the better reason.
        self.watch().map_err(|why| match store.check_directories() {
            Ok(()) => Failure::new(Exit::IoErr, format!("cannot watch the drop directory: {why}")),
            Err(why) => Failure::new(Exit::Config, why),
        })
    }

    fn watch(mut self) -> Result<(), String> {
        let watch = Watch::new(&self.store)?;
        let mut memory = Memory { busy: HashMap::new(), busy_wait: BUSY_WAIT.0, unread: HashSet::new(), stuck: HashSet::new() };
        let (mut next_scan, mut next_sweep) = (Instant::now(), Instant::now());
        loop {
            let mut told = HashSet::new();
            if Instant::now() >= next_scan {
                self.store.check_directories()?;
                self.scan(&mut memory)?;
                // After the mail: a million removed messages may lie there.
                if Instant::now() >= next_sweep {
                    self.sweep();
                    next_sweep = Instant::now() + RESWEEP;
                }
                next_scan = Instant::now() + RESCAN;
            }
            let until_scan = next_scan.saturating_duration_since(Instant::now());
            let wait = if memory.watched().next().is_none() { until_scan } else { memory.busy_wait.min(until_scan) };
            match self.wait(&watch, wait)? {
                Woken::Stop => return Ok(()),
                Woken::Names(names) => told.extend(names),
                Woken::Rescan => next_scan = Instant::now(),
            }
            memory.busy_wait = (memory.busy_wait * 2).min(BUSY_WAIT.1);
            told.extend(memory.watched().cloned());
            self.pass(told.into_iter().collect(), &mut memory)?;
        }
    }

    /// Looks at everything: reads again what could not be read, and walks through `new/`, however much is in it.
    fn scan(&mut self, memory: &mut Memory) -> Result<(), String> {
        let unread = std::mem::take(&mut memory.unread);
        for id in unread {
            let again = self.judge(id.to_string().as_ref(), self.store.check_claimed(id), memory);
            self.admit(again.into_iter().collect()).map_err(text_of)?;
        }
        let failed = |e: std::io::Error| format!("new/: {e}");
        let mut names = self.store.waiting().map_err(failed)?;
        loop {
            let some: Vec<OsString> = names.by_ref().take(SCAN).collect::<Result<_, _>>().map_err(failed)?;
            if some.is_empty() || self.is_told_to_stop() {
                return Ok(());
            }
            self.pass(some, memory)?;
        }
    }

    /// Sweeps `tmp/` and `trash/`.
    fn sweep(&self) {
        let now = sys::clock::now();
        for (directory, swept) in [("tmp/", self.store.sweep(now)), ("trash/", self.store.empty_trash(now))] {
            if let Err(e) = swept {
                events::storage_failed(directory, &e.to_string());
            }
        }
    }

    /// Claims and admits `names`.
    fn pass(&mut self, mut names: Vec<OsString>, memory: &mut Memory) -> Result<(), String> {
        // Names begin with the time: first come, first served.
        names.sort_unstable();
        let (mut claimed, mut recipients) = (Vec::new(), 0);
        for name in names {
            let Some(message) = self.claim(&name, memory) else { continue };
            recipients += message.envelope.recipients.len();
            claimed.push(message);
            if claimed.len() >= BATCH || recipients >= BATCH_RECIPIENTS {
                self.admit(std::mem::take(&mut claimed)).map_err(text_of)?;
                recipients = 0;
            }
        }
        self.admit(claimed).map_err(text_of)?;
        // What went to corrupt/: one sync for all. Before it, they may come back to where they were, and are found there again.
        if let Err(e) = self.store.sync_moves() {
            events::storage_failed("corrupt/", &e.to_string());
        }
        Ok(())
    }

    /// One name. A disk error is loud and leaves the file for the next scan.
    fn claim(&self, name: &OsStr, memory: &mut Memory) -> Option<ClaimedMessage> {
        let claim = self.store.claim(name).map_err(|e| events::storage_failed(&shown(name), &e.to_string())).ok()?;
        self.judge(name, claim, memory)
    }

    /// Remembers and tells what has to be; returns the message, if it is one.
    fn judge(&self, name: &OsStr, claim: Claim, memory: &mut Memory) -> Option<ClaimedMessage> {
        if matches!(claim, Claim::Later) {
            memory.remember_busy(name);
            return None;
        }
        memory.busy.remove(name);
        match claim {
            Claim::Message(message) => return Some(*message),
            Claim::Corrupt(why) => events::corrupt(&shown(name), &why),
            Claim::Newer(version) => events::newer(&shown(name), version),
            Claim::Unread(e) => {
                events::storage_failed(&format!("cur/{}", shown(name)), &e.to_string());
                memory.unread.extend(QueueId::parse(name.as_bytes()));
            }
            Claim::Stuck(why) => {
                if memory.stuck.len() < STUCK_LIMIT && memory.stuck.insert(name.to_owned()) {
                    events::stuck(&shown(name), &why);
                }
            }
            Claim::Later | Claim::Vanished => {}
        }
        None
    }

    fn admit(&mut self, claimed: Vec<ClaimedMessage>) -> Result<(), Stopped> {
        let mut asked = Vec::with_capacity(claimed.len());
        for message in claimed {
            let plan = (self.plan)(&message);
            let answer = self.state_writer.admit(&message, &plan)?;
            asked.push((message, plan, answer));
        }
        for (message, plan, answer) in asked {
            let id = message.envelope.id;
            match answer.blocking_recv().map_err(|_| Stopped)? {
                Admission::Admitted => self.pass_on(message, plan),
                Admission::Held(hold) => self.pass_on(message, Plan { hold: Some(hold), ..plan }),
                Admission::Known | Admission::Restored => {}
                Admission::Resurrected => {
                    events::reconciled(id, "the file of a message that had ended had come back; it is where its row says")
                }
                Admission::Foreign => events::corrupt(&id.to_string(), "its queue id belongs to another message"),
            }
        }
        Ok(())
    }

    fn pass_on(&mut self, message: ClaimedMessage, plan: Plan) {
        if plan.hold.is_none() {
            (self.admitted)(Admitted { claimed: message, plan });
        }
    }

    fn is_told_to_stop(&self) -> bool {
        let mut stop = [PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        nix::poll::poll(&mut stop, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn wait(&self, watch: &Watch, limit: Duration) -> Result<Woken, String> {
        let mut waits = [PollFd::new(watch.inotify.as_fd(), PollFlags::POLLIN), PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        let milliseconds = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).saturating_add(1);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        match nix::poll::poll(&mut waits, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(format!("poll: {}", e.desc())),
        }
        let [told, stop] = waits.map(|w| w.any().unwrap_or(false));
        match (stop, told) {
            (true, _) => Ok(Woken::Stop),
            (_, false) => Ok(Woken::Names(Vec::new())),
            (_, true) => watch.read(),
        }
    }
}

/// What inotify tells: names in `new/`, and that a directory of the spool has gone.
struct Watch {
    inotify: Inotify,
    spool: WatchDescriptor,
}

impl Watch {
    fn new(store: &Store) -> Result<Watch, String> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(|e| format!("inotify: {}", e.desc()))?;
        let add = |name: &str, flags| inotify.add_watch(&store.path(name), flags).map_err(|e| format!("inotify on {name}: {}", e.desc()));
        add(layout::NEW, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE)?;
        let spool = add(".", AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM)?;
        Ok(Watch { inotify, spool })
    }

    fn read(&self) -> Result<Woken, String> {
        let told = self.inotify.read_events().map_err(|e| format!("inotify: {}", e.desc()))?;
        let is_directory = |name: &OsString| layout::DIRECTORIES.iter().any(|known| name == known.name);
        let is_gone = |event: &InotifyEvent| event.wd == self.spool && event.name.as_ref().is_some_and(is_directory);
        if told.iter().any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) || is_gone(event)) {
            return Ok(Woken::Rescan);
        }
        // The last close of an unnamed file is told under a name that begins with #: it only wakes us.
        let is_named = |name: &OsString| !name.as_bytes().starts_with(b"#");
        let names = told.into_iter().filter(|event| event.wd != self.spool).filter_map(|event| event.name);
        Ok(Woken::Names(names.filter(is_named).collect()))
    }
}

fn shown(name: &OsStr) -> String {
    printable::bytes(name.as_bytes())
}

fn text_of(_: Stopped) -> String {
    "the state writer has stopped".to_owned()
}

enum Woken {
    Stop,
    Names(Vec<OsString>),
    Rescan,
}
