//! How the daemon is: for `status`, and beside the live view.

use control::protocol::Severity;
use control::protocol::{NEAR_LIMIT, Status, Suspended};
use exit::Failure;

use super::asked::{Rights, Server, read};
use crate::health::STALLED;
use state::State;

/// Users near a limit that are shown.
const USERS: usize = 100;

/// The state of the whole. How much each user has is for administrators.
pub(super) async fn status(server: &Server, rights: Rights) -> Result<Status, Failure> {
    let limits = server.state_writer.limits();
    let near = move |state: &State| if rights.is_admin { limits.near(state, NEAR_LIMIT, USERS) } else { Ok(Vec::new()) };
    let (counts, oldest, usage) = read(server, move |state| Ok((state.counts()?, state.oldest()?, near(state)?))).await?;
    let now = sys::clock::now();
    let setup = server.current.get();
    let suspended = server.dispatch.queue(|queue| {
        let shown = queue.suspensions(now).take(100);
        shown.map(|(route, s)| Suspended { route: route.to_string(), until: s.until, reason: s.reason.clone() }).collect()
    });
    let [queued, held, failed] = counts;
    let alarms = server.alarms.lines();
    let ready = server.health.stalled_for() < STALLED && !server.stop.is_set();
    Ok(Status {
        live: true,
        ready,
        healthy: ready && alarms.iter().all(|alarm| alarm.severity != Severity::Critical),
        alarms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: server.health.uptime().unsigned_abs(),
        next_hop: setup.params.next_hop.to_string(),
        queued,
        held,
        failed,
        oldest,
        last_relayed: server.health.last_relayed(),
        paused: server.dispatch.paused().unwrap_or_default(),
        suspended,
        closed: server.admission.closed(),
        over_quota: server.admission.over(),
        usage,
        warnings: setup.problems.clone(),
    })
}
