//! state.sqlite: schedule, per-recipient progress and history of every message.
//!
//! An index and a history: the files are the truth of what exists. In: outcomes and changes from the daemon's one writer thread. Out: rows. The
//! caller decides how durable a commit is: [`Durability::Full`] before anything is answered or unlinked, [`Durability::Ordered`]
//! (written in order, not yet synced) for what the files repeat anyway.
//!
//! | dir | where the file is | meaning |
//! |---|---|---|
//! | 0 cur | `cur/` | deferred or being sent; `next_attempt` NULL = in the daemon's hands right now |
//! | 1 hold | `hold/` | parked; `hold` says why |
//! | 2 failed | `failed/` | at least one recipient failed for good, none is open |
//! | 3 none | nowhere | the row is history; `outcome` says how the message ended |
//! | 4 trash | `trash/` | an operator removed it, and can have it back for 24 hours |
//! | 5 corrupt | `corrupt/` | its file is not what was accepted |
//!
//! Where the file is (`dir`) and how the message ended (`outcome`) are two things: a message ends once, and its file may be moved or
//! deleted later. Every code is a number of [`mail::code`]; the table `code` names them. No sentence is ever read back.

mod admission;
mod codes;
mod damage;
mod database;
mod dsn;
mod errors;
mod history;
mod intention;
mod kept;
mod messages;
mod numbers;
mod outbox;
mod outcome_log;
mod overview;
mod queue;
mod results;
mod rows;
mod schema;
mod stats;
mod trace;

pub use admission::Usage;
pub use database::{Durability, State};
pub use dsn::{Action, BegunDsn, DueDsn, POSTPONED, ReasonWaiting};
pub use errors::{Result, StateError};
pub use intention::{Order, Wanted};
pub use mail::code::{MessageEnd, Progress, QueueDir};
pub use numbers::Numbers;
pub use outbox::{Cursor, Told};
pub use outcome_log::{Known, KnownRecipient, OUTCOMES_FILE};
pub use overview::{Ended, Waits};
pub use results::Agreement;
pub use rows::{Attempt, HistoryLine, Message, Origin, RecipientRow, RecipientUpdate, Transaction, end_of};
pub use schema::SCHEMA;
pub use stats::{InDir, Passed, Totals};

#[cfg(test)]
mod tests;
