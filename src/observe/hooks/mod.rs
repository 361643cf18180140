//! Webhooks: events to HTTPS receivers, signed as Standard Webhooks asks.
//!
//! In: the records of the event table, and the receivers of the configuration. Out: a POST for each event that a receiver wants,
//! at least once, always under the same `webhook-id`. A receiver that is down, slow or hostile holds up its own queue and nothing
//! else: each has a thread, none of them is one that mail needs.
//!
//! ```text
//!   log ─▶ outlet ─▶ queue (webhooks.sqlite) ─▶ one worker per receiver ─▶ POST ─▶ 2xx: done
//!                         ▲                                                  ├─▶ 3xx, 4xx: this event again, later
//!                         └──────────────────────────────────────────────────┴─▶ 429, 5xx, nothing: all again, later
//! ```
//! Once in the queue an event survives kill -9. What is logged in the moment before a crash may not have come so far; the history
//! in the spool has it.

pub mod client;
pub mod endpoint;
pub mod queue;
pub mod secret;
mod shared;
mod worker;

use std::sync::Arc;

pub use shared::{Hooks, Settings};

impl Hooks {
    /// Takes the receivers of a configuration: at the start, and at each reload. What waits is tried at once.
    ///
    /// Errors: the kernel has no room for a thread.
    pub fn apply(self: &Arc<Self>, settings: Settings) -> std::io::Result<()> {
        let (generation, endpoints) = self.configure(settings);
        for endpoint in endpoints {
            let hooks = Arc::clone(self);
            let name = format!("webhook {}", endpoint.name);
            std::thread::Builder::new().name(name).spawn(move || worker::run(&hooks, &endpoint, generation))?;
        }
        Ok(())
    }
}
