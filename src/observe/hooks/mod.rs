//! Webhooks: events for HTTPS receivers, signed as Standard Webhooks requires.
//!
//! In: the records of the event table, and the receivers of the configuration. Out: a POST for each event that a receiver wants,
//! at least once, always with the same `webhook-id`. A receiver that is down, slow or hostile delays only its own queue: each has its
//! own thread, and mail needs none of them.
//!
//! ```text
//! outbox ─▶ dispatcher ─▶ queue (webhooks.sqlite) ─▶ one worker per receiver ─▶ POST ─▶ 2xx: done
//!                             ▲                                                  ├─▶ 3xx, 4xx: retry this event later
//!                             └──────────────────────────────────────────────────┴─▶ 429, 5xx, no answer: retry all later
//! ```
//! A queued event survives kill -9. The events of messages come from the outbox of the state, which keeps them until they are queued:
//! a crash at any point loses none. The events of the daemon itself that happen just before a crash may not reach the queue.

pub mod client;
pub mod endpoint;
pub mod queue;
pub mod secret;
mod shared;
mod worker;

use std::sync::Arc;

pub use shared::{Hooks, Settings};

impl Hooks {
    /// Applies the receivers of a configuration, at start and at each reload. Queued events are tried at once.
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
