//! The one integration-test binary: one module per folder of scenarios.

// clippy.toml allows these in tests, but takes only functions marked #[test] for such: a helper of a test fails by a panic too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
// And what it prints is for the person who reads its failure.
#![allow(clippy::print_stdout, clippy::print_stderr)]

// First, because its macros are used by the others.
#[macro_use]
mod support;

mod admission;
mod architecture;
mod attacks;
mod callers;
mod compat;
mod daemon;
mod delivery;
mod dependencies;
mod dkim;
mod documents;
mod door;
mod events;
// A selection of the rig runs here, all of it by tests/faults/run.
#[allow(dead_code)]
mod faults;
mod install;
mod interop;
mod metrics;
mod nonsense;
mod operators;
mod privileged;
mod report;
mod rig;
mod route;
mod smtp;
mod soak;
mod submit;
