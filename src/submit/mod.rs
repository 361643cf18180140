//! submit

pub mod body;
pub mod cli;
