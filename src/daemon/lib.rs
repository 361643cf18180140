//! `mailchuted`: a message from `new/` to the next hop.
//!
//! ```text
//!   new/ ─▶ intake ─▶ state writer (row) ─▶ schedule ─▶ dispatch/queue ─▶ delivery ─▶ prepare ─▶ smtp ─▶ the next hop
//!                        ▲                                            │           (digest, dkim, encode)
//!                        │                                            ▼
//!                        ├── record ◀── outcome ◀── replies, failures, route answers
//!   new/ ◀─ dsn_queue ◀──┘  DSNs that are due
//! ```
//!
//! | module | work |
//! |---|---|
//! | [`run`], [`config_check`] | start and end of the program, in order; what it would say of its configuration |
//! | [`wire`], [`setup`] | what the tasks share; the configuration in force, with keys and password loaded |
//! | [`tasks`], [`notify`] | tasks that must be allowed to end; messages to systemd |
//! | [`intake`], [`admin::plan`] | the claim, and what is decided about a message then |
//! | [`admission`] | how much a user may have in the spool, and whether anybody may send |
//! | [`recover`] | files and rows agree again at start |
//! | [`state_writer`], [`orders`] | the one writer of state.sqlite and mover of files; what it is to do when an attempt ends |
//! | [`history`] | how long the history is kept |
//! | [`schedule`], [`dispatch`], [`queue`], [`backoff`] | what is tried when, and over how many connections |
//! | [`prepare`] | what goes on the wire |
//! | [`delivery`], [`outcome`], [`record`] | one connection, what replies mean, and their record |
//! | [`due`], [`dsn_queue`] | which DSNs are due, and how they are written |
//! | [`answer`], [`submission`] | the control socket and the submission socket |
//! | [`alarm_source`], [`metrics`] | the inputs of alarms and metrics |
//!
//! Routes, TLS, the dialogue and the encoding are the crate `transport`; signatures are `dkim`; the words of a DSN are `dsn`; event
//! file, webhooks, alarms and the page of metrics are `observe`.
//!
//! Pure, with the clock and chance passed in: [`admin::plan`], [`queue`], [`backoff`], [`outcome`].

mod admission;
mod alarm_source;
mod answer;
mod backoff;
mod budget;
mod config_check;
mod current;
mod database;
mod delivery;
mod discard;
mod dispatch;
mod dsn_queue;
mod due;
mod health;
mod history;
mod intake;
mod intake_error;
mod limiter;
mod lost;
mod metrics;
mod notify;
mod orders;
mod outbox;
mod outcome;
mod pausing;
mod prepare;
mod queue;
mod quota;
mod record;
mod recover;
mod release;
mod reload;
mod run;
mod schedule;
mod serve;
mod setup;
mod socket;
mod state_writer;
mod stop;
mod submission;
mod tasks;
#[cfg(test)]
mod testing;
mod wire;

pub(crate) use admin::{plan, rows};
pub use run::program;
