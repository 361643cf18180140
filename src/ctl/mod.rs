//! ctl

pub mod dkim;
