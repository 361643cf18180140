//! The event table of the daemon: one function per event, one line per call, fields in the fixed order
//! `queue_id from to relay delay dsn status reply`.
//!
//! Levels: `info` for routine events, `warn` for what an administrator should see eventually, `error` for what needs attention now.
//! Every text is made printable here, whatever its source, so that no text can forge a line, a journal field or an argument of a
//! hook (THREATS T-OUT-1); a test checks each event. These calls feed the text log, the journal, the event file and the webhooks
//! (`observe::logging`); [`super::names`] lists the names for the configuration.

use tracing::{error, info, warn};

use mail::code::{Code, Duplicate, MessageEnd, NoDsn, Trigger};
use mail::printable::safe;
use mail::queue_id::QueueId;
use mail::{Actor, Diagnosis, Hold, words};

/// The target of these calls. Log lines with another target are not events.
pub(crate) const TARGET: &str = module_path!();

/// The word of a code, where there is one. A field without a value is left out.
fn word<C: Code>(code: Option<C>) -> Option<&'static str> {
    code.map(C::word)
}

/// The name of who wanted it, or nothing.
fn name(by: Option<&Actor>) -> &str {
    by.map_or("", |by| &by.name)
}

/// The daemon is ready.
pub fn started(version: &str, spool: &str, next_hop: &str) {
    info!(event = "started", version = &*safe(version), spool = &*safe(spool), next_hop = &*safe(next_hop), "mailchuted is ready");
}

/// The daemon stopped in an orderly way.
pub fn stopped() {
    info!(event = "stopped", "mailchuted has stopped");
}

/// The configuration was reloaded.
pub fn reloaded() {
    info!(event = "reloaded", "configuration reloaded");
}

/// The new configuration is invalid; the old one stays in force.
pub fn reload_refused(reason: &str) {
    error!(event = "reload_refused", reason = &*safe(reason), "the new configuration is invalid; the old one stays in force");
}

/// The daemon claimed a message and is responsible for it from here.
pub fn accepted(queue_id: QueueId, from: &str, uid: u32, size: u64, recipients: usize, message_id: &str) {
    info!(event = "accepted", queue_id = %queue_id, from = &*safe(from), uid, size, recipients, message_id = &*safe(message_id));
}

/// The outcome of one delivery attempt for one recipient.
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
    /// Why, in codes.
    pub diagnosis: Diagnosis,
    /// How the message ended, on the one event that ended it.
    pub end: Option<MessageEnd>,
}

/// The next hop has taken responsibility.
pub fn relayed(o: Outcome<'_>) {
    info!(
        event = "relayed", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "relayed", reply = &*safe(o.reply),
        cause = word(o.diagnosis.cause), subject = word(o.diagnosis.subject), stage = word(o.diagnosis.stage), code = o.diagnosis.code,
        end = word(o.end)
    );
}

/// The recipient was deferred and will be tried again.
pub fn deferred(o: Outcome<'_>) {
    info!(
        event = "deferred", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "deferred", reply = &*safe(o.reply),
        cause = word(o.diagnosis.cause), subject = word(o.diagnosis.subject), stage = word(o.diagnosis.stage), code = o.diagnosis.code,
        end = word(o.end)
    );
}

/// Delivery to the recipient failed permanently.
pub fn failed(o: Outcome<'_>) {
    warn!(
        event = "failed", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "failed", reply = &*safe(o.reply),
        cause = word(o.diagnosis.cause), subject = word(o.diagnosis.subject), stage = word(o.diagnosis.stage), code = o.diagnosis.code,
        end = word(o.end)
    );
}

/// The message ended, and no outcome of a recipient was told with it that could say so.
pub fn ended(queue_id: QueueId, from: &str, end: MessageEnd) {
    info!(event = "ended", queue_id = %queue_id, from = &*safe(from), end = end.word());
}

/// The connection was lost after the final dot. The message may have been delivered, and may be delivered twice.
pub fn uncertain(o: Outcome<'_>) {
    warn!(
        event = "uncertain", queue_id = %o.queue_id, from = &*safe(o.from), to = &*safe(o.to),
        relay = &*safe(o.relay), delay = o.delay, dsn = &*safe(o.dsn),
        status = "uncertain", reply = &*safe(o.reply),
        cause = word(o.diagnosis.cause), subject = word(o.diagnosis.subject), stage = word(o.diagnosis.stage), code = o.diagnosis.code,
        end = word(o.end), "a duplicate is possible"
    );
}

