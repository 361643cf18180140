//! The event table of the daemon: one function per event, one line per call, fields in the fixed order
//! `queue_id from to relay delay dsn status reply`.
//!
//! Levels: `info` for what happens all day, `warn` for what an administrator needs to see eventually, `error` for now. Every text
//! is made printable here, wherever it comes from, so that none can forge a line, a field of the journal or an argument of a hook
//! (THREATS T-OUT-1); a test finds the one that is not. The text log, the journal, the event file and the webhooks are all fed by
//! these calls (`relay::logging`); [`super::names`] has their names for the configuration.

use tracing::{error, info, warn};

use mail::printable::safe;
use mail::queue_id::QueueId;

/// Where these calls stand: what is logged elsewhere is no event.
pub(crate) const TARGET: &str = module_path!();

/// The daemon is ready.
pub fn started(version: &str, spool: &str, next_hop: &str) {
    info!(event = "started", version = &*safe(version), spool = &*safe(spool), next_hop = &*safe(next_hop), "mailchuted is ready");
}

/// The daemon ends in order.
pub fn stopped() {
    info!(event = "stopped", "mailchuted has stopped");
}

/// The configuration was read again.
pub fn reloaded() {
    info!(event = "reloaded", "configuration read again");
}

/// The new configuration is wrong; the old one stays.
pub fn reload_refused(reason: &str) {
    error!(event = "reload_refused", reason = &*safe(reason), "the configuration is wrong, the old one stays in force");
}

/// A message was claimed: it is ours from here.
pub fn accepted(queue_id: QueueId, from: &str, uid: u32, size: u64, recipients: usize, message_id: &str) {
    info!(event = "accepted", queue_id = %queue_id, from = &*safe(from), uid, size, recipients, message_id = &*safe(message_id));
}

/// What one attempt meant for one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Queue id.
    pub queue_id: QueueId,
    /// Reverse-path.
    pub from: &'a str,
    /// Forward-path.
    pub to: &'a str,
    /// The host that answered, with its address.
    pub relay: &'a str,
    /// Seconds since the message was accepted.
    pub delay: i64,
    /// Enhanced status.
    pub dsn: &'a str,
    /// The reply, or the reason.
    pub reply: &'a str,
}

/// The next hop has taken responsibility.
pub fn relayed(o: Outcome<'_>) {
    info!(
        event = "relayed", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "relayed", reply = &*safe(o.reply)
    );
}

/// It will be tried again.
pub fn deferred(o: Outcome<'_>) {
    info!(
        event = "deferred", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "deferred", reply = &*safe(o.reply)
    );
}

/// It failed for good.
pub fn failed(o: Outcome<'_>) {
    warn!(
        event = "failed", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "failed", reply = &*safe(o.reply)
    );
}

/// The connection was lost after the final dot: it may have been delivered, and may be delivered twice.
pub fn uncertain(o: Outcome<'_>) {
    warn!(
        event = "uncertain", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "uncertain", reply = &*safe(o.reply), "a duplicate is possible"
    );
}

/// The next attempt may deliver it a second time.
pub fn possible_duplicate(queue_id: QueueId, reason: &str) {
    warn!(event = "possible_duplicate", queue_id = %queue_id, reason = &*safe(reason));
}

/// A message was parked.
pub fn held(queue_id: QueueId, reason: &str) {
    warn!(event = "held", queue_id = %queue_id, reason = &*safe(reason));
}

/// A file in the spool is not a message.
pub fn corrupt(name: &str, reason: &str) {
    error!(event = "corrupt", name = &*safe(name), reason = &*safe(reason), "moved to corrupt/");
}

/// Something in the drop directory that can neither be read nor moved.
pub fn stuck(name: &str, reason: &str) {
    warn!(event = "stuck", name = &*safe(name), reason = &*safe(reason), "left where it is");
}

/// A file of a newer version of mailchute.
pub fn newer(name: &str, version: u32) {
    error!(event = "newer", name = &*safe(name), version, "left where it is: written by a newer mailchute; upgrade this one");
}

/// A file and its row disagreed at start, and how that was settled.
pub fn reconciled(queue_id: QueueId, what: &str) {
    warn!(event = "reconciled", queue_id = %queue_id, what = &*safe(what));
}

/// What the start found, in messages.
pub fn recovered(admitted: usize, uncertain: usize, vanished: usize, settled: usize, corrupt: usize) {
    info!(event = "recovered", admitted, uncertain, vanished, settled, corrupt);
}

/// A next hop cannot be used; nothing fails, everything for it waits.
pub fn route_suspended(route: &str, seconds: i64, reason: &str) {
    warn!(event = "route_suspended", route = &*safe(route), seconds, reason = &*safe(reason));
}

/// The next hop works again.
pub fn route_resumed(route: &str) {
    info!(event = "route_resumed", route = &*safe(route));
}

/// A key or credential that mail needs cannot be used.
pub fn unusable(what: &str, reason: &str) {
    error!(event = "unusable", what = &*safe(what), reason = &*safe(reason));
}

