//! `trace`, `why` and the live view: the history from the database, and how the daemon stands to it now.

use std::sync::Arc;

use super::asked::{Answer, Rights, Server, read};
use super::status::status;
use control::filter::domain_of;
use control::history::{DaemonSnapshot, RouteView, WhyInputs};
use control::protocol::Detail;

use admin::entries;
use control::listing::Entry;
use exit::{Exit, Failure};
use mail::Address;
use mail::queue_id::QueueId;

use crate::queue::Queue;
use state::{Message, State};
use transport::route::RouteKey;

/// Messages that one trace gives at most.
const TRACED: usize = 1000;
/// Messages that a person sees about one subject.
const SHOWN: usize = 3;
/// Queued messages that are searched for a domain, the oldest first: those have waited longest, and a person waits for the answer.
const SEARCHED: usize = 2000;
/// And about the most of their recipients: each may have ten thousand.
const RECIPIENTS: usize = 100_000;
/// Routes in one answer.
const ROUTES: usize = 12;
/// Ended messages in one look.
const LATEST: usize = 8;

fn may_look(rights: Rights) -> Result<(), Failure> {
    let refused = || Failure::new(Exit::NoPerm, "only root and the admin group may look at mail here (mailq_users)");
    rights.sees_own.then_some(()).ok_or_else(refused)
}

fn nothing(subject: &str) -> Failure {
    let subject = mail::printable::text(subject);
    Failure::new(Exit::NotFound, format!("{subject}: no message of this id, address or Message-ID is in the queue or the history"))
}

/// The messages that `subject` means, the latest first. EX 1 if there is none that the peer may see.
pub(super) async fn trace(server: &Arc<Server>, rights: Rights, subject: String, limit: usize, out: &mut Answer) -> Result<(), Failure> {
    may_look(rights)?;
    let (wanted, limit) = (subject.clone(), limit.min(TRACED));
    let found = read(server, move |state| admin::history::find(state, &wanted, limit, |message| rights.sees(message))).await?;
    if found.messages.is_empty() {
        return Err(nothing(&subject));
    }
    for message in found.messages {
        out.say(&detail(server, message).await?).await?;
    }
    Ok(())
}

/// One message with its history.
pub(super) async fn detail(server: &Arc<Server>, message: Message) -> Result<Detail, Failure> {
    let is_active = server.dispatch.is_active(message.id);
    read(server, move |state| admin::history::detail(state, &message, is_active, sys::clock::now())).await
}

/// What bears on `subject`. EX 1 if it names no message, and no domain or route of which there is anything to tell.
pub(super) async fn why(server: &Arc<Server>, rights: Rights, subject: String, out: &mut Answer) -> Result<(), Failure> {
    may_look(rights)?;
    let is_message = QueueId::parse(subject.as_bytes()).is_some() || subject.contains('@');
    let mut inputs = WhyInputs {
        is_running: true,
        paused: server.dispatch.paused().unwrap_or_default(),
        connection_limit: server.current.get().params.route_connections,
        ..WhyInputs::default()
    };
    let mut found = match is_message {
        true => by_subject(server, rights, subject.clone()).await?,
        false => by_place(server, rights, subject.clone()).await?,
    };
    let is_name = !is_message && found.messages.is_empty();
    if is_name {
        // A local name, which an alias replaced.
        found = by_subject(server, rights, subject.clone()).await?;
    }
    let is_message = is_message || is_name && !found.messages.is_empty();
    (inputs.more, inputs.is_partial) = (found.more, found.is_partial);
    for message in found.messages {
        inputs.messages.push(detail(server, message).await?);
    }
    let of_messages = || routes_of(server, &inputs.messages);
    let routes = if is_message { Vec::new() } else { routes_named(server, rights, &subject) };
    let routes = if routes.is_empty() { of_messages() } else { routes };
    inputs.routes = views(server, rights, &routes);
    // The way to a domain is known for every domain there is; that nothing is wrong with it is no answer.
    let is_telling = |route: &RouteView| route.until.is_some() || route.failures > 0 || route.waiting + route.connections > 0;
    if inputs.messages.is_empty() && !inputs.routes.iter().any(is_telling) {
        return Err(nothing(&subject));
    }
    out.say(&inputs).await
}

/// The messages that a person sees, and how many there are besides.
#[derive(Default)]
struct Shown {
    messages: Vec<Message>,
    more: usize,
    /// There may be others, which were not looked at.
    is_partial: bool,
}

async fn by_subject(server: &Arc<Server>, rights: Rights, subject: String) -> Result<Shown, Failure> {
    let found = read(server, move |state| admin::history::find(state, &subject, SHOWN, |message| rights.sees(message))).await?;
    Ok(Shown { messages: found.messages, more: 0, is_partial: found.is_partial })
}

