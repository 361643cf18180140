//! The one integration-test binary: one module per folder of scenarios.

mod architecture;
mod dependencies;
mod dkim;
mod rig;
mod route;
mod support;
mod documents;
