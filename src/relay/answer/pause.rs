//! `pause` and `resume`: delivery stops and goes on; mail is accepted meanwhile. `close` and `open`: mail is refused and taken; what
//! was taken is delivered meanwhile.

use std::sync::Arc;

use super::{Answer, Rights, act, stopped};
use crate::control;
use crate::control::protocol::Text;
use crate::exit::{Exit, Failure};
use crate::log::events;
use crate::relay::admission;
use crate::relay::daemon::Daemon;
use crate::sys;

/// Stops delivery (`on`), or lets it go on. It is on the disk before it is answered. What is being sent is sent to its end.
pub(super) async fn pause(daemon: &Arc<Daemon>, rights: Rights, on: bool, out: &mut Answer) -> Result<(), Failure> {
    if !rights.is_admin {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may pause and resume delivery"));
    }
    let (by, now) = (act::by(rights).await?, sys::clock::now());
    let work = daemon.ledger.work(move |state, _| control::pause::write(state, on, &by, now));
    let since = work.map_err(|_| stopped())?.await.map_err(|_| stopped())?;
    daemon.set_paused(since.clone());
    events::requested(if on { "pause" } else { "resume" }, rights.uid, 0, "");
    let text = since.map_or_else(|| "delivery goes on".to_owned(), |since| control::pause::warning(&since));
    out.say(&Text { text, hex: String::new() }).await
}

/// Refuses all mail from now on, for this reason, or takes it again. What comes while it is closed is held until it is opened.
pub(super) async fn admission(daemon: &Arc<Daemon>, rights: Rights, open: bool, reason: String, out: &mut Answer) -> Result<(), Failure> {
    if !rights.is_admin {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may close and open admission"));
    }
    if open {
        admission::open(daemon, rights.uid).await.map_err(|_| stopped())?;
    } else {
        let by = act::by(rights).await?;
        let reason = if reason.is_empty() { by } else { format!("{reason} ({by})") };
        admission::close(daemon, &reason, rights.uid).await.map_err(|_| stopped())?;
    }
    events::requested(if open { "open" } else { "close" }, rights.uid, 0, "");
    let closed = daemon.gate.closed();
    let text = closed.map_or_else(|| "mail is taken".to_owned(), |reason| control::pause::closed_warning(&reason));
    out.say(&Text { text, hex: String::new() }).await
}