/// Queued messages with an open recipient of this domain, or whose way is the route of this name.
async fn by_place(server: &Arc<Server>, rights: Rights, place: String) -> Result<Shown, Failure> {
    let setup = server.current.get();
    let search = move |state: &State| {
        let (domain, mut rows, mut shown, mut looked_at) = (place.to_lowercase(), Vec::new(), Shown::default(), 0);
        let is_route = |address: &str| {
            let address = Address::parse(address);
            address.is_ok_and(|address| setup.router.route_of(&address).to_string().eq_ignore_ascii_case(&place))
        };
        shown.is_partial = state.queued(None, SEARCHED, |message| rows.push(message))? >= SEARCHED;
        for message in rows.into_iter().filter(|message| rights.sees(message)) {
            if looked_at >= RECIPIENTS {
                shown.is_partial = true;
                break;
            }
            let recipients = state.recipients(message.id)?;
            looked_at += recipients.len();
            let mut open = recipients.iter().filter(|recipient| recipient.progress.is_open()).map(|recipient| recipient.address.as_str());
            if !open.any(|address| domain_of(address) == domain || is_route(address)) {
                continue;
            }
            match shown.messages.len() < SHOWN {
                true => shown.messages.push(message),
                false => shown.more += 1,
            }
        }
        Ok(shown)
    };
    read(server, search).await
}

/// The routes of the open recipients.
fn routes_of(server: &Server, messages: &[Detail]) -> Vec<RouteKey> {
    let open = messages.iter().flat_map(|detail| &detail.entry.recipients).filter(|r| r.status.is_open());
    let addresses = open.map(|recipient| recipient.address.as_str());
    let setup = server.current.get();
    let mut routes = Vec::new();
    for address in addresses {
        let route = Address::parse(address).map(|address| setup.router.route_of(&address));
        if let Ok(route) = route
            && !routes.contains(&route)
            && routes.len() < ROUTES
        {
            routes.push(route);
        }
    }
    routes
}

/// The routes of this name, as listings and logs have it; else the one to the domain of this name. That a route is known tells of
/// somebody's mail; to those who may not see that, only suspended ones are, which the status shows to all.
fn routes_named(server: &Server, rights: Rights, name: &str) -> Vec<RouteKey> {
    let now = sys::clock::now();
    let is_named = |route: &&RouteKey| route.to_string().eq_ignore_ascii_case(name);
    let named = server.dispatch.queue(|queue| {
        let may_know = |route: &&RouteKey| rights.sees_all || queue.suspension(route, now).is_some();
        queue.known_routes().filter(may_know).find(is_named).cloned()
    });
    let to_domain =
        || Address::new("postmaster", name).ok().filter(|_| name.contains('.')).map(|a| server.current.get().router.route_of(&a));
    named.or_else(to_domain).into_iter().collect()
}

fn views(server: &Server, rights: Rights, routes: &[RouteKey]) -> Vec<RouteView> {
    let now = sys::clock::now();
    server.dispatch.queue(|queue| routes.iter().map(|route| view(queue, rights, route, now)).collect())
}

/// A route; how much mail waits for it only to those who may see all mail.
fn view(queue: &Queue<RouteKey>, rights: Rights, route: &RouteKey, now: i64) -> RouteView {
    let (waiting, connections) = if rights.sees_all { queue.load(route) } else { (0, 0) };
    let suspension = queue.suspension(route, now);
    RouteView {
        route: route.to_string(),
        waiting,
        connections,
        failures: if rights.sees_all || suspension.is_some() { queue.failures(route) } else { 0 },
        until: suspension.map(|suspension| suspension.until),
        reason: suspension.map(|suspension| suspension.reason.clone()).unwrap_or_default(),
        why: suspension.map(|suspension| suspension.diagnosis.into()).unwrap_or_default(),
    }
}

/// How the daemon works.
pub(super) async fn look(server: &Arc<Server>, rights: Rights, out: &mut Answer) -> Result<(), Failure> {
    may_look(rights)?;
    let now = sys::clock::now();
    let uid = (!rights.sees_all).then_some(rights.uid);
    let numbers = move |state: &State| {
        let latest = state.latest_ended(LATEST, uid)?;
        let entry = |message: &Message| Ok(entries::entry(message, &state.recipients(message.id)?, false, now));
        Ok((admin::stats::brief(state, uid, now)?, latest.iter().map(entry).collect::<state::Result<Vec<Entry>>>()?))
    };
    let (stats, latest) = read(server, numbers).await?;
    let mut routes = server.dispatch.queue(|queue| queue.known_routes().map(|route| view(queue, rights, route, now)).collect::<Vec<_>>());
    routes.retain(|route| rights.sees_all || route.until.is_some());
    routes.sort_by_key(|route| (std::cmp::Reverse(route.waiting + route.connections), route.until.is_none(), route.route.clone()));
    routes.truncate(ROUTES);
    out.say(&DaemonSnapshot { at: now, status: status(server, rights).await?, stats, routes, latest }).await
}
