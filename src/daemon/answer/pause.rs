//! `pause` and `resume`: delivery stops and goes on; mail is accepted meanwhile. `close` and `open`: mail is refused and taken; what
//! was taken is delivered meanwhile.

use control::warnings;
use std::sync::Arc;

use super::act;
use super::asked::{Answer, Rights, Server, stopped};
use control::protocol::Text;
use exit::{Exit, Failure};
use log::events;

/// Stops delivery (`on`), or lets it go on. It is on the disk before it is answered. What is being sent is sent to its end.
pub(super) async fn pause(server: &Arc<Server>, rights: Rights, on: bool, out: &mut Answer) -> Result<(), Failure> {
    if !rights.is_admin {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may pause and resume delivery"));
    }
    let (by, now) = (act::by(rights).await?, sys::clock::now());
    let work = server.state_writer.work(move |state, _| admin::pause::write(state, on, &by, now));
    let since = work.map_err(|_| stopped())?.await.map_err(|_| stopped())?;
    server.pausing.set(since.clone()).await.map_err(|_| stopped())?;
    events::requested(if on { "pause" } else { "resume" }, rights.uid, 0, "");
    let text = since.map_or_else(|| "delivery resumed".to_owned(), |since| warnings::paused(&since));
    out.say(&Text { text, hex: String::new() }).await
}

/// Refuses all mail from now on, for this reason, or takes it again. What comes while it is closed is held until it is opened.
pub(super) async fn admission(server: &Arc<Server>, rights: Rights, open: bool, reason: String, out: &mut Answer) -> Result<(), Failure> {
    if !rights.is_admin {
        return Err(Failure::new(Exit::NoPerm, "only root and the admin group may close and open admission"));
    }
    if open {
        server.admission.open(rights.uid).await.map_err(|_| stopped())?;
    } else {
        let by = mail::words::of_actor(&act::by(rights).await?);
        let reason = if reason.is_empty() { by } else { format!("{reason} ({by})") };
        server.admission.close(&reason, rights.uid).await.map_err(|_| stopped())?;
    }
    events::requested(if open { "open" } else { "close" }, rights.uid, 0, "");
    let closed = server.admission.closed();
    let text = closed.map_or_else(|| "accepting mail again".to_owned(), |reason| warnings::closed(&reason));
    out.say(&Text { text, hex: String::new() }).await
}