/// The next attempt may deliver the message a second time.
pub fn possible_duplicate(queue_id: QueueId, cause: Duplicate) {
    warn!(event = "possible_duplicate", queue_id = %queue_id, reason = words::of_duplicate(cause), cause = cause.word());
}

/// A message was held.
pub fn held(queue_id: QueueId, hold: &Hold) {
    let (reason, by) = (words::of_hold(hold), hold.by.as_ref());
    warn!(
        event = "held", queue_id = %queue_id, reason = &*safe(&reason), cause = hold.cause.word(),
        uid = by.map(|by| by.uid), user = &*safe(name(by)), detail = &*safe(&hold.detail)
    );
}

/// A message was lost on this host: its file in the spool was changed or removed.
pub fn lost(queue_id: QueueId, end: MessageEnd, detail: &str, from: &str, recipients: usize) {
    error!(
        event = "lost", queue_id = %queue_id, from = &*safe(from), recipients, reason = words::of_end(end), cause = end.word(),
        detail = &*safe(detail), "the message was not delivered"
    );
}

/// A file in the spool is not a message.
pub fn corrupt(name: &str, reason: &str) {
    error!(event = "corrupt", name = &*safe(name), reason = &*safe(reason), "moved to corrupt/");
}

/// An entry of the drop directory can neither be read nor moved.
pub fn stuck(name: &str, reason: &str) {
    warn!(event = "stuck", name = &*safe(name), reason = &*safe(reason), "left in place");
}

/// A file of a newer version of mailchute.
pub fn newer(name: &str, version: u32) {
    error!(event = "newer", name = &*safe(name), version, "left in place: written by a newer mailchute; upgrade this one");
}

/// A file and its row disagreed at start. `what` says how that was reconciled.
pub fn reconciled(queue_id: QueueId, what: &str) {
    warn!(event = "reconciled", queue_id = %queue_id, what = &*safe(what));
}

/// The result of the recovery at start, in messages.
pub fn recovered(admitted: usize, uncertain: usize, vanished: usize, reconciled: usize, corrupt: usize) {
    info!(event = "recovered", admitted, uncertain, vanished, reconciled, corrupt);
}

/// A next hop cannot be used. The route is suspended; its messages stay queued.
pub fn route_suspended(route: &str, seconds: i64, reason: &str) {
    warn!(event = "route_suspended", route = &*safe(route), seconds, reason = &*safe(reason));
}

/// The next hop works again.
pub fn route_resumed(route: &str) {
    info!(event = "route_resumed", route = &*safe(route));
}

/// A key or credential cannot be used.
pub fn unusable(what: &str, reason: &str) {
    error!(event = "unusable", what = &*safe(what), reason = &*safe(reason));
}

/// A DSN about the message `queue_id` was queued as `dsn_id`. The action is `failed`, `delayed` or `relayed`.
pub fn dsn_sent(queue_id: QueueId, dsn_id: QueueId, to: &str, action: &str) {
    info!(event = "dsn_sent", queue_id = %queue_id, dsn_id = %dsn_id, to = &*safe(to), action = &*safe(action));
}

/// No DSN is sent about a message.
pub fn dsn_suppressed(queue_id: QueueId, cause: NoDsn) {
    warn!(event = "dsn_suppressed", queue_id = %queue_id, reason = words::of_no_dsn(cause), cause = cause.word());
}

/// `dsn_limit` was reached.
pub fn dsn_limit_reached(waiting: u64, seconds: i64) {
    warn!(event = "dsn_limit_reached", waiting, seconds, "more DSNs are due than dsn_limit allows within an hour");
}

/// An administrator closed admission.
pub fn admission_closed(uid: u32, reason: &str) {
    warn!(event = "admission_closed", uid, reason = &*safe(reason), "not accepting new mail");
}

/// An administrator opened admission.
pub fn admission_opened(uid: u32) {
    info!(event = "admission_opened", uid, "accepting mail again");
}

/// A user has reached its spool limit.
pub fn quota_reached(uid: u32, messages: u64, bytes: u64) {
    warn!(event = "quota_reached", uid, messages, bytes, "not accepting mail from this user");
}

/// A user is below its spool limit again.
pub fn quota_cleared(uid: u32) {
    info!(event = "quota_cleared", uid, "accepting mail from this user again");
}

/// Space was reserved for the case of a full disk.
pub fn ballast_made(bytes: u64) {
    info!(event = "ballast_made", bytes);
}

/// The disk is full, or nearly full. The reserved space was freed so that outcomes can be recorded.
pub fn ballast_given_back(bytes: u64, reason: &str) {
    error!(event = "ballast_given_back", bytes, reason = &*safe(reason), "the spool file system is full: free some space");
}

