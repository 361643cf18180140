//! Who may put how much into the spool, and whether anybody may.
//!
//! In: the quotas of the configuration, what each user has (`spool::state`), and an administrator's order. Out: the file that
//! `sendmail` reads ([`spool::admission`]), and the hold of messages that bypass it: their caller got exit code 0, so they are never
//! dropped, and they are released when the user is below the quota.
//!
//! Root and the daemon's own user have no quota: a host must be able to report a full disk, and senders must get bounces.
//! Quotas protect users from each other, so an installation of one user has none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::state_writer::{StateWriter, Stopped};
use crate::current::Current;
use crate::database::STATE_FILE;
use crate::quota::Limits;
use crate::release::Releaser;
use crate::stop::Stop;
use config::Paths;
use log::events;
use mail::code::{HoldCause, Trigger};
use mail::printable;
use spool::admission;
use spool::admission::{Admission, Reserve};
use state::{Message, State, Usage};
use store::ballast;

/// Time between two checks of the sums while a user is over a quota. Until the next check, mail may be refused although it is below.
const LOOK: Duration = Duration::from_secs(5);
/// Time between two checks otherwise; the state writer wakes us when a quota is reached.
const IDLE: Duration = Duration::from_secs(60);
/// The least time between two looks, however fast mail comes.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether new mail is accepted, and from which users.
pub(crate) struct AdmissionControl {
    /// Where everything lies.
    paths: Paths,
    /// The limits that the administrator set.
    current: Arc<Current>,
    /// Where closed admission is kept, and where messages over a limit are held.
    state_writer: StateWriter,
    /// Messages whose sender has room again.
    releaser: Releaser,
    stop: Arc<Stop>,
    shown: Mutex<Shown>,
    changed: Arc<Notify>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shown {
    closed: Option<String>,
    over: BTreeMap<u32, Usage>,
}

impl AdmissionControl {
    /// Open, until [`AdmissionControl::begin`] has read what the last run left.
    pub(crate) fn new(
        paths: Paths,
        current: Arc<Current>,
        state_writer: StateWriter,
        releaser: Releaser,
        stop: Arc<Stop>,
    ) -> AdmissionControl {
        let control = AdmissionControl { paths, current, state_writer, releaser, stop, shown: Mutex::default(), changed: Arc::default() };
        control.apply();
        control
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why admission is closed; `None` while it is open.
    pub(crate) fn closed(&self) -> Option<String> {
        self.shown().closed.clone()
    }

    /// The users who had reached a quota at the last check.
    pub(crate) fn over(&self) -> Vec<u32> {
        self.shown().over.keys().copied().collect()
    }

    /// The quotas have changed: checks now which users are over them.
    pub(crate) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Puts the limits in force that configuration and gate have now: after either has changed. Under the lock, so that of two who
    /// change something the last one sees both.
    pub(crate) fn apply(&self) {
        let shown = self.shown();
        let limits = Limits::new(&self.current.get().params, shown.closed.clone(), Arc::clone(&self.changed));
        self.state_writer.set_limits(limits);
    }

    /// Why mail of `uid` is refused now: closed, over a quota, or no space. `sendmail` makes the same check.
    pub(crate) fn refusal(&self, uid: u32) -> Option<String> {
        let told = {
            let shown = self.shown();
            match &shown.closed {
                Some(reason) => Some(admission::closed_text(reason)),
                None => shown.over.contains_key(&uid).then(|| admission::over_text(uid)),
            }
        };
        let reserve = || {
            let params = &self.current.get().params;
            Reserve { bytes: params.reserve(), inodes: params.spool_inode_reserve }.refusal(&self.paths.spool)
        };
        told.or_else(reserve)
    }

    /// Makes what the last run left the truth again, before anything can come in: closed admission, the file, the ballast.
    ///
    /// Errors: [`Stopped`].
    pub(crate) async fn begin(&self) -> Result<(), Stopped> {
        let closed = self.state_writer.work(|state, _| state.closed())?.await.map_err(|_| Stopped)?;
        self.shown().closed = closed;
        self.apply();
        self.look(true).await
    }

    /// Closes admission: `sendmail` refuses with EX_UNAVAILABLE, and what comes all the same is held. `uid` is who said so. Durable when
    /// it returns.
    ///
    /// Errors: [`Stopped`].
    pub(crate) async fn close(&self, reason: &str, uid: u32) -> Result<(), Stopped> {
        let reason = printable::text(reason);
        let kept = if reason.is_empty() { "by the administrator".to_owned() } else { reason };
        let closed = kept.clone();
        self.state_writer.work(move |state, _| state.set_closed(Some(&closed)))?.await.map_err(|_| Stopped)?;
        self.shown().closed = Some(kept.clone());
        self.apply();
        events::admission_closed(uid, &kept);
        self.publish().await;
        Ok(())
    }

    /// Opens admission. What came while it was closed goes on. `uid` is who said so.
    ///
    /// Errors: [`Stopped`].
    pub(crate) async fn open(&self, uid: u32) -> Result<(), Stopped> {
        self.state_writer.work(|state, _| state.set_closed(None))?.await.map_err(|_| Stopped)?;
        self.shown().closed = None;
        self.apply();
        events::admission_opened(uid);
        self.publish().await;
        self.releaser.release_held(HoldCause::Closed, |_| true, Trigger::Opened).await
    }

    /// Watches the sums and the space until the daemon stops.
    pub(crate) async fn run(self: Arc<Self>) {
        while !self.stop.is_set() {
            let pause = if self.shown().over.is_empty() { IDLE } else { LOOK };
            // Waking and waiting out are the same: look again.
            let _ = tokio::time::timeout(pause, self.changed.notified()).await;
            tokio::time::sleep(PAUSE).await;
            if self.look(false).await.is_err() {
                return;
            }
        }
    }

    /// One check: which users are over a quota, and whether there is space for the ballast.
    async fn look(&self, is_first: bool) -> Result<(), Stopped> {
        let (limits, path) = (self.state_writer.limits(), self.paths.spool.join(STATE_FILE));
        let users = tokio::task::spawn_blocking(move || State::open_to_read(&path).and_then(|state| limits.users(&state))).await;
        self.adjust_ballast().await;
        // A database that cannot be read now is the state writer's trouble; what was published stays.
        let Ok(Ok(now)) = users else { return Ok(()) };
        let before = std::mem::replace(&mut self.shown().over, now.clone());
        for (uid, has) in now.iter().filter(|(uid, _)| !before.contains_key(uid)) {
            events::quota_reached(*uid, has.messages, has.bytes);
        }
        let fell = before.keys().any(|uid| !now.contains_key(uid));
        before.keys().filter(|uid| !now.contains_key(uid)).for_each(|uid| events::quota_cleared(*uid));
        if is_first || before.keys().ne(now.keys()) {
            self.publish().await;
        }
        if is_first || fell {
            self.releaser.release_held(HoldCause::Quota, move |message: &Message| !now.contains_key(&message.uid), Trigger::Quota).await?;
        }
        Ok(())
    }

    async fn adjust_ballast(&self) {
        let (spool, reserve) = (self.paths.spool.clone(), self.current.get().params.reserve());
        match tokio::task::spawn_blocking(move || ballast::adjust(&spool, reserve)).await {
            Ok(Ok(settled)) => tell_ballast(settled),
            Ok(Err(e)) => events::storage_failed(ballast::NAME, &e.to_string()),
            // The message of the panic is on standard error.
            Err(_) => {}
        }
    }

    /// Writes the admission file again.
    async fn publish(&self) {
        let path = self.paths.admission_file();
        let told = {
            let shown = self.shown();
            Admission::new(shown.closed.as_deref(), shown.over.keys().copied())
        };
        let shown_path = path.display().to_string();
        // The message of a panic is on standard error.
        if let Ok(Err(e)) = tokio::task::spawn_blocking(move || replace(&path, &told)).await {
            events::unusable(&format!("the admission file {shown_path}"), &e.to_string());
        }
    }
}

/// Says what became of the ballast.
pub(crate) fn tell_ballast(settled: ballast::Adjusted) {
    match settled {
        ballast::Adjusted::Made(bytes) => events::ballast_made(bytes),
        ballast::Adjusted::GivenBack(bytes) => events::ballast_given_back(bytes, "little space is free"),
        ballast::Adjusted::Unchanged => {}
    }
}

/// It need not survive a power cut: [`AdmissionControl::begin`] writes it again.
fn replace(path: &Path, admission: &Admission) -> std::io::Result<()> {
    sys::replace::replace(path, 0o644, &admission.encode()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Policy;
    use crate::state_writer::Admission as Answer;
    use crate::testing::{Idle, idle};
    use spool::layout;
    use testing::Scratch;

    fn file(scratch: &Scratch) -> Admission {
        Admission::read(&scratch.path().join("admission"))
    }

    /// Claims one message and admits it as `uid`.
    async fn admit(idle: &Idle, scratch: &Scratch, uid: u32) -> Answer {
        let mut claimed = scratch.claimed(&["bob@receiver.example"]);
        claimed.uid = uid;
        let plan = Policy::of(&idle.parts.current.get().params).plan(&claimed, sys::clock::now());
        idle.base.state_writer.admit(&claimed, &plan).unwrap().await.unwrap()
    }

    #[tokio::test]
    async fn t_spool_5_who_reaches_a_cap_is_told_to_sendmail_and_released_when_there_is_room() {
        let scratch = Scratch::new();
        let idle = idle(&scratch, "user_message_limit = 2");
        idle.parts.admission.begin().await.unwrap();
        assert_eq!(file(&scratch).refusal(1000), None);
        for _ in 0..2 {
            assert!(matches!(admit(&idle, &scratch, 1000).await, Answer::Admitted));
        }
        assert!(matches!(admit(&idle, &scratch, 1000).await, Answer::Held(hold) if hold.cause == HoldCause::Quota));
        assert!(matches!(admit(&idle, &scratch, 1001).await, Answer::Admitted));
        idle.parts.admission.look(false).await.unwrap();
        assert_eq!(idle.parts.admission.over(), [1000]);
        assert!(file(&scratch).refusal(1000).is_some() && file(&scratch).refusal(1001).is_none());
        assert_eq!(scratch.names(layout::HOLD).len(), 1);
        for id in idle.base.store.ids(layout::CUR).unwrap() {
            let gone = idle.base.state_writer.work(move |state, store| {
                let row = state.message(id)?.unwrap();
                store.remove(id, layout::CUR).unwrap();
                state.update(&Message { dir: state::QueueDir::NoFile, ended_at: Some(1), ..row })
            });
            gone.unwrap().await.unwrap();
        }
        idle.parts.admission.look(false).await.unwrap();
        assert_eq!((idle.parts.admission.over(), file(&scratch).refusal(1000)), (vec![], None));
        assert_eq!((scratch.names(layout::HOLD).len(), scratch.names(layout::CUR).len()), (0, 1));
    }

    #[tokio::test]
    async fn closed_admission_outlives_the_daemon_and_what_came_meanwhile_goes_on_when_it_is_opened() {
        let scratch = Scratch::new();
        let first = idle(&scratch, "");
        first.parts.admission.begin().await.unwrap();
        first.parts.admission.close("moving house", 0).await.unwrap();
        drop(first);
        std::fs::remove_file(scratch.path().join("admission")).unwrap();
        let idle = idle(&scratch, "");
        idle.parts.admission.begin().await.unwrap();
        assert_eq!(idle.parts.admission.closed().as_deref(), Some("moving house"));
        assert_eq!(file(&scratch).refusal(0).as_deref(), Some("not accepting new mail: moving house"));
        assert!(matches!(admit(&idle, &scratch, 1000).await, Answer::Held(hold) if hold.detail == "moving house"));
        idle.parts.admission.open(0).await.unwrap();
        assert_eq!((idle.parts.admission.closed(), file(&scratch).refusal(0)), (None, None));
        assert_eq!((scratch.names(layout::HOLD).len(), scratch.names(layout::CUR).len()), (0, 1));
        assert!(matches!(admit(&idle, &scratch, 1000).await, Answer::Admitted));
    }
}
