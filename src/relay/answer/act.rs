//! What operators do to messages: hold, release, remove, requeue.
//!
//! The file moves first and durably, the row follows in the same turn of the ledger, and only then is anybody answered. A crash
//! between the two is settled at the next start: what went to `hold/` stays there, what left it goes back, and nothing is lost.
//! A message whose attempt is under way is marked, and follows when its round ends.

use std::sync::Arc;

use super::{Answer, Rights, stopped};
use crate::control::protocol::{Act, Done};
use crate::exit::{Exit, Failure};
use crate::log::events;
use crate::mail::printable;
use crate::mail::queue_id::QueueId;
use crate::relay::daemon::Daemon;
use crate::relay::outcome::Stop;
use crate::spool::layout;
use crate::spool::state::{Event, Message, Place, Progress, RecipientUpdate, State};
use crate::spool::store::Store;
use crate::sys;

/// Who does what, when.
#[derive(Clone, Copy)]
struct Deed {
    act: Act,
    rights: Rights,
    dry_run: bool,
    now: i64,
    /// Seconds until a requeued message is given up.
    give_up: i64,
}

/// Does `act` to the messages of these ids, or to all that the peer may steer. EX 1 if one was not found or cannot be had.
pub(super) async fn act(
    daemon: &Arc<Daemon>,
    rights: Rights,
    act: Act,
    ids: Vec<String>,
    dry_run: bool,
    out: &mut Answer,
) -> Result<(), Failure> {
    let give_up = i64::try_from(daemon.setup().params.give_up_time.0.as_secs()).unwrap_or(i64::MAX / 4);
    let deed = Deed { act, rights, dry_run, now: sys::clock::now(), give_up };
    let working = Arc::clone(daemon);
    let work = daemon.ledger.work(move |state, store| {
        let named: Vec<(String, Option<QueueId>)> = if ids.is_empty() {
            candidates(state, deed)?.into_iter().map(|id| (id.to_string(), Some(id))).collect()
        } else {
            ids.into_iter().map(|text| (printable::text(&text), QueueId::parse(text.as_bytes()))).collect()
        };
        named.into_iter().map(|(name, id)| one(&working, state, store, deed, name, id)).collect::<rusqlite::Result<Vec<Done>>>()
    });
    let done = work.map_err(|_| stopped())?.await.map_err(|_| stopped())?;
    daemon.dispatch.wake.notify_one();
    let count = done.iter().filter(|one| one.done).count();
    if !dry_run && count > 0 {
        events::requested(act.done(), rights.uid, count as u64);
    }
    for one in &done {
        if !dry_run {
            tell(deed, one);
        }
        out.say(one).await?;
    }
    if count == done.len() { Ok(()) } else { Err(Failure::new(Exit::NotFound, String::new())) }
}

/// The event of one message. One whose attempt is under way has its own when that ends.
fn tell(deed: Deed, one: &Done) {
    let Some(id) = QueueId::parse(one.id.as_bytes()).filter(|_| one.done && one.text == deed.act.done()) else { return };
    match deed.act {
        Act::Hold => events::held(id, &by(deed)),
        Act::Release => events::released(id, &by(deed)),
        Act::Remove => events::removed(id, &by(deed)),
        Act::Requeue => events::requeued(id, &by(deed)),
    }
}

/// The messages that `ALL` means: those in a place where the act changes something.
fn candidates(state: &State, deed: Deed) -> rusqlite::Result<Vec<QueueId>> {
    let mut ids = Vec::new();
    state.queued(None, usize::MAX >> 1, |message| {
        let changes = match deed.act {
            Act::Hold => message.place == Place::Cur,
            Act::Release => message.place == Place::Hold,
            Act::Remove | Act::Requeue => true,
        };
        if changes && deed.may(&message) {
            ids.push(message.id);
        }
    })?;
    Ok(ids)
}

impl Deed {
    fn may(self, message: &Message) -> bool {
        self.rights.is_admin || message.uid == self.rights.uid
    }
}