/// The disk or the database reported an error. Delivery stops until it works again.
pub fn storage_failed(what: &str, reason: &str) {
    error!(event = "storage_failed", what = &*safe(what), reason = &*safe(reason));
}

/// The metrics file cannot be written. Delivery continues.
pub fn metrics_refused(path: &str, reason: &str) {
    warn!(event = "metrics_refused", path = &*safe(path), reason = &*safe(reason));
}

/// An administrator requested a change: the verb, the uid and the selected messages.
pub fn requested(verb: &str, uid: u32, messages: u64, selection: &str) {
    info!(event = "requested", verb = &*safe(verb), uid, messages, selection = &*safe(selection));
}

/// An operator removed a message from the queue.
pub fn removed(queue_id: QueueId, by: Option<&Actor>, trigger: Trigger, end: Option<MessageEnd>) {
    let reason = words::of_actor_or(by, trigger);
    info!(
        event = "removed", queue_id = %queue_id, reason = &*safe(&reason), trigger = trigger.word(),
        uid = by.map(|by| by.uid), user = &*safe(name(by)), end = word(end)
    );
}

/// The file of a failed or corrupt message was kept for `failed_lifetime` and is deleted. The queue id is empty where the file never
/// was a message.
pub fn discarded(queue_id: &str, name: &str) {
    info!(event = "discarded", queue_id = &*safe(queue_id), name = &*safe(name), "deleted after failed_lifetime");
}

/// A held message was released to the queue.
pub fn released(queue_id: QueueId, by: Option<&Actor>, trigger: Trigger) {
    let reason = words::of_actor_or(by, trigger);
    info!(
        event = "released", queue_id = %queue_id, reason = &*safe(&reason), trigger = trigger.word(),
        uid = by.map(|by| by.uid), user = &*safe(name(by))
    );
}

/// A message was requeued and starts from scratch.
pub fn requeued(queue_id: QueueId, by: Option<&Actor>, trigger: Trigger) {
    let reason = words::of_actor_or(by, trigger);
    info!(
        event = "requeued", queue_id = %queue_id, reason = &*safe(&reason), trigger = trigger.word(),
        uid = by.map(|by| by.uid), user = &*safe(name(by))
    );
}

/// The database was lost and rebuilt from the files. Messages that may have been delivered are held.
pub fn state_lost(held: usize) {
    error!(event = "state_lost", held, "state.sqlite was rebuilt from the files");
}

/// The database, or the whole spool, is an older copy. `suspect` messages may be delivered a second time.
pub fn state_restored(suspect: usize) {
    error!(event = "state_restored", suspect, "state.sqlite, or the whole spool, is an older copy");
}

/// An alarm was raised. Logged once until it clears.
pub fn alarm_raised(alarm: &str, subject: &str, severity: &str, reason: &str) {
    error!(event = "alarm_raised", alarm = &*safe(alarm), subject = &*safe(subject), severity = &*safe(severity), reason = &*safe(reason));
}

/// An alarm cleared after this many seconds.
pub fn alarm_cleared(alarm: &str, subject: &str, seconds: i64) {
    info!(event = "alarm_cleared", alarm = &*safe(alarm), subject = &*safe(subject), seconds);
}

/// An alarm sink failed: `alarm_command`, or `alarms.json`.
pub fn alarm_sink_failed(sink: &str, reason: &str) {
    warn!(event = "alarm_sink_failed", sink = &*safe(sink), reason = &*safe(reason));
}

/// The event file cannot be written. Logged once until it can be written again.
pub fn event_file_failed(path: &str, reason: &str) {
    error!(event = "event_file_failed", path = &*safe(path), reason = &*safe(reason));
}

/// An event sink missed events.
pub fn events_lost(sink: &str, lost: u64) {
    warn!(event = "events_lost", sink = &*safe(sink), lost);
}

/// A webhook does not accept events. Logged once until it does again.
pub fn webhook_failed(webhook: &str, reason: &str) {
    warn!(event = "webhook_failed", webhook = &*safe(webhook), reason = &*safe(reason), "its events stay queued");
}

/// A webhook accepts events again.
pub fn webhook_resumed(webhook: &str) {
    info!(event = "webhook_resumed", webhook = &*safe(webhook));
}

/// The canary was sent. An alarm follows if it does not arrive.
pub fn canary_sent(message_id: &str, to: &str) {
    info!(event = "canary_sent", message_id = &*safe(message_id), to = &*safe(to));
}
