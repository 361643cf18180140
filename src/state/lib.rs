//! state.sqlite: schedule, per-recipient progress and history of every message.
//!
//! An index and a history: the files are the truth of what exists. In: facts from the daemon's one writer thread. Out: rows. The
//! caller decides how durable a commit is: [`Durability::Full`] before anything is answered or unlinked, [`Durability::Ordered`]
//! (written in order, not yet synced) for what the files repeat anyway.
//!
//! | place | where the file is | meaning |
//! |---|---|---|
//! | 0 cur | `cur/` | waiting or being sent; `next_attempt` NULL = in the daemon's hands right now |
//! | 1 hold | `hold/` | parked; `reason` says why |
//! | 2 failed | `failed/` | at least one recipient failed for good, none is open |
//! | 3 gone | nowhere | every recipient relayed; the row is history |

mod admission;
mod damage;
mod database;
mod dsn;
mod errors;
pub mod given_up;
mod history;
mod kept;
mod messages;
mod numbers;
mod orders;
mod overview;
mod queue;
mod rows;
mod schema;
mod stats;
mod trace;

pub use admission::Usage;
pub use database::{Durability, State};
pub use dsn::{Action, BegunDsn, DueDsn, POSTPONED};
pub use errors::{is_damage, is_newer};
pub use numbers::Numbers;
pub use orders::{Order, Wanted};
pub use overview::{Ended, Waits};
pub use rows::{Attempt, Event, Message, Origin, Progress, QueueDir, RecipientRow, RecipientUpdate, Transaction};
pub use schema::SCHEMA;
pub use stats::{InPlace, Passed};

#[cfg(test)]
mod tests;
