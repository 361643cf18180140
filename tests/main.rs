//! The one integration-test binary: one module per folder of scenarios.

mod dkim;
mod route;
mod support;
