//! The event sinks besides the log: event file, webhooks, alarms, metrics.
//!
//! In: every event as a value, and the state that the daemon looks up for alarms and metrics. Out: files, HTTPS requests, the
//! administrator's program. Nothing here can delay a delivery: a slow sink misses events, and the loss is counted.

pub mod alarms;
pub mod dispatcher;
pub mod event_file;
pub mod hooks;
pub mod logging;
pub mod metrics;
pub mod outbox;
