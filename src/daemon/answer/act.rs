//! What operators do to messages, in the daemon: a hundred at a time in the state writer's turns, so that deliveries go on between them.

use std::sync::Arc;

use super::asked::{Answer, Rights, Served, Server, stopped};
use super::choose::Wanted;
use crate::outcome::Stop;
use admin::moves::Concluded;
use admin::op::{AdminOp, Named, Reach};
use control::filter::Filter;
use control::protocol::{Act, Done};
use exit::Failure;
use log::events;
use mail::code::Code as _;
use mail::{Actor, Hold};
use state::{Message, State};
use store::Store;

/// Messages of one turn of the state writer.
const TURN: usize = 100;
/// Bytes of the selection that the log repeats.
const SELECTION: usize = 200;

/// A request to do something to messages.
pub(super) struct Order {
    /// What.
    pub(crate) act: Act,
    /// Queue ids; none means all that match.
    pub(crate) ids: Vec<String>,
    /// The conditions.
    pub(crate) filter: Filter,
    /// Only say what would be done.
    pub(crate) dry_run: bool,
}

/// Does it to the messages of these ids that match, or to all that match and that the peer may modify. EX 1 if one was not found or
/// cannot be had.
pub(super) async fn act(server: &Arc<Server>, rights: Rights, order: Order, out: &mut Answer) -> Result<Served, Failure> {
    let queue_lifetime = i64::try_from(server.current.get().params.queue_lifetime.0.as_secs()).unwrap_or(i64::MAX / 4);
    let by = by(rights).await?;
    let op = AdminOp { act: order.act, by, dry_run: order.dry_run, now: sys::clock::now(), queue_lifetime };
    let selection = selection(&order);
    let mut doing = Doing { server, rights, op: Arc::new(op), out, count: 0, refused: 0 };
    let wanted = Wanted { may: Rights::may_modify, rights, filter: order.filter, with_recipients: false };
    let ended = match order.ids.is_empty() {
        true => doing.all(&wanted).await,
        false => doing.these(&wanted, &order.ids).await,
    };
    // Also where it ended early: what was done was done.
    if !order.dry_run && doing.count > 0 {
        events::requested(order.act.op().word(), rights.uid, doing.count, &selection);
    }
    let refused = doing.refused;
    server.dispatch.wake.notify_one();
    server.dsn_due.notify_one();
    ended?;
    Ok(if refused == 0 { Served::All } else { Served::Some(String::new()) })
}

/// Who asks, as histories have it. Names may be kept on another host, by a service that answers when it likes.
pub(super) async fn by(rights: Rights) -> Result<Actor, Failure> {
    let name = tokio::task::spawn_blocking(move || sys::process::user_name(rights.uid)).await.map_err(super::asked::database)?;
    Ok(Actor { uid: rights.uid, name })
}

/// What was asked for, for the log: the conditions, and the ids as far as there is room.
fn selection(order: &Order) -> String {
    if order.ids.is_empty() {
        return order.filter.to_string();
    }
    let mut text = mail::printable::text(&order.ids.join(" "));
    if text.len() > SELECTION {
        text.truncate(text.floor_char_boundary(SELECTION));
        text.push('…');
    }
    if order.filter.is_everything() { text } else { format!("{text} {}", order.filter) }
}

struct Doing<'a> {
    server: &'a Arc<Server>,
    rights: Rights,
    op: Arc<AdminOp>,
    out: &'a mut Answer,
    count: u64,
    refused: u64,
}

impl Doing<'_> {
    async fn all(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        let mut pages = wanted.pages(self.server);
        while let Some(found) = pages.next().await? {
            let changes = found.into_iter().filter(|(message, _)| self.op.changes(message));
            self.turns(changes.map(|(message, _)| Named::from(message.id)).collect()).await?;
        }
        Ok(())
    }

    /// The ids that were named. Messages that do not meet the conditions are skipped; an invalid id, or a message of another user, is
    /// reported as not found.
    async fn these(&mut self, wanted: &Wanted, ids: &[String]) -> Result<(), Failure> {
        for ids in ids.chunks(TURN) {
            let mut named = Vec::new();
            for text in ids {
                let found = if wanted.filter.is_everything() { None } else { wanted.named(self.server, text).await? };
                if found.is_none_or(|(_, is_meant)| is_meant) {
                    named.push(Named::parse(text));
                }
            }
            self.turns(named).await?;
        }
        Ok(())
    }

    async fn turns(&mut self, mut named: Vec<Named>) -> Result<(), Failure> {
        while !named.is_empty() {
            let rest = named.split_off(named.len().min(TURN));
            for done in self.turn(std::mem::replace(&mut named, rest)).await? {
                *(if done.done { &mut self.count } else { &mut self.refused }) += 1;
                self.out.say(&done).await?;
            }
        }
        Ok(())
    }

    /// One turn of the state writer.
    async fn turn(&self, named: Vec<Named>) -> Result<Vec<Done>, Failure> {
        let rights = self.rights;
        let may = move |message: &Message| Rights::may_modify(&rights, message);
        let (op, orders) = (Arc::clone(&self.op), Arc::clone(self.server.state_writer.orders()));
        let plan = move |state: &State, store: &Store| {
            let mark = |id| stop_of(&op).map_or((), |stop| orders.give(id, stop));
            op.plan(state, store, &Reach { may: &may, mark: Some(&mark) }, &named)
        };
        let op = Arc::clone(&self.op);
        let told = move |done: Vec<Done>, _: &State, concluded: &[Concluded]| op.told(done, concluded);
        self.server.state_writer.operate(plan, told).map_err(|_| stopped())?.await.map_err(|_| stopped())
    }
}

/// How the attempt of a message ends that is being sent.
fn stop_of(op: &AdminOp) -> Option<Stop> {
    match op.act {
        Act::Hold => Some(Stop::Hold(Hold::by(op.by.clone()))),
        Act::Remove => Some(Stop::Remove(op.by.clone())),
        Act::Expire | Act::Bounce => Some(Stop::GiveUp(op.by.clone(), op.act.op())),
        Act::Release | Act::Requeue | Act::Flush => None,
    }
}