fn one(daemon: &Daemon, state: &State, store: &Store, deed: Deed, name: String, id: Option<QueueId>) -> rusqlite::Result<Done> {
    let told = |name: String, done: bool, text: &str| Ok(Done { id: name, done, text: text.to_owned() });
    let message = match id {
        Some(id) => state.message(id)?.filter(|message| deed.may(message) && message.place != Place::Gone),
        None => None,
    };
    let Some(message) = message else { return told(name, false, "no such message") };
    if daemon.dispatch.is_active(message.id) {
        let follows = matches!(deed.act, Act::Hold | Act::Remove);
        let text = if follows { "is being sent; it follows after the attempt" } else { "is being sent already" };
        return told(name, mark(daemon, deed, message.id), text);
    }
    if let Some(why) = refusal(deed.act, message.place) {
        return told(name, false, why);
    }
    if deed.dry_run {
        return told(name, true, deed.act.done());
    }
    match perform(state, store, deed, message) {
        Ok(()) => told(name, true, deed.act.done()),
        Err(Trouble::Database(e)) => Err(e),
        Err(Trouble::Disk(e)) => told(name, false, &format!("not done: {e}")),
    }
}

fn refusal(act: Act, place: Place) -> Option<&'static str> {
    match (act, place) {
        (Act::Hold, Place::Hold) => Some("is on hold already"),
        (Act::Hold, Place::Failed) => Some("has failed for good; requeue or remove it"),
        (Act::Release, Place::Cur | Place::Failed) => Some("is not on hold"),
        _ => None,
    }
}

/// Marks a message whose attempt is under way. Release and requeue have nothing to wait for.
fn mark(daemon: &Daemon, deed: Deed, id: QueueId) -> bool {
    match deed.act {
        _ if deed.dry_run => true,
        Act::Hold => daemon.dispatch.stop_after_round(id, Stop::Hold(by(deed))),
        Act::Remove => daemon.dispatch.stop_after_round(id, Stop::Remove),
        Act::Release | Act::Requeue => true,
    }
}

fn by(deed: Deed) -> String {
    format!("by {} (uid {})", sys::process::user_name(deed.rights.uid), deed.rights.uid)
}

enum Trouble {
    Database(rusqlite::Error),
    Disk(std::io::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(e: rusqlite::Error) -> Self {
        Trouble::Database(e)
    }
}

fn perform(state: &State, store: &Store, deed: Deed, mut message: Message) -> Result<(), Trouble> {
    let from = message.place.directory().unwrap_or(layout::CUR);
    let to = match deed.act {
        Act::Hold => layout::HOLD,
        Act::Release | Act::Requeue => layout::CUR,
        Act::Remove => layout::TRASH,
    };
    if from != to {
        store.park(message.id, from, to).map_err(Trouble::Disk)?;
    }
    message.in_data = false;
    message.reason = String::new();
    match deed.act {
        Act::Hold => (message.place, message.next_attempt, message.reason) = (Place::Hold, None, by(deed)),
        Act::Release => (message.place, message.next_attempt) = (Place::Cur, Some(deed.now)),
        Act::Remove => (message.place, message.next_attempt, message.finished) = (Place::Gone, None, Some(deed.now)),
        Act::Requeue => {
            (message.place, message.next_attempt, message.finished) = (Place::Cur, Some(deed.now), None);
            (message.attempts, message.expires) = (0, deed.now.saturating_add(deed.give_up));
            reopen(state, &message, deed.now)?;
        }
    }
    state.update(&message)?;
    state.record(message.id, &Event { at: deed.now, kind: deed.act.done().to_owned(), text: by(deed) })?;
    Ok(())
}

/// A requeued message tries all of its recipients again that were not relayed.
fn reopen(state: &State, message: &Message, now: i64) -> rusqlite::Result<()> {
    for recipient in state.recipients(message.id)?.into_iter().filter(|r| r.progress != Progress::Relayed) {
        let update = RecipientUpdate {
            n: recipient.n,
            progress: Progress::Waiting,
            status: recipient.status,
            reply: recipient.reply,
            relay: recipient.relay,
        };
        state.update_recipient(message.id, &update, now)?;
    }
    Ok(())
}
