//! The one integration-test binary: one module per folder of scenarios.

mod architecture;
mod dependencies;
mod dkim;
mod documents;
mod rig;
mod route;
mod support;
