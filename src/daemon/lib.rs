//! The daemon's side of a message's way.
//!
//! ```text
//!   new/ ─▶ intake ─▶ state writer (row) ─▶ schedule ─▶ dispatch/queue ─▶ delivery ─▶ prepare ─▶ smtp ─▶ the next hop
//!                        ▲                                            │           (digest, dkim, encode)
//!                        │                                            ▼
//!                        ├── settle ◀── outcome ◀── replies, failures, route answers
//!   new/ ◀── report ◀────┘  DSNs that are due
//! ```
//!
//! | module | work |
//! |---|---|
//! | [`run`], [`trial`] | start and end of the program, in order; what it would say of its configuration |
//! | [`daemon`], [`setup`] | what the tasks share; the configuration in force, with keys and password loaded |
//! | [`tasks`], [`notify`] | tasks that must be allowed to end; what systemd is told |
//! | [`intake`], [`plan`] | the claim, and what is decided of a message then |
//! | [`admission`] | how much a user may have in the spool, and whether anybody may send |
//! | [`recover`] | files and rows agree again at start |
//! | [`state_writer`], [`orders`] | the one writer of state.sqlite and mover of files; what it is to do when an attempt ends |
//! | [`history`] | how long what happened is remembered |
//! | [`schedule`], [`dispatch`], [`queue`], [`backoff`] | what is tried when, and over how many connections |
//! | [`route`], [`tls`], [`smtp`] | where to, how safely, and the dialogue |
//! | [`prepare`], [`encode`], [`dkim`] | what goes on the wire |
//! | [`delivery`], [`outcome`], [`settle`] | one connection, what replies mean, and their record |
//! | [`report`] | who is told about failures and delays, and in which words |
//! | [`answer`], [`door`], [`places`] | the control socket and the submission socket |
//! | [`logging`] | events to the log or the journal, and to a channel |
//! | [`outlet`] | from that channel to the event file, as JSON lines, and to the three below |
//! | [`hooks`] | events to HTTPS receivers |
//! | [`alarms`] | what is wrong, and who is told |
//! | [`metrics`] | counters of events and outcomes, and the page that shows them |
//!
//! Pure, with the clock and chance passed in: [`plan`], [`queue`], [`backoff`], [`outcome`], most of [`encode`] and [`dkim`].

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
mod limiter;
mod metrics;
mod notify;
mod orders;
mod outcome;
mod pausing;
mod plan;
mod prepare;
mod queue;
mod quota;
mod reasons;
mod record;
mod recover;
mod release;
mod reload;
mod rows;
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

pub use run::program;
