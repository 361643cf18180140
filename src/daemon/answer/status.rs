//! How the daemon is: for `status`, and beside the live view.

use control::protocol::{Status, Suspended};
use exit::Failure;
use observe::alarms::alarm::Severity;

use super::asked::{Server, read};
use crate::health::STALLED;

/// The state of the whole.
pub(super) async fn status(server: &Server) -> Result<Status, Failure> {
    let (counts, oldest) = read(server, |state| Ok((state.counts()?, state.oldest()?))).await?;
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
        healthy: ready && alarms.iter().all(|alarm| alarm.severity != Severity::Critical.word()),
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
        warnings: setup.problems.clone(),
    })
}