/// Somebody is told what became of a message: by the message `notice`, `failed`, `delayed` or `relayed`.
pub fn dsn_sent(queue_id: QueueId, notice: QueueId, to: &str, action: &str) {
    info!(event = "dsn_sent", queue_id = %queue_id, notice = %notice, to = &*safe(to), action = &*safe(action));
}

/// Nobody is told what became of a message.
pub fn dsn_suppressed(queue_id: QueueId, reason: &str) {
    warn!(event = "dsn_suppressed", queue_id = %queue_id, reason = &*safe(reason));
}

/// `dsn_limit` is reached.
pub fn dsn_limit_reached(waiting: u64, seconds: i64) {
    warn!(event = "dsn_limit_reached", waiting, seconds, "more messages fail or are late than notices may leave");
}

/// An administrator closed admission.
pub fn admission_closed(uid: u32, reason: &str) {
    warn!(event = "admission_closed", uid, reason = &*safe(reason), "no new mail is taken");
}

/// An administrator opened admission.
pub fn admission_opened(uid: u32) {
    info!(event = "admission_opened", uid, "new mail is taken again");
}

/// A user has as much mail in the spool as it may have.
pub fn quota_reached(uid: u32, messages: u64, bytes: u64) {
    warn!(event = "quota_reached", uid, messages, bytes, "no more mail of this user is taken");
}

/// There is room for mail of that user again.
pub fn quota_cleared(uid: u32) {
    info!(event = "quota_cleared", uid, "mail of this user is taken again");
}

/// Space was set aside for a full disk.
pub fn ballast_made(bytes: u64) {
    info!(event = "ballast_made", bytes);
}

/// The disk is full, or nearly: the space set aside is used, so that outcomes can be recorded.
pub fn ballast_given_back(bytes: u64, reason: &str) {
    error!(event = "ballast_given_back", bytes, reason = &*safe(reason), "the disk of the spool is full: free some space");
}

/// The disk or the database refused: delivery stops until it works.
pub fn storage_failed(what: &str, reason: &str) {
    error!(event = "storage_failed", what = &*safe(what), reason = &*safe(reason));
}

/// The page of metrics cannot be written; deliveries go on.
pub fn metrics_refused(path: &str, reason: &str) {
    warn!(event = "metrics_refused", path = &*safe(path), reason = &*safe(reason));
}

/// An administrator's request that changes something, who made it, and which messages it named.
pub fn requested(verb: &str, uid: u32, messages: u64, selection: &str) {
    info!(event = "requested", verb = &*safe(verb), uid, messages, selection = &*safe(selection));
}

/// An operator took a message out of the queue.
pub fn removed(queue_id: QueueId, reason: &str) {
    info!(event = "removed", queue_id = %queue_id, reason = &*safe(reason));
}

/// A held message goes on.
pub fn released(queue_id: QueueId, reason: &str) {
    info!(event = "released", queue_id = %queue_id, reason = &*safe(reason));
}

/// A message begins anew.
pub fn requeued(queue_id: QueueId, reason: &str) {
    info!(event = "requeued", queue_id = %queue_id, reason = &*safe(reason));
}

/// The database was lost: it was made anew from the files, and what may have been delivered is held.
pub fn state_lost(held: usize) {
    error!(event = "state_lost", held, "state.sqlite was made anew from the files");
}

/// Something needs a person; told once, until it is over.
pub fn alarm_raised(alarm: &str, subject: &str, severity: &str, reason: &str) {
    error!(event = "alarm_raised", alarm = &*safe(alarm), subject = &*safe(subject), severity = &*safe(severity), reason = &*safe(reason));
}

/// It is over, after this many seconds.
pub fn alarm_cleared(alarm: &str, subject: &str, seconds: i64) {
    info!(event = "alarm_cleared", alarm = &*safe(alarm), subject = &*safe(subject), seconds);
}

/// An outlet of alarms does not work: the command, or the file.
pub fn alarm_sink_failed(outlet: &str, reason: &str) {
    warn!(event = "alarm_sink_failed", outlet = &*safe(outlet), reason = &*safe(reason));
}

/// The event file cannot be written. Told once, until it can be again.
pub fn event_file_failed(path: &str, reason: &str) {
    error!(event = "event_file_failed", path = &*safe(path), reason = &*safe(reason));
}

/// Events that an outlet did not get.
pub fn events_lost(outlet: &str, lost: u64) {
    warn!(event = "events_lost", outlet = &*safe(outlet), lost);
}

/// A webhook does not take events. Told once, until it does again.
pub fn webhook_failed(webhook: &str, reason: &str) {
    warn!(event = "webhook_failed", webhook = &*safe(webhook), reason = &*safe(reason), "its events wait");
}

/// It takes them again.
pub fn webhook_resumed(webhook: &str) {
    info!(event = "webhook_resumed", webhook = &*safe(webhook));
}

/// The canary was sent; an alarm follows if it does not arrive.
pub fn canary_sent(message_id: &str, to: &str) {
    info!(event = "canary_sent", message_id = &*safe(message_id), to = &*safe(to));
}
